"""Bridges with their uplinks, addresses and ports, through netlink.

Goals, and how each is met:

* Any state to the plan, and no write when there: every attribute is compared
  with one dump of links and one of addresses, and only what differs is set.
* Nothing foreign is touched: ours are devices with the alias `flatnet:...`
  and addresses of our origin.  The exceptions are named by the operator: a
  bridge of the configured name is used, and the uplink is enslaved and set
  up.  A bridge that an admin made is never removed, and of its attributes
  those alone are set that isolation needs: its spanning tree, MTU, MAC and
  addresses are his, and stay when ports come that would lower the MTU.
* Clear errors first: all that can be wrong with a bridge is checked before
  the first change to it.
* A bridge's MAC is a promise to guests that have it in their ARP tables: it
  is set, so that Linux does not take that of the lowest port.

Given up: a foreign bridge that was never enslaved to by us keeps a floating
MAC until we add a port, as nothing in netlink says whether it is pinned.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flatnet.apply.files import read_setting
from flatnet.apply.link.addressing import (
    asked_for_address,
    check_address,
    mend_address,
    warn_of_conflict,
)
from flatnet.apply.link.bridge_checks import check_bridge, is_ours
from flatnet.apply.link.bridge_ipv6 import mend_presence, mend_routers
from flatnet.apply.link.conflicts import Surroundings
from flatnet.apply.link.device_reads import DUMP, Reads
from flatnet.apply.link.link import MARK, NO_LINKLOCAL_LEARN, Link
from flatnet.apply.link.links import ERRORS, LinkPass, link_pass
from flatnet.apply.link.ports import apply_port, is_device, shut_port
from flatnet.apply.link.stale_ports import remove_ports
from flatnet.apply.link.unchanged_ports import UnchangedPorts
from flatnet.exceptions import HostSetupError
from flatnet.state.changes import Changes
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Bridge, Plan, Port

__all__ = (
    "apply_bridges",
    "check_privilege",
    "remove_ports",
)
CAP_NET_ADMIN = 12
_FORWARDED_GROUPS = "IFLA_BR_GROUP_FWD_MASK"
# 0x4000: frames to 01-80-c2-00-00-0e are bridged and so pass the guard's
# hooks; else the host takes them unseen by any rule.
ISOLATION = {
    _FORWARDED_GROUPS: 0x4000,
    "IFLA_BR_NF_CALL_IPTABLES": 1,
    "IFLA_BR_NF_CALL_IP6TABLES": 1,
    "IFLA_BR_MULTI_BOOLOPT": NO_LINKLOCAL_LEARN,
}
# Of a bridge that we made.
OPTIONS = {"IFLA_BR_STP_STATE": 0, "IFLA_BR_FORWARD_DELAY": 0, **ISOLATION}


def check_privilege() -> None:
    """Check that this process may change the network.

    :raises HostSetupError: CAP_NET_ADMIN is missing
    """
    for line in read_setting("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff" and int(value, 16) >> CAP_NET_ADMIN & 1:
            return
    raise HostSetupError(
        "CAP_NET_ADMIN is missing: start flatnet-manager as root, or give "
        "it the capability by AmbientCapabilities= in its systemd unit"
    )


def apply_bridges(
    plan: Plan,
    devices: Reads = DUMP,
    *,
    shut: frozenset[str],
    unchanged: UnchangedPorts,
    ports: frozenset[str] | None = None,
) -> Changes:
    """Make and mend the bridges of the plan with all that is on them.

    Ports of the instances `shut` (uuids) are not made, and taken down where
    they exist, also on a bridge that cannot be mended.

    :param unchanged: knows ports that need nothing
    :param ports: the names of those to be looked at, none for all
    """
    unchanged.keep(each.name for each in plan.bridges)
    with link_pass(devices) as found:
        around = Surroundings.read(devices)
        for bridge in plan.bridges:
            warn_of_conflict(found, bridge, around)
            # Who is shut may be anybody.
            _shut(found, plan.ports_of(bridge, None if shut else ports), shut)
        for bridge in plan.bridges:
            if bridge.fault:
                continue
            try:
                _check(found, bridge, plan, around)
                mine = plan.ports_of(bridge, ports)
                wanted = _wanted(found, mine, shut)
                _apply_bridge(found, bridge, wanted, unchanged)
            except ERRORS as error:
                found.fail_bridge(bridge, error)
        return Changes(
            tuple(found.made),
            tuple(found.failures),
            tuple(found.warnings),
            taken=tuple(found.taken),
        )


def _check(
    found: LinkPass, bridge: Bridge, plan: Plan, around: Surroundings
) -> None:
    """Check all that can be in the way of a bridge.

    :raises HostSetupError: a line that says what and what to do
    """
    names = [each.name for each in plan.bridges]
    if names.count(bridge.name) > 1:
        raise HostSetupError(
            "more than one network names this bridge: give each network a "
            "bridge of its own"
        )
    check_bridge(found, bridge, planned=frozenset(names))
    check_address(found, bridge, around, plan.in_use)


def _shut(
    found: LinkPass, ports: Iterable[Port], shut: frozenset[str]
) -> None:
    for port in ports:
        if port.instance_uuid in shut or port.stays == "shut":
            shut_port(found, port)


def _wanted(
    found: LinkPass, ports: Iterable[Port], shut: frozenset[str]
) -> list[Port]:
    """Those of some ports that are to be made or mended."""
    return [
        port
        for port in ports
        if is_device(port)
        and port.instance_uuid not in shut
        and (port.stays == "always" or _is_kept(found, port))
    ]


def _apply_bridge(
    found: LinkPass,
    bridge: Bridge,
    ports: list[Port],
    unchanged: UnchangedPorts,
) -> None:
    before = len(found.made)
    link = found.links.get(bridge.name) or _made(found, bridge)
    link = _mend(found, link, bridge)
    if bridge.uplink:
        _mend_uplink(found, link, bridge.uplink)
    mtu = bridge.mtu
    if not is_ours(link, bridge):
        mtu = found.reread(bridge.name).mtu
    # Guests that are there are seen to while the segment is asked.
    devices = found.devices.named()
    missing = [port for port in ports if port.name not in devices]
    absent = {port.name for port in missing}
    there = [port for port in ports if port.name not in absent]
    with asked_for_address(found, link, bridge) as answer:
        unchanged.mend(found, bridge, there)
        mend_address(found, link, bridge, answer)
    for port in missing:
        apply_port(found, bridge, port)
    # Linux may have lowered it when a port with a smaller one came.
    has_changed = len(found.made) > before
    if has_changed and found.devices.named().get(bridge.name) != link:
        _set(found, found.reread(bridge.name), mtu=mtu)


def _is_kept(found: LinkPass, port: Port) -> bool:
    """Whether a port that is never made is there, and may be up."""
    return port.stays == "used" and port.name in found.links


def _made(found: LinkPass, bridge: Bridge) -> Link:
    found.netlink.link(
        "add", ifname=bridge.name, kind="bridge", address=bridge.mac
    )
    found.made.append(Effect(Surface.BRIDGE, Verb.MADE, bridge.name))
    return found.reread(bridge.name)


def _mend(found: LinkPass, link: Link, bridge: Bridge) -> Link:
    """Bring a bridge's own attributes to the plan and set it up."""
    if is_ours(link, bridge):
        link = _mend_ours(found, link, bridge)
    else:
        link = _mend_options(found, link, _isolating(link))
    if not link.up:
        link = found.write(link, state="up")
        found.made.append(Effect(Surface.BRIDGE, Verb.UP, link.name))
    if bridge.address and not link.arp:
        # Else guests lose their gateway once they have forgotten its MAC.
        link = found.write(link, arp=True)
        found.made.append(Effect(Surface.BRIDGE, Verb.SET, link.name, "arp"))
    mend_routers(found, link, bridge)
    return link


def _mend_ours(found: LinkPass, link: Link, bridge: Bridge) -> Link:
    link = _set(
        found, link, ifalias=MARK + bridge.network_uuid, address=bridge.mac
    )
    link = _mend_options(found, link, OPTIONS)
    # IPv6 comes and goes with it.
    link = _set(found, link, mtu=bridge.mtu)
    return mend_presence(found, link, bridge)


def _isolating(link: Link) -> dict[str, int]:
    """What isolation needs of a foreign bridge's options.

    The groups that its admin lets through besides stay.
    """
    groups = dict(link.options).get(_FORWARDED_GROUPS, 0)
    return {
        **ISOLATION,
        _FORWARDED_GROUPS: groups | ISOLATION[_FORWARDED_GROUPS],
    }


def _set(found: LinkPass, link: Link, **wanted: Any) -> Link:
    actual = {"ifalias": link.alias, "address": link.mac, "mtu": link.mtu}
    changes = {
        name: value for name, value in wanted.items() if value != actual[name]
    }
    if not changes:
        return link
    found.made.append(
        Effect(Surface.BRIDGE, Verb.SET, link.name, ", ".join(changes))
    )
    return found.write(link, **changes)


def _mend_options(
    found: LinkPass, link: Link, options: Mapping[str, int]
) -> Link:
    """Set the options that differ, one by one.

    Linux takes forward_delay 0 only once STP is off.  Options that it does
    not show, it does not have.
    """
    for name, value in link.options:
        wanted = options.get(name, value)
        if value == wanted:
            continue
        data: Any = wanted
        if name == "IFLA_BR_MULTI_BOOLOPT":
            data = {"optval": wanted, "optmask": NO_LINKLOCAL_LEARN}
        link = found.set_option(link, name, data)
        found.made.append(Effect(Surface.BRIDGE, Verb.SET, link.name, name))
    return link


def _mend_uplink(found: LinkPass, link: Link, name: str) -> None:
    uplink = found.links[name]
    if uplink.master != link.index:
        found.pin_mac(link)
        uplink = found.write(uplink, master=link.index)
        found.made.append(
            Effect(Surface.UPLINK, Verb.ENSLAVED, name, f"to {link.name}")
        )
    if not uplink.up:
        uplink = found.write(uplink, state="up")
        found.made.append(Effect(Surface.UPLINK, Verb.UP, name))
    if found.unblock(uplink):
        passing = "what its bridge passes"
        found.made.append(Effect(Surface.UPLINK, Verb.SET, name, passing))
