"""One change of nftables as a transaction, straight by netlink."""

import socket
import struct

from flatnet.apply.nft_dump import SUBSYSTEM

# From linux/netlink.h and linux/netfilter/nfnetlink.h.
_BATCH_BEGIN, _BATCH_END = 16, 17
_REQUEST, _ACK = 0x1, 0x4
_ERROR = 2
_HEADER = struct.Struct("=IHHII")


def transacted(
    kernel: socket.socket, kind: int, body: bytes, *, flags: int = 0
) -> int:
    """Send one message of nf_tables and wait; return the error, or 0.

    :param kernel: a netlink socket; what is made may be owned by it
    :param kind: the message's type, without its subsystem
    :param body: as `nft_dump.request` makes it
    """
    bounds = struct.pack(">BBH", 0, 0, SUBSYSTEM)
    kernel.send(
        _message(_BATCH_BEGIN, _REQUEST, bounds)
        + _message(SUBSYSTEM << 8 | kind, _REQUEST | _ACK | flags, body)
        + _message(_BATCH_END, _REQUEST, bounds)
    )
    while True:
        answer = kernel.recv(8192)
        _, received, *_ = _HEADER.unpack_from(answer)
        if received == _ERROR:
            (number,) = struct.unpack_from("=i", answer, _HEADER.size)
            return -int(number)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body
