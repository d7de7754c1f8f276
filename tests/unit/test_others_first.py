"""Who asks while a whole pass reads rows is served before its look at all."""

import threading

import pytest

from flatnet.exceptions import ApplierUnavailable
from flatnet.state.changes import Changes
from flatnet.state.scope import (
    EVERYTHING,
    NOTHING,
    WHOLE_HOST,
    of_instance,
)
from tests.builders import NoRows, reconciling

PATIENCE = 10
FEW, ALL = "few", "all"


class Rows(NoRows):
    """Notes what is read; somebody asks, each time, while it is read."""

    def __init__(self):
        self.read_scopes = []
        self.asks = []

    def read(self, scope, before):
        self.read_scopes.append(scope)
        if self.asks:
            self.asks.pop(0)()
        return super().read(scope, before)


class Applier:
    """Notes what is looked at; each time `meanwhile` is done before it is."""

    def __init__(self):
        self.looks = []
        self.meanwhile = []
        self.errors = []

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        self.looks.append(ALL if looked_at is None else FEW)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.errors:
            raise self.errors.pop(0)
        return Changes()


class Host:
    """One that had a pass already."""

    def __init__(self):
        self.rows, self.applier = Rows(), Applier()
        self.reconciler = reconciling(self.applier, rows=self.rows)
        self.reconciler.run_pass()
        self.applier.looks.clear()
        self.rows.read_scopes.clear()
        self.tickets = []

    def ask(self, scope):
        """What asks, and has a ticket then."""
        return lambda: self.tickets.append(self.reconciler.ask(scope))

    def is_served(self, ticket):
        return self.reconciler._asks.wait(ticket, 0) is not None


@pytest.fixture
def host():
    return Host()


def test_where_nobody_waits_it_is_one_pass(host):
    host.reconciler.run_pass()
    assert host.applier.looks == [ALL]
    assert host.rows.read_scopes == [EVERYTHING]


def test_who_asks_is_served_before_the_look_at_all(host):
    whole = host.reconciler.ask(EVERYTHING)
    mine = of_instance("vm-1")
    host.rows.asks = [host.ask(mine)]
    served = []
    host.applier.meanwhile = [
        lambda: None,
        lambda: served.extend(map(host.is_served, (*host.tickets, whole))),
    ]
    outcome = host.reconciler.run_pass(NOTHING)
    assert host.applier.looks == [FEW, ALL]
    # All rows, then his, which are newer; the look rests on both.
    assert host.rows.read_scopes == [EVERYTHING, mine]
    assert served == [True, False]
    assert outcome.is_whole
    assert host.is_served(whole)


def test_others_come_first_once(host):
    """Who asks while theirs are read waits for the look, as for any pass."""
    mine = of_instance("vm-1")
    host.rows.asks = [host.ask(mine) for _ in range(5)]
    host.reconciler.run_pass()
    assert host.applier.looks == [FEW, ALL]
    # The look reads nothing but what is asked for by then.
    assert host.rows.read_scopes == [EVERYTHING, mine, WHOLE_HOST | mine]
    assert list(map(host.is_served, host.tickets)) == [True, True, False]


def test_who_asks_at_the_same_time_as_somebody_for_all(host):
    mine, whole = of_instance("vm-1"), host.reconciler.ask(EVERYTHING)
    ticket = host.reconciler.ask(mine)
    served = []
    host.applier.meanwhile = [
        lambda: None,
        lambda: served.extend(map(host.is_served, (ticket, whole))),
    ]
    host.reconciler.run_pass(NOTHING)
    assert host.applier.looks == [FEW, ALL]
    assert host.rows.read_scopes == [EVERYTHING | mine]
    assert served == [True, False]


def test_who_asks_for_all_in_between_waits_for_another(host):
    host.rows.asks = [host.ask(EVERYTHING)]
    host.reconciler.run_pass()
    assert host.applier.looks == [ALL]
    assert not host.is_served(host.tickets[0])


def test_all_is_read_where_that_is_asked_for_before_the_look(host):
    host.rows.asks = [host.ask(of_instance("vm-1"))]
    host.applier.meanwhile = [host.ask(EVERYTHING)]
    host.reconciler.run_pass()
    assert host.applier.looks == [FEW, ALL]
    assert all(map(host.is_served, host.tickets))


@pytest.mark.parametrize("number", [0, 1])
def test_what_fails_is_told_to_who_waits_and_all_is_looked_at(host, number):
    whole = host.reconciler.ask(EVERYTHING)
    host.rows.asks = [host.ask(of_instance("vm-1"))]

    def fail():
        raise ApplierUnavailable("gone")

    host.applier.meanwhile = [lambda: None] * number + [fail]
    host.reconciler.run_pass(NOTHING)
    outcome = host.reconciler._asks.wait(whole, 0)
    assert str(outcome.error) == "gone"
    host.applier.looks.clear()
    # Nobody knows what came of it: all again, and nobody comes first.
    host.rows.asks = [host.ask(of_instance("vm-1"))]
    host.reconciler.run_pass(NOTHING)
    assert host.applier.looks == [ALL]
    assert host.reconciler.last.error is None


def test_the_first_pass_of_a_daemon_looks_at_all():
    rows, applier = Rows(), Applier()
    reconciler = reconciling(applier, rows=rows)
    rows.asks = [lambda: reconciler.ask(of_instance("vm-1"))]
    reconciler.run_pass(NOTHING)
    assert applier.looks == [ALL]


def test_who_waits_for_all_in_a_thread_is_woken_by_the_look(host):
    host.rows.asks = [host.ask(of_instance("vm-1"))]
    got = []
    waiting = threading.Thread(
        target=lambda: got.append(
            host.reconciler.ask_and_wait(PATIENCE, EVERYTHING)
        )
    )
    running = threading.Thread(target=host.reconciler.run)
    running.start()
    waiting.start()
    waiting.join(PATIENCE)
    host.reconciler.stop()
    running.join(PATIENCE)
    assert got[0].is_whole
    assert host.applier.looks == [FEW, ALL]
