"""What can be in the way of a bridge, found before the first change to it.

Each line says what is wrong and what to do about it.
"""

import socket

from flatnet.apply.link.link import Link
from flatnet.apply.link.links import LinkPass, link_pass
from flatnet.exceptions import HostSetupError
from flatnet.state.plan import Bridge


def is_ours(link: Link, bridge: Bridge) -> bool:
    """Whether a bridge that is there was made by us.

    Without a mark, but with the MAC that only we would give: a crash came
    between making and marking.
    """
    return link.ours or (not link.alias and link.mac == bridge.mac)


def check_bridge(
    found: LinkPass, bridge: Bridge, *, planned: frozenset[str]
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
    if link and not is_ours(link, bridge):
        _check_foreign(found, link, bridge)
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
    with link_pass() as found:
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


def _check_foreign(found: LinkPass, link: Link, bridge: Bridge) -> None:
    """Check what we would have to change on a bridge that is an admin's."""
    options = dict(link.options)
    if options.get("IFLA_BR_VLAN_FILTERING") and not options.get(
        "IFLA_BR_VLAN_DEFAULT_PVID"
    ):
        raise HostSetupError(
            f"bridge {link.name} filters VLANs and gives new ports none, so "
            f"that they pass nothing: ip link set {link.name} type bridge "
            "vlan_default_pvid 1 (or vlan_filtering 0)"
        )
    if link.master:
        master = found.by_index(link.master)
        raise HostSetupError(
            f"bridge {link.name} belongs to {master.name if master else '?'}, "
            "whose routes guests would not leave by: release it (ip link set "
            f"{link.name} nomaster) or give the network another bridge"
        )
    uplink = found.links.get(bridge.uplink or "")
    # A first port may raise it; what then is there the next pass judges.
    joins = uplink is not None and uplink.master != link.index
    if link.mtu < bridge.mtu and not joins:
        raise HostSetupError(
            f"bridge {link.name}, which flatnet did not make, has mtu "
            f"{link.mtu}, and its network {bridge.mtu}, so that packets "
            f"would be lost: ip link set {link.name} mtu {bridge.mtu}, or "
            "give the network that mtu"
        )


def _check_uplink(
    found: LinkPass, name: str, *, index: int, planned: frozenset[str]
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
