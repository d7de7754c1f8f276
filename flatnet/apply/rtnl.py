"""The messages of rtnetlink: asked for, split, and their attributes read."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from flatnet.exceptions import HostSetupError

# From linux/netlink.h.
_DONE, _ERROR = 3, 2
_REQUEST, _REQUEST_DUMP = 0x1, 0x301
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_TYPE = 0x3FFF
_BUFFER = 1 << 18
_SECONDS = 10


def dump(kind: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of all that the kernel answers to a dump request.

    :raises HostSetupError: the kernel does not tell
    """
    with _asked(kind, _REQUEST_DUMP, question) as kernel:
        while True:
            for answer, body in _messages(kernel.recv(_BUFFER)):
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    raise HostSetupError("the kernel lists no devices")
                yield answer, body


def answer(kind: int, question: bytes) -> bytes:
    """Return the body of the one message that answers a question.

    :raises OSError: the kernel refuses; there may be no such device
    """
    with _asked(kind, _REQUEST, question) as kernel:
        ((found, body),) = _messages(kernel.recv(_BUFFER))
    if found == _ERROR:
        code = -_CODE.unpack_from(body)[0]
        raise OSError(code, os.strerror(code))
    return body


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, value) of a message's attributes."""
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


@contextmanager
def _asked(kind: int, flags: int, question: bytes) -> Iterator[socket.socket]:
    size = _HEADER.size + len(question)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.send(_HEADER.pack(size, kind, flags, 1, 0) + question)
        yield kernel


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
