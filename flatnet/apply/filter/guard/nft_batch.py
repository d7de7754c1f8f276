"""Changes of nftables as transactions, straight by netlink.

A transaction may name the generation that it was made for: the kernel then
does it if nobody has written since, and else says so.  It also tells the
generation that a transaction has made, if it is asked to by the first
message; where nothing had to be changed it tells none, and the generation is
the old one.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from flatnet.apply.filter.guard.nft_dump import SUBSYSTEM
from flatnet.apply.netlink import (
    ACK,
    ERROR,
    HEADER,
    REQUEST,
    attribute,
    by_kind,
    error,
    message,
)
from flatnet.exceptions import HostSetupError

Request = tuple[int, int, bytes]
# From linux/netlink.h, linux/netfilter/nfnetlink.h and nf_tables.h.
_ECHO = 0x8
_BATCH_BEGIN, _BATCH_END = 16, 17
_FOR_GENERATION, _GENERATION = 1, 1
_NEW_GENERATION = SUBSYSTEM << 8 | 15
_BOUNDS = struct.pack(">BBH", 0, 0, SUBSYSTEM)
# From asm-generic/socket.h: Python does not have it.
_SEND_BUFFER_FORCE = 32


class OutdatedError(HostSetupError):
    """Somebody has written since; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("somebody else changes nftables all the time")


class RefusedError(Exception):
    """The kernel refused a transaction, and so nothing was changed.

    `place` is that of the first message that is wrong, or -1 for none;
    `number` the error's.
    """

    def __init__(self, place: int, number: int) -> None:
        super().__init__(os.strerror(number))
        self.place = place
        self.number = number


def transacted(
    kernel: socket.socket, kind: int, *bodies: bytes, flags: int = 0
) -> int:
    """Send messages as one transaction; return the first's error, or 0.

    Nothing waits here: see `committed`.

    :param kernel: a netlink socket; what is made may be owned by it
    :param kind: the type of all messages, without its subsystem
    :param bodies: as `nft_dump.request` makes them
    """
    kind, flags = SUBSYSTEM << 8 | kind, REQUEST | ACK | flags
    answers = _answers(
        kernel,
        message(_BATCH_BEGIN, REQUEST, _BOUNDS)
        + b"".join(message(kind, flags, each) for each in bodies)
        + message(_BATCH_END, REQUEST, _BOUNDS),
    )
    told = [error(body) for each, _, body in answers if each == ERROR]
    return next(filter(None, told), 0) if told else errno.ENOBUFS


def committed(
    kernel: socket.socket, requests: Sequence[Request], generation: int
) -> int:
    """Do all of these in one transaction; return the generation after it.

    The kernel has done and answered all when it has taken the messages, so
    that nothing waits here, and what an earlier process left unread on a
    socket that we share is no answer to us.

    :param kernel: a netlink socket
    :param requests: (type without its subsystem, flags, body), at least one
    :param generation: the one that they are made for
    :raises OutdatedError: it is another one by now
    :raises RefusedError: the kernel takes one of them for wrong
    """
    data = _batch(requests, generation)
    if len(data) > kernel.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) / 2:
        kernel.setsockopt(socket.SOL_SOCKET, _SEND_BUFFER_FORCE, len(data))
    after, done = generation, False
    for kind, place, body in _answers(kernel, data):
        if kind == _NEW_GENERATION:
            after = _generation(body)
        if kind != ERROR:
            continue
        if number := error(body):
            if number == errno.ERESTART:
                raise OutdatedError
            raise RefusedError(place - 1, number)
        done = place == len(requests)
    if not done:
        raise RefusedError(-1, errno.ENOBUFS)
    return after


def _batch(requests: Sequence[Request], generation: int) -> bytes:
    """The messages, numbered by their places; the last is acknowledged."""
    bounds = _BOUNDS + attribute(
        _FOR_GENERATION, struct.pack(">I", generation)
    )
    parts = [message(_BATCH_BEGIN, REQUEST, bounds)]
    for place, (kind, flags, body) in enumerate(requests, 1):
        flags |= (
            REQUEST | _ECHO * (place == 1) | ACK * (place == len(requests))
        )
        size = HEADER.size + len(body)
        kind |= SUBSYSTEM << 8
        parts += (HEADER.pack(size, kind, flags, place, 0), body)
    parts.append(message(_BATCH_END, REQUEST, _BOUNDS))
    return b"".join(parts)


def _answers(
    kernel: socket.socket, data: bytes
) -> list[tuple[int, int, bytes]]:
    """Send messages, and return what the kernel says to them at once."""
    patience = kernel.gettimeout()
    kernel.setblocking(False)
    try:
        for _ in _unread(kernel):
            pass
        kernel.send(data)
        return list(_unread(kernel))
    finally:
        kernel.settimeout(patience)


def _unread(kernel: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, number, body) of what has come."""
    while True:
        try:
            data = kernel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as refused:
            # More errors than there is room for: the first ones are there.
            if refused.errno != errno.ENOBUFS:
                raise
            continue
        while len(data) >= HEADER.size:
            length, kind, _, number, _ = HEADER.unpack_from(data)
            yield kind, number, data[HEADER.size : length]
            data = data[(length + 3) & ~3 :]


def _generation(body: bytes) -> int:
    values = by_kind(body[len(_BOUNDS) :])
    return int.from_bytes(values[_GENERATION])
