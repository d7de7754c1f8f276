"""Attributes of a device, set by one message.

A port's are set several times in each pass that makes one; by pyroute2, which
encodes what it knows of all devices in an event loop, that was a fifth of it.
"""

import os
import struct
from collections.abc import Callable, Mapping

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link import rtnl
from flatnet.apply.netlink import attribute

# From linux/rtnetlink.h, linux/if_link.h and linux/if.h.
_SET_LINK = 19
_LINK = struct.Struct("=BxHiII")
_UP, _NO_ARP = 1, 1 << 7
_FLAGS = {"up": _UP, "down": 0}


def _number(value: int) -> bytes:
    return struct.pack("=I", value)


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


_ATTRIBUTES: Mapping[str, tuple[int, Callable[..., bytes]]] = {
    "address": (1, _mac),
    "ifname": (3, lambda value: value.encode() + b"\0"),
    "mtu": (4, _number),
    "master": (10, _number),
    "ifalias": (20, str.encode),
    "group": (27, _number),
}


def set_link(
    index: int, *, state: str = "", arp: bool = False, **values: int | str
) -> None:
    """Set attributes of a device, by pyroute2's names.

    :param state: `up` or `down`
    :param arp: have it ask and answer who has an address
    :raises NetlinkError: the kernel refused
    """
    meant = (_UP if state else 0) | (_NO_ARP if arp else 0)
    request = _LINK.pack(0, 0, index, _FLAGS.get(state, 0), meant)
    for name, value in values.items():
        number, encoded = _ATTRIBUTES[name]
        request += attribute(number, encoded(value))
    changed(request)


def changed(request: bytes) -> None:
    """Have the kernel set what the body of a message says of a device.

    :raises NetlinkError: it refused
    """
    try:
        rtnl.change(_SET_LINK, request)
    except OSError as error:
        code = error.errno or 0
        raise NetlinkError(code, os.strerror(code)) from error
