"""Who has an address on a segment: asked and told, as of RFC 5227.

A probe names no sender, so that nobody's table changes by it.  It goes out by
the uplink itself and answers are heard there: guests of this host are not
asked, and what answers for an address of ours the guard drops on its way into
the bridge.

The RFC waits for up to nine seconds; a caller waits for this one, and asks
once per address.  Given up: a machine that answers later than that, and a
switch that passes nothing yet (spanning tree).  Whoever claims the address
afterwards is told of by the guard (`claims`).
"""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from flatnet.apply.link.links import LinkPass
from flatnet.apply.link.packets import ear
from flatnet.exceptions import HostSetupError

_EVERYTHING, _ARP = 3, 0x0806
# struct sock_filter: ARP, and nothing else.
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 0, 1, _ARP),
    (0x06, 0, 0, 64),
    (0x06, 0, 0, 0),
)
_BROADCAST = b"\xff" * 6
_NOBODY = bytes(4)
_REQUEST, _REPLY = 1, 2
_FRAME = struct.Struct(">6s6sHHHBBH6s4s6s4s")
_FORM = (_ARP, 1, 0x0800, 6, 4)
PROBES = 3
# Seconds between them and after the last, and for a cable to come up.
_PAUSE, _PATIENCE = 0.2, 3.0
# Between announcements.
_BETWEEN = 0.05


Answer = tuple[str, str] | None
Ears = dict[socket.socket, str]


@contextlib.contextmanager
def asking(
    found: LinkPass, devices: tuple[str, ...], *, address: str, mac: str
) -> Iterator[Callable[[], Answer]]:
    """Ask who has an address on a segment; yield what waits for the answer.

    That returns (MAC, device) of who has it, or none, or raises
    HostSetupError where nobody can be asked.  What is done before it is called
    is done while answers are under way.

    :param devices: names of what leads there; one without a carrier leads
        nowhere, and a cable may take its time to come up
    :param mac: that of the bridge, who asks
    """
    probe = _probe(address, mac)
    with contextlib.ExitStack() as stack:
        ears: Ears = {}
        # What is in the way is told by who waits.
        with contextlib.suppress(OSError):
            if len(_reached(found, devices)) == len(devices):
                opened = _opened(stack, devices)
                _send(opened, probe)
                ears = opened
        start = time.monotonic()

        def wait() -> Answer:
            begun = ears or _opened(stack, _with_carrier(found, devices))
            if not begun:
                return None
            since = start if ears else 0.0
            for number in range(PROBES):
                if number or not ears:
                    _send(begun, probe)
                    since = time.monotonic()
                heard = _heard(begun, address, mac, until=since + _PAUSE)
                if heard:
                    return heard
            return None

        yield partial(_told, wait, address)


def announce(device: str, *, address: str, mac: str, times: int) -> None:
    """Tell a segment who has an address.

    Each time in both forms, for there is who heeds but one of them.

    :param device: what leads there, and is up
    :raises OSError: it cannot be told
    """
    announce_all(device, addresses=(address,), mac=mac, times=times)


def announce_all(
    device: str, *, addresses: Iterable[str], mac: str, times: int
) -> None:
    """Tell a segment who has several addresses; to close a socket takes long.

    :raises OSError: it cannot be told
    """
    told = tuple(addresses)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as voice:
        voice.bind((device, 0))
        for number in range(times):
            if number:
                time.sleep(_BETWEEN)
            for address in told:
                for operation in (_REQUEST, _REPLY):
                    voice.send(_announcement(operation, address, mac))


def claimed(frame: bytes, *, address: str, mac: str) -> str:
    """Return the MAC that a frame says has an address, or none if empty.

    Who probes for it at the same time counts too; we ourselves do not.

    >>> claimed(b"anything", address="10.0.0.1", mac="02:00:00:00:00:01")
    ''
    """
    if len(frame) < _FRAME.size:
        return ""
    _, _, *form, operation, sender, source, _, target = _FRAME.unpack_from(
        frame
    )
    wanted = socket.inet_aton(address)
    is_probe = (operation, source, target) == (_REQUEST, _NOBODY, wanted)
    if tuple(form) != _FORM or not (source == wanted or is_probe):
        return ""
    who: str = sender.hex(":")
    return "" if who == mac else who


def _told(wait: Callable[[], Answer], address: str) -> Answer:
    try:
        return wait()
    except OSError as error:
        raise HostSetupError(
            f"the segment cannot be asked who has {address}: {error.strerror}"
        ) from error


def _reached(found: LinkPass, devices: Iterable[str]) -> list[str]:
    """The devices that have a carrier."""
    reached = []
    for name in devices:
        with contextlib.suppress(OSError):
            if found.reread(name).carrier:
                reached.append(name)
    return reached


def _with_carrier(found: LinkPass, devices: tuple[str, ...]) -> list[str]:
    """The same, once all have it or have taken their time."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        reached = _reached(found, devices)
        if len(reached) == len(devices) or time.monotonic() > deadline:
            return reached
        time.sleep(_PAUSE)


def _opened(stack: contextlib.ExitStack, devices: Iterable[str]) -> Ears:
    return {
        stack.enter_context(ear(name, kind=_EVERYTHING, program=_FILTER)): name
        for name in devices
    }


def _probe(address: str, mac: str) -> bytes:
    return _frame(_REQUEST, address, mac, sender=_NOBODY, target=bytes(6))


def _announcement(operation: int, address: str, mac: str) -> bytes:
    own = socket.inet_aton(address)
    return _frame(operation, address, mac, sender=own, target=_BROADCAST)


def _frame(
    operation: int, address: str, mac: str, *, sender: bytes, target: bytes
) -> bytes:
    """What we say of an address to everybody.

    :param sender: our own address by it
    :param target: the MAC of who has it, by it
    """
    own, wanted = (
        bytes.fromhex(mac.replace(":", "")),
        socket.inet_aton(address),
    )
    return _FRAME.pack(
        *(_BROADCAST, own, *_FORM, operation, own, sender, target, wanted)
    )


def _send(ears: Ears, probe: bytes) -> None:
    for each in ears:
        each.send(probe)


def _heard(ears: Ears, address: str, mac: str, *, until: float) -> Answer:
    """Who answers by then, or has by now."""
    while True:
        left = until - time.monotonic()
        ready, _, _ = select.select([*ears], [], [], max(left, 0))
        for each in ready:
            who = claimed(each.recv(64), address=address, mac=mac)
            if who:
                return who, ears[each]
        if left <= 0 and not ready:
            return None
