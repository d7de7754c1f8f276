"""Sockets that hear, of what comes in by a device, what a filter lets by."""

import ctypes
import socket
import struct
from collections.abc import Iterable

_ATTACH_FILTER = 26
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
# struct sock_filter
Instruction = tuple[int, int, int, int]


def ear(
    device: str, *, kind: int, program: Iterable[Instruction]
) -> socket.socket:
    """Return a socket that hears a device; it does not wait.

    :param kind: an ethertype; 3, which is all of them, hears a bridge's port
        before the bridge does
    :param program: as `tcpdump -dd` has it for what Ethernet carries
    :raises OSError: there is no such device
    """
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    kept = ctypes.create_string_buffer(code, len(code))
    length = len(code) // struct.calcsize("=HBBI")
    filtering = struct.pack("@HP", length, ctypes.addressof(kept))
    heard.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, filtering)
    heard.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    heard.setblocking(False)
    try:
        heard.bind((device, kind))
    except OSError:
        heard.close()
        raise
    return heard
