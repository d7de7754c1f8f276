"""What is let in, as the matches of one iptables rule.

In the words of iptables-save, and in their order, so that what stands in the
kernel can be held against the plan as text (see `rule_comparison`).
"""

from flatnet.state.filtering import Opening

ACCEPT = "-j ACCEPT"
DROP = "-j DROP"
_ICMP = {1: "-m icmp --icmp-type", 58: "-m icmp6 --icmpv6-type"}
# What iptables has a match of its own for.
_MODULES = {6: "tcp", 17: "udp"}
# What iptables prints by these names on each host.
_NAMES = {
    **_MODULES,
    1: "icmp",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    132: "sctp",
    135: "mobility-header",
    136: "udplite",
}
# iptables does not print what excludes nothing.
_ALL_PORTS = (0, 65535)


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


def bound_for(cidr: str) -> str:
    """Return what a rule begins with that is about a destination."""
    # iptables does not print what is everybody.
    return "" if cidr.endswith("/0") else f"-d {cidr} "


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
    # A number, for a host's iptables may not know the name.
    return f"-p {_NAMES.get(number, number)}"


def _ports(opening: Opening) -> str:
    """The ports, or an ICMP type and code."""
    number, first, last = opening.protocol, opening.first, opening.last
    if number is None or first is None:
        return ""
    if number in _ICMP:
        code = "" if last is None else f"/{last}"
        return f"{_ICMP[number]} {first}{code}"
    ports = f"{first}" if first == last else f"{first}:{last}"
    if number in _MODULES and (first, last) == _ALL_PORTS:
        return f"-m {_MODULES[number]}"
    if number in _MODULES:
        return f"-m {_MODULES[number]} --dport {ports}"
    # One module for all others, which every kernel with iptables has.
    return f"-m multiport --dports {ports}"
