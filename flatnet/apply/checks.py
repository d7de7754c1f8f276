"""What can be in the way of a bridge, found before the first change to it.

Each line says what is wrong and what to do about it.
"""

import socket

from flatnet.apply.links import Host, host
from flatnet.exceptions import HostSetupError
from flatnet.state import Bridge


def check_bridge(
    found: Host, bridge: Bridge, *, planned: frozenset[str]
) -> None:
    """Check that nothing foreign is in the way of a bridge of the plan.

    `planned` are the names of all bridges of the plan.

    :raises HostSetupError: a line that says what and what to do
    """
    link = found.links.get(bridge.name)
    if link is None and (name := other_name(bridge.name)):
        raise HostSetupError(
            f"{bridge.name} is another name of device {name}: give the "
            f"network the bridge {name}, or take that name away"
        )
    if link and link.kind != "bridge":
        raise HostSetupError(
            f"device {bridge.name} exists and is no bridge: rename it, or "
            "give the network another bridge"
        )
    index = link.index if link else 0
    if bridge.uplink:
        _check_uplink(found, bridge.uplink, index=index, planned=planned)
    ip = (bridge.address or "").partition("/")[0]
    for address in found.addresses:
        if ip and address.ip == ip and address.index != index:
            holder = found.by_index(address.index)
            raise HostSetupError(
                f"its address {ip} is on {holder.name if holder else '?'} "
                "too: remove it there"
            )


def uplink_trouble(uplink: str, bridge: str) -> str:
    """Return what would keep a device from being a bridge's uplink.

    One line that says what and what to do, or empty.
    """
    with host() as found:
        link = found.links.get(bridge)
        index = link.index if link else 0
        try:
            _check_uplink(found, uplink, index=index, planned=frozenset())
        except HostSetupError as error:
            return str(error)
    return ""


def other_name(name: str) -> str:
    """The name of the device that has `name` as an altname, or empty."""
    try:
        found = socket.if_indextoname(socket.if_nametoindex(name))
    except OSError:
        return ""
    return "" if found == name else found


def _check_uplink(
    found: Host, name: str, *, index: int, planned: frozenset[str]
) -> None:
    uplink = found.links.get(name)
    if uplink is None and (real := other_name(name)):
        raise HostSetupError(
            f"uplink {name} is another name of device {real}: write {real} "
            "as the network's bridge_interface"
        )
    if uplink is None:
        raise HostSetupError(
            f"uplink {name} does not exist: create it or correct "
            "flat_interface (or the network's bridge_interface)"
        )
    if index and uplink.master == index:
        return
    master = found.by_index(uplink.master)
    # Guests depend on it there: taking it away is no remedy.
    if master and master.name in planned:
        raise HostSetupError(
            f"uplink {name} is that of {master.name} already, another "
            "network's bridge: give this network a device of its own "
            "(network create --uplink)"
        )
    # A bridge of ours that left the plan gives its uplink up.
    if master and not master.ours:
        raise HostSetupError(
            f"uplink {name} is enslaved to {master.name}: release it there "
            f"(ip link set {name} nomaster) or choose another uplink"
        )
    own = [
        address.value
        for address in found.addresses
        if address.index == uplink.index and address.is_global
    ]
    if own:
        raise HostSetupError(
            f"uplink {name} carries {', '.join(own)}, and enslaving it would "
            "cut that off: move it to the bridge or another device first"
        )
