"""A network on this host: its bridge, and what this host is in it.

FlatDHCPManager makes the host the gateway of its guests, and their DHCP
server, or one host that of all guests of a network; FlatManager has no part in
their traffic beyond letting it cross the bridge.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from flatnet.config.settings import Settings
from flatnet.plan.bridge import bridge, unfit_bridge
from flatnet.plan.ipv6 import advertised, router
from flatnet.plan.usable_rows import Fit, fit_network
from flatnet.state.filtering import FlatNetwork, Gateway
from flatnet.state.parts import NetworkPart
from flatnet.state.plan import Bridge, DhcpServer, GuardedNetwork, Uplink
from flatnet.state.rows import Network
from flatnet.state.shared_networks import has_one_server, served_elsewhere


@dataclass(frozen=True)
class PlannedNetwork:
    """The part of a network; `fit` is what of its row can be used."""

    fit: Fit
    part: NetworkPart


class NetworkRows(NamedTuple):
    """What a network's part is made of.

    `address` is that of this host in it, if it has one, `uplink` what the
    kernel says of the device to enslave.  `first` is the oldest of its
    bridge's networks here, which has that.  `has_guests`: this host is the
    gateway of guests already, where it is that of all hosts.
    """

    row: Network
    address: str | None
    uplink: Uplink | None
    first: Network
    has_guests: bool = False


def planned_network(rows: NetworkRows, settings: Settings) -> PlannedNetwork:
    """Return what a network is on this host."""
    row, first = rows.row, rows.first
    fit = fit_network(row, rows.address)
    holder = first.label if first.id != row.id else None
    if holder and not fit.fault:
        fault = f"a host serves one network on {row.bridge}, here {holder}"
        fit = replace(fit, fault=fault)
    if fit.fault:
        made = unfit_bridge(row, settings, fit.fault, holder=holder)
        return PlannedNetwork(fit, NetworkPart(made))
    network = fit.network
    warnings = fit.warnings + _narrow(network, rows.uplink)
    fit = replace(fit, warnings=warnings)
    held = rows.address if settings.dhcp else None
    made = bridge(
        *(network, settings),
        address=held,
        uplink=rows.uplink,
        has_guests=rows.has_guests,
    )
    server = _server(network, settings, made, held)
    if server and settings.use_ipv6:
        made = replace(made, routers=router(settings.host, network))
        server = replace(server, ipv6=advertised(settings.host, network))
    return PlannedNetwork(
        fit,
        NetworkPart(
            bridge=made,
            server=server,
            guarded=_guarded(network, settings, made),
            flat=FlatNetwork(
                network.bridge,
                network.cidr,
                network.cidr_v6,
                server=_server_elsewhere(network, settings),
            ),
            gateway=_gateway(network, held, made.routers),
        ),
    )


def forwarders(network: Network, settings: Settings) -> tuple[str, ...]:
    """Where a network's server forwards names, once each.

    None: as the host does.
    """
    given = list(settings.dns_server)
    if settings.use_network_dns_servers:
        given += [each for each in (network.dns1, network.dns2) if each]
    return tuple(dict.fromkeys(given))


def _narrow(network: Network, uplink: Uplink | None) -> tuple[str, ...]:
    """What is wrong with an uplink that takes no packets as large as guests'.

    It is its admin's to change, and guests of this host have each other.
    """
    if uplink is None or not network.mtu or network.mtu <= uplink.mtu:
        return ()
    return (
        f"network {network.label} ({network.uuid}): its mtu {network.mtu} is "
        f"larger than {uplink.mtu} of uplink {uplink.name}, so that large "
        f"packets to other hosts are lost: ip link set {uplink.name} mtu "
        f"{network.mtu}, or give the network that mtu",
    )


def _server(
    network: Network, settings: Settings, made: Bridge, address: str | None
) -> DhcpServer | None:
    """The DHCP server, without the guests that it knows."""
    if address is None or not network.enable_dhcp:
        return None
    own = network.multi_host or not network.gateway
    return DhcpServer(
        bridge=network.bridge,
        address=address,
        cidr=network.cidr,
        router=address if own else str(network.gateway),
        mtu=made.mtu,
        lease_time=settings.dhcp_lease_time,
        domain=settings.dhcp_domain,
        servers=forwarders(network, settings),
        releases=settings.force_dhcp_release,
    )


def _server_elsewhere(network: Network, settings: Settings) -> str | None:
    """The address of the host that serves this one's guests, if there is."""
    if not settings.dhcp or not served_elsewhere(network, settings.host):
        return None
    return network.dhcp_server if network.host else None


def _guarded(
    network: Network, settings: Settings, made: Bridge
) -> GuardedNetwork:
    server = _server_elsewhere(network, settings)
    return GuardedNetwork(
        bridge=made.name,
        cidr=network.cidr,
        mac=made.mac,
        address=made.address.partition("/")[0] if made.address else None,
        cidr_v6=network.cidr_v6,
        uplink=made.uplink,
        serves=bool(made.address and network.enable_dhcp),
        foreign_ports=settings.foreign_ports,
        metadata=_metadata(network, settings, made),
        routers=made.routers,
        shared=settings.dhcp and has_one_server(network),
        server=server,
        server_mac=network.server_mac if server else None,
    )


def _metadata(network: Network, settings: Settings, made: Bridge) -> str:
    """For whom of a network this host has the address of metadata.

    Where each host is a gateway, each has it for its own guests.
    """
    if not (made.address and settings.metadata_host):
        return ""
    return "own" if network.multi_host else "all"


def _gateway(
    network: Network, address: str | None, routers: tuple[str, ...]
) -> Gateway | None:
    if address is None:
        return None
    return Gateway(
        bridge=network.bridge,
        cidr=network.cidr,
        address=address,
        serves=network.enable_dhcp,
        external=(
            not network.multi_host
            and network.gateway not in (None, "", address)
        ),
        routers=routers,
    )
