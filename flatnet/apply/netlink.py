"""The messages of netlink: made, sent, split, and their attributes read."""

import contextlib
import os
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
# A `struct timeval`.
_TIME = struct.Struct("@ll")
_TYPE = 0x3FFF


class KeptSocket:
    """A socket that stays open; a forked process has its own.

    Who closes a socket of netfilter's waits until the kernel has freed what
    transactions of nftables deleted just before, whoever sent them: 15 ms,
    in which nobody else can change nftables either.
    """

    def __init__(self, protocol: int, seconds: float) -> None:
        self._protocol = protocol
        self._seconds = seconds
        self._open: tuple[int, socket.socket] | None = None

    @contextlib.contextmanager
    def lent(self) -> Iterator[socket.socket]:
        """Have the socket, of which all answers are to be received.

        After an error they may not have been, and the next one is another.
        """
        if self._open is None or self._open[0] != os.getpid():
            self.close()
            kernel = connected(self._protocol, self._seconds)
            self._open = os.getpid(), kernel
        try:
            yield self._open[1]
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int | None:
        """What others see of who writes by it; none while it is closed."""
        return self._open[1].getsockname()[0] if self._open else None

    def close(self) -> None:
        """End it, until somebody asks again."""
        if self._open is not None:
            self._open[1].close()
        self._open = None


def connected(protocol: int, seconds: float) -> socket.socket:
    """Return a socket to the kernel that waits for so long at most.

    The kernel sees to that: with a timeout of its own Python asks before each
    call whether there is anything, a quarter of what a short answer costs.
    """
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    wait = _TIME.pack(int(seconds), int(seconds % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        kernel.setsockopt(socket.SOL_SOCKET, option, wait)
    return kernel


def acknowledged(
    kernel: socket.socket, kind: int, body: bytes, flags: int = 0
) -> int:
    """Have one thing done, and wait until it is; return the error, or 0.

    :param flags: beside those that each such message has
    """
    kernel.send(message(kind, REQUEST | ACK | flags, body))
    ((_, answer),) = messages(kernel.recv(1 << 16))
    return error(answer)


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return a message with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, 1, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of the messages in what was received."""
    for kind, _, body in asked(data):
        yield kind, body


def asked(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, port, body) of the messages in what was received.

    The port is of the socket by which somebody asked for what is told, 0
    where the kernel does not say.
    """
    while len(data) >= HEADER.size:
        length, kind, _, _, port = HEADER.unpack_from(data)
        yield kind, port, data[HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def error(body: bytes) -> int:
    """Return the number in the body of an error message, 0 for none."""
    return -int(_CODE.unpack_from(body)[0])


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, filled up to its place."""
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of a message's attributes, in order."""
    place, last = 0, len(data) - _ATTRIBUTE.size
    while place <= last:
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[place + _ATTRIBUTE.size : place + length]
        place += (length + 3) & ~3


def by_kind(data: bytes) -> dict[int, bytes]:
    """Return the same by their types.

    As `dict` of them would, in a quarter of the time: a device has forty, and
    is read ten times while one is made.
    """
    found = {}
    place, last, unpacked = 0, len(data) - 4, _ATTRIBUTE.unpack_from
    while place <= last:
        length, kind = unpacked(data, place)
        if length < 4:
            break
        found[kind & _TYPE] = data[place + 4 : place + length]
        place += (length + 3) & ~3
    return found
