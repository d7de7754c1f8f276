"""Devices and addresses in few attributes, read straight from netlink.

pyroute2 decodes every attribute of every device, which with a thousand ports
takes longer than all the rest of a pass.  Whoever only wants to know which
device is on which bridge reads it here, and so does who listens to events.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from flatnet.apply.links import MARK, UP
from flatnet.exceptions import HostSetupError

# From linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h.
NEW_LINK, DEL_LINK = 16, 17
_GET_LINK, _GET_ADDRESS, _NEW_ADDRESS = 18, 22, 20
_DONE, _ERROR = 3, 2
_REQUEST_DUMP = 0x301
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_TYPE = 0x3FFF
_MAC, _NAME, _MASTER, _INFO, _ALIAS, _EXT_MASK = 1, 3, 10, 18, 20, 29
_CARRIER = 33
_KIND = 1
_FAR_END, _LOCAL = 1, 2
_SKIP_STATISTICS = struct.pack("=HHI", 8, _EXT_MASK, 1 << 3)
_BUFFER = 1 << 18
_SECONDS = 10


@dataclass(frozen=True)
class Device:
    """A network device; `master` is its bridge's index, 0 for none.

    `kind` is empty for a card.  `up` is what we set, `carrier` that somebody
    is at the other end.
    """

    index: int
    name: str
    master: int
    mac: str
    alias: str
    kind: str = ""
    up: bool = False
    carrier: bool = False

    @property
    def ours(self) -> bool:
        """Whether it bears our mark."""
        return self.alias.startswith(MARK)

    @property
    def is_virtual(self) -> bool:
        """Whether it is of a kind that guests are behind."""
        return self.kind in ("tun", "veth", "macvtap", "macvlan")


def devices() -> tuple[Device, ...]:
    """Return the devices of the current namespace, by index.

    :raises HostSetupError: the kernel does not tell
    """
    question = _LINK.pack(0, 0, 0, 0, 0) + _SKIP_STATISTICS
    found = [
        device(body)
        for kind, body in _dump(_GET_LINK, question)
        if kind == NEW_LINK
    ]
    return tuple(sorted(found, key=lambda each: each.index))


def addresses() -> tuple[tuple[int, str], ...]:
    """Return (index of the device, address) of all addresses, sorted.

    :raises HostSetupError: the kernel does not tell
    """
    found = set()
    for kind, body in _dump(_GET_ADDRESS, _ADDRESS.pack(0, 0, 0, 0, 0)):
        if kind != _NEW_ADDRESS:
            continue
        *_, index = _ADDRESS.unpack_from(body)
        values = dict(attributes(body[_ADDRESS.size :]))
        raw = values.get(_LOCAL) or values.get(_FAR_END)
        if raw:
            found.add((index, str(ipaddress.ip_address(raw))))
    return tuple(sorted(found))


def device(body: bytes) -> Device:
    """Return what the body of a link message says."""
    _, _, index, flags, _ = _LINK.unpack_from(body)
    values = dict(attributes(body[_LINK.size :]))
    return Device(
        index=index,
        name=_text(values.get(_NAME, b"")),
        master=int.from_bytes(values.get(_MASTER, b""), sys.byteorder),
        mac=values.get(_MAC, b"").hex(":"),
        alias=_text(values.get(_ALIAS, b"")),
        kind=_text(dict(attributes(values.get(_INFO, b""))).get(_KIND, b"")),
        up=bool(flags & UP),
        carrier=values.get(_CARRIER) == b"\1",
    )


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of the messages in one datagram."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of a message's attributes."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _dump(kind: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    header = _HEADER.pack(
        _HEADER.size + len(question), kind, _REQUEST_DUMP, 1, 0
    )
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.send(header + question)
        while True:
            for answer, body in messages(kernel.recv(_BUFFER)):
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    raise HostSetupError("the kernel lists no devices")
                yield answer, body


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
