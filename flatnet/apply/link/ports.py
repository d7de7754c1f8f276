"""Make the devices that lead to instances: taps and veth pairs.

A port is made down, then stripped of the host's IPv6, marked and enslaved,
and comes up last, so that no packet passes a port that is half done.  After
a crash in between, what is there is recognised: by its mark, or unmarked as
a device that nothing uses yet.
"""

import errno
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link.link import MARK, Link
from flatnet.apply.link.links import ERRORS, LinkPass, disable_ipv6
from flatnet.apply.link.port_usage import is_used
from flatnet.apply.link.taps import drop_tap, loses, set_tap, wanted_owner
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.plan import Bridge, Port

KINDS = {"tap": "tun", "veth": "veth"}
# Of the user and the group who may open a tap.
Names = tuple[str | None, str | None]


def is_device(port: Port) -> bool:
    """Whether it is for us to make the port's device."""
    return port.kind in KINDS


def apply_port(host: LinkPass, bridge: Bridge, port: Port) -> None:
    """Make or mend one port; what goes wrong is that port's failure.

    One that somebody deletes meanwhile is made anew.
    """
    existed = port.name in host.links
    before = len(host.made)
    try:
        port = _as_it_is(host, port)
        link = _usable(host, port) or _made(host, bridge, port)
        _mend(host, link, bridge=bridge, port=port)
    except ERRORS as error:
        if existed and _forgotten(host, port.name):
            # And with it the other end of a pair.
            if port.peer:
                _forgotten(host, port.peer)
            apply_port(host, bridge, port)
            return
        host.fail(
            Subject(Surface.PORT, port.name),
            _explained(error, bridge),
            (port.instance_uuid,),
        )
        half = host.links.get(port.name)
        if half and not existed:
            host.delete(half)
            del host.made[before:]


def _forgotten(host: LinkPass, name: str) -> bool:
    """Forget a device if there is none any more; return whether that is so."""
    try:
        host.reread(name)
    except OSError as error:
        if error.errno == errno.ENODEV:
            host.links.pop(name, None)
            return True
    return False


def shut_port(host: LinkPass, port: Port) -> None:
    """Take a port down that must pass nothing."""
    link = host.links.get(port.name)
    if link is None or not link.ours or not link.up:
        return
    try:
        host.write(link, state="down")
        host.made.append(Effect(Surface.PORT, Verb.SHUT, port.name))
    except ERRORS as error:
        subject = Subject(Surface.PORT, port.name)
        host.fail(subject, error, (port.instance_uuid,))


def remove_all(host: LinkPass, links: Sequence[Link]) -> None:
    """Remove devices of ours, those of a pair with their other ends."""
    failed = host.delete_all(links)
    for link in links:
        if link.name in failed:
            host.fail(Subject(Surface.PORT, link.name), failed[link.name])
        else:
            host.made.append(Effect(Surface.PORT, Verb.REMOVED, link.name))


def _as_it_is(host: LinkPass, port: Port) -> Port:
    """Return the port as one of the kind that it is, where it is in use."""
    link = host.links.get(port.name)
    if link is None or not link.ours or link.kind == KINDS[port.kind]:
        return port
    for kind, name in KINDS.items():
        if name == link.kind and is_used(host, link):
            return replace(port, kind=kind, peer=None, owner=None, group=None)
    return port


def _usable(host: LinkPass, port: Port) -> Link | None:
    """Return the port's device, none if it has to be made.

    :raises HostSetupError: the name belongs to a foreign device
    """
    link = host.links.get(port.name)
    if link is None:
        return None
    if _is_unfinished(link):
        # No event tells of an alias that one got which is down.
        link = host.reread(port.name)
    fits = link.kind == KINDS[port.kind]
    unfinished = _is_unfinished(link)
    if link.ours and not fits:
        remove_all(host, [link])
        return None
    if fits and (link.ours or unfinished):
        if (
            port.kind == "tap"
            and loses(link.opener, opener(host, (port.owner, port.group)))
            and drop_tap(port.name)
        ):
            del host.links[port.name]
            return None
        return link
    raise _taken(port.name)


def _is_unfinished(link: Link) -> bool:
    """Whether it is unmarked, but made by us: how far a crash left it."""
    return not (link.alias or link.master or link.up)


def _taken(name: str) -> HostSetupError:
    return HostSetupError(
        f"device {name} exists and is not flatnet's: remove or rename it"
    )


def _made(host: LinkPass, bridge: Bridge, port: Port) -> Link:
    if port.peer and port.peer in host.links:
        raise _taken(port.peer)
    if port.kind == "tap":
        set_tap(port.name, opener(host, (port.owner, port.group)))
    else:
        host.netlink.link(
            "add",
            ifname=port.name,
            kind="veth",
            peer={
                "ifname": port.peer,
                "address": port.mac,
                "mtu": bridge.mtu,
            },
        )
    host.made.append(Effect(Surface.PORT, Verb.MADE, port.name))
    return host.reread(port.name)


def _mend(host: LinkPass, link: Link, *, bridge: Bridge, port: Port) -> None:
    master = host.links[bridge.name]
    wanted = {
        "ifalias": (MARK + port.instance_uuid, link.alias),
        "address": (host_mac(port.mac), link.mac),
        "mtu": (bridge.mtu, link.mtu),
        "master": (master.index, link.master),
    }
    changes: dict[str, Any] = {
        name: value
        for name, (value, actual) in wanted.items()
        if value != actual
    }
    if link.ipv6:
        _strip(host, link)
    if changes:
        if "master" in changes:
            host.pin_mac(master)
        host.change(link, **changes)
        names = ", ".join(changes)
        host.made.append(Effect(Surface.PORT, Verb.SET, port.name, names))
    link = _seen(host, link, changes)
    _mend_peer(host, link, bridge=bridge, port=port)
    if port.kind == "tap":
        link = _mend_opener(host, link, port)
    if not link.up:
        link = host.write(link, state="up")
        host.made.append(Effect(Surface.PORT, Verb.UP, port.name))
    if host.unblock(link):
        passing = "what its bridge passes"
        host.made.append(Effect(Surface.PORT, Verb.SET, port.name, passing))


def _strip(host: LinkPass, link: Link) -> None:
    """Keep the host's IPv6 off a port."""
    disable_ipv6(link)
    host.made.append(Effect(Surface.PORT, Verb.DISABLED, link.name, "ipv6"))


def _seen(host: LinkPass, link: Link, changes: Container[str]) -> Link:
    """Return a port as it is by now, where that has to be seen.

    One that has yet to come up is read after that.  But another mtu may have
    given it IPv6, with which it must not.
    """
    if (not link.up and "mtu" not in changes) or not (changes or link.ipv6):
        return link
    link = host.reread(link.name)
    if link.ipv6:
        _strip(host, link)
        link = host.reread(link.name)
    return link


def opener(host: LinkPass, names: Names) -> tuple[int, int]:
    """Return the ids of who may open a tap; they are looked up once a pass.

    :raises HostSetupError: there is no such user or group
    """
    if names not in host.openers:
        host.openers[names] = wanted_owner(*names)
    return host.openers[names]


def _mend_opener(host: LinkPass, link: Link, port: Port) -> Link:
    wanted = opener(host, (port.owner, port.group))
    if link.opener == wanted or loses(link.opener, wanted):
        return link
    if not set_tap(port.name, wanted):
        return link
    host.made.append(Effect(Surface.PORT, Verb.SET, port.name, "owner"))
    return host.reread(port.name)


def _mend_peer(
    host: LinkPass, link: Link, *, bridge: Bridge, port: Port
) -> None:
    """Give the mtu to a veth's free end while it is still in here."""
    peer = host.links.get(port.peer or "")
    if peer and peer.index == link.peer and peer.mtu != bridge.mtu:
        host.write(peer, mtu=bridge.mtu)
        host.made.append(
            Effect(Surface.PORT, Verb.SET, link.name, f"mtu of {peer.name}")
        )


def host_mac(mac: str) -> str:
    """Return the MAC of the host's end of the port of a guest's MAC.

    It must not be the guest's own, else the bridge would keep the guest's
    packets to itself.
    """
    return "fe:" + mac[3:]


def _explained(error: Exception, bridge: Bridge) -> Exception:
    if isinstance(error, NetlinkError) and error.code == errno.EXFULL:
        return HostSetupError(
            f"bridge {bridge.name} has all the ports that Linux allows "
            "(1023): place the instance on another host"
        )
    return error
