"""Tracked connections as values, and whether a plan still allows them."""

import ipaddress
from dataclasses import dataclass, field
from functools import cache

from flatnet.state.filtering import Filter, FlatNetwork, Opening

_ICMP = (1, 58)
_LINK_LOCAL = "fe80::/10"


@dataclass(frozen=True)
class Flow:
    """A connection; `target` and `target_port` are what it was led to.

    They differ from `destination` and `port` after DNAT, and are what the
    filter sees.  ICMP has no ports, and those of GRE are its keys.
    `answered_to` and `answered_port` are where answers go: not the source
    after SNAT.  `key` is what the kernel knows it by, `status` its bits
    there, and `lasts` for how many seconds it is remembered if nothing comes.
    """

    family: int
    protocol: int
    source: str
    destination: str
    target: str
    answered_to: str
    source_port: int | None = None
    port: int | None = None
    target_port: int | None = None
    answered_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    zone: int | None = None
    key: bytes = b""
    status: int = field(default=0, compare=False)
    lasts: int = field(default=0, compare=False)

    @property
    def ends(self) -> frozenset[str]:
        """The addresses on either way, before and after any NAT."""
        return frozenset(
            {self.source, self.destination, self.target, self.answered_to}
        )


class Judge:
    """Says which flows to filtered guests nothing allows any more.

    :param judged: the addresses that it has to say something of
    """

    def __init__(self, wanted: Filter, judged: frozenset[str]) -> None:
        self._openings = _by_address(wanted, judged)
        self._members = {each.group: each.addresses for each in wanted.members}

    def forbids(self, flow: Flow) -> bool:
        """Whether it leads to a filtered instance and no rule allows it."""
        openings = self._openings.get(flow.target)
        return openings is not None and not any(
            self._allows(opening, flow) for opening in openings
        )

    def _allows(self, opening: Opening, flow: Flow) -> bool:
        if opening.family != flow.family:
            return False
        if opening.protocol not in (None, flow.protocol):
            return False
        if opening.group is not None and flow.source not in (
            self._members.get(opening.group, frozenset())
        ):
            return False
        if opening.source is not None and (
            ipaddress.ip_address(flow.source) not in _network(opening.source)
        ):
            return False
        return opening.first is None or _is_service(opening, flow)


def _by_address(
    wanted: Filter, judged: frozenset[str]
) -> dict[str, tuple[Opening, ...]]:
    """What is let in to each judged address that is filtered."""
    groups = {each.id: each.openings for each in wanted.groups}
    same = {each.bridge: _same_network(each) for each in wanted.networks}
    found: dict[str, tuple[Opening, ...]] = {}
    for guest in wanted.guests:
        mine = judged.intersection(guest.addresses)
        if not guest.filtered or not mine:
            continue
        openings = tuple(o for each in guest.groups for o in groups[each])
        if wanted.same_network:
            openings = (*same.get(guest.bridge, ()), *openings)
        found.update(dict.fromkeys(mine, openings))
    return found


def _same_network(network: FlatNetwork) -> tuple[Opening, ...]:
    cidrs = filter(None, (_LINK_LOCAL, network.cidr_v6))
    return (
        Opening(4, network.cidr),
        *(Opening(6, cidr) for cidr in cidrs),
    )


def _is_service(opening: Opening, flow: Flow) -> bool:
    """Whether the flow is bound for the ports, or of the ICMP type."""
    if flow.protocol in _ICMP:
        return flow.icmp_type == opening.first and opening.last in (
            None,
            flow.icmp_code,
        )
    return (
        flow.target_port is not None
        and opening.first is not None
        and opening.last is not None
        and opening.first <= flow.target_port <= opening.last
    )


@cache
def _network(
    text: str,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
