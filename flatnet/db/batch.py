"""Who shares one transaction, and may join it while it waits for a lock.

A transaction that waits for a row takes what many others take together; who
comes meanwhile need not wait for the one after it.  So what is done for each
of a batch is done once the lock is there, and for all who have come by then.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Fits = Callable[[Item], bool]


class Batch(Generic[Item]):
    """What is asked for by those who share a transaction.

    It stays as it is where a transaction is run again from its start: whoever
    has joined is served by that.

    :param items: of those with whom it begins
    :param waiting: returns those of who waits for the next one
    :param join: takes who waits and fits out of those, and returns theirs
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        waiting: Callable[[], Sequence[Item]] = tuple,
        join: Callable[[Fits[Item]], Sequence[Item]] = lambda _: (),
    ) -> None:
        self._items = list(items)
        self._waiting = waiting
        self._join = join

    @property
    def items(self) -> tuple[Item, ...]:
        """All that is asked for by now, in the order of who came."""
        return tuple(self._items)

    def waiting(self) -> Sequence[Item]:
        """What is asked for by those who could join now."""
        return self._waiting()

    def join(self, fits: Fits[Item]) -> None:
        """Take those in who wait by now, and fit."""
        self._items += self._join(fits)
