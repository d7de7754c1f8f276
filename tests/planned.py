"""Plans of whole hosts made of snapshots, as a first pass makes them."""

from dataclasses import replace

from flatnet.cmd.planner import HostPlanner
from flatnet.plan.kept_rows import Kept, kept
from flatnet.plan.planned import planned
from flatnet.state.composed import composed
from flatnet.state.parts import (
    GonePort,
    GuestPart,
    HostPart,
    Member,
    NetworkPart,
    Parts,
)
from flatnet.state.rows import SourceMember
from flatnet.state.scope import Covered
from flatnet.state.sources import Sources


def kept_rows(snapshot):
    """The rows of a host by key."""
    return kept(Kept(), snapshot, Covered(everything=True))


def parts_of(snapshot, settings, uplinks=None, *, before=None):
    """What a host with these rows should look like, in parts."""
    return planned(kept_rows(snapshot), settings, uplinks or {}, before=before)


def host_plan(snapshot, settings, uplinks=None):
    """The plan of a host with these rows."""
    return composed(parts_of(snapshot, settings, uplinks).parts, Sources())


def warnings_of(snapshot, settings):
    """What such a plan has to say about rows."""
    return tuple(parts_of(snapshot, settings).warnings())


def in_groups(groups):
    """Members of source groups, each address another instance's."""
    return tuple(
        SourceMember(group, f"somebody-{address}", (address,))
        for group, addresses in groups.items()
        for address in addresses
    )


def uplink_names(snapshot, settings):
    """The devices that the bridges of a host are to enslave."""
    return HostPlanner(settings).uplink_names(kept_rows(snapshot))


def bridges(snapshot, settings, uplinks=None):
    """The bridges of such a plan."""
    return host_plan(snapshot, settings, uplinks).bridges


def servers(snapshot, settings, mtus=None):
    """The DHCP servers of such a plan, and what it says of names."""
    networks = tuple(
        replace(each, mtu=(mtus or {}).get(each.bridge))
        for each in snapshot.networks
    )
    found = parts_of(replace(snapshot, networks=networks), settings)
    return composed(found.parts, Sources()).dhcp_servers, _of_names(found)


def _of_names(found):
    return tuple(e for e in found.warnings() if e.endswith("without a name"))


def filter_plan(snapshot, settings):
    """The filter of such a plan, and what it says of rows."""
    found = parts_of(snapshot, settings)
    named = _of_names(found)
    lines = tuple(each for each in found.warnings() if each not in named)
    return composed(found.parts, Sources()).filter, lines


def parted(plan):
    """The parts that a plan made by hand is composed of."""
    networks, guests = {}, {}
    for number, bridge in enumerate(plan.bridges, 1):
        networks[number] = network_part(plan, bridge)
        for port in bridge.ports:
            guests[port.name] = guest_part(plan, number, port)
    number = len(networks)
    known = {bridge.name for bridge in plan.bridges}
    loose = [s for s in plan.dhcp_servers if s.bridge not in known]
    assert not loose, loose
    return Parts(
        host=HostPart(
            host=plan.host,
            sysctls=plan.sysctls,
            forwarding=plan.forwarding,
            outside=plan.filter.outside,
            same_network=plan.filter.same_network,
            is_guarded=plan.guard is not None,
            prevent_spoofing=bool(plan.guard and plan.guard.prevent_spoofing),
            isolated=bool(plan.guard and plan.guard.isolated),
            in_use=plan.in_use,
        ),
        networks=networks,
        guests=guests,
        gone={name: GonePort(name, name in plan.moved) for name in plan.gone},
        groups={each.id: each for each in plan.filter.groups},
        members={
            f"{each.group} {address}": Member(each.group, (address,))
            for each in plan.filter.members
            for address in each.addresses
        },
        names={},
        served={},
    )


def network_part(plan, bridge):
    """What a plan has of the network of a bridge."""

    def of_bridge(parts):
        return next((p for p in parts if p.bridge == bridge.name), None)

    server = of_bridge(plan.dhcp_servers)
    return NetworkPart(
        bridge=replace(bridge, ports=()),
        server=server and replace(server, hosts=()),
        guarded=of_bridge(plan.guard.networks if plan.guard else ()),
        flat=of_bridge(plan.filter.networks),
        gateway=of_bridge(plan.filter.gateways),
    )


def guest_part(plan, number, port):
    """What a plan has of the guest of a port."""
    guarded = plan.guard.ports if plan.guard else ()
    return GuestPart(
        network=number,
        port=port,
        guarded=next((p for p in guarded if p.name == port.name), None),
        filtered=next(
            (
                guest
                for guest in plan.filter.guests
                if guest.instance_uuid == port.instance_uuid
            ),
            None,
        ),
        dhcp=next(
            (
                host
                for server in plan.dhcp_servers
                for host in server.hosts
                if host.mac == port.mac
            ),
            None,
        ),
    )
