"""Whose connections are owed a judgement, by address."""

from flatnet.apply.filter.connections.owed_cuts import (
    EVERYTHING,
    NOTHING,
    Owed,
    after,
)
from flatnet.state.changes import HOST, Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.filtering import Filter, Guest

ONE, TWO, OPEN = "10.0.0.2", "10.0.0.3", "10.0.0.4"
FILTER = Filter(
    guests=(
        Guest("vif-1", "vm-1", "br100", (ONE, "fe80::1"), filtered=True),
        Guest("vif-2", "vm-2", "br100", (TWO,), filtered=True),
        Guest("vif-3", "vm-3", "br100", (OPEN,)),
    )
)
GUARD = Subject(Surface.GUARD)


def owed(*addresses):
    return Owed(frozenset(addresses))


def test_what_is_owed_adds_up():
    assert owed(ONE) | owed(TWO) == owed(ONE, TWO)
    assert owed(ONE) | NOTHING == owed(ONE)
    assert (owed(ONE) | EVERYTHING).everything


def test_it_is_owed_to_addresses_that_are_filtered_by_then():
    assert NOTHING.among(FILTER) == frozenset()
    assert owed(ONE, OPEN, "10.0.0.9").among(FILTER) == {ONE}
    assert EVERYTHING.among(FILTER) == {ONE, "fe80::1", TWO}


def test_rules_make_doubtful_whom_less_may_reach_and_who_suffers():
    judged = Changes(judged=frozenset((TWO,)))
    assert after(judged, FILTER) == owed(TWO)
    named = Changes(failures=(Failure(GUARD, "refused", ("vm-1",)),))
    assert after(named, FILTER) == owed(ONE, "fe80::1")
    nobody = Changes(failures=(Failure(GUARD, "in use"),))
    assert after(nobody, FILTER) == NOTHING


def test_a_step_that_failed_as_a_whole_makes_all_doubtful():
    failure = Failure(GUARD, "out of memory", key=HOST)
    assert after(Changes(failures=(failure,)), FILTER) == EVERYTHING
