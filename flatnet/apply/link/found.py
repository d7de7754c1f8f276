"""What there is of the ports of a plan, once a pass has been over them."""

from collections.abc import Mapping

from flatnet.apply.link.link import Link
from flatnet.apply.link.reads import DUMP, Reads
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.plan import Bridge, Plan, Port

_KINDS = {"tun": "tap", "veth": "veth"}


def found_ports(
    plan: Plan,
    done: Changes,
    devices: Reads = DUMP,
    *,
    ports: frozenset[str] | None = None,
) -> tuple[FoundPort, ...]:
    """Return the ports of the plan and those that are to be gone, by name.

    `done` is what the pass did: what failed is the reason of what is not up.

    :param ports: the names of those of the plan that are asked for, or none
    """
    there = devices.named()
    reasons = {
        uuid: str(failure)
        for failure in reversed(done.failures)
        for uuid in failure.instances
    }
    of_host = next((str(f) for f in done.failures if f.is_of_host), None)
    found = [
        _planned(port, bridge, there, reasons.get(port.instance_uuid), of_host)
        for bridge in plan.bridges
        for port in bridge.ports
        if ports is None or port.name in ports
    ]
    found += [
        FoundPort(name, "held" if name in there else "missing")
        for name in plan.gone
    ]
    return tuple(sorted(found, key=lambda each: each.name))


def _planned(
    port: Port,
    bridge: Bridge,
    devices: Mapping[str, Link],
    own: str | None,
    of_host: str | None,
) -> FoundPort:
    """What there is of a port.

    What the host failed at is the reason of those that are not up; of the
    others the host says it once.
    """
    reason = own or of_host
    device, master = devices.get(port.name), devices.get(bridge.name)
    if device is None:
        if port.kind == "external" and not reason:
            reason = "nobody has attached its device yet"
        return FoundPort(port.name, "missing", reason=reason)
    kind = _KINDS.get(device.kind, port.kind)
    if master is None or device.master != master.index:
        state = "missing"
        reason = reason or f"it is not on bridge {bridge.name}"
    elif port.stays != "always":
        state = "held"
        reason = "its instance's row names another host, its guest is here"
    elif not device.up:
        state, reason = "shut", reason or "it is down"
    else:
        state, reason = "up", own
    return FoundPort(port.name, state, device.carrier, kind, reason)
