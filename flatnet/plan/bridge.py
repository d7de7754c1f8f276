"""What the bridge of a network is called, and what it is like.

The uplink's mtu is the one fact that rows do not hold: it comes in as what
the kernel said.  Everything else follows from rows, so that two hosts, or
one host twice, agree without asking each other.
"""

import hashlib
import ipaddress

from flatnet.config.settings import Settings
from flatnet.state.plan import Bridge, Uplink
from flatnet.state.rows import DEVICE_NAME, Network
from flatnet.state.shared_networks import has_one_server

DEFAULT_MTU = 1500
# Announcements of an address that may have been another host's.
_TIMES = 3


def bridge(
    network: Network,
    settings: Settings,
    *,
    address: str | None,
    uplink: Uplink | None,
    has_guests: bool = False,
) -> Bridge:
    """Return the bridge of a network on this host, without its ports.

    An uplink that the kernel does not know stays in the plan, for the
    applier to complain.

    :param address: that of this host in the network, if it has one
    :param uplink: what the kernel says of the device to enslave
    :param has_guests: that guests know that address, where it is that of the
        one server of all hosts
    """
    is_shared = has_one_server(network)
    announced = settings.send_arp_for_ha * settings.send_arp_for_ha_count
    return Bridge(
        name=network.bridge,
        network_uuid=network.uuid,
        mac=bridge_mac(settings.host, network.uuid),
        mtu=_mtu(network, uplink),
        uplink=uplink_name(network, settings),
        address=_with_prefix(address, network) if settings.dhcp else None,
        network=network.id,
        # It comes from another host, to guests who know it there.
        announced=max(announced, _TIMES) if is_shared else announced,
        # And is kept: that host may be silent and still answer for it.
        asks=not (is_shared and has_guests),
    )


def unfit_bridge(
    network: Network,
    settings: Settings,
    fault: str,
    *,
    holder: str | None = None,
) -> Bridge:
    """Return a bridge that cannot be made; its ports are to be shut.

    One whose name cannot be used is called by the id of its network.

    :param holder: another network, which has the bridge of that name
    """
    stand_in = f"unfit-{network.id}"
    is_sound = DEVICE_NAME.fullmatch(network.bridge) and not holder
    return Bridge(
        name=network.bridge if is_sound else stand_in,
        network_uuid=stand_in,
        mac=bridge_mac(settings.host, network.uuid),
        mtu=DEFAULT_MTU,
        fault=f"network {network.label}: {fault}; mend its row",
        network=network.id,
    )


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


def _mtu(network: Network, uplink: Uplink | None) -> int:
    if network.mtu:
        return network.mtu
    return uplink.mtu if uplink else DEFAULT_MTU


def _with_prefix(address: str | None, network: Network) -> str | None:
    if address is None:
        return None
    cidr = ipaddress.ip_network(network.cidr, strict=False)
    return f"{address}/{cidr.prefixlen}"
