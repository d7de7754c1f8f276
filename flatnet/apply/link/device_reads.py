"""Who knows the devices of this host, for those who look at them."""

import contextlib
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from flatnet.apply.link.device_index import DeviceIndex
from flatnet.apply.link.link import (
    Address,
    Link,
    read_addresses,
    read_link,
    read_links,
)

T = TypeVar("T", bound="_Closes")


class _Closes(Protocol):
    def close(self) -> None: ...


class Reads(Protocol):
    """Who knows the devices of this host and their addresses."""

    def named(self) -> Mapping[str, Link]:
        """Return the devices by name, in no order: as they are, each time."""

    def device_index(self) -> DeviceIndex:
        """Return the same, and which of them are whose."""

    def addresses(self) -> tuple[Address, ...]:
        """Return the addresses as they are now."""

    def reread(self, name: str) -> Link:
        """Ask the kernel for a device that we have just changed.

        :raises OSError: it does not exist
        """

    def are_gone(
        self, indexes: frozenset[int], answered: socket.socket
    ) -> bool:
        """Wait until none of these is there, or `answered` is readable.

        Return whether they are known to be gone.
        """

    def connection(
        self, connect: Callable[[], T]
    ) -> AbstractContextManager[T]:
        """Lend a connection by which devices are changed."""


class Dump:
    """Knows nothing, and asks the kernel each time."""

    def named(self) -> Mapping[str, Link]:
        """Return the devices as they are now by name."""
        return self.device_index().links

    def device_index(self) -> DeviceIndex:
        """Return the same, and which of them are whose."""
        return DeviceIndex(read_links())

    def addresses(self) -> tuple[Address, ...]:
        """Return the addresses as they are now."""
        return read_addresses()

    def reread(self, name: str) -> Link:
        """Ask the kernel for a device."""
        return read_link(name)

    def are_gone(
        self, _indexes: frozenset[int], answered: socket.socket
    ) -> bool:
        """Wait until `answered` is readable, for it hears nothing."""
        answered.recv(1)
        return False

    def connection(
        self, connect: Callable[[], T]
    ) -> AbstractContextManager[T]:
        """Lend a new one, and close it."""
        return contextlib.closing(connect())


DUMP = Dump()
