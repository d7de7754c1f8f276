"""One applier in a network namespace, wherever it keeps its files.

Who listens under our name in there is the applier of that host; the kernel
takes the name back when the last process that inherited it has ended.  Any
local user can take a name too, so it counts only if root, or who we are, has
it: nobody else can keep us from working.
"""

import contextlib
import errno
import logging
import os
import select
import socket
import struct
import time
from collections.abc import Iterator

from flatnet.exceptions import HostSetupError

LOG = logging.getLogger("flatnet.applier")
NAME = "\0flatnet-applier"
_CREDENTIALS = struct.Struct("iII")
# Between taking the name and listening there is a moment.
_TRIES, _PAUSE = 5, 0.1
_WAITING = 128


def lock_namespace(*, lifeline: int, seconds: float) -> socket.socket | None:
    """Be the applier of this host until the socket that is returned closes.

    None where somebody else squats on the name, which is told and ignored.

    :param lifeline: a descriptor that is readable when nobody needs us
    :param seconds: how long to wait for who works here
    :raises HostSetupError: another applier still works here
    """
    deadline = time.monotonic() + seconds
    while True:
        mine = _taken()
        if mine is not None:
            return mine
        with _holder() as (holder, pid, uid):
            if uid not in (0, os.geteuid()):
                LOG.warning(
                    "a process of user %s has taken our name; whether "
                    "another applier works here cannot be told by it",
                    "?" if uid is None else uid,
                )
                return None
            LOG.warning("waiting for applier %s to end", pid)
            left = max(0.0, deadline - time.monotonic())
            waited = [holder.fileno(), lifeline]
            ready, _, _ = select.select(waited, [], [], left)
            if lifeline in ready:
                raise HostSetupError("the daemon is gone")
            if not ready:
                raise HostSetupError(
                    f"applier {pid} still works on this host: stop it first"
                )


def _taken() -> socket.socket | None:
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mine.bind(NAME)
    except OSError as error:
        mine.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    mine.listen(_WAITING)
    return mine


@contextlib.contextmanager
def _holder() -> Iterator[tuple[socket.socket, int, int | None]]:
    """Connect to who has our name; (connection, pid, uid), uid none: ?.

    The connection becomes readable when the holder is gone.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        for _ in range(_TRIES):
            try:
                connection.connect(NAME)
            except OSError:
                time.sleep(_PAUSE)
                continue
            raw = connection.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
            )
            pid, uid, _ = _CREDENTIALS.unpack(raw)
            yield connection, pid, uid
            return
        yield connection, 0, None
