"""The plan of a whole host, put together of its parts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from flatnet.state.filtering import Filter, Forwarding
from flatnet.state.guest_orders import Arranged
from flatnet.state.name_index import NameIndex
from flatnet.state.parts import Parts
from flatnet.state.plan import (
    Bridge,
    DhcpServer,
    Guard,
    NamesSlice,
    Plan,
    Port,
)
from flatnet.state.sources import Sources


def composed(
    parts: Parts, sources: Sources, renewed: Iterable[str] = ()
) -> Plan:
    """Return everything that a host should look like, sorted.

    :param sources: what is known from the last time
    :param renewed: uuids of instances that begin anew
    """
    guests = sources.guests
    guests.follow(parts.guests, parts.served)
    bridges = sorted(
        (
            replace(each.bridge, ports=guests.ports[key].values)
            for key, each in parts.networks.items()
        ),
        key=lambda each: (each.name, each.mac),
    )
    return Plan(
        host=parts.host.host,
        sysctls=parts.host.sysctls,
        bridges=tuple(bridges),
        dhcp_servers=tuple(_servers(parts, guests)),
        filter=_filter(parts, sources),
        guard=_guard(parts, guests),
        renewed=tuple(sorted(renewed)),
        gone=tuple(sorted(each.name for each in parts.gone.values())),
        moved=tuple(
            sorted(each.name for each in parts.gone.values() if each.moved)
        ),
        forwarding=_forwarding(parts, guests),
        in_use=parts.host.in_use,
        arranged=_named(bridges, guests),
    )


def _servers(parts: Parts, guests: Arranged) -> list[DhcpServer]:
    elsewhere = _elsewhere(parts)
    servers = (
        replace(
            each.server,
            hosts=guests.hosts[key].values,
            elsewhere=elsewhere.get(key, ()),
        )
        for key, each in parts.networks.items()
        if each.server
    )
    return sorted(servers, key=lambda each: each.bridge)


def _elsewhere(parts: Parts) -> Mapping[int, tuple[NamesSlice, ...]]:
    """The slices of names by network, each by number."""
    found = defaultdict(list)
    for each in parts.names.values():
        found[each.network].append(each)
    return {
        network: tuple(sorted(slices, key=lambda each: each.number))
        for network, slices in found.items()
    }


def _named(
    bridges: Iterable[Bridge], guests: Arranged
) -> NameIndex[Port] | None:
    """All ports by name, if there are none of a network that is not here."""
    of = tuple(each.ports for each in bridges)
    if sum(map(len, of)) != guests.count:
        return None
    return NameIndex(of, guests.ports_named)


def _forwarding(parts: Parts, guests: Arranged) -> Forwarding:
    """With the devices of floating addresses, where all are forwarded to."""
    known = parts.host.forwarding
    if not known.default_routes or not guests.floating.values:
        return known
    used = {each.device for each in guests.floating.values}
    devices = tuple(sorted(used.union(known.devices)))
    return replace(known, devices=devices)


def _guard(parts: Parts, guests: Arranged) -> Guard | None:
    if not parts.host.is_guarded:
        return None
    networks = [n.guarded for n in parts.networks.values() if n.guarded]
    return Guard(
        ports=guests.guarded.values,
        networks=tuple(sorted(networks, key=lambda each: each.bridge)),
        prevent_spoofing=parts.host.prevent_spoofing,
        isolated=parts.host.isolated,
        has_foreign_openings=parts.host.has_foreign_openings,
        arranged=NameIndex((guests.guarded.values,), guests.guarded_named),
    )


def _filter(parts: Parts, sources: Sources) -> Filter:
    guests = sources.guests.filtered.values
    flat = [n.flat for n in parts.networks.values() if n.flat]
    return Filter(
        same_network=parts.host.same_network,
        networks=tuple(
            sorted(
                (
                    each
                    for each in flat
                    # Mostly the first guest's.
                    if any(guest.bridge == each.bridge for guest in guests)
                ),
                key=lambda each: each.bridge,
            )
        ),
        guests=guests,
        groups=sources.groups(parts),
        members=sources.members(parts),
        gateways=tuple(
            network.gateway
            for _, network in sorted(parts.networks.items())
            if network.gateway
        ),
        outside=parts.host.outside,
        floating=sources.guests.floating.values,
    )
