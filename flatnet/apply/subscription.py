"""Sockets that hear what others change in the kernel."""

import contextlib
import socket

# From linux/netlink.h and asm-generic/socket.h.
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RCVBUF_FORCE = 33
_BYTES = 1 << 26


def subscribed(protocol: int, groups: tuple[int, ...]) -> socket.socket:
    """Return a socket that does not block and hears these groups."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    # For all rules of a host at once, where we may have as much.
    with contextlib.suppress(PermissionError):
        kernel.setsockopt(socket.SOL_SOCKET, _RCVBUF_FORCE, _BYTES)
    # Unbound sockets hear nothing.
    kernel.bind((0, 0))
    for group in groups:
        kernel.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    kernel.setblocking(False)
    return kernel
