"""What was read of nftables, for as long as nobody can have changed it.

The kernel counts the transactions that were done in a network namespace,
whoever sent them, and iptables-nft's are among them.  So what was read
between two equal counts is still true while the count stays; and a
transaction of ours that raised it by just one was the only one.

Given up: iptables-legacy and ipset count nothing; they are read each time.
"""

import contextlib
import struct
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
)
from types import MappingProxyType
from typing import TypeVar, cast

from flatnet.apply.filter.guard.nft_dump import SUBSYSTEM
from flatnet.apply.netlink import (
    HEADER,
    NETFILTER,
    REQUEST,
    KeptSocket,
    by_kind,
    message,
)
from flatnet.exceptions import HostSetupError

# From linux/netfilter/nf_tables.h.
_GET_GENERATION = 16
_ID = 1
_SECONDS = 5
T = TypeVar("T")


def generation(asking: KeptSocket) -> int:
    """Return the count of transactions in the current namespace.

    :raises HostSetupError: the kernel does not tell
    """
    body = struct.pack(">BBH", 0, 0, 0)
    kind = SUBSYSTEM << 8 | _GET_GENERATION
    try:
        with asking.lent() as kernel:
            kernel.send(message(kind, REQUEST, body))
            answer = kernel.recv(8192)
    except OSError as error:
        raise HostSetupError(f"nftables cannot be used: {error}") from error
    values = by_kind(answer[HEADER.size + len(body) :])
    if _ID not in values:
        raise HostSetupError("nftables cannot be used: it has no generation")
    return int.from_bytes(values[_ID])


class Proven:
    """Values by key, each with the count that it was read at.

    Of one process and one network namespace.  `asking` is for all that is
    asked of nftables.
    """

    def __init__(self) -> None:
        self.asking = KeptSocket(NETFILTER, _SECONDS)
        self._known: dict[Hashable, tuple[int, object]] = {}
        # Those that are true if others' transactions are what they seemed.
        self._carried: set[Hashable] = set()

    def read(self, key: Hashable, look: Callable[[], T]) -> T:
        """Return what `look` found, if nobody wrote since, or finds now.

        :raises HostSetupError: the kernel does not tell, or as `look` does
        """
        before = generation(self.asking)
        at, value = self._known.get(key, (None, None))
        if at == before:
            return cast(T, value)
        self._known.pop(key, None)
        found = look()
        if generation(self.asking) == before:
            self._known[key] = (before, found)
            self._carried.discard(key)
        return found

    def confirm(self, key: Hashable, look: Callable[[], T]) -> None:
        """Read again what is known; where it is so it stays the same object.

        Errors as for `read`.
        """
        _, known = self._known.pop(key, (None, None))
        found = self.read(key, look)
        if found == known and key in self._known:
            self._known[key] = self._known[key][0], known

    def last(self, key: Hashable) -> object:
        """Return what was known last, whoever wrote since; none if nothing."""
        return self._known.get(key, (0, None))[1]

    @contextlib.contextmanager
    def writing(self, changes: Mapping[Hashable, object]) -> Iterator[None]:
        """Do one transaction of ours.

        :param changes: what becomes of values by it, by key; none where that
            has to be read
        """
        before = generation(self.asking)
        yield
        self.wrote(before, generation(self.asking), changes)

    def has(self, key: Hashable) -> bool:
        """Whether something was noted, and nobody wrote since.

        :raises HostSetupError: the kernel does not tell
        """
        at, _ = self._known.get(key, (None, None))
        return at is not None and at == generation(self.asking)

    def note(self, key: Hashable) -> None:
        """Note that something is so by now; errors as for `has`."""
        self._known[key] = (generation(self.asking), True)
        self._carried.discard(key)

    def drop(self, key: Hashable) -> None:
        """Note that something is not so, or that nobody knows."""
        self._known.pop(key, None)

    def forget(self) -> None:
        """Have everything read again."""
        self._known, self._carried = {}, set()

    def forget_carried(self) -> None:
        """Have read again what was carried over others' transactions.

        What stands at the very count that it was read at needs no second look.
        """
        for key in self._carried:
            self._known.pop(key, None)
        self._carried = set()

    def carry(
        self, counts: Iterable[tuple[int, Collection[Hashable]]]
    ) -> None:
        """Note transactions of others that touched little of these values.

        :param counts: what they raised the count to, each with the keys of
            what is to be read again
        """
        for count, lost in counts:
            for key, (at, value) in list(self._known.items()):
                if at == count - 1 and key not in lost:
                    self._known[key] = (count, value)
                    self._carried.add(key)

    def at(self, keys: Iterable[Hashable]) -> int | None:
        """Return the one count that all of these were read at, if it is."""
        found = {self._known.get(key, (None,))[0] for key in keys}
        return found.pop() if len(found) == 1 else None

    def wrote(
        self,
        before: int,
        after: int,
        changes: Mapping[Hashable, object] = MappingProxyType({}),
    ) -> None:
        """Note that ours was among what raised the count from `before`.

        :param changes: as for `writing`
        """
        if after == before:
            return
        for key, (at, value) in list(self._known.items()):
            becomes = changes.get(key, value)
            if at == before and after == before + 1 and becomes is not None:
                self._known[key] = (after, becomes)
            else:
                del self._known[key]
