"""The second process of `libraries`: it makes what it is told to.

It takes a directory, and is asked by lines of JSON on its standard input,
which is a socket that it answers on too:

    ["put", "NAME"]    or drop, hold, add_rule, join, of `least.Host`
"""

import os
import socket
import sys
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from flatnet.lab.bench.least import Host


class LibraryHost(Host):
    """The same, where devices are set up by pyroute2."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._netlink = IPRoute()

    def _plug(self, tap: str, mac: str) -> None:
        """Mark a device, enslave it and set it up."""
        (index,) = self._netlink.link_lookup(ifname=tap)
        self._netlink.link(
            "set",
            index=index,
            address=mac,
            ifalias=f"floor:{tap}",
            master=self._bridge,
            state="up",
        )


def main() -> int:
    """Answer until the other end is closed."""
    host = LibraryHost(Path(sys.argv[1]))
    with (
        socket.socket(fileno=os.dup(sys.stdin.fileno())) as connection,
        connection.makefile("rwb") as lines,
    ):
        for line in lines:
            act, value = msgspec.json.decode(line)
            getattr(host, act)(value)
            lines.write(msgspec.json.encode(act) + b"\n")
            lines.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
