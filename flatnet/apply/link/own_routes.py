"""The routes to flat networks, which the kernel makes of bridges' addresses.

It makes one when an address comes, and no more after that: who flushes routes
(`ip route flush table main`) takes it away from an address that stays, and
then nothing of the host, nor what it forwards, gets to a guest.

To add a route that is there is refused without a change, whoever made it, so
that this is how one looks, at a few microseconds, and however many routes the
host has.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator

from flatnet.apply import netlink
from flatnet.apply.link.device_reads import Reads
from flatnet.apply.link.routes import device_index
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.plan import Plan

# From linux/rtnetlink.h: a route as the kernel makes it itself.
_NEW_ROUTE, _CREATE, _EXCLUSIVE = 24, 0x400, 0x200
_ROUTE = struct.Struct("=BBBBBBBBI")
_MAIN_TABLE, _KERNEL, _ON_LINK, _UNICAST = 254, 2, 253, 1
_TO, _DEVICE, _SOURCE = 1, 4, 7
_SECONDS = 5


class OwnRoutes:
    """Puts back the routes that addresses of ours stand for."""

    def __init__(self) -> None:
        self._asking = netlink.KeptSocket(netlink.ROUTE, _SECONDS)

    def mended(self, plan: Plan, devices: Reads) -> Iterator[Effect]:
        """Yield the routes that were missing, and are there again.

        :raises HostSetupError: the kernel does not tell of its addresses
        """
        ours = {
            (each.index, each.value)
            for each in devices.addresses()
            if each.ours
        }
        for bridge in plan.bridges:
            index = device_index(bridge.name)
            if (index, bridge.address) not in ours:
                continue
            own = ipaddress.IPv4Interface(bridge.address)
            if self._was_added(index, own):
                route = f"the route to {own.network}"
                yield Effect(Surface.BRIDGE, Verb.ADDED, bridge.name, route)

    def _was_added(self, index: int, own: ipaddress.IPv4Interface) -> bool:
        """Add a route where it is not; a bridge that is down has none."""
        head = (socket.AF_INET, own.network.prefixlen, 0, 0, _MAIN_TABLE)
        body = (
            _ROUTE.pack(*head, _KERNEL, _ON_LINK, _UNICAST, 0)
            + netlink.attribute(_TO, own.network.network_address.packed)
            + netlink.attribute(_SOURCE, own.ip.packed)
            + netlink.attribute(_DEVICE, struct.pack("=I", index))
        )
        flags = _CREATE | _EXCLUSIVE
        with self._asking.lent() as kernel:
            return not netlink.acknowledged(kernel, _NEW_ROUTE, body, flags)
