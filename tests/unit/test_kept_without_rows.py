"""While no row can be read, a host is held as the last rows had it."""

import logging

import pytest

from flatnet.exceptions import DatabaseUnavailable, HostSetupError
from flatnet.state.changes import Changes, Failure
from flatnet.state.effects import Effect, Subject, Surface, Verb
from flatnet.state.scope import EVERYTHING, of_instance
from tests.builders import NoRows, reconciling

BACK = Effect(Surface.BRIDGE, Verb.UP, "br100")


class Rows(NoRows):
    """Rows that can be read, or not."""

    error = None

    def read(self, scope, before):
        if self.error is not None:
            raise self.error
        return super().read(scope, before)


class Applier:
    """An applier that notes what it is asked for."""

    def __init__(self):
        self.passes = []
        self.outcome = Changes()

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        self.passes.append((parts, renewed, looked_at))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def host():
    rows, applier = Rows(), Applier()
    return reconciling(applier, rows=rows), rows, applier


def test_what_others_did_is_put_back_and_the_pass_has_failed(host, caplog):
    reconciler, rows, applier = host
    assert reconciler.run_pass().state == "ready"
    rows.error = DatabaseUnavailable("it is away")
    applier.outcome = Changes(made=(BACK,))
    with caplog.at_level(logging.WARNING):
        outcome = reconciler.run_pass(of_instance("1", renewed=True))
    assert outcome.error is rows.error
    first, again = applier.passes
    # Nobody begins anew by rows that nobody has read.
    assert again == (first[0], (), None)
    assert f"put back without the database: {BACK}" in caplog.text
    rows.error, applier.outcome = None, Changes()
    # The next one looks at all, and says that it is well.
    assert reconciler.run_pass(of_instance("1")).state == "ready"
    assert applier.passes[-1][2] is None


def test_before_the_first_rows_nothing_is_touched(host):
    reconciler, rows, applier = host
    rows.error = DatabaseUnavailable("it is away")
    assert reconciler.run_pass(EVERYTHING).error is rows.error
    assert applier.passes == []


@pytest.mark.parametrize(
    "outcome",
    [
        HostSetupError("the applier is gone"),
        Changes(
            failures=(Failure(Subject(Surface.DHCP, "br100"), "no", ("1",)),)
        ),
    ],
)
def test_what_fails_then_is_told_by_the_next_that_has_rows(host, outcome):
    reconciler, rows, applier = host
    reconciler.run_pass()
    rows.error = DatabaseUnavailable("it is away")
    applier.outcome = outcome
    found = reconciler.run_pass()
    assert (found.error, found.changes) == (rows.error, Changes())
