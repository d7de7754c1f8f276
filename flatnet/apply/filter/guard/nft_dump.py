"""A table of nftables as the kernel has it, read straight from netlink.

`nft -j` 1.0.6 prints no valid JSON for a table that has a flag, and decodes
every rule to print it, where we want its comment alone.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from flatnet.apply.filter.guard.nft_keys import listed
from flatnet.apply.netlink import KeptSocket, attribute, by_kind
from flatnet.exceptions import HostSetupError

# From linux/netfilter/nfnetlink.h and nf_tables.h; a group hears of CHANGES.
SUBSYSTEM, CHANGES = 10, 7
FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "bridge": 7, "ip6": 10}
GET_TABLE, GET_CHAIN, GET_RULE = 1, 4, 7
_GET_SET, _GET_ELEMENT = 10, 13
# Nested attributes: a list of elements, and each of it, and its key.
_LIST, _KEY = 0x8003, 0x8001
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10
_DORMANT = 0x1
# Of sets: written out in a rule, with elements that end, filled by rules.
_ANONYMOUS, _TIMEOUT, _DYNAMIC = 0x1, 0x10, 0x20
_ACCEPT = 1
_COMMENT = 0
_HEADER = struct.Struct("=IHHII")
_HOOKS = {
    "arp": ("input", "output", "forward"),
    "inet": ("prerouting", "input", "forward", "output", "postrouting"),
    "bridge": ("prerouting", "input", "forward", "output", "postrouting"),
}
_EXPRESSIONS = 4
_TRIES = 20
Values = dict[int, bytes]
_Found = TypeVar("_Found")


@dataclass
class TableDump:
    """What is in a table.

    `chains` maps names to (type, hook, priority, policy), empty for a chain
    without a hook; `rules` chains' names to the comments of their rules, in
    order; `sets` names to (key, is plain) of their elements, none of those
    that rules fill for ever.  `bodies` are the rules as the kernel has them,
    with their chains and without comments, and what sets hold that are
    written out in rules.
    """

    is_dormant: bool = False
    chains: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    rules: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[tuple[bytes, bool]]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)


def dump(asking: KeptSocket, family: str, name: str) -> TableDump | None:
    """Return a table, none if it does not exist.

    :raises HostSetupError: it does not stay still, or cannot be read
    """
    return read(asking, (family, name), _dumped)


def elements(
    asking: KeptSocket, table: tuple[str, str], of: str
) -> frozenset[bytes]:
    """Return the keys in a set of a table, none where either is not there.

    :raises HostSetupError: as for `dump`
    """

    def look(table: Reading) -> frozenset[bytes]:
        asked = {**table.table, 2: of.encode() + b"\0"}
        answers = table.asked(_GET_ELEMENT, _DUMP, asked)
        found = [listed(values.get(3, b"")) for values in answers]
        return frozenset(key for those in found for key, _ in those)

    return read(asking, table, look) or frozenset()


def held(
    asking: KeptSocket, table: tuple[str, str], of: str, keys: Iterable[bytes]
) -> frozenset[bytes]:
    """Return those of some keys that are in a set of a table.

    :raises HostSetupError: there is no such set, or as for `dump`
    """

    def look(table: Reading) -> frozenset[bytes]:
        named = {**table.table, 2: of.encode() + b"\0"}
        # Of a set that is not there the kernel says the same as of a key.
        list(table.asked(_GET_SET, 0, named))
        return frozenset(key for key in keys if _is_held(table, named, key))

    found = read(asking, table, look)
    if found is None:
        raise HostSetupError(f"there is no set {of} in table {table[1]}")
    return found


def _is_held(table: "Reading", named: Values, key: bytes) -> bool:
    value = attribute(_KEY, attribute(1, key))
    try:
        list(
            table.asked(
                _GET_ELEMENT, 0, {**named, _LIST: attribute(_KEY, value)}
            )
        )
    except FileNotFoundError:
        return False
    return True


def read(
    asking: KeptSocket,
    table: tuple[str, str],
    look: Callable[["Reading"], _Found],
) -> _Found | None:
    """Return what `look` finds in a table, none if it does not exist.

    :param asking: a socket of netfilter's
    :param table: family and name
    :raises HostSetupError: it does not stay still, or cannot be read
    """
    family, name = table
    for _ in range(_TRIES):
        try:
            with asking.lent() as kernel:
                return look(Reading(kernel, family, name))
        except FileNotFoundError:
            return None
        except InterruptedError:
            continue
        except OSError as error:
            raise HostSetupError(
                f"nftables table {family} {name} cannot be read: {error}"
            ) from error
    raise HostSetupError(
        f"nftables table {family} {name} does not stay still: somebody "
        "changes it all the time"
    )


class Reading:
    """Questions about one table of the kernel."""

    def __init__(self, kernel: socket.socket, family: str, name: str) -> None:
        self._kernel = kernel
        self.family = family
        self._name = name
        self.table: Values = {1: name.encode() + b"\0"}

    def mine(self, kind: int, asked: Values) -> Iterator[Values]:
        """Yield the attributes of each thing of a kind in the table."""
        for values in self.asked(kind, _DUMP, asked):
            if text(values[1]) == self._name:
                yield values

    def asked(self, kind: int, flags: int, asked: Values) -> Iterator[Values]:
        """Yield the attributes of each answer to a question.

        :raises OSError: the kernel refused it
        """
        body = request(self.family, asked)
        self._kernel.send(
            _HEADER.pack(
                _HEADER.size + len(body),
                SUBSYSTEM << 8 | kind,
                _REQUEST | flags,
                1,
                0,
            )
            + body
        )
        while True:
            data = self._kernel.recv(1 << 16)
            while data:
                length, answer, marks, *_ = _HEADER.unpack_from(data)
                message, data = data[:length], data[(length + 3) & ~3 :]
                if marks & _INTERRUPTED:
                    raise InterruptedError
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    _raise(message)
                yield by_kind(message[_HEADER.size + 4 :])
            if not flags:
                return


def request(family: str, asked: Values) -> bytes:
    """Return the body of a message about a family, with attributes."""
    body = struct.pack(">BBH", FAMILIES[family], 0, 0)
    for number, value in asked.items():
        body += attribute(number, value)
    return body


def _dumped(table: Reading) -> TableDump:
    (values,) = table.asked(GET_TABLE, 0, table.table)
    found = TableDump(is_dormant=bool(_number(values, 2) & _DORMANT))
    for values in table.mine(GET_CHAIN, {}):
        name = text(values[3])
        found.chains[name] = _base(table.family, values)
        found.rules[name] = []
    for values in table.mine(GET_RULE, table.table):
        found.rules[text(values[2])].append(_comment(values.get(7, b"")))
        found.bodies.append(values[2] + values.get(_EXPRESSIONS, b""))
    filled, written_out = set(), set()
    for values in table.mine(_GET_SET, table.table):
        flags = _number(values, 3)
        if flags & _ANONYMOUS:
            written_out.add(values[2])
        else:
            found.sets[text(values[2])] = []
        # What rules put there for ever may be more than all the rest.
        if flags & (_TIMEOUT | _DYNAMIC) == _DYNAMIC:
            filled.add(text(values[2]))
    for name, elements in found.sets.items():
        if name in filled:
            continue
        elements += _members(table, name.encode() + b"\0")
    for each in sorted(written_out):
        # The kernel has them in an order that is another in each table.
        held = sorted(_members(table, each))
        found.bodies += (each, repr(held).encode())
    return found


def _members(table: Reading, name: bytes) -> list[tuple[bytes, bool]]:
    found: list[tuple[bytes, bool]] = []
    for values in table.asked(_GET_ELEMENT, _DUMP, {**table.table, 2: name}):
        found += listed(values.get(3, b""))
    return found


def _base(family: str, values: Values) -> tuple[str | int, ...]:
    if 4 not in values:
        return ()
    hook = by_kind(values[4])
    (priority,) = struct.unpack(">i", hook[2])
    policy = "accept" if _number(values, 5) == _ACCEPT else "drop"
    name = _HOOKS[family][_number(hook, 1)]
    return (text(values[7]), name, priority, policy)


def _raise(message: bytes) -> None:
    (number,) = struct.unpack_from("=i", message, _HEADER.size)
    if -number == errno.EINTR:
        raise InterruptedError
    raise OSError(-number, os.strerror(-number))


def _comment(data: bytes) -> str:
    """The comment in a rule's user data, empty for none."""
    while len(data) >= 2:
        kind, length = data[:2]
        if kind == _COMMENT:
            return text(data[2 : 2 + length])
        data = data[2 + length :]
    return ""


def _number(values: Values, kind: int) -> int:
    return int.from_bytes(values.get(kind, b""))


def text(value: bytes) -> str:
    """Return a name as the kernel gives it."""
    return value.rstrip(b"\0").decode(errors="replace")
