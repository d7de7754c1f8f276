"""An interface on this host: its port, its rules, its line for DHCP.

Whatever a row says that cannot be put into effect comes out as a warning
and lets nothing in.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from flatnet.config.settings import Settings
from flatnet.plan.addresses import of_family
from flatnet.plan.floating import floating
from flatnet.plan.port import port
from flatnet.plan.usable_rows import Fit, fit_interface
from flatnet.state.eui64 import is_mac, made_by
from flatnet.state.filtering import Guest
from flatnet.state.parts import GuestPart
from flatnet.state.plan import DhcpHost, GuardedPort, Port
from flatnet.state.rows import LEAVING, Interface, Network


@dataclass(frozen=True)
class PlannedGuest:
    """The part of an interface, and lines about its rows."""

    part: GuestPart
    warnings: tuple[str, ...] = ()


class GuestRows(NamedTuple):
    """All that an interface's part is made of, as rows and what is known.

    `wanted` and `plug` are of its binding, if it has one.  `is_elsewhere`:
    its guest is on another host by now.  `is_served`: there is a DHCP server
    for it here, that knows it by `name`, if that can be given.  `groups` are
    its groups that exist.  `is_found`: its guest was found here.  `is_routed`:
    this host is the gateway of its network.
    """

    interface: Interface
    network: Fit
    wanted: str | None = None
    plug: str | None = None
    is_elsewhere: bool = False
    is_served: bool = False
    name: str | None = None
    groups: tuple[int, ...] = ()
    is_found: bool = False
    is_routed: bool = False


def planned_guest(rows: GuestRows, settings: Settings) -> PlannedGuest:
    """Return what an interface is on this host.

    On a network that cannot be made it is a port, to be shut.
    """
    interface, network = rows.interface, rows.network.network
    if rows.network.fault:
        shut = GuestPart(interface.network_id, _port(rows, settings))
        return PlannedGuest(shut)
    if not interface.is_plugged:
        return PlannedGuest(_unplugged(rows, settings))
    interface, outside = fit_interface(interface, network)
    mine = _port(rows, settings, interface.addresses)
    own = made_by(interface.mac, network.cidr_v6)
    guest = _guest(interface, network, own, rows.groups, settings)
    addresses, lines = floating(
        interface,
        settings,
        is_found=rows.is_found,
        is_elsewhere=rows.is_elsewhere,
        is_routed=rows.is_routed,
    )
    part = GuestPart(
        network=interface.network_id,
        port=mine,
        guarded=replace(
            _guarded(mine, own, guest),
            moves=_moves(rows, settings),
            hairpin=bool(addresses),
        ),
        filtered=guest,
        dhcp=(
            _dhcp(mine, interface, rows.name, own[1:] * settings.use_ipv6)
            if rows.is_served
            else None
        ),
        floating=addresses,
    )
    return PlannedGuest(part, outside + _warnings(interface) + lines)


def _unplugged(rows: GuestRows, settings: Settings) -> GuestPart:
    """One that a caller wants no port of.

    What stands there all the same, as a device that is somebody else's, may
    send from no address and gets nothing.
    """
    mine = _port(rows, settings, ())
    closed = GuardedPort(
        mine.name, mine.mac, instance_uuid=mine.instance_uuid, filtered=True
    )
    return GuestPart(rows.interface.network_id, mine, guarded=closed)


def _port(
    rows: GuestRows,
    settings: Settings,
    addresses: tuple[str, ...] | None = None,
) -> Port:
    return port(
        rows.interface,
        settings,
        addresses=rows.interface.addresses if addresses is None else addresses,
        wanted=rows.wanted,
        plug=rows.plug,
        is_elsewhere=rows.is_elsewhere,
    )


def _guarded(mine: Port, own: tuple[str, ...], guest: Guest) -> GuardedPort:
    """What a port may send: from its row's addresses, and its MAC's.

    What is malformed stays as it is: it is for the applier to refuse the
    port, closed and by name.
    """
    return GuardedPort(
        name=mine.name,
        mac=mine.mac,
        addresses=tuple(sorted({*mine.addresses, *own})),
        instance_uuid=mine.instance_uuid,
        filtered=guest.filtered,
        groups=guest.groups,
    )


def _moves(rows: GuestRows, settings: Settings) -> bool:
    """Whether its guest is on its way, from here or to here.

    Who begins a move is on the other host before any row says so, and says
    that one is on its way; so does a row that names another host.
    """
    is_here = rows.interface.host in (None, settings.host)
    return rows.wanted == LEAVING or not is_here


def _guest(
    interface: Interface,
    network: Network,
    own: tuple[str, ...],
    known: tuple[int, ...],
    settings: Settings,
) -> Guest:
    """One that is in a group that nobody knows is filtered all the same."""
    grouped = bool(interface.security_group_ids)
    return Guest(
        uuid=interface.uuid,
        instance_uuid=interface.instance_uuid,
        bridge=network.bridge,
        addresses=(
            *of_family(interface.addresses, 4),
            *of_family((*interface.addresses, *own), 6),
        ),
        filtered=grouped or not settings.allow_same_net_traffic,
        groups=known,
    )


def _dhcp(
    mine: Port,
    interface: Interface,
    name: str | None,
    own: tuple[str, ...],
) -> DhcpHost | None:
    """The line of the hosts file, for the first of its IPv4 addresses."""
    address = next((each for each in mine.addresses if ":" not in each), None)
    if address is None:
        return None
    instance = interface.instance_uuid
    return DhcpHost(
        mine.mac,
        address,
        interface.uuid,
        instance,
        name,
        has_router=interface.has_default_route,
        address_v6=own[0] if own else None,
    )


def _warnings(interface: Interface) -> tuple[str, ...]:
    uuid, mac = interface.instance_uuid, interface.mac
    malformed = [
        text
        for text in interface.addresses
        if not of_family((text,), 4) + of_family((text,), 6)
    ]
    if not is_mac(mac):
        malformed.append(mac)
    found = tuple(
        f"instance {uuid}: {text!r} is malformed; nothing is let in for it"
        for text in malformed
    )
    if mac.lower().startswith("fe:"):
        found += (
            f"instance {uuid}: MAC {mac!r} is that of the host's end of its "
            "port, so it hears no neighbour; choose another first octet than "
            "fe:",
        )
    return found
