"""Which DHCP servers this host runs, and whom each of them knows.

A server knows this host's instances and nobody else, so that on a segment
that all hosts share every guest is answered by its own host alone.  What it
is called there is decided in `flatnet.plan.names`.
"""

from collections.abc import Mapping

from flatnet.plan.names import names
from flatnet.rows import Interface, Network, Snapshot, address_order
from flatnet.settings import Settings
from flatnet.state import DhcpHost, DhcpServer


def servers(
    snapshot: Snapshot, settings: Settings, mtus: Mapping[str, int]
) -> tuple[tuple[DhcpServer, ...], tuple[str, ...]]:
    """Return the servers of this host by bridge, and warnings.

    :param mtus: the mtu of each bridge, by name
    """
    if not settings.dhcp:
        return (), ()
    addresses = dict(snapshot.host_addresses)
    served = {
        network.id: network
        for network in snapshot.networks
        if network.enable_dhcp and network.id in addresses
    }
    interfaces = [
        each for each in snapshot.interfaces if each.network_id in served
    ]
    named, warnings = names(interfaces, settings.dhcp_domain)
    planned = [
        _server(
            network,
            settings,
            address=addresses[network.id],
            mtu=mtus[network.bridge],
            hosts=_hosts(interfaces, network, named),
        )
        for network in served.values()
    ]
    return tuple(sorted(planned, key=lambda each: each.bridge)), warnings


def _server(
    network: Network,
    settings: Settings,
    *,
    address: str,
    mtu: int,
    hosts: tuple[DhcpHost, ...],
) -> DhcpServer:
    own = network.multi_host or not network.gateway
    return DhcpServer(
        bridge=network.bridge,
        address=address,
        cidr=network.cidr,
        router=address if own else str(network.gateway),
        mtu=mtu,
        lease_time=settings.dhcp_lease_time,
        domain=settings.dhcp_domain,
        servers=forwarders(network, settings),
        hosts=hosts,
        releases=settings.force_dhcp_release,
    )


def forwarders(network: Network, settings: Settings) -> tuple[str, ...]:
    """Where a network's server forwards names; none: as the host does."""
    given = list(settings.dns_server)
    if settings.use_network_dns_servers:
        given += [each for each in (network.dns1, network.dns2) if each]
    return tuple(given)


def _hosts(
    interfaces: list[Interface], network: Network, named: Mapping[str, str]
) -> tuple[DhcpHost, ...]:
    """The lines of one network, sorted by address as numbers."""
    hosts = [
        DhcpHost(
            mac=interface.mac.lower(),
            address=interface.addresses[0],
            name=named.get(interface.instance_uuid),
        )
        for interface in interfaces
        if interface.network_id == network.id and interface.addresses
    ]
    return tuple(sorted(hosts, key=lambda host: address_order(host.address)))
