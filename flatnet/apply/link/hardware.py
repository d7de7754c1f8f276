"""The MAC of a device, asked for by its name and without any privilege."""

import fcntl
import socket
import struct

_GET_MAC = 0x8927
# struct ifreq: a name, then a sockaddr.
_REQUEST = struct.Struct("16s24x")


def mac_of(device: str) -> str | None:
    """Return the MAC of a device of this host, none where there is no such."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            found = fcntl.ioctl(
                asking, _GET_MAC, _REQUEST.pack(device.encode())
            )
        except OSError:
            return None
    return found[18:24].hex(":")
