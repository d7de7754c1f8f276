"""How large the tables of iptables-legacy are, which nothing else tells.

Where `iptables` is the legacy one nobody counts what is written, and there
are no events.  What there is costs some microseconds: how many rules each
table has, and where those of each hook begin.  So a flush, and a rule that
somebody added or took, are seen by a probe.

A size is never older than what was compared with the plan, nor newer than
what was written: all are taken before the tables are read, and that of a
table again right after we wrote it.  What somebody does to it later in a pass
is seen by the next probe.

Given up: an edit that leaves a rule's size as it is, and one that comes
between the reading of a table and our own write to it.  Passes read the tables
whole.
"""

import ctypes
import os
import socket
from collections.abc import Mapping
from types import MappingProxyType

from flatnet.apply.filter.iptables.iptables import BUILTINS
from flatnet.apply.filter.iptables.saved import is_legacy, legacy_tables
from flatnet.apply.filter.iptables.tables import Table

# From linux/netfilter_ipv4/ip_tables.h, and what IPv6 has of the same.
_GET_INFO = 64
# Its name, the hooks, how many rules it has and their size.
_INFO_SIZE = 84
_LEVELS = {4: socket.SOL_IP, 6: socket.IPPROTO_IPV6}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
Sizes = Mapping[tuple[int, str], bytes]


class Legacy:
    """The tables as one process has left them, in one network namespace."""

    def __init__(self) -> None:
        self._left: Sizes = MappingProxyType({})

    def look(self) -> None:
        """Note how large the tables are that are about to be read."""
        self._left = _sizes()

    def wrote(self, table: Table) -> None:
        """Note how large a table is that was just written."""
        key = table.family, table.name
        found = _sizes()
        if key in found:
            self._left = {**self._left, key: found[key]}

    def are_as_left(self) -> bool:
        """Whether the tables are as large as they were."""
        return not self._left or _sizes() == self._left


def _sizes() -> Sizes:
    """What the kernel says of each table of the iptables in use."""
    found = {}
    for family in (4, 6):
        # To ask for another would make it.
        tables = sorted(BUILTINS.keys() & legacy_tables(family))
        if not tables or not is_legacy(family):
            continue
        with socket.socket(
            _FAMILIES[family], socket.SOCK_RAW, socket.IPPROTO_RAW
        ) as asking:
            for name in tables:
                found[family, name] = _size(asking, family, name)
    return found


def _size(asking: socket.socket, family: int, name: str) -> bytes:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(name.encode(), _INFO_SIZE)
    length = ctypes.c_uint(_INFO_SIZE)
    if libc.getsockopt(
        asking.fileno(),
        _LEVELS[family],
        _GET_INFO,
        answer,
        ctypes.byref(length),
    ):
        return os.strerror(ctypes.get_errno()).encode()
    return answer.raw
