"""Calls that wait share one transaction.

While one transaction runs, callers gather; whoever is next takes all that
wait along.  Who is alone does not wait.  A transaction costs much the same
for one as for many, so that it costs the less the more there is to do.

It has to end when the first of its callers gives up: who has gone by then is
never written.  The others are tried once more, without him.
"""

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from flatnet import deadline
from flatnet.db import waits
from flatnet.exceptions import DatabaseUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Call(Generic[Item, Answer]):
    """Somebody who waits, until `end` on the monotonic clock.

    `outcome` is his answer or error, in a tuple, once there is one.
    """

    item: Item
    end: float
    is_alone: bool = False
    outcome: tuple[Answer | Exception, ...] = ()

    @property
    def left(self) -> float:
        """Seconds that he still waits, below zero where he has gone."""
        return self.end - time.monotonic()


class Fold(Generic[Item, Answer]):
    """One kind of transaction, for whoever asks for it.

    :param work: takes items and returns for each, in their order, an answer
        or the error that its caller gets; what it raises is all callers'
    :param patience: seconds of a caller who has no less
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        *,
        patience: float = waits.PATIENCE,
    ) -> None:
        self._work = work
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: list[_Call[Item, Answer]] = []
        self._is_busy = False

    def ask(self, item: Item) -> Answer:
        """Return what the work made of an item, alone or among others.

        :raises DatabaseUnavailable: it had no turn in time
        :raises Exception: the item's error, or that of the whole work
        """
        end = time.monotonic() + deadline.left(self._patience)
        mine: _Call[Item, Answer] = _Call(item, end)
        with self._changed:
            self._waiting.append(mine)
        while calls := self._taken(mine):
            self._serve(calls)
        (outcome,) = mine.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _taken(
        self, mine: _Call[Item, Answer]
    ) -> tuple[_Call[Item, Answer], ...]:
        """Wait for a turn; return who shares it, nobody if all is done."""
        with self._changed:
            while not mine.outcome:
                has_turn = not self._is_busy and mine in self._waiting
                if mine in self._waiting and mine.left <= 0:
                    self._waiting.remove(mine)
                    raise DatabaseUnavailable(
                        "the database was not to be had in time: others "
                        "write, and nothing was written"
                    )
                if has_turn:
                    self._is_busy = True
                    return self._take(mine)
                # Whose turn has come is answered by its end.
                waits_on = mine.left if mine in self._waiting else None
                self._changed.wait(waits_on)
            return ()

    def _take(
        self, mine: _Call[Item, Answer]
    ) -> tuple[_Call[Item, Answer], ...]:
        calls: tuple[_Call[Item, Answer], ...] = (mine,)
        if not mine.is_alone:
            calls = tuple(
                each
                for each in self._waiting
                if each is mine or (each.left > 0 and not each.is_alone)
            )
        self._waiting = [each for each in self._waiting if each not in calls]
        return calls

    def _serve(self, calls: Sequence[_Call[Item, Answer]]) -> None:
        again: Sequence[_Call[Item, Answer]] = ()
        try:
            with deadline.within(min(each.left for each in calls)):
                answers = self._work([each.item for each in calls])
            for call, answer in zip(calls, answers, strict=True):
                call.outcome = (answer,)
        except Exception as error:  # noqa: BLE001
            again = _still_to_do(calls, error)
            for call in calls:
                if call not in again:
                    call.outcome = (copy.copy(error),)
        finally:
            for call in calls:
                if not call.outcome and call not in again:
                    # Who served them was killed.
                    call.outcome = (_unknown(),)
            with self._changed:
                self._waiting = [*again, *self._waiting]
                self._is_busy = False
                self._changed.notify_all()


def _unknown() -> DatabaseUnavailable:
    error = DatabaseUnavailable(
        "whether it was written is not known; asking again is safe"
    )
    error.may_be_written = True
    return error


def _still_to_do(
    calls: Sequence[_Call[Item, Answer]], error: Exception
) -> Sequence[_Call[Item, Answer]]:
    """Return who is to be tried again after an error that was common."""
    if len(calls) == 1:
        return ()
    if not isinstance(error, DatabaseUnavailable):
        for call in calls:
            call.is_alone = True
        return calls
    late = [each for each in calls if each.left <= waits.ONE_MORE_LOCK]
    if error.may_be_written or not late:
        return ()
    return [each for each in calls if each not in late]
