"""ipset's messages, straight to the kernel.

The program writes nothing that netlink does not, needs two milliseconds to be
started, and prints addresses as text, of which there are ten thousand on a
full host.

A member is the address as the kernel has it, packed; one of another prefix
than a single address, or with a flag such as `nomatch`, has more bytes and so
is never one of ours.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from flatnet.apply import netlink
from flatnet.apply.netlink import KeptSocket, attribute, attributes, by_kind
from flatnet.exceptions import HostSetupError

# From linux/netfilter/nfnetlink.h and ipset/ip_set.h.
_SUBSYSTEM = 6
_CREATE, _DESTROY, _FLUSH, LIST = 2, 3, 4, 7
_ADD, _DELETE, _TYPE = 9, 10, 13
_PROTOCOL, NAME, _TYPE_NAME, _REVISION, _FAMILY = 1, 2, 3, 4, 5
FLAGS, DATA, _MANY, _LINE = 6, 7, 8, 9
_IP, _PREFIX, _MEMBER_FLAGS = 1, 3, 8
_HASH_SIZE, _MAXIMUM = 18, 19
_NAMES_ALONE = 1 << 1
_NESTED, NETWORK_ORDER = 0x8000, 0x4000
# Bytes of what comes at once: the kernel makes no more than 32 KiB of an
# answer, and twice that is malloc's own memory still, and not the kernel's.
ANSWER = 1 << 16
_VERSION = 6
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_KIND = "hash:net"
# Memory is taken by members, not by the maximum; an empty one is small.
_SIZES = ((_HASH_SIZE, 64), (_MAXIMUM, 1048576))
# An attribute has less than 64 KiB.
_AT_ONCE = 1000
_SECONDS = 10
_BUSY = 4100
# The bodies of the messages about one set.
Told = tuple[bytes, ...]
_TEXTS = {
    4099: "the kernel has all the sets that it is made for",
    _BUSY: "it is in use",
    4102: "a set of another type has this name",
    4103: "a set of this name is there already",
    4352: "it is full",
}


@dataclass(frozen=True)
class FoundSet:
    """A set of the kernel; `family` is 4 or 6, or 0 for another type's."""

    name: str
    family: int
    members: AbstractSet[bytes] = frozenset()


class SetError(HostSetupError):
    """The kernel refused to change a set; `is_busy` if rules name it."""

    def __init__(self, number: int) -> None:
        super().__init__(_TEXTS.get(number) or _text_of(number))
        self.is_busy = number == _BUSY


def socket_of_sets() -> KeptSocket:
    """Return a socket that all of this can be asked by, for a process."""
    return KeptSocket(netlink.NETFILTER, _SECONDS)


def names(asking: KeptSocket) -> list[str]:
    """Return the names of all sets of the current namespace.

    :param asking: a socket as above; so for the others
    :raises HostSetupError: the kernel does not tell
    """
    flags = struct.pack(">I", _NAMES_ALONE)
    asked = attribute(FLAGS | NETWORK_ORDER, flags)
    return [text(by_kind(each)[NAME]) for each in bodies(asked, asking)]


def listed(only: Iterable[str] | None, asking: KeptSocket) -> dict[str, Told]:
    """Return what the kernel says of sets, by name; all, or those named.

    :raises HostSetupError: the kernel does not tell
    """
    questions = [b""] if only is None else [named(each) for each in only]
    told: dict[str, list[bytes]] = {}
    for question in questions:
        for body in bodies(question, asking):
            values = by_kind(body)
            told.setdefault(text(values[NAME]), []).append(body)
    return {name: tuple(bodies) for name, bodies in told.items()}


def found_set(name: str, told: Told) -> FoundSet:
    """Return the set that the kernel says something of."""
    family = 0
    members: set[bytes] = set()
    for values in map(by_kind, told):
        members.update(_members(values))
        if _TYPE_NAME in values:
            family = _family(values)
    return FoundSet(name, family, frozenset(members))


class SetSocket:
    """Changes sets by a socket for them; each change is done or refused."""

    def __init__(self, asking: KeptSocket) -> None:
        self._asking = asking
        self._revisions: dict[int, bytes] = {}

    def create(self, name: str, family: int) -> None:
        """Make an empty set of addresses.

        :raises SetError: the kernel refuses
        """
        number = _FAMILIES[family]
        if family not in self._revisions:
            asked = attribute(_TYPE_NAME, _KIND.encode() + b"\0")
            asked += attribute(_FAMILY, bytes([number]))
            found = self._asked(_TYPE, asked)
            self._revisions[family] = found[_REVISION]
        sizes = b"".join(
            attribute(kind | NETWORK_ORDER, struct.pack(">I", size))
            for kind, size in _SIZES
        )
        body = (
            named(name)
            + attribute(_TYPE_NAME, _KIND.encode() + b"\0")
            + attribute(_REVISION, self._revisions[family])
            + attribute(_FAMILY, bytes([number]))
            + attribute(DATA | _NESTED, sizes)
        )
        self._asked(_CREATE, body)

    def destroy(self, name: str) -> None:
        """Remove a set; errors as for `create`."""
        self._asked(_DESTROY, named(name))

    def flush(self, name: str) -> None:
        """Take all members from a set; errors as for `create`."""
        self._asked(_FLUSH, named(name))

    def add(self, name: str, members: Iterable[bytes]) -> None:
        """Add members that may be there; errors as for `create`."""
        self._change(_ADD, name, members)

    def delete(self, name: str, members: Iterable[bytes]) -> None:
        """Delete members that may be gone; errors as for `create`."""
        self._change(_DELETE, name, members)

    def _change(self, kind: int, name: str, members: Iterable[bytes]) -> None:
        left = sorted(members)
        while left:
            now, left = left[:_AT_ONCE], left[_AT_ONCE:]
            many = b"".join(map(_element, now))
            body = (
                named(name)
                + attribute(_LINE, struct.pack("=I", 0))
                + attribute(_MANY | _NESTED, many)
            )
            self._asked(kind, body)

    def _asked(self, kind: int, body: bytes) -> dict[int, bytes]:
        flags = netlink.REQUEST | netlink.ACK
        found: dict[int, bytes] = {}
        with self._asking.lent() as kernel:
            kernel.send(message(kind, flags, body))
            number = -1
            while number < 0:
                for answer, told in netlink.messages(kernel.recv(ANSWER)):
                    if answer == netlink.ERROR:
                        number = netlink.error(told)
                    else:
                        found = by_kind(told[4:])
        # Of an answer that was received whole the socket need not know.
        if number:
            raise SetError(number)
        return found


def bodies(question: bytes, asking: KeptSocket) -> list[bytes]:
    """All messages that answer a question; errors as the kernel tells them.

    It tells an error of these twice, and the second would be the answer to
    the next question: so the socket is another then.
    """
    with asking.lent() as kernel:
        return _received(kernel, question)


def _received(kernel: socket.socket, question: bytes) -> list[bytes]:
    flags = netlink.REQUEST | netlink.ACK | netlink.DUMP
    kernel.send(message(LIST, flags, question))
    found: list[bytes] = []
    while True:
        for kind, body in netlink.messages(kernel.recv(ANSWER)):
            if kind == netlink.DONE:
                return found
            if kind == netlink.ERROR:
                raise SetError(netlink.error(body))
            found.append(body[4:])


def message(kind: int, flags: int, body: bytes) -> bytes:
    head = struct.pack("=BBH", socket.AF_INET, 0, 0)
    whole = head + attribute(_PROTOCOL, bytes([_VERSION])) + body
    return netlink.message(_SUBSYSTEM << 8 | kind, flags, whole)


def named(name: str) -> bytes:
    return attribute(NAME, name.encode() + b"\0")


def _element(member: bytes) -> bytes:
    """A member as the kernel takes it; what was added to it goes along."""
    size = 4 if len(member) < 16 else 16
    kind = (1 if size == 4 else 2) | NETWORK_ORDER
    data = attribute(_IP | _NESTED, attribute(kind, member[:size]))
    if len(member) > size:
        data += attribute(_PREFIX, member[size : size + 1])
    if len(member) > size + 1:
        flags = member[size + 1 :]
        data += attribute(_MEMBER_FLAGS | NETWORK_ORDER, flags)
    data += attribute(_LINE, struct.pack("=I", 0))
    return attribute(DATA | _NESTED, data)


def _members(values: dict[int, bytes]) -> Iterator[bytes]:
    for _, element in attributes(values.get(_MANY, b"")):
        data = by_kind(element)
        if _IP not in data:
            continue
        ((_, address),) = attributes(data[_IP])
        prefix = data.get(_PREFIX, b"")
        flags = data.get(_MEMBER_FLAGS, b"")
        if flags:
            yield address + (prefix or bytes([8 * len(address)])) + flags
        elif prefix and prefix[0] != 8 * len(address):
            yield address + prefix
        else:
            yield address


def _family(values: dict[int, bytes]) -> int:
    """4 or 6 for a set of addresses as we make them, else 0."""
    if text(values[_TYPE_NAME]) != _KIND:
        return 0
    number = values[_FAMILY][0]
    return next((f for f, n in _FAMILIES.items() if n == number), 0)


def text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _text_of(number: int) -> str:
    if number < 4096:
        return os.strerror(number)
    return f"the kernel refuses it with ipset's error {number}"
