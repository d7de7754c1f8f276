"""Who shares a transaction, and what becomes of its callers."""

import threading

import pytest

from flatnet import deadline
from flatnet.db.fold import Fold
from flatnet.exceptions import Conflict, DatabaseUnavailable
from tests.waiting import eventually

SOON = 20


class Work:
    """Answers an item with its double, and notes who came together.

    While `gate` is not set it does not go on; then who waits may join.
    `fails` are raised, one each time, in place of answers.
    """

    joins = staticmethod(lambda item: False)

    def __init__(self, *fails):
        self.gate = threading.Event()
        self.gate.set()
        self.together = []
        self.fails = list(fails)

    def __call__(self, batch):
        self.together.append(sorted(batch.items))
        assert self.gate.wait(SOON)
        batch.join(self.joins)
        items = batch.items
        self.together[-1] = sorted(items)
        if self.fails:
            raise self.fails.pop(0)
        return [Conflict("odd") if item % 2 else item * 2 for item in items]


def started(fold, *items, seconds=SOON):
    """Callers with these items, and a dict that will have what they get."""
    got = {}

    def ask(item):
        with deadline.within(seconds):
            try:
                got[item] = fold.ask(item)
            except Exception as error:  # noqa: BLE001
                got[item] = error

    threads = [threading.Thread(target=ask, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    return threads, got


def joined(threads):
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def gathered(fold, work, *items, first=0, seconds=SOON):
    """Let items gather behind one that is at work, then let it go on."""
    work.gate.clear()
    threads, got = started(fold, first)
    eventually(lambda: work.together, seconds=SOON)
    more, got_more = started(fold, *items, seconds=seconds)
    eventually(lambda: len(fold._waiting) == len(items), seconds=SOON)
    return [*threads, *more], got, got_more


def test_one_alone_is_served_at_once():
    work = Work()
    fold = Fold(work)
    assert fold.ask(4) == 8
    with pytest.raises(Conflict, match="odd"):
        fold.ask(3)
    assert work.together == [[4], [3]]


def test_who_waits_is_served_together_and_has_his_own_answer():
    work = Work()
    fold = Fold(work)
    threads, first, others = gathered(fold, work, 2, 3, 4)
    work.gate.set()
    joined(threads)
    assert work.together == [[0], [2, 3, 4]]
    assert first == {0: 0}
    assert (others[2], others[4]) == (4, 8)
    assert isinstance(others[3], Conflict)


def test_where_it_fails_each_is_tried_alone():
    work = Work()
    fold = Fold(work)
    threads, _, others = gathered(fold, work, 2, 4, 6)
    work.fails = [Conflict("the first"), ValueError("all"), KeyError("his")]
    work.gate.set()
    joined(threads)
    assert work.together[1] == [2, 4, 6]
    assert sorted(work.together[2:]) == [[2], [4], [6]]
    kinds = sorted(type(each).__name__ for each in others.values())
    assert kinds == ["KeyError", "int", "int"]


def test_who_has_gone_is_not_written():
    work = Work()
    fold = Fold(work)
    threads, _, gone = gathered(fold, work, 2, seconds=0.05)
    joined(threads[1:])
    assert isinstance(gone[2], DatabaseUnavailable)
    more, others = started(fold, 4)
    eventually(lambda: len(fold._waiting) == 1, seconds=SOON)
    work.gate.set()
    joined([*threads, *more])
    assert others == {4: 8}
    assert work.together == [[0], [4]]


def test_who_has_little_time_takes_it_from_nobody_else():
    """The database was too slow for one of them only."""
    work = Work()
    fold = Fold(work)
    threads, _, hasty = gathered(fold, work, 2, seconds=1)
    more, patient = started(fold, 4, 6)
    eventually(lambda: len(fold._waiting) == 3, seconds=SOON)
    work.fails = [Conflict("the first"), DatabaseUnavailable("too slow")]
    work.gate.set()
    joined([*threads, *more])
    assert work.together == [[0], [2, 4, 6], [4, 6]]
    assert isinstance(hasty[2], DatabaseUnavailable)
    assert patient == {4: 8, 6: 12}


def test_a_database_that_is_away_is_away_for_all():
    work = Work()
    fold = Fold(work)
    threads, _, others = gathered(fold, work, 2, 4)
    work.fails = [Conflict("the first"), DatabaseUnavailable("away")]
    work.gate.set()
    joined(threads)
    assert work.together == [[0], [2, 4]]
    assert {str(each) for each in others.values()} == {"away"}


def test_what_may_be_written_is_not_tried_again():
    lost = DatabaseUnavailable("not known")
    lost.may_be_written = True
    work = Work()
    fold = Fold(work)
    threads, _, others = gathered(fold, work, 2, 4, seconds=1)
    work.fails = [Conflict("the first"), lost]
    work.gate.set()
    joined(threads)
    assert work.together == [[0], [2, 4]]
    assert {str(each) for each in others.values()} == {"not known"}
    assert all(each.may_be_written for each in others.values())


def test_the_work_ends_when_the_first_of_its_callers_gives_up():
    left = []

    def work(batch):
        left.append(deadline.left())
        return batch.items

    fold = Fold(work, patience=7)
    with deadline.within(5):
        fold.ask(1)
    fold.ask(2)
    assert 4 < left[0] <= 5
    assert 6 < left[1] <= 7


def test_who_has_come_by_then_joins_where_it_fits():
    work = Work()
    fold = Fold(work)
    work.joins = lambda item: item < 5
    threads, first, others = gathered(fold, work, 2, 4, 6)
    work.gate.set()
    joined(threads)
    assert work.together == [[0, 2, 4], [6]]
    assert first == {0: 0}
    assert others == {2: 4, 4: 8, 6: 12}


def test_nobody_joins_who_would_give_up_first():
    """Else the work would have to end for him before it has to for others."""
    work = Work()
    fold = Fold(work)
    work.joins = lambda item: True
    threads, first, hasty = gathered(fold, work, 2, seconds=SOON / 2)
    more, patient = started(fold, 4)
    eventually(lambda: len(fold._waiting) == 2, seconds=SOON)
    work.gate.set()
    joined([*threads, *more])
    assert work.together == [[0, 4], [2]]
    assert {**first, **hasty, **patient} == {0: 0, 2: 4, 4: 8}


def test_who_has_joined_shares_what_becomes_of_it():
    """Each is tried alone then, and nobody joins him."""
    work = Work()
    fold = Fold(work)
    work.joins = lambda item: True
    threads, first, others = gathered(fold, work, 2, 4)
    work.fails = [Conflict("all"), ValueError("his")]
    work.gate.set()
    joined(threads)
    assert work.together[0] == [0, 2, 4]
    assert sorted(work.together[1:]) == [[0], [2], [4]]
    got = {**first, **others}.values()
    kinds = sorted(type(each).__name__ for each in got)
    assert kinds == ["ValueError", "int", "int"]
