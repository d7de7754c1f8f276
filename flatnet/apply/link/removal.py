"""Devices removed, and not waited for longer than they are there.

Once the kernel tells that a device is gone nobody finds it any more, and no
packet passes it.  It answers the request only when all processors have let go
of it, which takes seven times as long.  So the request is a thread's, and its
answer is waited for only where nothing was told.
"""

import os
import socket
import struct
import threading

from pyroute2.netlink.exceptions import NetlinkError

from flatnet.apply.link import rtnl
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.netlink import attribute

# From linux/rtnetlink.h and linux/if_link.h.
_DELETE_LINK, _GROUP = 17, 27
_LINK = struct.Struct("=BxHiII")


def remove(index: int, devices: Reads) -> None:
    """Remove a device, and a veth's other end with it.

    :raises NetlinkError: the kernel refused
    """
    _remove(_LINK.pack(0, 0, index, 0, 0), frozenset((index,)), devices)


def remove_group(group: int, indexes: frozenset[int], devices: Reads) -> None:
    """Remove the devices of a group, which are these; errors as `remove`."""
    number = attribute(_GROUP, struct.pack("=I", group))
    _remove(_LINK.pack(0, 0, 0, 0, 0) + number, indexes, devices)


def _remove(request: bytes, indexes: frozenset[int], devices: Reads) -> None:
    refused: list[OSError] = []
    answered, end = socket.socketpair()

    def ask() -> None:
        with end:
            try:
                rtnl.change(_DELETE_LINK, request)
            except OSError as error:
                refused.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    with answered:
        if devices.are_gone(indexes, answered):
            return
    asking.join()
    for error in refused:
        code = error.errno or 0
        raise NetlinkError(code, os.strerror(code)) from error
