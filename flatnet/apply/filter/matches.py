"""What is let in, as the matches of one iptables rule."""

from flatnet.filtering import Opening

ACCEPT = "-j ACCEPT"
DROP = "-j DROP"
_ICMP = {1: ("icmp", "icmp"), 58: ("icmpv6", "icmp6")}
# What iptables has a match of its own for.
_MODULES = {6: "tcp", 17: "udp"}


def accepted(opening: Opening) -> str:
    """Return the rule that lets it in, in the word order of iptables."""
    words = (
        f"-s {opening.source}" if opening.source else "",
        _protocol(opening),
        _group(opening),
        _ports(opening),
        ACCEPT,
    )
    return " ".join(filter(None, words))


def source_set(group: int, family: int) -> str:
    """Return the name of the set of a group's members."""
    return f"flatnet-g{family}-{group}"


def _group(opening: Opening) -> str:
    if opening.group is None:
        return ""
    name = source_set(opening.group, opening.family)
    return f"-m set --match-set {name} src"


def _protocol(opening: Opening) -> str:
    number = opening.protocol
    if number is None:
        return ""
    if number in _ICMP:
        return f"-p {_ICMP[number][0]}"
    # A number, for a host's iptables may not know the name.
    return f"-p {_MODULES.get(number, number)}"


def _ports(opening: Opening) -> str:
    """The ports, or an ICMP type and code."""
    number, first, last = opening.protocol, opening.first, opening.last
    if number is None or first is None:
        return ""
    if number in _ICMP:
        name, module = _ICMP[number]
        code = "" if last is None else f"/{last}"
        return f"-m {module} --{name}-type {first}{code}"
    ports = f"{first}" if first == last else f"{first}:{last}"
    if number in _MODULES:
        return f"-m {_MODULES[number]} --dport {ports}"
    # One module for all others, which every kernel with iptables has.
    return f"-m multiport --dports {ports}"
