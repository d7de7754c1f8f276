"""The IPv4 routes of this host, read straight from netlink.

Those of the main table: what lies in a VRF, or is chosen by rules
of the admin's own, is no way that a bridge's address could take over.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from flatnet.apply.link.rtnl import dump
from flatnet.apply.netlink import by_kind

# From linux/rtnetlink.h.
_NEW_ROUTE, _GET_ROUTE = 24, 26
_ROUTE = struct.Struct("=BBBBBBBBI")
_TO, _DEVICE, _GATEWAY, _WAYS, _TABLE, _VIA = 1, 4, 5, 9, 15, 18
_MAIN_TABLE, _UNICAST = 254, 1
_WAY = struct.Struct("=HBBi")
_REMEMBERED = 1 << 10


@dataclass(frozen=True)
class Route:
    """A route of the main table by one device.

    `gateway` is none where it is on the link, or is reached by IPv6.
    """

    device: int
    to: IPv4Network
    gateway: IPv4Address | None = None
    is_on_link: bool = True


def routes() -> tuple[Route, ...]:
    """Return the unicast routes of the main table, the narrowest first.

    :raises HostSetupError: the kernel does not tell
    """
    question = _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    found = [
        route
        for kind, body in dump(_GET_ROUTE, question)
        if kind == _NEW_ROUTE
        for route in _routes(body)
    ]
    # The kernel's own order decides between equals.
    return tuple(sorted(found, key=lambda each: -each.to.prefixlen))


def routers() -> tuple[str, ...]:
    """Return the gateways of the default routes, sorted.

    :raises HostSetupError: the kernel does not tell
    """
    found = {
        str(each.gateway)
        for each in routes()
        if each.gateway and not each.to.prefixlen
    }
    return tuple(sorted(found, key=ipaddress.ip_address))


def device_index(name: str) -> int:
    """The index of a device, 0 where there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def device_name(index: int) -> str:
    """Return the name of a device, or what can be said of one that went."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"device {index}"


@lru_cache(_REMEMBERED)
def _routes(body: bytes) -> tuple[Route, ...]:
    """The routes that a message of the kernel's tells of, mostly one."""
    return tuple(_told(body))


def _told(body: bytes) -> Iterator[Route]:
    family, prefix, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    values = by_kind(body[_ROUTE.size :])
    table = _number(values.get(_TABLE)) or table
    if (family, table, kind) != (socket.AF_INET, _MAIN_TABLE, _UNICAST):
        return
    to = IPv4Network((values.get(_TO, bytes(4)), prefix))
    for device, way in _ways(values):
        raw = way.get(_GATEWAY)
        yield Route(
            device=device,
            to=to,
            gateway=IPv4Address(raw) if raw else None,
            is_on_link=not raw and _VIA not in way,
        )


def _ways(
    values: dict[int, bytes],
) -> Iterator[tuple[int, dict[int, bytes]]]:
    """Yield (device, attributes) of each way of a route."""
    if _DEVICE in values:
        yield _number(values[_DEVICE]), values
    data = values.get(_WAYS, b"")
    while len(data) >= _WAY.size:
        length, _, _, device = _WAY.unpack_from(data)
        if length < _WAY.size:
            return
        yield device, by_kind(data[_WAY.size : length])
        data = data[(length + 3) & ~3 :]


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", sys.byteorder)
