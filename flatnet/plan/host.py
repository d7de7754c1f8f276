"""The plan of a whole host: every part, from one snapshot."""

from collections.abc import Mapping

from flatnet.plan.bridge import bridges, gone_ports, unfit_bridges
from flatnet.plan.dhcp import servers
from flatnet.plan.filter import filter_plan
from flatnet.plan.fit import fit
from flatnet.plan.guard import guard
from flatnet.rows import Snapshot
from flatnet.settings import Settings
from flatnet.state import Bridge, Forwarding, Plan, Uplink


def host_plan(
    snapshot: Snapshot, settings: Settings, uplinks: Mapping[str, Uplink]
) -> Plan:
    """Return everything that this host should look like.

    `uplinks` maps the names of the devices that exist to what the kernel
    says of them.
    """
    everything = snapshot
    found = fit(everything)
    snapshot = found.snapshot
    planned = bridges(snapshot, settings, uplinks)
    unfit = unfit_bridges(everything, settings, found.unfit)
    mtus = {bridge.name: bridge.mtu for bridge in planned}
    dhcp_servers, dhcp_warnings = servers(snapshot, settings, mtus)
    filtering, warnings = filter_plan(snapshot, settings)
    return Plan(
        host=snapshot.host,
        sysctls=sysctls(planned),
        bridges=tuple(sorted(planned + unfit, key=lambda each: each.name)),
        dhcp_servers=dhcp_servers,
        filter=filtering,
        guard=guard(snapshot, settings, planned),
        warnings=found.warnings + dhcp_warnings + warnings,
        gone=gone_ports(everything),
        forwarding=forwarding(planned, settings),
    )


def sysctls(planned: tuple[Bridge, ...]) -> tuple[tuple[str, str], ...]:
    """The kernel settings that the plan stands on, as (name, value).

    Without bridge-nf-call-* iptables silently never sees bridged traffic;
    forwarding is for hosts that are a gateway, and only those.
    """
    if not planned:
        return ()
    bridged = tuple(
        (f"net.bridge.bridge-nf-call-{tables}", "1")
        for tables in ("ip6tables", "iptables")
    )
    if any(bridge.address for bridge in planned):
        return (*bridged, ("net.ipv4.ip_forward", "1"))
    return bridged


def forwarding(planned: tuple[Bridge, ...], settings: Settings) -> Forwarding:
    """The devices by which packets to and from the outside come in.

    With forward_bridge_interface=all the outside is where public_interface
    and the host's own default routes lead.
    """
    devices = {bridge.name for bridge in planned if bridge.address}
    if not devices:
        return Forwarding()
    devices |= set(settings.forward_bridge_interface)
    anywhere = "all" in devices
    if anywhere:
        devices.add(settings.public_interface)
    return Forwarding(
        tuple(sorted(devices - {"all", ""})), default_routes=anywhere
    )
