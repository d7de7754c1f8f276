"""Floating addresses on the devices where they are known outside.

Goals, and how each is met:

* Nobody else's address is touched: ours bear our mark, as bridges' do, and
  have no network, as none of these has.  One of the same form that somebody
  else has put there serves as well, and stays.
* Nor does the host speak by one: it is no address for what is further than
  the link.
* Who knew it elsewhere learns where it is now: it is announced when it is
  set.
* A guest reaches itself by it: its bridge sends back to its port what came
  from there, until its last floating address goes.

Given up: a port keeps that where its last address goes while no process knows
that it had one; and who had set it for himself has to set it again.
"""

import errno
from collections import defaultdict
from collections.abc import Collection, Iterable

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link import arp
from flatnet.apply.link.blocked_ports import set_hairpin
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.link import ADDRESS_ORIGIN, SCOPE_LINK, Address, Link
from flatnet.apply.link.links import ERRORS, LinkPass, link_pass, reason
from flatnet.state.changes import Changes, Failure, guest_key
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.filtering import FloatingAddress
from flatnet.state.plan import METADATA

_PREFIX = "/32"


def is_floating(address: Address) -> bool:
    """Whether it is one of these: no bridge's address has such a prefix.

    That of the metadata service has, and is none.
    """
    has_form = address.ours and address.value.endswith(_PREFIX)
    return has_form and address.ip != METADATA


def serves_as_floating(address: Address) -> bool:
    """Whether it is one, or has its form, which no host's own address has."""
    return is_floating(address) or (
        address.value.endswith(_PREFIX) and not address.is_global
    )


def stale(
    wanted: Iterable[FloatingAddress], devices: Reads
) -> tuple[Address, ...]:
    """Return the addresses of ours that are not wanted where they are."""
    ours = tuple(filter(is_floating, devices.addresses()))
    if not ours:
        return ()
    places = _places(wanted, devices)
    return tuple(e for e in ours if (e.index, e.ip) not in places)


def missing(
    wanted: tuple[FloatingAddress, ...], devices: Reads
) -> tuple[FloatingAddress, ...]:
    """Return those that are not where they are wanted."""
    if not wanted:
        return ()
    there = {
        (each.index, each.ip)
        for each in devices.addresses()
        if serves_as_floating(each)
    }
    named = devices.named()
    return tuple(
        each
        for each in wanted
        if (link := named.get(each.device)) is None
        or (link.index, each.address) not in there
    )


def remove(addresses: Collection[Address], devices: Reads) -> Changes:
    """Take addresses of ours away."""
    if not addresses:
        return Changes()
    with link_pass(devices) as found:
        for each in addresses:
            _remove(found, each)
        return Changes(tuple(found.made), tuple(found.failures))


def add(
    wanted: Collection[FloatingAddress], devices: Reads, *, times: int
) -> Changes:
    """Set addresses, and announce each of them so many times."""
    if not wanted:
        return Changes()
    with link_pass(devices) as found:
        added = defaultdict(list)
        for each in wanted:
            if _was_added(found, each):
                added[each.device].append(each.address)
        for device, addresses in added.items():
            _announce(found, device, addresses, times)
        return Changes(
            tuple(found.made), tuple(found.failures), tuple(found.warnings)
        )


def turn_back(
    wanted: Iterable[FloatingAddress], known: set[str], devices: Reads
) -> Changes:
    """Set the hairpins of ports that need one, and unset those of others.

    :param known: the names of the ports that needed one
    """
    ports = {each.port: each for each in wanted}
    named = devices.named()
    off = {name for name in known - ports.keys() if _has(named.get(name))}
    lacking = [
        name
        for name in ports
        if (link := named.get(name)) and link.master and not link.hairpin
    ]
    known.intersection_update(off)
    known.update(ports)
    if not off and not lacking:
        return Changes()
    with link_pass(devices) as found:
        for name in sorted(off):
            if _set(found, name, on=False):
                known.discard(name)
        for name in lacking:
            _set(found, name, on=True, owner=ports[name])
        return Changes(tuple(found.made), tuple(found.failures))


def _has(link: Link | None) -> bool:
    return link is not None and link.hairpin


def _places(
    wanted: Iterable[FloatingAddress], devices: Reads
) -> set[tuple[int, str]]:
    named = devices.named()
    return {
        (named[each.device].index, each.address)
        for each in wanted
        if each.device in named
    }


def _remove(found: LinkPass, address: Address) -> None:
    link = found.by_index(address.index)
    try:
        found.netlink.addr(
            "del", index=address.index, address=address.ip, prefixlen=32
        )
    except ERRORS as error:
        gone = (errno.EADDRNOTAVAIL, errno.ENODEV)
        if not isinstance(error, NetlinkError) or error.code not in gone:
            found.fail(Subject(Surface.FLOATING, address.ip), error)
        return
    detail = f"from {link.name}" if link else ""
    effect = Effect(Surface.FLOATING, Verb.REMOVED, address.ip, detail)
    found.made.append(effect)


def _was_added(found: LinkPass, wanted: FloatingAddress) -> bool:
    link = found.links.get(wanted.device)
    if link is None:
        _fail(found, wanted, f"there is no device {wanted.device}")
        return False
    try:
        found.netlink.addr(
            "add",
            index=link.index,
            address=wanted.address,
            prefixlen=32,
            scope=SCOPE_LINK,
            proto=ADDRESS_ORIGIN,
        )
    except ERRORS as error:
        if not isinstance(error, NetlinkError) or error.code != errno.EEXIST:
            _fail(found, wanted, reason(error))
        return False
    detail = f"to {link.name}"
    found.made.append(
        Effect(Surface.FLOATING, Verb.ADDED, wanted.address, detail)
    )
    return True


def _announce(
    found: LinkPass, device: str, addresses: list[str], times: int
) -> None:
    link = found.links[device]
    if not link.up:
        return
    try:
        arp.announce_all(
            device, addresses=addresses, mac=link.mac, times=times
        )
    except (OSError, ValueError) as error:
        found.warnings.append(
            f"floating addresses could not be announced on {device}: "
            f"{reason(error)}"
        )


def _set(
    found: LinkPass,
    name: str,
    *,
    on: bool,
    owner: FloatingAddress | None = None,
) -> bool:
    try:
        set_hairpin(found.links[name].index, on=on)
        found.reread(name)
    except ERRORS as error:
        uuids = (owner.instance_uuid,) if owner else ()
        found.fail(Subject(Surface.PORT, name), error, uuids)
        return False
    state = "on" if on else "off"
    found.made.append(Effect(Surface.PORT, Verb.SET, name, f"hairpin {state}"))
    return True


def _fail(found: LinkPass, wanted: FloatingAddress, text: str) -> None:
    found.failures.append(failure(wanted, text))


def failure(wanted: FloatingAddress, text: str) -> Failure:
    """Return that a guest lacks a floating address."""
    return Failure(
        Subject(Surface.FLOATING, wanted.address),
        text,
        (wanted.instance_uuid,),
        guest_key(wanted.uuid),
    )
