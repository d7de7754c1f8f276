"""Which devices a DHCP server listens on, as the kernel tells.

A socket that was bound to a device stays bound to that one when it is gone,
though another of its name comes.  Only the kernel knows, and /proc does not
show it.
"""

import socket
import struct

from flatnet.apply import netlink
from flatnet.exceptions import HostSetupError

# From linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h: what asks for
# all UDP sockets of port 67, and where an answer has its device's index.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_ANY_STATE = 0xFFFFFFFF
_QUESTION = struct.Struct("=BBxxI2s46x")
_DHCP_PORT = (67).to_bytes(2, "big")
_DEVICE = struct.Struct("=40xI")
_SECONDS = 5


def dhcp_devices() -> frozenset[int]:
    """The indexes of the devices that a DHCP server's socket is bound to.

    0 stands for one that is bound to none and hears them all.

    :raises HostSetupError: the kernel does not tell
    """
    question = _QUESTION.pack(
        socket.AF_INET, socket.IPPROTO_UDP, _ANY_STATE, _DHCP_PORT
    )
    flags = netlink.REQUEST | netlink.DUMP
    found: set[int] = set()
    with netlink.connected(_NETLINK_SOCK_DIAG, _SECONDS) as kernel:
        kernel.send(netlink.message(_SOCK_DIAG_BY_FAMILY, flags, question))
        while True:
            for kind, body in netlink.messages(kernel.recv(1 << 16)):
                if kind == netlink.DONE:
                    return frozenset(found)
                if kind != _SOCK_DIAG_BY_FAMILY:
                    raise HostSetupError(
                        "the kernel does not tell which sockets are open: "
                        "modprobe udp_diag"
                    )
                found.add(_DEVICE.unpack_from(body)[0])
