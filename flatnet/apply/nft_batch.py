"""One change of nftables as a transaction, straight by netlink."""

import socket
import struct

from flatnet.apply.netlink import ACK, ERROR, HEADER, REQUEST, error, message
from flatnet.apply.nft_dump import SUBSYSTEM

# From linux/netfilter/nfnetlink.h.
_BATCH_BEGIN, _BATCH_END = 16, 17


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
        message(_BATCH_BEGIN, REQUEST, bounds)
        + message(SUBSYSTEM << 8 | kind, REQUEST | ACK | flags, body)
        + message(_BATCH_END, REQUEST, bounds)
    )
    while True:
        answer = kernel.recv(8192)
        _, received, *_ = HEADER.unpack_from(answer)
        if received == ERROR:
            return error(answer[HEADER.size :])
