"""Which DHCP servers this host runs, and whom each of them knows.

A server knows this host's instances and nobody else, so that on a segment
that all hosts share every guest is answered by its own host alone.  A name
that could cost a guest its address, or end up as something else in a file
of dnsmasq, is left out with a warning: the guest stays.
"""

import re
from collections import Counter
from collections.abc import Mapping

from flatnet.rows import Interface, Network, Snapshot, address_order
from flatnet.settings import Settings
from flatnet.state import DhcpHost, DhcpServer

MAXIMUM_NAME = 63
# dnsmasq drops the whole line of a name that begins with an underscore.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9_])?")
# In a line of a hosts file dnsmasq reads these as a lease time or an order to
# keep silent, and not as a name.
_OTHER_MEANING = re.compile(r"\d+[smhdw]?|infinite|ignore", re.IGNORECASE)
# It takes what has a capital letter for an international name, and drops the
# line if these, which mark an encoded one, do not decode.
_ENCODED = re.compile(r"(?=.*[A-Z])..--.*")


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
    names, warnings = _names(interfaces, _holders(snapshot))
    planned = [
        _server(
            network,
            settings,
            address=addresses[network.id],
            mtu=mtus[network.bridge],
            hosts=_hosts(interfaces, network, names),
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
    forwarders = list(settings.dns_server)
    if settings.use_network_dns_servers:
        forwarders += [each for each in (network.dns1, network.dns2) if each]
    return DhcpServer(
        bridge=network.bridge,
        address=address,
        cidr=network.cidr,
        router=address if own else str(network.gateway),
        mtu=mtu,
        lease_time=settings.dhcp_lease_time,
        domain=settings.dhcp_domain,
        servers=tuple(forwarders),
        hosts=hosts,
        releases=settings.force_dhcp_release,
    )


def _hosts(
    interfaces: list[Interface], network: Network, names: Mapping[str, str]
) -> tuple[DhcpHost, ...]:
    """The lines of one network, sorted by address as numbers."""
    hosts = [
        DhcpHost(
            mac=interface.mac.lower(),
            address=interface.addresses[0],
            name=names.get(interface.instance_uuid),
        )
        for interface in interfaces
        if interface.network_id == network.id and interface.addresses
    ]
    return tuple(sorted(hosts, key=lambda host: address_order(host.address)))


def _holders(snapshot: Snapshot) -> Counter[str]:
    """How many instances of this host have a hostname, in small letters."""
    by_uuid = {each.instance_uuid: each for each in snapshot.interfaces}
    return Counter((each.hostname or "").lower() for each in by_uuid.values())


def _names(
    interfaces: list[Interface], holders: Counter[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the usable name of each instance by uuid, and warnings."""
    by_uuid = {each.instance_uuid: each.hostname for each in interfaces}
    names: dict[str, str] = {}
    warnings: list[str] = []
    for uuid, name in sorted(by_uuid.items()):
        fault = _fault(name or "", holders[(name or "").lower()])
        if fault:
            warnings.append(
                f"instance {uuid}: its hostname {_shown(name)} {fault}; it "
                "gets its address without a name"
            )
        else:
            names[uuid] = str(name)
    return names, tuple(warnings)


def _fault(name: str, holders: int) -> str | None:
    """Why a hostname cannot be given to dnsmasq, or none."""
    if not name:
        return "is empty"
    if len(name) > MAXIMUM_NAME:
        return f"is longer than {MAXIMUM_NAME} characters"
    if not _NAME.fullmatch(name):
        return "is not made of letters, digits, hyphen and underscore"
    if _OTHER_MEANING.fullmatch(name) or _ENCODED.fullmatch(name):
        return "means something else to dnsmasq"
    if holders > 1:
        return "is that of another instance of this host too"
    return None


def _shown(name: str | None) -> str:
    """A hostname as text that cannot break a line of a log."""
    text = repr(name or "")
    return text if len(text) <= MAXIMUM_NAME else f"{text[:MAXIMUM_NAME]}..."
