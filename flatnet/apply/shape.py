"""What of this host's devices a pass has left as it wants it.

Taken after a pass and compared when an event says that something moved: if
it is another, somebody else did it, and a pass is due.  What others do to
devices that are nothing to us makes no difference.
"""

from typing import Any

from flatnet.apply.link import DUMP, Link, Reads
from flatnet.state import Plan

Shape = frozenset[tuple[Any, ...]]


def shape(plan: Plan, devices: Reads = DUMP) -> Shape:
    """Return the devices of a plan, and ours, as they are; and addresses.

    :raises HostSetupError: the kernel does not tell
    """
    links = devices.read()
    names = _names(plan)
    found: set[tuple[Any, ...]] = {
        _seen(link) for link in links if link.ours or link.name in names
    }
    indexes = {link.index: link.name for link in links}
    planned = {(bridge.name, bridge.address) for bridge in plan.bridges}
    for address in devices.addresses():
        here = (indexes.get(address.index, ""), address.value)
        if here in planned or address.ours:
            found.add(here)
    return frozenset(found)


def _names(plan: Plan) -> set[str]:
    names = {port.name for bridge in plan.bridges for port in bridge.ports}
    for bridge in plan.bridges:
        names |= {bridge.name, bridge.uplink or ""}
    return names


def _seen(link: Link) -> tuple[Any, ...]:
    """All that a pass sets, and nothing that a guest moves."""
    return (
        link.index,
        link.name,
        link.kind,
        link.alias,
        link.master,
        link.mac,
        link.mtu,
        link.up,
        link.ipv6,
        link.options,
        link.opener,
    )
