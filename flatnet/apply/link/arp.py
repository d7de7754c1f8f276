"""Whether a machine on a segment has an address: probes as of RFC 5227.

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
_REQUEST = 1
_FRAME = struct.Struct(">6s6sHHHBBH6s4s6s4s")
_FORM = (_ARP, 1, 0x0800, 6, 4)
PROBES = 3
# Seconds between them and after the last, and for a cable to come up.
_PAUSE, _PATIENCE = 0.2, 3.0


def answer(
    found: LinkPass, devices: tuple[str, ...], *, address: str, mac: str
) -> tuple[str, str] | None:
    """Return (MAC, device) of who has an address on a segment, or none.

    :param devices: names of what leads there; one without a carrier leads
        nowhere
    :param mac: that of the bridge, who asks
    :raises HostSetupError: it cannot be asked
    """
    reached = _with_carrier(found, devices)
    if not reached:
        return None
    with contextlib.ExitStack() as stack:
        try:
            ears = {
                stack.enter_context(
                    ear(name, kind=_EVERYTHING, program=_FILTER)
                ): name
                for name in reached
            }
            return _asked(ears, address, mac)
        except OSError as error:
            raise HostSetupError(
                f"the segment cannot be asked who has {address}: "
                f"{error.strerror}"
            ) from error


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


def _with_carrier(found: LinkPass, devices: tuple[str, ...]) -> list[str]:
    """The devices that have a carrier; a cable may take its time."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        reached = []
        for name in devices:
            with contextlib.suppress(OSError):
                if found.reread(name).carrier:
                    reached.append(name)
        if len(reached) == len(devices) or time.monotonic() > deadline:
            return reached
        time.sleep(_PAUSE)


def _asked(
    ears: dict[socket.socket, str], address: str, mac: str
) -> tuple[str, str] | None:
    own = bytes.fromhex(mac.replace(":", ""))
    probe = _FRAME.pack(
        *(_BROADCAST, own, *_FORM, _REQUEST),
        *(own, _NOBODY, bytes(6), socket.inet_aton(address)),
    )
    for _ in range(PROBES):
        for each in ears:
            each.send(probe)
        heard = _heard(ears, address, mac)
        if heard:
            return heard
    return None


def _heard(
    ears: dict[socket.socket, str], address: str, mac: str
) -> tuple[str, str] | None:
    deadline = time.monotonic() + _PAUSE
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([*ears], [], [], left)
        for each in ready:
            who = claimed(each.recv(64), address=address, mac=mac)
            if who:
                return who, ears[each]
    return None
