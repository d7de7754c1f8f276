"""Questions to rtnetlink, and what the kernel answers."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from flatnet.apply import netlink
from flatnet.exceptions import HostSetupError

_BUFFER = 1 << 16
_SECONDS = 10


def dump(kind: int, question: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of all that the kernel answers to a dump request.

    :raises HostSetupError: the kernel does not tell
    """
    flags = netlink.REQUEST | netlink.DUMP
    with _asked(kind, flags, question) as kernel:
        while True:
            for answer, body in netlink.messages(kernel.recv(_BUFFER)):
                if answer == netlink.DONE:
                    return
                if answer == netlink.ERROR:
                    raise HostSetupError("the kernel lists no devices")
                yield answer, body


def answer(kind: int, question: bytes) -> bytes:
    """Return the body of the one message that answers a question.

    :raises OSError: the kernel refuses; there may be no such device
    """
    with _asked(kind, netlink.REQUEST, question) as kernel:
        ((found, body),) = netlink.messages(kernel.recv(_BUFFER))
    if found == netlink.ERROR:
        code = netlink.error(body)
        raise OSError(code, os.strerror(code))
    return body


def change(kind: int, request: bytes, flags: int = 0) -> None:
    """Have something done, and wait until it is.

    :param flags: beside those that each such message has
    :raises OSError: the kernel refuses
    """
    with netlink.connected(netlink.ROUTE, _SECONDS) as kernel:
        code = netlink.acknowledged(kernel, kind, request, flags)
    if code:
        raise OSError(code, os.strerror(code))


@contextmanager
def _asked(kind: int, flags: int, question: bytes) -> Iterator[socket.socket]:
    with netlink.connected(netlink.ROUTE, _SECONDS) as kernel:
        kernel.send(netlink.message(kind, flags, question))
        yield kernel
