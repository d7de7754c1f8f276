"""Tracked connections, straight from the kernel: listed, and forgotten.

The program `conntrack` prints all of them as text, for each family from a
walk of its own through the kernel's whole table.  Here one walk is enough,
and of a connection that nobody asks for only its addresses are read.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from flatnet.apply import netlink
from flatnet.apply.filter.connections.flows import Flow
from flatnet.apply.netlink import attribute, by_kind
from flatnet.exceptions import HostSetupError
from flatnet.state.effects import Effect, Surface, Verb

# From linux/netfilter/nfnetlink_conntrack.h.
_SUBSYSTEM = 1
_NEW, _GET, _DELETE = 0, 1, 2
_ORIGINAL, _REPLY, _ZONE = 1, 2, 18
_STATUS, _TIMEOUT = 3, 7
# That no packet makes it last longer.
_FIXED = 0x400
_ADDRESSES, _PROTOCOL, _TUPLE_ZONE = 1, 2, 3
# Source and destination, of either family.
_ENDS = ((1, 2), (3, 4))
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3
# Id, type and code.
_ICMP = {1: (4, 5, 6), 58: (7, 8, 9)}
_NESTED = 0x8000
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
Values = dict[int, bytes]


def flows_of(
    asking: netlink.KeptSocket, addresses: frozenset[bytes]
) -> Iterator[Flow]:
    """Yield the flows that one of these addresses, packed, is an end of.

    :param asking: a socket of netfilter's
    :raises HostSetupError: the kernel does not tell
    """
    if not addresses:
        return
    for family, values in _listed(asking):
        ends = _ends(values)
        if not addresses.isdisjoint(ends):
            yield _flow(family, values, ends)


def all_ends(asking: netlink.KeptSocket) -> frozenset[str]:
    """Return the addresses that any flow has; errors as for `flows_of`."""
    found = {e for _, values in _listed(asking) for e in _ends(values)}
    return frozenset(map(_address, found))


def _listed(asking: netlink.KeptSocket) -> Iterator[tuple[int, Values]]:
    """Yield family and attributes of each flow.

    :raises HostSetupError: the kernel does not tell, or not in time
    """
    if _is_empty():
        return
    try:
        yield from _dumped(asking)
    except OSError as error:
        raise HostSetupError(
            "the kernel does not list its connections: "
            f"{error.strerror or error}"
        ) from error


def _dumped(asking: netlink.KeptSocket) -> Iterator[tuple[int, Values]]:
    with asking.lent() as kernel:
        flags = netlink.REQUEST | netlink.DUMP
        asked, body = _request(socket.AF_UNSPEC, _GET, b"")
        kernel.send(netlink.message(asked, flags, body))
        while True:
            for kind, body in netlink.messages(kernel.recv(1 << 18)):
                if kind == netlink.DONE:
                    return
                if kind == netlink.ERROR:
                    number = netlink.error(body)
                    raise OSError(number, os.strerror(number))
                yield body[0], by_kind(body[4:])


def forget(asking: netlink.KeptSocket, flow: Flow) -> bool:
    """Delete a flow; false if it ended by itself meanwhile.

    :raises OSError: the kernel refuses
    """
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[flow.family]
    kind, body = _request(family, _DELETE, flow.key)
    with asking.lent() as kernel:
        number = netlink.acknowledged(kernel, kind, body)
    if number not in (0, errno.ENOENT):
        raise OSError(number, os.strerror(number))
    return not number


def told(number: int) -> tuple[Effect, ...]:
    """Return that so many flows were forgotten; nothing of none."""
    made = Effect(Surface.CONNTRACK, Verb.CUT, detail=f"{number} connections")
    return (made,) * bool(number)


def end_after(asking: netlink.KeptSocket, flow: Flow, seconds: int) -> None:
    """Have a flow end after some time, whatever comes; the first says it.

    :raises OSError: the kernel refuses
    """
    if flow.status & _FIXED:
        return
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[flow.family]
    values = {_TIMEOUT: seconds, _STATUS: flow.status | _FIXED}
    told = b"".join(
        attribute(kind, value.to_bytes(4)) for kind, value in values.items()
    )
    kind, body = _request(family, _NEW, flow.key + told)
    with asking.lent() as kernel:
        number = netlink.acknowledged(kernel, kind, body)
    if number not in (0, errno.ENOENT):
        raise OSError(number, os.strerror(number))


def _is_empty() -> bool:
    """Whether nothing is tracked here; who cannot tell looks."""
    try:
        return int(_COUNT.read_text()) == 0
    except (OSError, ValueError):
        return False


def _flow(family: int, values: Values, ends: tuple[bytes, ...]) -> Flow:
    there, back = (
        by_kind(by_kind(values[each]).get(_PROTOCOL, b""))
        for each in (_ORIGINAL, _REPLY)
    )
    source, destination, target, answered_to = map(_address, ends)
    number = there[_NUMBER][0]
    identity, kind, code = _ICMP.get(number, (0, 0, 0))
    zone = values.get(_ZONE)
    return Flow(
        family=_FAMILIES[socket.AddressFamily(family)],
        protocol=number,
        source=source,
        destination=destination,
        target=target,
        answered_to=answered_to,
        source_port=_number(there, _SOURCE_PORT),
        port=_number(there, _PORT),
        target_port=_number(back, _SOURCE_PORT),
        answered_port=_number(back, _PORT),
        icmp_type=_number(there, kind),
        icmp_code=_number(there, code),
        icmp_id=_number(there, identity),
        zone=int.from_bytes(zone) if zone else None,
        key=attribute(_ORIGINAL | _NESTED, values[_ORIGINAL])
        + (attribute(_ZONE, zone) if zone else b""),
        status=_number(values, _STATUS) or 0,
        lasts=_number(values, _TIMEOUT) or 0,
    )


def _ends(values: Values) -> tuple[bytes, ...]:
    """Source, destination, and the same of what answers."""
    found: tuple[bytes, ...] = ()
    for each in (_ORIGINAL, _REPLY):
        parts = by_kind(values[each])
        addresses = by_kind(parts[_ADDRESSES])
        kinds = next(each for each in _ENDS if each[0] in addresses)
        found += tuple(addresses[kind] for kind in kinds)
    return found


def _address(value: bytes) -> str:
    family = socket.AF_INET if len(value) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, value)


def _number(values: Values, kind: int) -> int | None:
    return int.from_bytes(values[kind]) if kind in values else None


def _request(family: int, kind: int, body: bytes) -> tuple[int, bytes]:
    """The type and the body of a message about connections."""
    return _SUBSYSTEM << 8 | kind, struct.pack("=BBH", family, 0, 0) + body
