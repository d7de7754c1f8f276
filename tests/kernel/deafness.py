"""Workers that hear nothing of what happens, for more does than they hold.

As where others change very much at once while a worker is busy, but with
buffers so small that little is enough.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
from pathlib import Path

from targets import run

# From asm-generic/unistd.h, socket.h and linux/netlink.h.
_PIDFD_GETFD = 438
_SOL_NETLINK, _LIST_MEMBERSHIPS = 270, 9
_RCVBUF_FORCE = 33
# As the worker has it.
_BYTES = 1 << 26
# What fills the least of buffers several times.
_EVENTS = 20


@contextlib.contextmanager
def deaf(pids):
    """Have workers miss what is done meanwhile, which they learn after it."""
    with contextlib.ExitStack() as stack:
        found = [each for pid in pids for each in _subscribed(stack, pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        for each in found:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            stack.callback(
                *(each.setsockopt, socket.SOL_SOCKET, _RCVBUF_FORCE, _BYTES)
            )
        before = _lost(found)
        _flood()
        yield
        lost = _lost(found)
        assert found
        assert all(lost[each] > before[each] for each in before), lost


def _flood():
    """Do much that is none of ours, and leave nothing of it."""
    run("ip link add flood0 type veth peer name flood1")
    for number in range(_EVENTS):
        run(f"ip link set flood0 mtu {1400 + number}")
        run(f"nft add table inet flood{number}")
        run(f"nft delete table inet flood{number}")
    run("ip link delete flood0")


def _subscribed(stack, pid):
    """The sockets by which a process hears of changes, as ours too."""
    handle = os.pidfd_open(pid)
    stack.callback(os.close, handle)
    libc = ctypes.CDLL(None, use_errno=True)
    for path in Path(f"/proc/{pid}/fd").iterdir():
        if not os.readlink(path).startswith("socket:"):
            continue
        number = libc.syscall(_PIDFD_GETFD, handle, int(path.name), 0)
        assert number >= 0, os.strerror(ctypes.get_errno())
        each = stack.enter_context(socket.socket(fileno=number))
        if each.family != socket.AF_NETLINK:
            continue
        if any(each.getsockopt(_SOL_NETLINK, _LIST_MEMBERSHIPS, 64)):
            yield each


def _lost(sockets):
    """How many events each has lost, by inode."""
    inodes = {
        re.search("[0-9]+", os.readlink(f"/proc/self/fd/{each.fileno()}"))[0]
        for each in sockets
    }
    lines = Path("/proc/self/net/netlink").read_text().splitlines()[1:]
    found = {}
    for words in map(str.split, lines):
        *_, drops, inode = words
        if inode in inodes:
            found[inode] = int(drops)
    return found
