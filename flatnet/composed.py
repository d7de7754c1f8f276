"""The plan of a whole host, put together of its parts."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from flatnet.filtering import Filter, Group, Members
from flatnet.parts import GuestPart, NetworkPart, Parts
from flatnet.rows import address_order
from flatnet.state import Bridge, DhcpServer, Guard, Plan


def composed(parts: Parts, renewed: Iterable[str] = ()) -> Plan:
    """Return everything that a host should look like, sorted.

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
        filter=_filter(parts),
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


def _filter(parts: Parts) -> Filter:
    guests = [g.filtered for g in parts.guests.values() if g.filtered]
    bridges = {guest.bridge for guest in guests}
    flat = [n.flat for n in parts.networks.values() if n.flat]
    groups = [group for _, group in sorted(parts.groups.items())]
    return Filter(
        same_network=parts.host.same_network,
        networks=tuple(
            sorted(
                (each for each in flat if each.bridge in bridges),
                key=lambda each: each.bridge,
            )
        ),
        guests=tuple(sorted(guests, key=lambda each: each.uuid)),
        groups=tuple(groups),
        members=_members(parts, groups),
        gateways=tuple(
            network.gateway
            for _, network in sorted(parts.networks.items())
            if network.gateway
        ),
        outside=parts.host.outside,
    )


def _members(parts: Parts, groups: list[Group]) -> tuple[Members, ...]:
    """Who is in the groups that an opening names."""
    found: dict[int, set[str]] = {
        opening.group: set()
        for group in groups
        for opening in group.openings
        if opening.group is not None
    }
    for member in parts.members.values():
        if member.group in found:
            found[member.group].update(member.addresses)
    return tuple(
        Members(group, tuple(sorted(addresses, key=address_order)))
        for group, addresses in sorted(found.items())
    )
