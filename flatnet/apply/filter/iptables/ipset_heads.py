"""What the kernel says of sets but for their members: how many they have."""

import struct
from collections.abc import Iterable
from itertools import chain

from flatnet.apply import netlink
from flatnet.apply.filter.iptables.ipset_messages import (
    ANSWER,
    DATA,
    FLAGS,
    LIST,
    NAME,
    NETWORK_ORDER,
    SetError,
    bodies,
    message,
    named,
    text,
)
from flatnet.apply.netlink import KeptSocket, attribute, by_kind

# From linux/netfilter/ipset/ip_set.h.
_HEADER_ALONE, _ELEMENTS = 1 << 2, 24
_WITHOUT_MEMBERS = attribute(
    FLAGS | NETWORK_ORDER, struct.pack(">I", _HEADER_ALONE)
)


def count(name: str, asking: KeptSocket) -> int:
    """Return how many members a set has, -1 where the kernel tells not.

    :raises HostSetupError: there is no such set
    """
    for body in bodies(named(name) + _WITHOUT_MEMBERS, asking):
        return _counted(by_kind(body))
    return -1


def heads(asking: KeptSocket) -> list[bytes]:
    """Return what the kernel says of all sets, but for their members.

    Each is what came at once, as it came: these are compared each second, and
    to split them would take twice as long as to ask.

    :raises HostSetupError: the kernel does not tell
    """
    flags = netlink.REQUEST | netlink.DUMP
    found: list[bytes] = []
    with asking.lent() as kernel:
        kernel.send(message(LIST, flags, _WITHOUT_MEMBERS))
        while True:
            data = kernel.recv(ANSWER)
            length, kind, _, _, _ = netlink.HEADER.unpack_from(data)
            # One for each set, as far as is known.
            if length < len(data):
                kind = [each for each, _ in netlink.messages(data)][-1]
            if kind != netlink.DONE or length < len(data):
                found.append(data)
            if kind == netlink.ERROR:
                raise SetError(netlink.error(data[netlink.HEADER.size :]))
            if kind == netlink.DONE:
                return found


def counts(told: Iterable[bytes]) -> dict[str, int]:
    """Return how many members sets have by their `heads`; -1 as in `count`."""
    found = {}
    for kind, body in chain.from_iterable(map(netlink.messages, told)):
        if kind != netlink.DONE:
            values = by_kind(body[4:])
            found[text(values[NAME])] = _counted(values)
    return found


def _counted(values: dict[int, bytes]) -> int:
    told = by_kind(values.get(DATA, b"")).get(_ELEMENTS)
    return -1 if told is None else int.from_bytes(told)
