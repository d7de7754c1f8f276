"""What is kept of what became of passes."""

import logging
from dataclasses import replace

import pytest

from flatnet.exceptions import ApplierUnavailable
from flatnet.state.changes import Changes, Failure, FoundPort
from flatnet.state.effects import Effect, Surface, Verb
from flatnet.state.scope import EVERYTHING
from tests.builders import reconciling
from tests.effects import port


class InTurn:
    """An applier that answers so, one after the other."""

    def __init__(self, *outcomes):
        self._outcomes = iter(outcomes)

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_what_a_pass_did_is_not_kept_once_it_is_logged(caplog):
    made = (Effect(Surface.PORT, Verb.MADE, "tap1"),)
    reconciler = reconciling(InTurn(Changes(made=made)))
    with caplog.at_level(logging.INFO):
        outcome = reconciler.run_pass(EVERYTHING)
    assert "port tap1: made" in caplog.text
    assert outcome is reconciler.last
    assert outcome.changes.made == ()


def test_what_is_found_as_before_is_kept_once():
    """Outcomes are kept of many passes, with all ports of the host each."""

    def found(**other):
        first = FoundPort("tap1", "up", kind="tap")
        return Changes(ports=(first, replace(first, name="tap2", **other)))

    applier = InTurn(found(), found(), found(carrier=True), found())
    reconciler = reconciling(applier)
    first, same, other, back = (
        reconciler.run_pass(EVERYTHING) for _ in range(4)
    )
    assert same.ports is first.ports
    assert other.ports["tap1"] is first.ports["tap1"]
    assert [each.ports["tap2"].carrier for each in (first, other, back)] == [
        False,
        True,
        False,
    ]


def test_a_pass_that_fails_as_a_whole_forgets_nothing():
    failure = Failure(port("tap1"), "no room", ("vm-1",))
    found = FoundPort("tap2", "up", carrier=True, kind="tap")
    applier = InTurn(
        Changes(failures=(failure,), ports=(found,)),
        ApplierUnavailable("gone"),
    )
    reconciler = reconciling(applier)
    reconciler.run_pass(EVERYTHING)
    outcome = reconciler.run_pass(EVERYTHING)
    assert outcome.state == "failed"
    assert outcome.changes.failures == (failure,)
    assert outcome.ports == {"tap2": found}
    with pytest.raises(ApplierUnavailable):
        outcome.check("vm-1")
