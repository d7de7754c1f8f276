"""A socket of another process, to see when something arrives there."""

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from flatnet.lab.namespaces import LabError

# From asm-generic/unistd.h, the same on all architectures.
_PIDFD_GETFD = 438
_SOCKET = "socket:[{}]"


@contextlib.contextmanager
def connection(pid: int, address: str) -> Iterator[socket.socket]:
    """A connection that a process has accepted at an abstract address.

    It stays open after the process has ended, until the block ends.

    :raises LabError: there is none, or the kernel does not let us have it
    """
    number = _number(pid, address)
    library = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        descriptor = library.syscall(_PIDFD_GETFD, handle, number, 0)
    finally:
        os.close(handle)
    if descriptor < 0:
        reason = os.strerror(ctypes.get_errno())
        raise LabError(f"a socket of process {pid} is not to be had: {reason}")
    with socket.socket(fileno=descriptor) as borrowed:
        yield borrowed


def _number(pid: int, address: str) -> int:
    """The number of its descriptor."""
    lines = Path(f"/proc/{pid}/net/unix").read_text().splitlines()
    fields = (line.split() for line in lines)
    # In the last but one is the inode, which is how descriptors are named.
    sockets = {
        _SOCKET.format(each[-2])
        for each in fields
        if each[-1] == f"@{address}"
    }
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(path) in sockets:
                return int(path.name)
    raise LabError(f"process {pid} has no connection at {address}")
