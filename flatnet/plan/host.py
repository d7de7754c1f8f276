"""What is said once for a host: its settings, and its ways out."""

import contextlib
import ipaddress
from collections.abc import Iterable

from flatnet.config.settings import Settings
from flatnet.plan.network import PlannedNetwork, forwarders
from flatnet.state.filtering import Forwarding, Outside
from flatnet.state.parts import HostPart
from flatnet.state.plan import (
    Bridge,
)
from flatnet.state.taken_addresses import InUse


def host_part(
    networks: Iterable[PlannedNetwork],
    settings: Settings,
    in_use: tuple[InUse, ...] = (),
) -> HostPart:
    """Return what a host with these networks is as a whole.

    :param in_use: what it needs itself, and no network may take
    """
    made = [each for each in networks if not each.fit.fault]
    gateways = [each for each in made if each.part.gateway]
    bridges = [each.part.bridge for each in made]
    return HostPart(
        host=settings.host,
        sysctls=_sysctls(bridges),
        forwarding=_forwarding(bridges, settings),
        outside=_outside(gateways, settings),
        same_network=settings.allow_same_net_traffic,
        is_guarded=bool(made),
        prevent_spoofing=settings.prevent_spoofing,
        isolated=not settings.allow_same_net_traffic,
        has_foreign_openings=bool(settings.iptables_top_regex),
        in_use=in_use,
    )


def _sysctls(bridges: list[Bridge]) -> tuple[tuple[str, str], ...]:
    """The kernel settings that the plan stands on, as (name, value).

    Without bridge-nf-call-* iptables silently never sees bridged traffic;
    forwarding is for hosts that are a gateway, and only those.
    """
    if not bridges:
        return ()
    bridged = tuple(
        (f"net.bridge.bridge-nf-call-{tables}", "1")
        for tables in ("ip6tables", "iptables")
    )
    found = bridged
    if any(bridge.address for bridge in bridges):
        found += (("net.ipv4.ip_forward", "1"),)
    if any(bridge.routers for bridge in bridges):
        found += (("net.ipv6.conf.all.forwarding", "1"),)
    return found


def _forwarding(bridges: list[Bridge], settings: Settings) -> Forwarding:
    """The devices by which packets to and from the outside come in.

    With forward_bridge_interface=all the outside is where public_interface
    and the host's own default routes lead.
    """
    devices = {bridge.name for bridge in bridges if bridge.address}
    if not devices:
        return Forwarding()
    devices |= set(settings.forward_bridge_interface)
    anywhere = "all" in devices
    if anywhere:
        devices.add(settings.public_interface)
    return Forwarding(
        tuple(sorted(devices - {"all", ""})), default_routes=anywhere
    )


def _outside(gateways: list[PlannedNetwork], settings: Settings) -> Outside:
    known = [
        forwarders(each.fit.network, settings)
        for each in gateways
        if each.fit.network.enable_dhcp
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
