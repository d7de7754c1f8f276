"""The devices of this host and their addresses, kept up by what events say.

A dump of a thousand devices costs milliseconds, and a pass asks many times.
Each event holds the whole of its device, so that who subscribes before he
dumps has them all, until the kernel says that it dropped events: then all
are read again.

What others did is told by device, as it was and as it is, so that who judges
it need not look at all of them.  What we do ourselves is not among it: we
read a device again once we changed it.

Given up: who may open a tap, that a device without a carrier got IPv6, and
the alias of one that is down change without an event.  Our own changes are
followed by a reading of the device; those of others are seen when all are
read, which a whole pass does where it is due (`cpu_budget`).  An IPv6 address
that the kernel makes itself is told of once nobody else has it.
"""

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from flatnet.apply import netlink
from flatnet.apply.cpu_budget import CpuBudget
from flatnet.apply.link.blocked_ports import told_by_bridge
from flatnet.apply.link.device_changes import DeviceChanges
from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.dumps import Dumps
from flatnet.apply.link.link import (
    Address,
    Link,
    address,
    has_ipv6,
    lets_pass,
    link,
    read_addresses,
    read_link,
)
from flatnet.apply.link.subscription import received, subscribed

# From linux/rtnetlink.h: devices, addresses of both families, who got IPv6,
# forwarding; and from linux/socket.h.
_GROUPS = (1, 5, 9, 12, 24)
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS = 16, 17, 20, 21
_OF_DEVICES = (_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS)
_INDEX = struct.Struct("=BxHi")
_OF_BRIDGES, _OF_IPV6 = 7, 10
Socket = socket.socket


class Devices:
    """The devices of the namespace that it is made in; one process's."""

    def __init__(self) -> None:
        self._events = subscribed(netlink.ROUTE, _GROUPS)
        self._known: dict[int, Link] = {}
        self._dumps = Dumps(self._known)
        self._device_index = DeviceIndex()
        # Whether these are all, and as they are now.
        self._is_current = False
        # What was there of those that somebody changed, by index.
        self._before: dict[int, Link | None] = {}
        self._addresses: dict[tuple[int, str], Address] | None = None
        self._moved = DeviceChanges()
        self._askers: dict[int, int] = {}
        self._connection: Any = None
        self._budget = CpuBudget()

    @property
    def socket(self) -> socket.socket:
        """What becomes readable when something happens."""
        return self._events

    @property
    def has_news(self) -> bool:
        """Whether more was heard than was told.

        Who asked for devices since may have heard it: the socket is empty.
        """
        return bool(self._before) or self._moved != DeviceChanges()

    def close(self) -> None:
        """End the subscription."""
        self._events.close()
        if self._connection is not None:
            self._connection.close()

    def named(self) -> Mapping[str, Link]:
        """Return the devices as they are now by name, in no order.

        They go on to be what there is: who needs them to stay has a copy.

        :raises HostSetupError: the kernel does not tell
        """
        return self.device_index().links

    def device_index(self) -> DeviceIndex:
        """Return the same, and which of them are whose."""
        self._refresh()
        return (
            self._device_index
            if self._is_current
            else DeviceIndex(self._dumps.read())
        )

    def find(self, name: str) -> Link | None:
        """Return a device as it was last heard of, or none."""
        return self._device_index.links.get(name)

    def addresses(self) -> tuple[Address, ...]:
        """Return the addresses as they are now.

        :raises HostSetupError: the kernel does not tell
        """
        self._absorb()
        if self._addresses is None:
            self._addresses = {
                (each.index, each.value): each for each in read_addresses()
            }
            self._absorb()
        if self._addresses is None:
            return read_addresses()
        return tuple(self._addresses.values())

    def reread(self, name: str) -> Link:
        """Ask the kernel for a device that we have just changed.

        What happens to it from now on is told by events that come later.

        :raises OSError: it does not exist
        """
        # Of what was told of it before, nothing is left to be known.
        heard = tuple(received(self._events))
        found = None
        try:
            found = read_link(name)
        finally:
            self._hear(heard, read=found.index if found else 0)
        self._put(found.index, found)
        self._before.pop(found.index, None)
        return found

    def are_gone(self, indexes: frozenset[int], answered: Socket) -> bool:
        """Wait until none of these is there, or `answered` is readable.

        Return whether they are known to be gone.
        """
        while True:
            self._absorb()
            if self._is_current and indexes.isdisjoint(self._known):
                return True
            heard = select.select([self._events, answered], [], [])[0]
            if answered in heard:
                return False

    @contextlib.contextmanager
    def connection(self, connect: Callable[[], Any]) -> Iterator[Any]:
        """Lend the one connection by which devices are changed.

        After an error that may have left an answer unread it is another.
        """
        if self._connection is None:
            self._connection = connect()
        kept, self._connection = self._connection, None
        try:
            yield kept
        except BaseException:
            kept.close()
            raise
        self._connection = kept

    def forget(self) -> None:
        """Have all read again the next time."""
        self._is_current, self._addresses = False, None

    def doubt(self) -> None:
        """Have the devices read again the next time, where that is due."""
        if self._budget.is_due:
            self._is_current = False

    def moved(self) -> DeviceChanges:
        """Return what happened since the last call.

        :raises HostSetupError: the kernel does not tell
        """
        self._absorb()
        if self._moved.lost:
            self._refresh()
        found = replace(self._moved, links=self._pairs(), askers=self._askers)
        self._moved, self._before, self._askers = DeviceChanges(), {}, {}
        return found

    def _pairs(self) -> tuple[tuple[Link | None, Link | None], ...]:
        pairs = (
            (before, self._known.get(index))
            for index, before in sorted(self._before.items())
        )
        return tuple(pair for pair in pairs if self._differ(*pair))

    def _differ(self, before: Link | None, now: Link | None) -> bool:
        """Whether somebody did something to a device, but for its bridge."""
        if before == now:
            return False
        if not before or not now:
            return True
        if replace(before, blocked=now.blocked) != now:
            return True
        return now.blocked and lets_pass(self._known.get(now.master))

    def _refresh(self) -> None:
        self._absorb()
        if self._is_current:
            return
        is_first = not self._known
        with self._budget.taken():
            there = {each.index: each for each in self._dumps.read()}
            self._is_current = True
            for index in {*self._known, *there}:
                self._put(index, there.get(index))
        if is_first:
            # Nobody knows what they were, nor that somebody did anything.
            self._before = {}
        # What happened while it was read may be told twice.
        self._absorb()

    def _absorb(self) -> None:
        self._hear(received(self._events))

    def _hear(self, heard: Iterable[bytes | None], read: int = 0) -> None:
        """Note what was told; `read` is who was read after that, by index."""
        for data in heard:
            if data is None:
                self.forget()
                self._moved = replace(self._moved, lost=True)
                continue
            for kind, port, body in netlink.asked(data):
                # Devices and addresses have the index at the same place.
                of_device = kind in _OF_DEVICES
                index = _INDEX.unpack_from(body)[2] if of_device else 0
                if kind != _NEW_LINK or index != read:
                    self._take(kind, body)
                if port and of_device:
                    self._askers[index] = port

    def _take(self, kind: int, body: bytes) -> None:
        if kind in (_NEW_ADDRESS, _DELETE_ADDRESS):
            self._take_address(kind, address(body))
        elif kind in (_NEW_LINK, _DELETE_LINK):
            self._take_link(kind, body)
        else:
            self._moved = replace(self._moved, settings=True)

    def _take_link(self, kind: int, body: bytes) -> None:
        family, _, index = _INDEX.unpack_from(body)
        if family not in (_OF_BRIDGES, _OF_IPV6):
            self._put(index, link(body) if kind == _NEW_LINK else None)
            return
        known = self._known.get(index)
        if known is None or kind != _NEW_LINK:
            return
        # These say of a device only what they do with it.
        if family == _OF_IPV6:
            self._put(index, replace(known, ipv6=has_ipv6(body)))
        else:
            self._put(index, replace(known, **told_by_bridge(body)))

    def _take_address(self, kind: int, found: Address) -> None:
        heard = self._moved.addresses | {found}
        self._moved = replace(self._moved, addresses=heard)
        if self._addresses is None:
            return
        key = found.index, found.value
        self._addresses.pop(key, None)
        if kind == _NEW_ADDRESS:
            self._addresses[key] = found

    def _put(self, index: int, now: Link | None) -> None:
        """Note what a device is by now."""
        before = self._known.get(index)
        if now is before or now == before:
            return
        self._before.setdefault(index, before)
        if before and self.find(before.name) is before:
            self._device_index.drop(before.name)
        if now is None:
            del self._known[index]
            return
        self._known[index] = now
        self._device_index.put(now)
        # One end of a pair is told of before there is another.
        other = self._known.get(now.peer) if now.kind == "veth" else None
        if other is not None and not other.peer and not other.away:
            self._known[now.peer] = paired = replace(other, peer=index)
            self._device_index.put(paired)
