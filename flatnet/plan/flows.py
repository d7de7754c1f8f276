"""What is let in to each filtered instance, for connections tracked already.

iptables judges the first packet of a connection; the rest pass as
established.  So when a rule goes somebody has to judge the connections that
exist, with values instead of matches.  They are read off the very matches
that iptables gets, so that the two cannot come to differ.
"""

from flatnet.exceptions import InvalidSecurityGroupRule
from flatnet.plan.guests import Guest, addresses_v6, guests
from flatnet.plan.security import of_family
from flatnet.rows import Snapshot
from flatnet.settings import Settings
from flatnet.state import FilteredAddress, Opening

_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_LINK_LOCAL = "fe80::/10"


def filtered_addresses(
    snapshot: Snapshot, settings: Settings
) -> tuple[FilteredAddress, ...]:
    """Return the addresses of the filtered instances here, sorted."""
    everyone, _ = guests(snapshot, settings)
    same_net = settings.allow_same_net_traffic
    found = [
        FilteredAddress(address, _openings(guest, family, same_net=same_net))
        for guest in everyone
        if guest.filtered
        for family in (4, 6)
        for address in _addresses(guest, family)
    ]
    return tuple(sorted(found, key=lambda each: each.address))


def _addresses(guest: Guest, family: int) -> tuple[str, ...]:
    if family == 4:
        return of_family(guest.interface.addresses, 4)
    return tuple(str(address) for address in addresses_v6(guest))


def _openings(
    guest: Guest, family: int, *, same_net: bool
) -> tuple[Opening, ...]:
    found = [
        opening(match.text)
        for match in guest.lets_in
        if match.family == family
    ]
    if same_net:
        network = guest.network
        cidrs = (
            [network.cidr] if family == 4 else [_LINK_LOCAL, network.cidr_v6]
        )
        found = [*(Opening(cidr) for cidr in cidrs if cidr), *found]
    return tuple(dict.fromkeys(found))


def opening(text: str) -> Opening:
    """Return what a match of `plan.security` says, as values.

    :raises InvalidSecurityGroupRule: it has an option that is unknown here
    """
    words = text.split()
    values: dict[str, str | int | None] = {}
    while words:
        option, value, *words = words
        match option:
            case "-s":
                values["source"] = value
            case "--match-set":
                values["address_set"] = value
                words = words[1:]
            case "-p":
                values["protocol"] = _NUMBERS.get(value) or int(value)
            case "--dport" | "--dports":
                first, _, last = value.partition(":")
                values |= {"first": int(first), "last": int(last or first)}
            case "--icmp-type" | "--icmpv6-type":
                kind, _, code = value.partition("/")
                values["first"] = int(kind)
                values["last"] = int(code) if code else None
            case "-m":
                pass
            case _:
                raise InvalidSecurityGroupRule(f"unknown match {text!r}")
    return Opening(**values)  # type: ignore[arg-type]
