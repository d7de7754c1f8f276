"""Ports that are as planned, known again by what is looked at to see that.

A whole pass goes through a thousand ports of which nearly always none needs
anything, and would find out again what it found the last time.  Whether a port
is as planned follows from values alone: its part of the plan, what the kernel
says of its device, the bridge's index and mtu, and who may open taps.  As long
as these are the same there is nothing to do.

What follows from more than these is not remembered, and is looked at by each
pass: a port that something was done to or failed of, one that its bridge
blocks or that is of another kind than planned, a tap that should be another's
and is held open, and a pair whose free end is still in here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flatnet.apply.link.link import Link
from flatnet.apply.link.links import LinkPass
from flatnet.apply.link.ports import KINDS, Names, apply_port, opener
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Bridge, Port


@dataclass
class _OfBridge:
    """The ports of a bridge of this index and mtu, with their devices.

    `openers` are the ids of those who may open their taps, by names.
    """

    index: int
    mtu: int
    ports: dict[str, tuple[Port, Link]] = field(default_factory=dict)
    openers: dict[Names, tuple[int, int]] = field(default_factory=dict)


class UnchangedPorts:
    """What one process knows of the ports of its namespace."""

    def __init__(self) -> None:
        self._known: dict[str, _OfBridge] = {}

    def mend(
        self, host: LinkPass, bridge: Bridge, ports: Iterable[Port]
    ) -> None:
        """Mend those of a bridge's ports that may need it, which are there.

        What goes wrong is that port's failure.
        """
        known = self._of(host, bridge)
        if not _are_same(host, known):
            known.ports.clear()
            known.openers.clear()
        for port in _others(host, known, ports):
            known.ports.pop(port.name, None)
            before = len(host.made), len(host.failures)
            apply_port(host, bridge, port)
            if before == (len(host.made), len(host.failures)):
                _note(host, known, port)
        if len(known.ports) > len(bridge.ports):
            for name in known.ports.keys() - {e.name for e in bridge.ports}:
                del known.ports[name]

    def keep(self, bridges: Iterable[str]) -> None:
        """Forget all bridges but these."""
        for name in self._known.keys() - set(bridges):
            del self._known[name]

    def _of(self, host: LinkPass, bridge: Bridge) -> _OfBridge:
        """What is known of a bridge as it is and is planned by now."""
        index = host.links[bridge.name].index
        known = self._known.get(bridge.name)
        if known is None or (known.index, known.mtu) != (index, bridge.mtu):
            known = self._known[bridge.name] = _OfBridge(index, bridge.mtu)
        return known


def _are_same(host: LinkPass, known: _OfBridge) -> bool:
    """Whether those who may open taps have the ids that they had."""
    try:
        return all(
            opener(host, names) == ids for names, ids in known.openers.items()
        )
    except HostSetupError:
        return False


def _others(
    host: LinkPass, known: _OfBridge, ports: Iterable[Port]
) -> list[Port]:
    """Those of which something is another than it was.

    What is the same object has not changed: nothing frozen can, and of a
    device that did whoever knows them has another.
    """
    devices, sound = host.devices.named(), known.ports
    return [
        port
        for port in ports
        if (was := sound.get(port.name)) is None
        or was[0] is not port
        or was[1] is not devices.get(port.name)
        or port.peer in devices
    ]


def _note(host: LinkPass, known: _OfBridge, port: Port) -> None:
    """Note a port that nothing was done to, where values alone say why."""
    link, names = host.links[port.name], (port.owner, port.group)
    if (
        link.blocked
        or link.kind != KINDS[port.kind]
        or port.peer in host.links
    ):
        return
    if port.kind == "tap":
        if link.opener != opener(host, names):
            return
        known.openers[names] = opener(host, names)
    known.ports[port.name] = port, link
