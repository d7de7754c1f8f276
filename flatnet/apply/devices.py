"""The devices of this host and their addresses, kept up by what events say.

A dump of a thousand devices costs milliseconds, and a pass asks many times.
Each event holds the whole of its device, so that who subscribes before he
dumps has them all, until the kernel says that it dropped events: then all
are read again.

Given up: who may open a tap, whether a device has IPv6, and the alias of one
that is down change without an event.  Our own changes are followed by a
reading of the device; those of others are seen when all are read, as every
whole pass does.  An IPv6 address that the kernel makes itself is told of once
nobody else has it.
"""

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from flatnet.apply import netlink
from flatnet.apply.link import (
    Address,
    Link,
    address,
    link,
    read_addresses,
    read_link,
    read_links,
)
from flatnet.apply.subscription import received, subscribed

# From linux/rtnetlink.h: devices, addresses of both families, forwarding;
# and from linux/socket.h.
_GROUPS = (1, 5, 9, 24)
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS = 16, 17, 20, 21
_INDEX = struct.Struct("=BxHi")
_OF_BRIDGES = 7


class Devices:
    """The devices of the namespace that it is made in; one process's."""

    def __init__(self) -> None:
        self._events = subscribed(netlink.ROUTE, _GROUPS)
        self._known: dict[int, Link] | None = None
        self._addresses: dict[tuple[int, str], Address] | None = None
        # The devices in order, none where that is another by now.
        self._read: tuple[Link, ...] | None = None
        self._moved = False
        self._connection: Any = None

    @property
    def socket(self) -> socket.socket:
        """What becomes readable when something happens."""
        return self._events

    def close(self) -> None:
        """End the subscription."""
        self._events.close()
        if self._connection is not None:
            self._connection.close()

    def read(self) -> tuple[Link, ...]:
        """Return the devices as they are now, by index.

        :raises HostSetupError: the kernel does not tell
        """
        self._absorb()
        if self._known is None:
            self._know({each.index: each for each in read_links()})
            # What happened while it was read may be told twice.
            self._absorb()
        if self._known is None:
            return read_links()
        if self._read is None:
            self._read = tuple(self._known[i] for i in sorted(self._known))
        return self._read

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
        self._absorb()
        found = read_link(name)
        if self._known is not None:
            self._note(self._known, found)
        return found

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
        self._know(None)

    def moved(self) -> bool:
        """Whether anything happened since the last call."""
        self._absorb()
        moved, self._moved = self._moved, False
        return moved

    def _absorb(self) -> None:
        for data in received(self._events):
            self._moved = True
            if data is None:
                self._know(None)
                continue
            for kind, body in netlink.messages(data):
                self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind in (_NEW_ADDRESS, _DELETE_ADDRESS):
            self._take_address(kind, address(body))
        if self._known is None or kind not in (_NEW_LINK, _DELETE_LINK):
            return
        family, _, index = _INDEX.unpack_from(body)
        # What a bridge says of its ports is less than the whole.
        if family == _OF_BRIDGES:
            return
        if kind == _NEW_LINK:
            self._note(self._known, link(body))
        elif self._known.pop(index, None):
            self._read = None

    def _take_address(self, kind: int, found: Address) -> None:
        if self._addresses is None:
            return
        key = found.index, found.value
        self._addresses.pop(key, None)
        if kind == _NEW_ADDRESS:
            self._addresses[key] = found

    def _know(self, known: dict[int, Link] | None) -> None:
        self._known, self._read = known, None
        if known is None:
            self._addresses = None

    def _note(self, known: dict[int, Link], found: Link) -> None:
        if known.get(found.index) is found:
            return
        known[found.index], self._read = found, None
        # One end of a pair is told of before there is another.
        other = known.get(found.peer)
        if other is not None and not other.peer and not other.away:
            known[found.peer] = replace(other, peer=found.index)
