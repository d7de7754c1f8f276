"""The applier process: privileged, never monkey-patched, one message.

The daemon starts this program by exec before it patches anything or talks
to a network.  It listens on an abstract unix socket that it inherits and
serves one connection at a time in a forked worker, so that a worker which
dies in the middle of a pass costs a reconnection and nothing else, while
the daemon has long given up the privilege to start anything.

It ends when the daemon does: the pipe whose other end the daemon holds is
readable then.
"""

import argparse
import contextlib
import logging
import os
import select
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Callable

import msgspec

from flatnet import heap, stderr
from flatnet.apply import channel, files_lock
from flatnet.apply.events import ANYTHING, Teller
from flatnet.apply.filter.guard.libnftables import Session
from flatnet.apply.host import HostPaths
from flatnet.apply.link.bridge import check_privilege
from flatnet.apply.netns_lock import lock_namespace
from flatnet.apply.worker import Worker
from flatnet.exceptions import FlatnetError

LOG = logging.getLogger("flatnet.applier")
# Seconds that a dead daemon's applier has to end.
PATIENCE = 30.0
# Seconds that a worker has to end when nobody waits for it; less than a new
# applier waits for the old one.
WORKER_PATIENCE = 20.0
_CREDENTIALS = struct.Struct("iII")


def main() -> int:
    """Serve until the daemon that started us is gone."""
    # What a newer Python thinks of a fork beside a thread: ours only writes.
    warnings.simplefilter("ignore")
    arguments = _arguments()
    errors = stderr.take_over()
    errors.start()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s",
    )
    # Ctrl-C reaches the whole process group; the daemon decides when we
    # end, after the pass that it waits for.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    paths = HostPaths(
        networks_path=arguments.networks_path,
        dnsmasq_config_file=arguments.dnsmasq_config_file,
        top_regex=arguments.top_regex,
        bottom_regex=arguments.bottom_regex,
    )
    os.set_blocking(arguments.events, False)
    # Else each worker would find out anew how it is to be read: 0.6 MB.
    msgspec.json.Decoder(channel.Request)
    # What a worker's collector does not look at stays shared with us: 14 MB,
    # and 10 ms each time that it looks at all.
    heap.settle()
    with socket.socket(fileno=arguments.listener) as listener:
        serve = _service(arguments, paths)
        teller = Teller(arguments.events)
        _accept(listener, arguments.lifeline, serve, errors, teller)
    return 0


def _service(
    arguments: argparse.Namespace, paths: HostPaths
) -> Callable[[socket.socket], int]:
    """Return what serves a connection: the work, or why there is none."""
    try:
        check_privilege()
        claimed = lock_namespace(lifeline=arguments.lifeline, seconds=PATIENCE)
        files_lock.hold(
            arguments.networks_path,
            lifeline=arguments.lifeline,
            seconds=PATIENCE,
        )
        session = Session()
    except (FlatnetError, OSError) as error:
        text = str(error)
        LOG.error("%s", text)
        return lambda connection: _refuse(connection, text)

    def serve(connection: socket.socket) -> int:
        # With the name, which is ours as long as the socket is open.
        with claimed or contextlib.nullcontext():
            return Worker(connection, paths, session, arguments.events).serve()

    return serve


def _refuse(connection: socket.socket, text: str) -> int:
    """Answer every request with an error, until the daemon closes."""
    with contextlib.suppress(EOFError, OSError, msgspec.MsgspecError):
        while True:
            channel.receive_request(connection)
            channel.send(connection, channel.Reply(error=text))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="flatnet-manager: applier")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--networks-path", required=True)
    parser.add_argument("--dnsmasq-config-file", default="")
    parser.add_argument("--top-regex", default="")
    parser.add_argument("--bottom-regex", default="")
    return parser.parse_args()


def _accept(
    listener: socket.socket,
    lifeline: int,
    serve: Callable[[socket.socket], int],
    errors: stderr.Stderr,
    teller: Teller,
) -> None:
    daemon = os.getppid()
    while True:
        ready, _, _ = select.select([listener.fileno(), lifeline], [], [])
        if lifeline in ready:
            return
        connection, _ = listener.accept()
        with connection:
            if _peer(connection) != daemon:
                LOG.error("refused a connection that is not the daemon's")
                continue
            worker = os.fork()
            if worker == 0:
                os.setpgid(0, 0)
                listener.close()
                errors.start()
                status = serve(connection)
                errors.drain()
                os._exit(status)
            # One at a time: a second pass must not begin while a worker that
            # lost its daemon finishes the one before.
            status = _ended(worker, connection, lifeline)
        if status != 0:
            LOG.error("the worker ended with status %d", status)
        # Nobody puts rules back before there is another.
        if not select.select([lifeline], [], [], 0)[0]:
            teller.tell(ANYTHING)


def _ended(worker: int, connection: socket.socket, lifeline: int) -> int:
    """Return a worker's status, once nothing of it works any more.

    When the daemon has gone, or waits no longer for an answer, it has a
    while to finish what it does.
    """
    handle = os.pidfd_open(worker)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.register(connection, select.POLLRDHUP)
        poll.register(lifeline, select.POLLIN)
        poll.poll()
        is_over, _, _ = select.select([handle], [], [], WORKER_PATIENCE)
    finally:
        os.close(handle)
    if not is_over:
        LOG.error("the worker hangs, and is killed")
        os.kill(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    # Nor while a program that it started does its last step.  Before its pid
    # is given back, so that the group is still its own.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)
    _, status = os.waitpid(worker, 0)
    return status


def _peer(connection: socket.socket) -> int:
    """The pid of the process at the other end, from the kernel."""
    raw = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    pid: int = _CREDENTIALS.unpack(raw)[0]
    return pid


if __name__ == "__main__":
    sys.exit(main())
