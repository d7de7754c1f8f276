"""What there is of the ports of a plan, once a pass has been over them.

Of a port that is up and whose device, bridge and part of the plan are the same
objects as before nothing can have become another; so what was found of it is
the same object too, and a thousand of these are compared in no time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.link import Link
from flatnet.state.changes import Changes, FoundPort
from flatnet.state.plan import Bridge, Plan, Port

_UNPLUGGED = "it was unplugged; plug_vifs plugs it in again"
_KINDS = {"tun": "tap", "veth": "veth"}


class _Known(NamedTuple):
    """What was found of a port, and what that follows from."""

    port: Port
    device: Link
    master: Link
    found: FoundPort


class Finder:
    """Finds ports in one namespace, and knows those again that are up."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        # By the last pass: what failed for whom.
        self._reasons: Mapping[str, str] = {}

    def ports(
        self,
        plan: Plan,
        done: Changes,
        devices: Reads,
        *,
        ports: frozenset[str] | None = None,
    ) -> tuple[FoundPort, ...]:
        """Return the ports of the plan and those that are to be gone, by name.

        `done` is what the pass did: what failed is the reason of what is not
        up.

        :param ports: the names of those of the plan that are asked for, or
            none; those for whom something else fails now are returned too
        """
        there = devices.named()
        reasons = {
            uuid: str(failure)
            for failure in reversed(done.failures)
            for uuid in failure.instances
        }
        if ports is not None:
            ports |= self._with_news(plan, reasons)
        self._reasons = reasons
        of_host = next((str(f) for f in done.failures if f.is_of_host), None)
        found = [
            self._port(port, bridge, there, reasons, of_host)
            for bridge in plan.bridges
            for port in plan.ports_of(bridge, ports)
        ]
        if len(self._known) > len(plan.ports):
            for name in self._known.keys() - plan.ports.keys():
                del self._known[name]
        found += [
            FoundPort(name, "held" if name in there else "missing")
            for name in plan.gone
        ]
        return tuple(sorted(found, key=lambda each: each.name))

    def _with_news(
        self, plan: Plan, reasons: Mapping[str, str]
    ) -> frozenset[str]:
        """The names of the ports for whom something else fails now."""
        moved = {u for u, _ in self._reasons.items() ^ reasons.items()}
        if not moved:
            return frozenset()
        return frozenset(
            name
            for name, port in plan.ports.items()
            if port.instance_uuid in moved
        )

    def _port(
        self,
        port: Port,
        bridge: Bridge,
        there: Mapping[str, Link],
        reasons: Mapping[str, str],
        of_host: str | None,
    ) -> FoundPort:
        name = port.name
        device, master = there.get(name), there.get(bridge.name)
        if (
            (known := self._known.get(name)) is not None
            and known.port is port
            and known.device is device
            and known.master is master
            and port.instance_uuid not in reasons
        ):
            return known.found
        own = reasons.get(port.instance_uuid)
        found = _planned(port, bridge, device, master, own, of_host)
        self._known.pop(name, None)
        if device and master and found.found == "up" and found.reason is None:
            self._known[name] = _Known(port, device, master, found)
        return found


def _planned(
    port: Port,
    bridge: Bridge,
    device: Link | None,
    master: Link | None,
    own: str | None,
    of_host: str | None,
) -> FoundPort:
    """What there is of a port.

    What the host failed at is the reason of those that are not up; of the
    others the host says it once.
    """
    reason = own or of_host
    if port.stays == "unplugged":
        carrier = device is not None and device.carrier
        return FoundPort(
            port.name, "shut", carrier, None, reason or _UNPLUGGED
        )
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
