"""A step is not taken while what it rests on is as it was, and it was well."""

import pytest

from flatnet.apply.skipped_steps import SkippedSteps
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb

DONE = Effect(Surface.GUARD, Verb.MADE, "table")
FAILED = Failure(Subject(Surface.GUARD), "no")
SAME = {Surface.GUARD: "same"}
WARNED = Changes(warnings=("odd",))


class Step:
    """Does one thing after the other, and the last again and again."""

    def __init__(self, *does):
        self._does, self.taken = list(does), 0

    def __call__(self):
        self.taken += 1
        return self._does.pop(0) if self._does[1:] else self._does[0]


def test_what_had_nothing_to_do_is_told_again_and_not_taken():
    skipped_steps, step = SkippedSteps(), Step(WARNED)
    for _ in range(3):
        assert skipped_steps.step(Surface.GUARD, SAME, step) == WARNED
    assert step.taken == 1


def test_another_basis_is_looked_at():
    skipped_steps, step = SkippedSteps(), Step(Changes())
    for basis in ("one", "two", "one"):
        skipped_steps.step(Surface.GUARD, {Surface.GUARD: basis}, step)
    assert step.taken == 3


def test_surfaces_know_nothing_of_each_other():
    skipped_steps, step = SkippedSteps(), Step(Changes())
    for surface in (Surface.GUARD, Surface.DHCP):
        skipped_steps.step(surface, dict.fromkeys(Surface, "same"), step)
    assert step.taken == 2


@pytest.mark.parametrize(
    "does",
    [
        Changes(made=(DONE,)),
        Changes(failures=(FAILED,)),
        Changes(judged=frozenset({"10.0.0.2"})),
        Changes(reloaded=("br100",)),
    ],
)
def test_what_did_anything_is_taken_until_it_does_nothing(does):
    skipped_steps, step = SkippedSteps(), Step(does, Changes())
    for _ in range(3):
        skipped_steps.step(Surface.GUARD, SAME, step)
    assert step.taken == 2


def test_where_nobody_knows_it_is_taken_and_not_remembered():
    skipped_steps, step = SkippedSteps(), Step(Changes())
    for on in (SAME, {}, SAME):
        skipped_steps.step(Surface.GUARD, on, step)
    assert step.taken == 3


def test_what_dies_is_taken_again():
    skipped_steps, died = SkippedSteps(), []

    def dies():
        died.append(True)
        raise ValueError("no")

    for _ in range(2):
        (failure,) = skipped_steps.step(Surface.GUARD, SAME, dies).failures
        assert failure.is_of_host
    assert len(died) == 2


def test_what_is_forgotten_is_taken():
    skipped_steps, step = SkippedSteps(), Step(Changes())
    for _ in range(2):
        skipped_steps.step(Surface.GUARD, SAME, step)
        skipped_steps.forget()
    assert step.taken == 2
