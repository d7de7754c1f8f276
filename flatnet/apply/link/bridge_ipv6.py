"""IPv6 of a bridge: none, or the addresses of its guests' router.

Goals, and how each is met:

* Where the host is no router the bridge that we made has no IPv6: else guests
  would reach the host by a link-local address, and it would believe their
  router advertisements.
* Where it is, the bridge has the addresses that the plan says and no other of
  ours, without duplicate address detection: nobody else has its MAC.  The
  kernel makes none itself, and the host believes nobody's advertisements
  there.
* What cannot be had costs IPv6 alone, and is a warning: guests keep the rest.
* On an admin's bridge the addresses are added, and nothing else is touched.

Given up: the route that an address stands for is not put back while the
address is there.
"""

import errno
import ipaddress
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.files import read_setting, write_setting
from flatnet.apply.link.bridge_checks import is_ours
from flatnet.apply.link.link import ADDRESS_ORIGIN, Address, Link
from flatnet.apply.link.links import LinkPass, disable_ipv6, reason
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Bridge

_DEVICES = Path("/proc/sys/net/ipv6/conf")
# In this order: the kernel makes an address when IPv6 comes.
_OF_ROUTER = (
    ("accept_ra", "0"),
    ("addr_gen_mode", "1"),
    ("disable_ipv6", "0"),
)
# From linux/if_addr.h: no duplicate address detection.
_NODAD = 2
_PREFIX = 64
_LEAST_MTU = 1280


def mend_presence(found: LinkPass, link: Link, bridge: Bridge) -> Link:
    """Have a bridge of ours have IPv6 where the plan has addresses for it."""
    if bridge.routers:
        return _enabled(found, link)
    # Foreign addresses on our bridge would be lost with IPv6.
    if link.ipv6 and not _has_anothers(found, link):
        disable_ipv6(link)
        found.made.append(
            Effect(Surface.BRIDGE, Verb.DISABLED, link.name, "ipv6")
        )
        return found.reread(link.name)
    return link


def mend_routers(found: LinkPass, link: Link, bridge: Bridge) -> None:
    """Give a bridge the addresses of its guests' router, if it may."""
    if not bridge.routers:
        return
    text = _in_the_way(found, link, bridge)
    if text:
        found.warnings.append(
            f"bridge {link.name}: its guests have no router of IPv6: {text}"
        )
        return
    there = {each.value for each in found.addresses if _is_on(link, each)}
    for address in bridge.routers:
        if f"{address}/{_PREFIX}" not in there:
            _add(found, link, address)


def _enabled(found: LinkPass, link: Link) -> Link:
    wrong = [
        (name, value)
        for name, value in _OF_ROUTER
        if _setting(link, name) not in (value, "")
    ]
    if not wrong:
        return link
    for name, value in wrong:
        try:
            write_setting(_DEVICES / link.name / name, value)
        except (OSError, HostSetupError) as error:
            found.warnings.append(
                f"bridge {link.name}: net.ipv6.conf.{link.name}.{name} cannot "
                f"be set to {value}: {reason(error)}"
            )
            return link
    named = ", ".join(name for name, _ in wrong)
    found.made.append(Effect(Surface.BRIDGE, Verb.SET, link.name, named))
    return found.reread(link.name)


def _setting(link: Link, name: str) -> str:
    """What it is, or nothing where the kernel has no IPv6."""
    try:
        return read_setting(_DEVICES / link.name / name)
    except OSError:
        return ""


def _in_the_way(found: LinkPass, link: Link, bridge: Bridge) -> str:
    """Why a bridge cannot have its addresses, or nothing."""
    if not is_ours(link, bridge) and not link.ipv6:
        return (
            "flatnet did not make it and IPv6 is disabled there: "
            f"sysctl -w net.ipv6.conf.{link.name}.disable_ipv6=0"
        )
    if bridge.mtu < _LEAST_MTU:
        return f"its mtu is {bridge.mtu}, and IPv6 needs {_LEAST_MTU}"
    network = ipaddress.IPv6Interface(
        f"{bridge.routers[-1]}/{_PREFIX}"
    ).network
    for each in found.addresses:
        if each.index == link.index or ":" not in each.ip or each.ours:
            continue
        if each.is_global and _overlaps(network, each.value):
            device = found.by_index(each.index)
            return (
                f"{each.value} of {device.name if device else '?'} is of "
                f"{network}: give the network another cidr_v6"
            )
    return ""


def _overlaps(network: ipaddress.IPv6Network, value: str) -> bool:
    return ipaddress.IPv6Interface(value).network.overlaps(network)


def _add(found: LinkPass, link: Link, address: str) -> None:
    try:
        found.netlink.addr(
            "add",
            index=link.index,
            address=address,
            prefixlen=_PREFIX,
            flags=_NODAD,
            proto=ADDRESS_ORIGIN,
        )
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            found.warnings.append(
                f"bridge {link.name}: {address} cannot be set: {reason(error)}"
            )
        return
    found.made.append(
        Effect(Surface.BRIDGE, Verb.ADDED, link.name, f"address {address}")
    )


def _is_on(link: Link, address: Address) -> bool:
    return address.index == link.index and ":" in address.ip


def _has_anothers(found: LinkPass, link: Link) -> bool:
    """Whether somebody else has put an address of IPv6 there."""
    return any(
        each.is_global and not each.ours
        for each in found.addresses
        if _is_on(link, each)
    )
