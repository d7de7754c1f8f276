"""What may reach instances here, and what the host does as their gateway.

FlatDHCPManager makes the host the gateway of its guests; FlatManager has no
part in their traffic beyond letting it cross the bridge.
"""

import contextlib
import ipaddress

from flatnet.filtering import (
    Filter,
    FlatNetwork,
    Gateway,
    Guest,
    Members,
    Opening,
    Outside,
)
from flatnet.plan.addresses import of_family
from flatnet.plan.dhcp import forwarders
from flatnet.plan.guests import guests, rule_warnings
from flatnet.plan.openings import groups
from flatnet.rows import Network, Snapshot
from flatnet.settings import Settings


def filter_plan(
    snapshot: Snapshot, settings: Settings
) -> tuple[Filter, tuple[str, ...]]:
    """Return what is let in where, and warnings about rows."""
    here, warnings = guests(snapshot, settings)
    known, reasons = groups(snapshot)
    openings = [opening for group in known for opening in group.openings]
    addresses = dict(snapshot.host_addresses) if settings.dhcp else {}
    gateways = [
        (network, addresses[network.id])
        for network in snapshot.networks
        if network.id in addresses
    ]
    planned = Filter(
        same_network=settings.allow_same_net_traffic,
        networks=_networks(snapshot, here),
        guests=here,
        groups=known,
        members=_members(snapshot, openings),
        gateways=tuple(_gateway(*each) for each in gateways),
        outside=_outside([network for network, _ in gateways], settings),
    )
    return planned, rule_warnings(snapshot, reasons) + warnings


def _networks(
    snapshot: Snapshot, here: tuple[Guest, ...]
) -> tuple[FlatNetwork, ...]:
    bridges = {guest.bridge for guest in here}
    found = [
        FlatNetwork(each.bridge, each.cidr, each.cidr_v6)
        for each in snapshot.networks
        if each.bridge in bridges
    ]
    return tuple(sorted(found, key=lambda each: each.bridge))


def _members(
    snapshot: Snapshot, openings: list[Opening]
) -> tuple[Members, ...]:
    named = {each.group for each in openings}
    return tuple(
        Members(group_id, of_family(found, 4) + of_family(found, 6))
        for group_id, found in sorted(snapshot.group_members)
        if group_id in named
    )


def _gateway(network: Network, address: str) -> Gateway:
    return Gateway(
        bridge=network.bridge,
        cidr=network.cidr,
        address=address,
        serves=network.enable_dhcp,
        external=(
            not network.multi_host
            and network.gateway not in (None, "", address)
        ),
    )


def _outside(networks: list[Network], settings: Settings) -> Outside:
    known = [
        forwarders(each, settings) for each in networks if each.enable_dhcp
    ]
    devices = settings.forward_bridge_interface
    kept = list(settings.dmz_cidr)
    metadata = None
    if settings.metadata_host:
        kept.insert(0, f"{settings.metadata_host}/32")
        metadata = settings.metadata_host, settings.metadata_port
    return Outside(
        forwards=None if "all" in devices else devices,
        source_ip=settings.routing_source_ip or None,
        public_interface=settings.public_interface,
        snat_ranges=settings.force_snat_range,
        # The metadata service tells guests apart by their own address.
        kept=tuple(kept),
        metadata=metadata,
        name_servers=_servers({each for found in known for each in found}),
        # A dnsmasq that is told of none asks those of the host.
        any_name_server=not all(known),
    )


def _servers(addresses: set[str]) -> tuple[str, ...]:
    """The servers as networks; what is none is for others to tell."""
    found = []
    for each in addresses:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_network(each))
    ordered = sorted(found, key=lambda each: (each.version, str(each)))
    return tuple(str(each) for each in ordered)
