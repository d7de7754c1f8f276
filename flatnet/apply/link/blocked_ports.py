"""Whether a bridge keeps packets from one of its ports, and how it stops.

A port that is up and has a carrier is cut off all the same where somebody has
set it to pass nothing (`bridge link set dev TAP state 0`), to know no sender
(`locked on`), to get no broadcasts or no multicasts, by which its guest is
asked for its addresses (`bcast_flood off`, `mcast_flood off`), or to get
nothing for who is not known there where nobody gets known (`flood off` with
`learning off`).  With a spanning tree the first is the tree's to say.

What else can be set on a port is left to its admin: either of the last two
alone cuts nobody off, nor does `hairpin on`, without which a guest does not
reach itself by a floating address (see `floating`); and `isolated on` keeps
ports from each other that were both set so.
"""

import struct
from collections.abc import Mapping
from typing import Any

from flatnet.apply.link.set_link import changed
from flatnet.apply.netlink import attribute, by_kind

# From linux/if.h, linux/if_bridge.h, linux/if_link.h and linux/rtnetlink.h.
_LOWER_UP = 1 << 16
_STATE, _MODE, _LEARNING, _UNKNOWN = 1, 4, 8, 9
_MULTICASTS, _BROADCASTS, _LOCKED = 27, 30, 39
_FORWARDING = b"\3"
_PORT_KIND, _PORT_DATA, _PORT = 4, 5, 12
_NESTED = 0x8000
_OF_BRIDGES = 7
_LINK = struct.Struct("=BxHiII")


def blocked(info: Mapping[int, bytes], flags: int) -> bool:
    """Whether a device is a bridge's port that gets or passes too little.

    :param info: its IFLA_LINKINFO
    :param flags: its IFF_*
    """
    if not info.get(_PORT_KIND, b"").startswith(b"bridge\0"):
        return False
    return _is_blocked(info.get(_PORT_DATA, b""), flags)


def told_by_bridge(body: bytes) -> dict[str, Any]:
    """What a bridge's own message about its port says, as fields of a link."""
    _, _, _, flags, _ = _LINK.unpack_from(body)
    data = by_kind(body[_LINK.size :]).get(_PORT, b"")
    return {
        "blocked": _is_blocked(data, flags),
        "hairpin": _has_hairpin(data),
    }


def has_hairpin(info: Mapping[int, bytes]) -> bool:
    """Whether a device is a bridge's port that gets what came from it.

    :param info: its IFLA_LINKINFO
    """
    if not info.get(_PORT_KIND, b"").startswith(b"bridge\0"):
        return False
    return _has_hairpin(info.get(_PORT_DATA, b""))


def set_hairpin(index: int, *, on: bool) -> None:
    """Have its bridge send back to a port what came from it, or not.

    :raises NetlinkError: the kernel refused
    """
    request = _LINK.pack(_OF_BRIDGES, 0, index, 0, 0)
    mode = attribute(_MODE, bytes([on]))
    changed(request + attribute(_PORT | _NESTED, mode))


def unblock(index: int, *, carrier: bool) -> None:
    """Have its bridge pass what is for a port and from it.

    :param carrier: whether the port has one; Linux sets no state without
    :raises NetlinkError: the kernel refused
    """
    flooded = (_UNKNOWN, _MULTICASTS, _BROADCASTS)
    wanted = b"".join(attribute(kind, b"\1") for kind in flooded)
    wanted += attribute(_LOCKED, b"\0")
    if carrier:
        wanted += attribute(_STATE, _FORWARDING)
    request = _LINK.pack(_OF_BRIDGES, 0, index, 0, 0)
    changed(request + attribute(_PORT | _NESTED, wanted))


def _has_hairpin(data: bytes) -> bool:
    return by_kind(data).get(_MODE) == b"\1"


def _is_blocked(data: bytes, flags: int) -> bool:
    # Of a port that is down, or has no carrier, the state is that it is.
    values = by_kind(data)
    return (
        (bool(flags & _LOWER_UP) and values.get(_STATE) != _FORWARDING)
        or b"\0" in (values.get(_BROADCASTS), values.get(_MULTICASTS))
        or values.get(_UNKNOWN) == values.get(_LEARNING) == b"\0"
        or values.get(_LOCKED) == b"\1"
    )
