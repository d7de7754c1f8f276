"""Calls that wait share one transaction.

While one transaction runs, callers gather; whoever is next takes all that
wait along.  Who is alone does not wait.  A transaction costs much the same
for one as for many, so that it costs the less the more there is to do.  One
that waits for a lock itself may take along who has come by its end (`Batch`).

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
from flatnet.db import timeouts
from flatnet.db.batch import Batch
from flatnet.exceptions import DatabaseUnavailable, FlatnetError

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


def _late() -> FlatnetError:
    return DatabaseUnavailable(
        "the database was not to be had in time: others write, and nothing "
        "was written"
    )


class Fold(Generic[Item, Answer]):
    """One kind of transaction, for whoever asks for it.

    :param work: takes a batch and returns for each of its items, in their
        order, an answer or the error that its caller gets; what it raises is
        all callers'
    :param patience: seconds of a caller who has no less
    :param late: what is raised for who had no turn in that time
    """

    def __init__(
        self,
        work: Callable[[Batch[Item]], Sequence[Answer | Exception]],
        *,
        patience: float = timeouts.PATIENCE,
        late: Callable[[], FlatnetError] = _late,
    ) -> None:
        self._work = work
        self._patience = patience
        self._late = late
        self._changed = threading.Condition()
        self._waiting: list[_Call[Item, Answer]] = []
        self._is_busy = False

    def ask(self, item: Item) -> Answer:
        """Return what the work made of an item, alone or among others.

        :raises FlatnetError: it had no turn in time
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

    def _taken(self, mine: _Call[Item, Answer]) -> list[_Call[Item, Answer]]:
        """Wait for a turn; return who shares it, nobody if all is done."""
        with self._changed:
            while not mine.outcome:
                has_turn = not self._is_busy and mine in self._waiting
                if mine in self._waiting and mine.left <= 0:
                    self._waiting.remove(mine)
                    raise self._late()
                if has_turn:
                    self._is_busy = True
                    return self._take(mine)
                # Whose turn has come is answered by its end.
                waits_on = mine.left if mine in self._waiting else None
                self._changed.wait(waits_on)
            return []

    def _take(self, mine: _Call[Item, Answer]) -> list[_Call[Item, Answer]]:
        if mine.is_alone:
            self._waiting.remove(mine)
            return [mine]
        return self._leave(lambda each: each is mine or each.left > 0)

    def _leave(
        self, is_meant: Callable[[_Call[Item, Answer]], bool]
    ) -> list[_Call[Item, Answer]]:
        """Take calls out of those that wait; none that is to be alone."""
        meant = [
            call
            for call in self._waiting
            if not call.is_alone and is_meant(call)
        ]
        self._waiting = [call for call in self._waiting if call not in meant]
        return meant

    def _batch(self, calls: list[_Call[Item, Answer]]) -> Batch[Item]:
        """The items of calls, to which come those of who joins."""
        items = [each.item for each in calls]
        if calls[0].is_alone:
            return Batch(items)

        def waiting() -> list[Item]:
            with self._changed:
                return [each.item for each in self._waiting]

        def join(fits: Callable[[Item], bool]) -> list[Item]:
            # Nobody may give up before the transaction does.
            end = time.monotonic() + deadline.left()
            with self._changed:
                new = self._leave(
                    lambda each: each.end >= end and fits(each.item)
                )
            calls.extend(new)
            return [each.item for each in new]

        return Batch(items, waiting=waiting, join=join)

    def _serve(self, calls: list[_Call[Item, Answer]]) -> None:
        again: Sequence[_Call[Item, Answer]] = ()
        try:
            with deadline.within(min(each.left for each in calls)):
                answers = self._work(self._batch(calls))
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
    late = [each for each in calls if each.left <= timeouts.ONE_MORE_LOCK]
    if error.may_be_written or not late:
        return ()
    return [each for each in calls if each not in late]
