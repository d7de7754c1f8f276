"""Sockets that hear what others change in the kernel."""

import contextlib
import errno
import socket
from collections.abc import Iterator

# From linux/netlink.h and asm-generic/socket.h.
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_RCVBUF_FORCE = 33
_BYTES = 1 << 26
_AT_ONCE = 1 << 16


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


def received(kernel: socket.socket) -> Iterator[bytes | None]:
    """Yield all that waits on a socket; none where events were lost."""
    while True:
        try:
            data = kernel.recv(_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield None
        else:
            yield data
