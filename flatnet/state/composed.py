"""The plan of a whole host, put together of its parts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from flatnet.state.filtering import Filter, Group, Members
from flatnet.state.held import Held
from flatnet.state.parts import GuestPart, Member, NetworkPart, Parts
from flatnet.state.plan import Bridge, DhcpServer, Guard, Plan
from flatnet.state.rows import address_order
from flatnet.state.sliced import SlicedMap, sliced


class Sources:
    """The groups of a host, and who is in those that openings name.

    A group may have members by the ten thousand, on whatever hosts: who comes
    or goes costs himself, and nobody costs nothing.
    """

    def __init__(self) -> None:
        self._groups: Mapping[int, Group] = {}
        self._sorted: tuple[Group, ...] = ()
        self._parts = SlicedMap[str, Member]()
        self._named: tuple[int, ...] = ()
        self._held = Held()
        self._made: dict[int, Members] = {}

    def groups(self, parts: Parts) -> tuple[Group, ...]:
        """Return them by id; where all are as before, the same object."""
        if parts.groups is not self._groups:
            self._groups, self._named = parts.groups, _named(parts.groups)
            self._sorted = tuple(g for _, g in sorted(parts.groups.items()))
        return self._sorted

    def members(self, parts: Parts) -> tuple[Members, ...]:
        """Return them by group; those that are as before are the same."""
        self.groups(parts)
        if parts.members is not self._parts:
            self._note(parts.members)
        self._made = {group: self._gathered(group) for group in self._named}
        return tuple(self._made.values())

    def _note(self, members: Mapping[str, Member]) -> None:
        before, self._parts = self._parts, sliced(members)
        put, dropped = self._parts.differing(before)
        for key in (*dropped, *put):
            if key in before:
                for address in set(before[key].addresses):
                    self._held.leave(before[key].group, address, key)
        for key, member in put.items():
            for address in set(member.addresses):
                self._held.join(member.group, address, key)

    def _gathered(self, group: int) -> Members:
        addresses = self._held.sliced(group)
        known = self._made.get(group)
        if known is None or known.addresses is not addresses:
            known = Members(group, addresses)
        return known


def composed(
    parts: Parts, sources: Sources, renewed: Iterable[str] = ()
) -> Plan:
    """Return everything that a host should look like, sorted.

    :param sources: what is known of members from the last time
    :param renewed: uuids of instances that begin anew
    """
    guests: dict[int, list[GuestPart]] = defaultdict(list)
    for guest in parts.guests.values():
        guests[guest.network].append(guest)
    made = [(network, guests[key]) for key, network in parts.networks.items()]
    servers = [_server(*each) for each in made if each[0].server]
    return Plan(
        host=parts.host.host,
        sysctls=parts.host.sysctls,
        bridges=tuple(
            sorted(
                (_bridge(*each) for each in made),
                key=lambda each: (each.name, each.mac),
            )
        ),
        dhcp_servers=tuple(
            sorted(filter(None, servers), key=lambda each: each.bridge)
        ),
        filter=_filter(parts, sources),
        guard=_guard(parts),
        renewed=tuple(sorted(renewed)),
        gone=tuple(sorted(parts.gone.values())),
        forwarding=parts.host.forwarding,
        in_use=parts.host.in_use,
    )


def _bridge(network: NetworkPart, guests: list[GuestPart]) -> Bridge:
    ports = sorted((each.port for each in guests), key=lambda p: p.name)
    return replace(network.bridge, ports=tuple(ports))


def _server(
    network: NetworkPart, guests: list[GuestPart]
) -> DhcpServer | None:
    if network.server is None:
        return None
    hosts = [each.dhcp for each in guests if each.dhcp]
    hosts.sort(key=lambda host: address_order(host.address))
    return replace(network.server, hosts=tuple(hosts))


def _guard(parts: Parts) -> Guard | None:
    if not parts.host.is_guarded:
        return None
    networks = [n.guarded for n in parts.networks.values() if n.guarded]
    ports = [g.guarded for g in parts.guests.values() if g.guarded]
    return Guard(
        ports=tuple(sorted(ports, key=lambda each: each.name)),
        networks=tuple(sorted(networks, key=lambda each: each.bridge)),
        prevent_spoofing=parts.host.prevent_spoofing,
        isolated=parts.host.isolated,
    )


def _filter(parts: Parts, sources: Sources) -> Filter:
    guests = [g.filtered for g in parts.guests.values() if g.filtered]
    bridges = {guest.bridge for guest in guests}
    flat = [n.flat for n in parts.networks.values() if n.flat]
    return Filter(
        same_network=parts.host.same_network,
        networks=tuple(
            sorted(
                (each for each in flat if each.bridge in bridges),
                key=lambda each: each.bridge,
            )
        ),
        guests=tuple(sorted(guests, key=lambda each: each.uuid)),
        groups=sources.groups(parts),
        members=sources.members(parts),
        gateways=tuple(
            network.gateway
            for _, network in sorted(parts.networks.items())
            if network.gateway
        ),
        outside=parts.host.outside,
    )


def _named(groups: Mapping[int, Group]) -> tuple[int, ...]:
    """The ids of the groups that openings name, sorted."""
    found = {
        opening.group
        for group in groups.values()
        for opening in group.openings
        if opening.group is not None
    }
    return tuple(sorted(found))
