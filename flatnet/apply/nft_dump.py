"""A table of nftables as the kernel has it, read straight from netlink.

`nft -j` 1.0.6 prints no valid JSON for a table that has a flag, and decodes
every rule to print it, where we want its comment alone.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from flatnet.apply.rtnl import attributes
from flatnet.exceptions import HostSetupError

# From linux/netfilter/nfnetlink.h and nf_tables.h.
NETFILTER = 12
SUBSYSTEM = 10
FAMILIES = {"inet": 1, "arp": 3, "bridge": 7}
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENT = 1, 4, 7, 10, 13
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_INTERRUPTED = 0x10
_DORMANT = 0x1
_ANONYMOUS = 0x1
_ACCEPT = 1
_COMMENT = 0
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_HOOKS = {
    "arp": ("input", "output", "forward"),
    "inet": ("prerouting", "input", "forward", "output", "postrouting"),
    "bridge": ("prerouting", "input", "forward", "output", "postrouting"),
}
_SECONDS = 5
_TRIES = 20
_Values = dict[int, bytes]


@dataclass
class Dump:
    """What is in a table.

    `chains` maps names to (type, hook, priority, policy), empty for a chain
    without a hook; `rules` chains' names to the comments of their rules, in
    order; `sets` names to (key, is plain) of their elements.
    """

    is_dormant: bool = False
    chains: dict[str, tuple[str | int, ...]] = field(default_factory=dict)
    rules: dict[str, list[str]] = field(default_factory=dict)
    sets: dict[str, list[tuple[bytes, bool]]] = field(default_factory=dict)


def dump(family: str, name: str) -> Dump | None:
    """Return a table, none if it does not exist.

    :raises HostSetupError: it does not stay still, or cannot be read
    """
    for _ in range(_TRIES):
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER
        ) as kernel:
            kernel.settimeout(_SECONDS)
            try:
                return _Reading(kernel, family, name).dump()
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


class _Reading:
    def __init__(self, kernel: socket.socket, family: str, name: str) -> None:
        self._kernel = kernel
        self._family = family
        self._name = name

    def dump(self) -> Dump:
        table = {1: self._name.encode() + b"\0"}
        (values,) = self._asked(_GET_TABLE, 0, table)
        found = Dump(is_dormant=bool(_number(values, 2) & _DORMANT))
        for values in self._mine(_GET_CHAIN, {}):
            name = _text(values[3])
            found.chains[name] = self._base(values)
            found.rules[name] = []
        for values in self._mine(_GET_RULE, table):
            found.rules[_text(values[2])].append(_comment(values.get(7, b"")))
        for values in self._mine(_GET_SET, table):
            if not _number(values, 3) & _ANONYMOUS:
                found.sets[_text(values[2])] = []
        for name, elements in found.sets.items():
            asked = {**table, 2: name.encode() + b"\0"}
            for values in self._asked(_GET_ELEMENT, _DUMP, asked):
                elements += _elements(values.get(3, b""))
        return found

    def _base(self, values: _Values) -> tuple[str | int, ...]:
        if 4 not in values:
            return ()
        hook = dict(attributes(values[4]))
        (priority,) = struct.unpack(">i", hook[2])
        policy = "accept" if _number(values, 5) == _ACCEPT else "drop"
        name = _HOOKS[self._family][_number(hook, 1)]
        return (_text(values[7]), name, priority, policy)

    def _mine(self, kind: int, asked: _Values) -> Iterator[_Values]:
        for values in self._asked(kind, _DUMP, asked):
            if _text(values[1]) == self._name:
                yield values

    def _asked(
        self, kind: int, flags: int, asked: _Values
    ) -> Iterator[_Values]:
        body = struct.pack(">BBH", FAMILIES[self._family], 0, 0)
        for number, value in asked.items():
            length = 4 + len(value)
            body += struct.pack("=HH", length, number)
            body += value + b"\0" * (-length % 4)
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
            data = self._kernel.recv(1 << 18)
            while data:
                length, answer, marks, *_ = _HEADER.unpack_from(data)
                message, data = data[:length], data[(length + 3) & ~3 :]
                if marks & _INTERRUPTED:
                    raise InterruptedError
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    _raise(message)
                yield dict(attributes(message[_HEADER.size + 4 :]))
            if not flags:
                return


def _raise(message: bytes) -> None:
    (number,) = struct.unpack_from("=i", message, _HEADER.size)
    if -number == errno.EINTR:
        raise InterruptedError
    raise OSError(-number, os.strerror(-number))


def _elements(data: bytes) -> list[tuple[bytes, bool]]:
    """Return (key, whether it has nothing but a key) of each element.

    Of a thousand ports there are ten thousand, so this is one loop: an
    element is an attribute with one for its key, with one for its value.
    """
    found = []
    at, end, header = 0, len(data), _ATTRIBUTE.unpack_from
    while at < end:
        length, _ = header(data, at)
        inner, _ = header(data, at + 4)
        value, _ = header(data, at + 8)
        key = data[at + 12 : at + 8 + value]
        found.append((key, inner + 4 >= length))
        at += (length + 3) & ~3
    return found


def _comment(data: bytes) -> str:
    """The comment in a rule's user data, empty for none."""
    while len(data) >= 2:
        kind, length = data[:2]
        if kind == _COMMENT:
            return _text(data[2 : 2 + length])
        data = data[2 + length :]
    return ""


def _number(values: _Values, kind: int) -> int:
    return int.from_bytes(values.get(kind, b""))


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
