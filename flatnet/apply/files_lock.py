"""One applier at its files, whatever became of the daemon that started it.

That it is one on a host is seen to by `netns_lock`; this holds too where
somebody squats on the name there.

The lock is on an open file which every forked worker inherits, so that it is
held until the last step of the last worker has ended; programs that a worker
starts do not hold it, or dnsmasq would for ever.
"""

import fcntl
import logging
import os
import select
import time

from flatnet.apply.safe_directory import make_safe_directory
from flatnet.exceptions import HostSetupError

LOG = logging.getLogger("flatnet.applier")
_NAME = "flatnet-applier.lock"
_PAUSE = 0.1


def hold(directory: str, *, lifeline: int, seconds: float) -> int:
    """Hold the lock that is in `directory`; return its descriptor.

    :param lifeline: a descriptor that is readable when nobody needs us
    :param seconds: how long to wait for who holds it
    :raises HostSetupError: it is still held; or the directory is not safe
    """
    make_safe_directory(directory)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    path = f"{directory}/{_NAME}"
    lock = os.open(path, flags, 0o600)
    # Whoever can read a file can lock it, and so keep us from working.
    os.fchmod(lock, 0o600)
    deadline = time.monotonic() + seconds
    told = False
    while not _locked(lock):
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        if not told:
            LOG.warning("waiting for applier %s to end", holder or "?")
            told = True
        if time.monotonic() > deadline:
            raise HostSetupError(
                f"applier {holder or '?'} still works on this host and holds "
                f"{path}: stop it first"
            )
        if select.select([lifeline], [], [], _PAUSE)[0]:
            raise HostSetupError("the daemon is gone")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
