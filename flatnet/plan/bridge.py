"""Which bridges and ports this host should have.

The uplink's mtu is the one fact that rows do not hold: it comes in as what
the kernel said.  Everything else follows from the snapshot, so that two
hosts, or one host twice, agree without asking each other.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from flatnet.rows import (
    ARRIVING,
    DEVICE_NAME,
    GONE,
    Binding,
    Interface,
    Network,
    Snapshot,
)
from flatnet.settings import Settings
from flatnet.state import Bridge, Port, Uplink

DEFAULT_MTU = 1500
_ROOT = "root"
# With `tap` or `vif` before it the name has 14 of the 15 bytes that Linux
# allows, as nova's names had.
NAME_LENGTH = 11


def bridges(
    snapshot: Snapshot, settings: Settings, uplinks: Mapping[str, Uplink]
) -> tuple[Bridge, ...]:
    """Return the bridges of this host with their ports, sorted by name.

    `uplinks` maps the names of the devices that exist to what the kernel
    says of them; an uplink that is missing there stays in the plan, for the
    applier to complain.
    """
    addresses = dict(snapshot.host_addresses)
    planned = [
        Bridge(
            name=network.bridge,
            network_uuid=network.uuid,
            mac=bridge_mac(snapshot.host, network.uuid),
            mtu=_mtu(
                network, uplinks.get(uplink_name(network, settings) or "")
            ),
            uplink=uplink_name(network, settings),
            address=(
                _with_prefix(addresses.get(network.id), network)
                if settings.dhcp
                else None
            ),
            ports=_ports(snapshot, settings, network.id),
        )
        for network in snapshot.networks
    ]
    return tuple(sorted(planned, key=lambda each: (each.name, each.mac)))


def unfit_bridges(
    snapshot: Snapshot,
    settings: Settings,
    unfit: tuple[tuple[Network, str], ...],
) -> tuple[Bridge, ...]:
    """Return bridges that cannot be made, with the ports to be shut.

    One whose name cannot be used is called by the id of its network.

    :param unfit: networks of the snapshot, each with the reason
    """
    return tuple(
        Bridge(
            name=(
                network.bridge
                if DEVICE_NAME.fullmatch(network.bridge)
                else f"unfit-{network.id}"
            ),
            network_uuid=f"unfit-{network.id}",
            mac=bridge_mac(snapshot.host, network.uuid),
            mtu=DEFAULT_MTU,
            ports=_ports(snapshot, settings, network.id),
            fault=f"network {network.label}: {fault}; mend its row",
        )
        for network, fault in unfit
    )


def uplink_names(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """Return the names of all devices that a bridge is to enslave."""
    names = {uplink_name(network, settings) for network in snapshot.networks}
    return tuple(sorted(name for name in names if name))


def uplink_name(network: Network, settings: Settings) -> str | None:
    """Return the device that a network's bridge enslaves, or none.

    The host's own `flat_interface` counts for its `flat_network_bridge`,
    whatever the row says, since devices are called differently from host to
    host.  Another network keeps the uplink of its row: a device has room in
    one bridge only.
    """
    ours = settings.flat_interface or None
    if network.bridge == settings.flat_network_bridge:
        return ours or network.bridge_interface or None
    return network.bridge_interface or ours


def bridge_mac(host: str, network_uuid: str) -> str:
    """Return the MAC of a network's bridge on a host.

    Locally administered, unicast, and the same after every restart: guests
    keep it in their ARP tables as the gateway's.
    """
    digest = hashlib.sha256((host + network_uuid).encode()).digest()
    return "02:" + digest[:5].hex(":")


def port_name(vif_uuid: str) -> str:
    """Return the name of the device that leads to this interface."""
    return "tap" + vif_uuid[:NAME_LENGTH]


def peer_name(vif_uuid: str) -> str:
    """Return the name of the end of a veth pair that a container takes."""
    return "vif" + vif_uuid[:NAME_LENGTH]


def _mtu(network: Network, uplink: Uplink | None) -> int:
    if network.mtu:
        return network.mtu
    return uplink.mtu if uplink else DEFAULT_MTU


def _with_prefix(address: str | None, network: Network) -> str | None:
    if address is None:
        return None
    cidr = ipaddress.ip_network(network.cidr, strict=False)
    return f"{address}/{cidr.prefixlen}"


def _ports(
    snapshot: Snapshot, settings: Settings, network_id: int
) -> tuple[Port, ...]:
    bound = {each.interface_uuid: each for each in snapshot.bindings}
    planned = [
        replace(
            _port(
                interface,
                settings,
                _kind(bound.get(interface.uuid), settings),
            ),
            stays=_stays(interface, bound.get(interface.uuid), snapshot),
        )
        for interface in snapshot.interfaces
        if interface.network_id == network_id
    ]
    return tuple(sorted(planned, key=lambda port: port.name))


def gone_ports(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the names of the ports that are to go, whoever uses them."""
    here = {port_name(each.uuid) for each in snapshot.interfaces}
    gone = {
        port_name(each.interface_uuid)
        for each in snapshot.bindings
        if each.wanted == GONE
    }
    return tuple(sorted(gone - here))


def _kind(binding: Binding | None, settings: Settings) -> str:
    """The kind of a port: what it was made as, whatever the option says."""
    return (binding.plug if binding else None) or settings.vif_plug


def _stays(
    interface: Interface, binding: Binding | None, snapshot: Snapshot
) -> str:
    """What becomes of a port whose instance's row names another host.

    What was asked to be here is made.  What served here is kept for the guest
    that is still in it, until it runs on the other host.
    """
    if interface.host in (None, snapshot.host):
        return "always"
    if binding is None or binding.wanted == ARRIVING:
        return "always"
    return "shut" if interface.uuid in snapshot.elsewhere else "used"


def _port(interface: Interface, settings: Settings, kind: str) -> Port:
    owner, group = _opener(settings) if kind == "tap" else (None, None)
    return Port(
        name=port_name(interface.uuid),
        kind=kind,
        mac=interface.mac.lower(),
        instance_uuid=interface.instance_uuid,
        addresses=interface.addresses,
        peer=peer_name(interface.uuid) if kind == "veth" else None,
        owner=owner,
        group=group,
    )


def _opener(settings: Settings) -> tuple[str | None, str | None]:
    """The user and the group of a tap.

    The kernel wants an opener to match both where there are both, so root,
    whom nobody needs to name, counts only where no other is named.
    """
    owner = settings.tap_owner if settings.tap_owner != _ROOT else None
    group = settings.tap_group if settings.tap_group != _ROOT else None
    return (owner, group) if owner or group else (_ROOT, None)
