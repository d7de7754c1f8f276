"""A host is kept while a pass waits for rows, and only then."""

import threading
import time

from flatnet.exceptions import HostSetupError
from flatnet.passes.keeper import Keeper
from flatnet.state.changes import Changes
from flatnet.state.parts import HostPart, Parts
from tests.waiting import eventually

PATIENCE = 10
PARTS = Parts(HostPart("node1"))


class Counting:
    """An applier that notes what it was asked for."""

    def __init__(self):
        self.asked = []
        self.may_end = threading.Event()
        self.may_end.set()

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        self.asked.append((parts, renewed, looked_at))
        assert self.may_end.wait(PATIENCE)
        return Changes()


def begun(applier):
    """A keeper by which one pass has gone."""
    keeper = Keeper(applier)
    keeper.apply(PARTS, renewed=(), looked_at=("a",))
    applier.asked.clear()
    return keeper


def test_a_pass_that_waits_has_the_host_looked_at_whole():
    applier = Counting()
    with begun(applier).awake():
        eventually(lambda: applier.asked)
        assert applier.asked == [(PARTS, (), None)]


def test_and_again_when_something_happens_and_not_before():
    applier = Counting()
    keeper = begun(applier)
    with keeper.awake():
        eventually(lambda: applier.asked)
        time.sleep(0.5)
        assert len(applier.asked) == 1
        keeper.hear()
        eventually(lambda: len(applier.asked) == 2)


def test_a_short_pass_has_nothing_beside_it():
    applier = Counting()
    keeper = begun(applier)
    before = threading.active_count()
    for _ in range(20):
        keeper.hear()
        with keeper.awake():
            pass
    assert applier.asked == []
    assert threading.active_count() == before


def test_who_has_the_applier_is_left_alone():
    applier = Counting()
    keeper = begun(applier)
    applier.may_end.clear()
    with keeper.awake():
        passing = threading.Thread(
            target=keeper.apply,
            args=(PARTS,),
            kwargs={"renewed": (), "looked_at": ()},
        )
        passing.start()
        eventually(lambda: applier.asked)
        time.sleep(0.8)
        assert applier.asked == [(PARTS, (), ())]
        applier.may_end.set()
        passing.join()


def test_nothing_is_kept_before_the_first_plan():
    applier = Counting()
    with Keeper(applier).awake():
        time.sleep(0.8)
    assert applier.asked == []


def test_what_fails_is_tried_again():
    class Failing(Counting):
        def apply(self, parts, *, renewed, looked_at):
            super().apply(parts, renewed=renewed, looked_at=looked_at)
            if len(self.asked) == 2:
                raise HostSetupError("no")
            return Changes()

    applier = Failing()
    keeper = Keeper(applier)
    keeper.apply(PARTS, renewed=(), looked_at=())
    with keeper.awake():
        eventually(lambda: len(applier.asked) == 2)
        keeper.hear()
        eventually(lambda: len(applier.asked) == 3)
