"""The address of a bridge: whether it may be set, and how it is.

Goals, and how each is met:

* The host is not cut off: a network that is its own already is refused before
  the first change (see `conflicts`).
* Nobody else's address is taken: before one is set, the segment is asked for
  it (see `arp`).  It is then not set, and told, so that it is set aside and
  another is chosen.
* Who knew it elsewhere learns where it is: it is announced when it is set,
  where the operator wants that, or it is one that goes from host to host.
* What stands costs nothing and stays: a bridge that has its address is not
  asked about, and a conflict that comes later is a warning, for guests have
  their gateway there.
"""

import contextlib
import errno
import ipaddress
from collections.abc import Callable, Iterable, Iterator

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link import arp, conflicts
from flatnet.apply.link.bridge_checks import is_ours
from flatnet.apply.link.conflicts import Surroundings
from flatnet.apply.link.link import ADDRESS_ORIGIN, Link
from flatnet.apply.link.links import LinkPass
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Bridge
from flatnet.state.taken_addresses import InUse, Taken


def check_address(
    found: LinkPass,
    bridge: Bridge,
    around: Surroundings,
    in_use: Iterable[InUse],
) -> None:
    """Check that a bridge may take its address, unless it has it.

    :raises HostSetupError: a line that says what is in the way, and what to
        do
    """
    if bridge.address is None or _stands(found, bridge):
        return
    cidr = conflicts.network_of(bridge.address)
    text = conflicts.conflict(
        cidr, bridge=bridge.name, around=around, in_use=in_use
    )
    if text:
        raise HostSetupError(text)
    ip = bridge.address.partition("/")[0]
    for each in in_use:
        if each.address == ip and not each.is_own:
            reason = f"it is {each.what} of a host"
            found.taken.append(Taken(bridge.network_uuid, ip, reason))
            raise HostSetupError(
                f"its address {ip} is {each.what} of this host and is not "
                "taken: reserve it, or move what has it"
            )
    way = conflicts.led_to(ip, bridge=bridge.name, around=around)
    if way:
        reason = f"{way} of a host leads to it"
        found.taken.append(Taken(bridge.network_uuid, ip, reason))
        raise HostSetupError(
            f"its address {ip} is not taken, for {way} leads to whoever has "
            "it: remove that route, or reserve the address"
        )


def warn_of_conflict(
    found: LinkPass, bridge: Bridge, around: Surroundings
) -> None:
    """Note what another device has of a network that a bridge is in."""
    if bridge.address is None or not _stands(found, bridge):
        return
    cidr = conflicts.network_of(bridge.address)
    text = conflicts.overlap(cidr, bridge=bridge.name, around=around)
    if text:
        found.warnings.append(text)


@contextlib.contextmanager
def asked_for_address(
    found: LinkPass, link: Link, bridge: Bridge
) -> Iterator[Callable[[], arp.Answer]]:
    """Ask the segment for a bridge's address, if it is not there.

    Yields what `mend_address` waits for.
    """
    if not bridge.asks or bridge.address is None or _stands(found, bridge):
        yield lambda: None
        return
    wires = _wires(found, link, bridge)
    ip = bridge.address.partition("/")[0]
    with arp.asking(found, wires, address=ip, mac=link.mac) as answer:
        yield answer


def mend_address(
    found: LinkPass,
    link: Link,
    bridge: Bridge,
    answer: Callable[[], arp.Answer],
) -> None:
    """Set a bridge's address if it is not there and nobody else has it.

    :param answer: that of the segment, which was asked
    :raises HostSetupError: a machine on the segment answers for it
    """
    if bridge.address is None or _stands(found, bridge):
        return
    interface = ipaddress.ip_interface(bridge.address)
    _check_segment(found, bridge, str(interface.ip), answer())
    try:
        found.netlink.addr(
            "add",
            index=link.index,
            address=str(interface.ip),
            prefixlen=interface.network.prefixlen,
            broadcast=str(interface.network.broadcast_address),
            proto=ADDRESS_ORIGIN,
        )
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
        # Somebody has put it back meanwhile, as NetworkManager does.
        return
    found.made.append(
        Effect(
            Surface.BRIDGE, Verb.ADDED, link.name, f"address {bridge.address}"
        )
    )
    if bridge.announced:
        _announce(found, link, bridge, str(interface.ip))


def _announce(found: LinkPass, link: Link, bridge: Bridge, ip: str) -> None:
    """Say on the segment who has a bridge's address."""
    try:
        arp.announce(
            link.name, address=ip, mac=link.mac, times=bridge.announced
        )
    except OSError as error:
        found.warnings.append(
            f"bridge {link.name}: {ip} could not be announced: "
            f"{error.strerror}"
        )


def _check_segment(
    found: LinkPass, bridge: Bridge, ip: str, answer: arp.Answer
) -> None:
    if answer is None:
        return
    mac, device = answer
    reason = f"{mac} answers for it on the segment"
    found.taken.append(Taken(bridge.network_uuid, ip, reason, answered=True))
    raise HostSetupError(
        f"its address {ip} is that of {mac} on {device}, which answered for "
        "it, and is not taken: keep what the segment has out of the network "
        "(network create --allowed-start, --allowed-end, --fixed-cidr), or "
        "give that machine another address"
    )


def _wires(found: LinkPass, link: Link, bridge: Bridge) -> tuple[str, ...]:
    """The devices that lead to the segment, by name.

    Of an admin's bridge whatever he put there himself.
    """
    names = {bridge.uplink} if bridge.uplink else set()
    if not is_ours(link, bridge):
        planned = {port.name for port in bridge.ports}
        names |= {
            each.name
            for each in found.slaves(link.index)
            if not each.ours and each.name not in planned
        }
    return tuple(sorted(names))


def _stands(found: LinkPass, bridge: Bridge) -> bool:
    link = found.links.get(bridge.name)
    return link is not None and any(
        each.index == link.index and each.value == bridge.address
        for each in found.addresses
    )
