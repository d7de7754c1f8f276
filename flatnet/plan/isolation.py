"""What may reach an instance: security groups and allow_same_net_traffic.

Goals, and how each is met:

* The table of the contract.  Whatever leaves by a bridge that has a
  filtered instance goes through `flatnet-local`: answers to what somebody
  began pass, then the destination address leads, through a tree, to the
  chain of its instance, whose last rule drops.  FORWARD (bridged, routed,
  hairpinned, after DNAT) and OUTPUT (the host itself) both go there; other
  bridges and other traffic of the host never do.
* Addresses of the flat network that are not here stay reachable: the host
  that has them judges.
* Broadcast and multicast have no instance's address, and what is bridged
  with an address that no instance has may still reach a port.  The layer 2
  guard, which sees ports, lets nothing of that in to an isolated one.  With
  allow_same_net_traffic=True a frame for everybody comes from the same
  network by nature.
* The DHCP server's answers are let out in OUTPUT: only this host's own
  processes are there, whatever a guest or a neighbour forges.
* IPv6.  Guests have link-local addresses that no row holds, so the tree
  has those that follow from the MAC, and nothing else is routed there.
  Neighbour discovery passes as ARP does, with the sender's own addresses,
  which the guard looks after: who cannot be asked for gets no answers to
  what it began either.  So do queries for multicast listeners, without
  which bridges forget who wants to be asked.

Given up: this host routes no IPv6 to instances of others.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from flatnet.plan.dispatch import Address, tree
from flatnet.plan.guests import (
    Guest,
    addresses_v6,
    guests,
)
from flatnet.plan.security import of_family, set_name
from flatnet.rows import Snapshot
from flatnet.settings import Settings
from flatnet.state import AddressSet, Chain

_LOCAL = "flatnet-local"
_FIRST = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
_INVALID = "-m conntrack --ctstate INVALID -j DROP"
_LINK_LOCAL = "fe80::/10"
_BRIDGED = "-m physdev --physdev-is-bridged"
# Listener queries, solicitations, advertisements.
_DISCOVERY = tuple(
    f"-p icmpv6 -m icmp6 --icmpv6-type {kind} -j ACCEPT"
    for kind in (130, 135, 136)
)
_ACCEPT = "-j ACCEPT"
_DROP = "-j DROP"


@dataclass(frozen=True)
class Filtering:
    """What filters traffic of one family to the instances of this host.

    `forward` and `output` are rules for these built-in chains and `chains`
    what they lead to.  All are empty where no instance is filtered.
    """

    forward: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()


def isolation(
    snapshot: Snapshot, settings: Settings
) -> tuple[Filtering, Filtering, tuple[AddressSet, ...], tuple[str, ...]]:
    """Return what filters IPv4 and IPv6, the sets it needs, and warnings."""
    everyone, warnings = guests(snapshot, settings)
    bridges = sorted({g.network.bridge for g in everyone if g.filtered})
    if not bridges:
        return Filtering(), Filtering(), (), warnings
    here = [g for g in everyone if g.network.bridge in bridges]
    same_net = settings.allow_same_net_traffic
    return (
        _filtering_v4(here, bridges, same_net=same_net),
        _filtering_v6(here, bridges, same_net=same_net),
        _address_sets(here, dict(snapshot.group_members)),
        warnings,
    )


def _address_sets(
    everyone: list[Guest], members: Mapping[int, tuple[str, ...]]
) -> tuple[AddressSet, ...]:
    """Return the sets that the guests' rules name, sorted."""
    used = {
        (match.group_id, match.family)
        for guest in everyone
        for match in guest.lets_in
        if match.group_id is not None
    }
    return tuple(
        AddressSet(
            set_name(group_id, family),
            family,
            of_family(members[group_id], family),
        )
        for group_id, family in sorted(used)
    )


def _filtering_v4(
    everyone: list[Guest], bridges: list[str], *, same_net: bool
) -> Filtering:
    filtered = [guest for guest in everyone if guest.filtered]
    targets = tuple(
        (ipaddress.ip_address(address), f"-j {guest.chain}")
        for guest in filtered
        for address in of_family(guest.interface.addresses, 4)
    )
    chains = [
        _instance_chain(
            guest, 4, (f"-s {guest.network.cidr} {_ACCEPT}",) * same_net
        )
        for guest in filtered
    ]
    to_local = tuple(_to_local(bridge) for bridge in bridges)
    return Filtering(
        to_local,
        to_local,
        (*tree(Chain(_LOCAL, (_FIRST,)), targets), *chains),
    )


def _filtering_v6(
    everyone: list[Guest], bridges: list[str], *, same_net: bool
) -> Filtering:
    targets = dict.fromkeys(t for g in everyone for t in _targets_v6(g))
    forward = tuple(_to_local(bridge) for bridge in bridges)
    for bridge in bridges:
        there = [g for g in everyone if g.network.bridge == bridge]
        if same_net:
            # Duplicate address detection has no source address yet.
            forward += (f"-o {bridge} -s ::/128 {_ACCEPT}",)
            forward += tuple(
                f"-o {bridge} {rule}" for rule in _same_network_v6(there)
            )
        forward += (
            f"-o {bridge} {_BRIDGED} {_ACCEPT}",
            f"-o {bridge} {_DROP}",
        )
    chains = []
    for guest in everyone:
        first = _same_network_v6([guest]) if same_net else ()
        if guest.filtered:
            chains.append(_instance_chain(guest, 6, first))
    return Filtering(
        forward,
        tuple(_to_local(bridge) for bridge in bridges),
        (
            *tree(Chain(_LOCAL, (_FIRST, *_DISCOVERY)), tuple(targets)),
            *chains,
        ),
    )


def _targets_v6(guest: Guest) -> list[tuple[Address, str]]:
    """Where the guest's addresses lead."""
    rest = f"-j {guest.chain}" if guest.filtered else _ACCEPT
    return [(address, rest) for address in addresses_v6(guest)]


def _instance_chain(
    guest: Guest, family: int, first: tuple[str, ...]
) -> Chain:
    rules = (_INVALID, *first, *_lets_in(guest, family), _DROP)
    return Chain(guest.chain, rules, guest.interface.instance_uuid)


def _lets_in(guest: Guest, family: int) -> tuple[str, ...]:
    """The rules of a guest's groups, each once."""
    return tuple(
        dict.fromkeys(
            f"{match.text} {_ACCEPT}".strip()
            for match in guest.lets_in
            if match.family == family
        )
    )


def _to_local(bridge: str) -> str:
    return f"-o {bridge} -j {_LOCAL}"


def _same_network_v6(everyone: list[Guest]) -> tuple[str, ...]:
    cidrs = {g.network.cidr_v6 for g in everyone if g.network.cidr_v6}
    return tuple(
        f"-s {cidr} {_ACCEPT}" for cidr in (_LINK_LOCAL, *sorted(cidrs))
    )
