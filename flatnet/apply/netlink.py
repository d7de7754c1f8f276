"""The messages of netlink: made, sent, split, and their attributes read."""

import socket
import struct
from collections.abc import Iterator

# From linux/netlink.h and linux/netfilter/nfnetlink.h.
ROUTE, NETFILTER = 0, 12
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_TYPE = 0x3FFF


def connected(protocol: int, seconds: float) -> socket.socket:
    """Return a socket to the kernel that waits for so long at most."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    kernel.settimeout(seconds)
    return kernel


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a message with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of the messages in what was received."""
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def error(body: bytes) -> int:
    """Return the number in the body of an error message, 0 for none."""
    return -int(_CODE.unpack_from(body)[0])


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, filled up to its place."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of a message's attributes."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]
