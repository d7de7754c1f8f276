"""What the interpreter and the libraries cost: a server without any logic.

It is asked by RPC on eventlet, as a daemon is, sends the database as many
statements in as many transactions by SQLAlchemy, and has a second process do
the work on the host, told by JSON.  It decides nothing, remembers nothing and
compares nothing: what a daemon takes beyond that is what flatnet does.

It takes: a topic, the URL of the database, a directory, then the options of
oslo.config.
"""

import socket
import subprocess
import sys
import threading
import time
import warnings
from importlib import import_module

from msgspec import json

from flatnet.lab.bench import libraries_host

SERVING = "the libraries serve"
# Reads and writes of each transaction before the work on the host and of those
# after it, as MariaDB logs them; a rule's and a member's first is a caller's.
Transactions = tuple[tuple[int, int], ...]
TRANSACTIONS: dict[str, tuple[Transactions, Transactions]] = {
    "put": (((2, 4), (1, 0)), ((0, 1),)),
    "drop": (((5, 3), (1, 0)), ((0, 1),)),
    "add_rule": (((2, 1), (1, 0)), ()),
    "join": (((4, 1), (1, 0)), ()),
}


class Second:
    """The near end of the process that does the work."""

    def __init__(self, directory: str) -> None:
        """Start it, before anything is patched."""
        near, far = socket.socketpair()
        program = [sys.executable, "-m", libraries_host.__name__, directory]
        with far:
            subprocess.Popen(program, stdin=far.fileno())
        self._descriptor = near.detach()

    def begin(self) -> None:
        """Take the connection into use, after all is patched."""
        self._turn = threading.Lock()
        self._lines = socket.socket(fileno=self._descriptor).makefile("rwb")

    def ask(self, act: str, value: object) -> None:
        """Have it do one thing, and wait for that.

        :raises EOFError: it has ended
        """
        with self._turn:
            self._lines.write(json.encode([act, value]) + b"\n")
            self._lines.flush()
            if not self._lines.readline():
                raise EOFError("the second process has ended")


def main() -> int:
    """Serve until we are killed."""
    warnings.simplefilter("ignore")
    topic, url, directory, *options = sys.argv[1:]
    second = Second(directory)
    import eventlet

    eventlet.monkey_patch(all=True, psycopg=url.startswith("postgresql"))
    second.begin()
    # Not before the patching: it imports what talks to a network.
    server = import_module("flatnet.lab.bench.libraries_server")
    server.start(topic, url, options, second)
    print(SERVING, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
