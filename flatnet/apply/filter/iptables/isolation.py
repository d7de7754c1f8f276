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
* What the host itself sends to a floating address is judged by the address
  of the guest that has it.
* Addresses of the flat network that are not here stay reachable: the host
  that has them judges.
* Broadcast and multicast have no instance's address, so the guard, which sees
  ports, marks each copy that is bound for an isolated one, and rules lead by
  the mark (see `groupcast_tree`).  They do so before answers pass: all copies
  are one connection, and what is let in to one guest, or answered by whoever
  forges it, would be open to all.  What is bridged with any other address
  that no instance has the guard lets in nowhere.  With
  allow_same_net_traffic=True a frame for everybody comes from the same
  network by nature.
* Where these rules are gone, or one of them is, or a member of the set of
  those that are filtered, nothing is let in.  They mark what they have judged,
  and the guard, whose tables others' flushes leave alone, lets nothing begin
  without that (see `judged_mark`).
* The DHCP server's answers are let out in OUTPUT: only this host's own
  processes are there, whatever a guest or a neighbour forges.  Those of one
  that serves all hosts are let in by its address, which the guard believes
  nobody else beyond the uplink.
* IPv6.  Guests have link-local addresses that no row holds, so the sets
  have those that follow from the MAC, and nothing else is routed there.  Where
  the host is the guests' router (`router_services`) what it routes is judged
  as IPv4 is.
  Neighbour discovery passes as ARP does, with the sender's own addresses,
  which the guard looks after: who cannot be asked for gets no answers to
  what it began either.  So do queries for multicast listeners, without
  which bridges forget who wants to be asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from flatnet.apply.filter import judged_mark
from flatnet.apply.filter.iptables import router_services
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.gateway import gateways
from flatnet.apply.filter.iptables.groupcast_tree import (
    GroupcastTree,
    led_away,
)
from flatnet.apply.filter.iptables.matches import ACCEPT, DROP
from flatnet.apply.filter.iptables.profiles import ROOT
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.apply.filter.iptables.tree import Tree
from flatnet.state.filtering import FlatNetwork

LOCAL = "flatnet-local"
Trees = tuple[Tree, GroupcastTree]
_FIRST = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
_INVALID = "-m conntrack --ctstate INVALID -j DROP"
_LINK_LOCAL = "fe80::/10"
_DHCP_ANSWER = "-p udp -m udp --sport 67 --dport 68"
_BRIDGED = "-m physdev --physdev-is-bridged"
# Listener queries, solicitations, advertisements.
_OF_DISCOVERY = tuple(
    f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind}" for kind in (130, 135, 136)
)
_DISCOVERY = tuple(f"{each} -j ACCEPT" for each in _OF_DISCOVERY)


@dataclass(frozen=True)
class Isolation:
    """What filters traffic of one family to the instances of this host.

    `forward` and `output` are rules for these built-in chains, `marking`
    those that come first in output, and `chains` what they lead to.  All are
    empty where no instance is filtered.
    """

    forward: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    marking: tuple[str, ...] = ()
    chains: tuple[Chain, ...] = ()


def isolation(layout: ChainLayout, family: int, trees: Trees) -> Isolation:
    """Return what filters one family.

    :param trees: of that family, of addresses and of groupcasts
    """
    networks = layout.filtered
    if not networks:
        return Isolation()
    to_local = tuple(f"-o {each.bridge} -j {LOCAL}" for each in networks)
    # What the host says of itself is let out before it comes there.
    marking = tuple(
        f"{each} {judged_mark.MARKED}" for each in _said(layout, family)
    )
    forward = to_local
    if family == 6:
        forward = _from_outside(layout) + forward
        for each in networks:
            forward += _unfiltered(each, layout)
    local = (
        *(_served(layout, family) + led_away(layout, family)),
        _FIRST,
        # Who is missing in the set is not marked either, so that whoever takes
        # a member away opens nothing.
        f"-m set --match-set {filtered_set(family)} dst {judged_mark.MARKED}",
        *(_DISCOVERY if family == 6 else ()),
        *_open(layout, family),
        f"-m set ! --match-set {filtered_set(family)} dst "
        f"-m set --match-set {every_set(family)} dst -j RETURN",
        _INVALID,
        *(rule for each in networks for rule in _same(each, layout, family)),
        f"-j {ROOT}",
        # The guard drops it too, if somebody deletes the rule that does.
        judged_mark.UNMARKED,
        DROP,
    )
    profiles = trees[0].chains(layout.profiles[family], layout.groups_by_id)
    by_mark = () if layout.same_network else trees[1].chains(layout)
    chains = (Chain(LOCAL, local), *profiles, *by_mark)
    return Isolation(forward, to_local + _led(layout, family), marking, chains)


def _from_outside(layout: ChainLayout) -> tuple[str, ...]:
    """Drop discovery that is routed: it is for who is on the segment."""
    return tuple(
        f"! -i {each.bridge} -o {each.bridge} {kind} -j DROP"
        for each in gateways(layout, 6)
        for kind in _OF_DISCOVERY
    )


def _led(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """What the host led to a guest bears the device of before in output.

    That is lo where the floating address is here, and any where it is not.
    """
    if family == 6 or not layout.floating:
        return ()
    return (f"-m conntrack --ctstate DNAT -j {LOCAL}",)


def _said(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """What matches the answers of DHCP servers, and what routers say."""
    if family == 4:
        return tuple(f"-o {n.bridge} {_DHCP_ANSWER}" for n in layout.filtered)
    bridges = {each.bridge for each in layout.filtered}
    return tuple(
        match
        for each in gateways(layout, 6)
        if each.bridge in bridges
        for match in router_services.said(each)
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


def every(family: int) -> frozenset[str]:
    """Return the members of the set of all addresses there are."""
    # No set takes a prefix of no length.
    if family == 6:
        return frozenset(("::/1", "8000::/1"))
    return frozenset(("0.0.0.0/1", "128.0.0.0/1"))


def _open(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """Let in to guests that are not filtered what would be dropped below.

    Of IPv6 nothing is routed to a bridge but to addresses that are known,
    unless the host is the router there.
    """
    if family == 4 or not layout.has_open:
        return ()
    routed = {each.bridge for each in gateways(layout, 6)}
    match = f"-m set --match-set {open_set(family)} dst {ACCEPT}"
    if not routed:
        return (match,)
    return tuple(
        f"-o {each.bridge} {match}"
        for each in layout.filtered
        if each.bridge not in routed
    )


def _served(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """Let in what DHCP servers on other hosts answer.

    That it comes from there is for the guard to see.  Some of it is for
    everybody, and so for no guest's address.
    """
    answers = tuple(
        f"-s {each.server}/32 -o {each.bridge} -p udp {_BRIDGED} "
        "-m udp --sport 67 --dport 68"
        for each in layout.filtered
        if each.server and family == 4
    )
    return tuple(
        f"{answer} {rest}"
        for answer in answers
        for rest in (judged_mark.MARKED, ACCEPT)
    )


def _same(
    network: FlatNetwork, layout: ChainLayout, family: int
) -> Iterator[str]:
    """What counts as the same network, for its bridge."""
    if not layout.same_network:
        return
    cidrs = [network.cidr]
    if family == 6:
        cidrs = [_LINK_LOCAL, *filter(None, [network.cidr_v6])]
    for cidr in cidrs:
        yield f"-s {cidr} -o {network.bridge} {ACCEPT}"


def _unfiltered(network: FlatNetwork, layout: ChainLayout) -> tuple[str, ...]:
    """IPv6 to what is no guest's address: bridged it is others' affair."""
    start = f"-o {network.bridge}"
    same: tuple[str, ...] = ()
    if layout.same_network:
        # Duplicate address detection has no source address yet.
        same = (f"-s ::/128 {start} {ACCEPT}", *_same(network, layout, 6))
    routed = {each.bridge for each in gateways(layout, 6)}
    rest = () if network.bridge in routed else (f"{start} {DROP}",)
    return (*same, f"{start} {_BRIDGED} {ACCEPT}", *rest)
