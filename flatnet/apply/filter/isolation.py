"""Rules for what may reach an instance: groups and allow_same_net_traffic.

Goals, and how each is met:

* The table of the contract.  Whatever leaves by a bridge that has a
  filtered guest goes through `flatnet-local`: answers to what somebody
  began pass, and what is bound for a filtered address goes down a tree to
  the rules of its guest's groups (see `profiles`), or is dropped.  FORWARD
  (bridged, routed, hairpinned, after DNAT) and OUTPUT (the host itself) both
  go there; other bridges and other traffic of the host never do.
* Who comes or goes is a member of sets, and no chain is touched.  Sets that
  somebody empties close: that all are empty is no reason to filter nobody.
* Addresses of the flat network that are not here stay reachable: the host
  that has them judges.
* Broadcast and multicast have no instance's address, and what is bridged
  with an address that no instance has may still reach a port.  The layer 2
  guard, which sees ports, lets nothing of that in to an isolated one.  With
  allow_same_net_traffic=True a frame for everybody comes from the same
  network by nature.
* The DHCP server's answers are let out in OUTPUT: only this host's own
  processes are there, whatever a guest or a neighbour forges.
* IPv6.  Guests have link-local addresses that no row holds, so the sets
  have those that follow from the MAC, and nothing else is routed there.
  Neighbour discovery passes as ARP does, with the sender's own addresses,
  which the guard looks after: who cannot be asked for gets no answers to
  what it began either.  So do queries for multicast listeners, without
  which bridges forget who wants to be asked.

Given up: this host routes no IPv6 to instances of others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flatnet.apply.filter.matches import ACCEPT, DROP
from flatnet.apply.filter.profiles import ROOT, Profiles, of_family
from flatnet.apply.filter.tables import AddressSet, Chain
from flatnet.filtering import Filter, FlatNetwork

LOCAL = "flatnet-local"
_FIRST = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
_INVALID = "-m conntrack --ctstate INVALID -j DROP"
_LINK_LOCAL = "fe80::/10"
_BRIDGED = "-m physdev --physdev-is-bridged"
# Listener queries, solicitations, advertisements.
_DISCOVERY = tuple(
    f"-p icmpv6 -m icmp6 --icmpv6-type {kind} -j ACCEPT"
    for kind in (130, 135, 136)
)


@dataclass(frozen=True)
class Isolation:
    """What filters traffic of one family to the instances of this host.

    `forward` and `output` are rules for these built-in chains and `chains`
    what they lead to.  All are empty where no instance is filtered.
    """

    forward: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()
    sets: tuple[AddressSet, ...] = ()


def isolation(wanted: Filter, family: int) -> Isolation:
    """Return what filters one family, with the sets that it needs."""
    filtered = {guest.bridge for guest in wanted.guests if guest.filtered}
    networks = [each for each in wanted.networks if each.bridge in filtered]
    if not networks:
        return Isolation()
    to_local = tuple(f"-o {each.bridge} -j {LOCAL}" for each in networks)
    forward = to_local
    if family == 6:
        for each in networks:
            forward += _unfiltered(each, wanted)
    profiles = Profiles(wanted, family)
    local = (
        _FIRST,
        *(_DISCOVERY if family == 6 else ()),
        *_open(wanted, family),
        f"-m set ! --match-set {filtered_set(family)} dst "
        f"-m set --match-set {every_set(family)} dst -j RETURN",
        _INVALID,
        *(rule for each in networks for rule in _same(each, wanted, family)),
        f"-j {ROOT}",
        DROP,
    )
    return Isolation(
        forward,
        to_local,
        (Chain(LOCAL, local), *profiles.chains()),
        (*_sets(wanted, family), *profiles.sets()),
    )


def filtered_set(family: int) -> str:
    """Return the name of the set of all filtered addresses here."""
    return f"flatnet-filtered{family}"


def every_set(family: int) -> str:
    """Return the name of the set of all addresses there are.

    Whoever empties all sets (`ipset flush`) empties it too, and then nothing
    passes for not being filtered.
    """
    return f"flatnet-every{family}"


def open_set(family: int) -> str:
    """Return the name of the set of those that are not filtered here."""
    return f"flatnet-open{family}"


def _sets(wanted: Filter, family: int) -> Iterator[AddressSet]:
    # No set takes a prefix of no length.
    every = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}
    yield AddressSet(every_set(family), family, frozenset(every[family]))
    found: dict[str, set[str]] = {filtered_set(family): set()}
    if _open(wanted, family):
        found[open_set(family)] = set()
    for guest in wanted.guests:
        kind = filtered_set if guest.filtered else open_set
        if kind(family) in found:
            found[kind(family)].update(of_family(guest.addresses, family))
    for name, members in found.items():
        closes = name == filtered_set(family)
        yield AddressSet(name, family, frozenset(members), closes=closes)


def _open(wanted: Filter, family: int) -> tuple[str, ...]:
    """Let in to guests that are not filtered what would be dropped below.

    Of IPv6 nothing is routed to a bridge but to addresses that are known.
    """
    if family == 4 or all(guest.filtered for guest in wanted.guests):
        return ()
    return (f"-m set --match-set {open_set(family)} dst {ACCEPT}",)


def _same(network: FlatNetwork, wanted: Filter, family: int) -> Iterator[str]:
    """What counts as the same network, for its bridge."""
    if not wanted.same_network:
        return
    cidrs = [network.cidr]
    if family == 6:
        cidrs = [_LINK_LOCAL, *filter(None, [network.cidr_v6])]
    for cidr in cidrs:
        yield f"-s {cidr} -o {network.bridge} {ACCEPT}"


def _unfiltered(network: FlatNetwork, wanted: Filter) -> tuple[str, ...]:
    """IPv6 to what is no guest's address: bridged it is others' affair."""
    start = f"-o {network.bridge}"
    same: tuple[str, ...] = ()
    if wanted.same_network:
        # Duplicate address detection has no source address yet.
        same = (f"-s ::/128 {start} {ACCEPT}", *_same(network, wanted, 6))
    return (
        *same,
        f"{start} {_BRIDGED} {ACCEPT}",
        f"{start} {DROP}",
    )
