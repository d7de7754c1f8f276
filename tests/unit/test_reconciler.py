"""How asks fold into passes, with an applier that a test can hold up."""

import threading
import time

import pytest

from flatnet.exceptions import ApplierUnavailable, HostSetupError
from flatnet.passes.outcome import Pass
from flatnet.state.changes import HOST, Changes, Failure
from flatnet.state.effects import Subject, Surface
from flatnet.state.scope import EVERYTHING, of_instance
from tests.builders import reconciling
from tests.effects import DHCP, port

PATIENCE = 10


class Gate:
    """An applier that counts passes and ends each when it is told to."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.started = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.passes = 0

    def uplinks(self, names):
        return ()

    def apply(self, parts, *, renewed, looked_at):
        self.passes += 1
        self.started.release()
        assert self.may_end.acquire(timeout=PATIENCE)
        outcome = self.outcomes.pop(0) if self.outcomes else Changes()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def running():
    """Return a function that starts a reconciler on an applier."""
    started = []

    def start(applier, interval=1000):
        reconciler = reconciling(applier, interval=interval)
        thread = threading.Thread(target=reconciler.run)
        thread.start()
        started.append((reconciler, thread, applier))
        return reconciler

    yield start
    for reconciler, thread, applier in started:
        reconciler.stop()
        for _ in range(100):
            applier.may_end.release()
        thread.join(timeout=PATIENCE)
        assert not thread.is_alive()


def test_asks_during_a_pass_are_served_by_one_more(running):
    applier = Gate()
    reconciler = running(applier)
    first = reconciler.ask(EVERYTHING)
    assert applier.started.acquire(timeout=PATIENCE)
    later = [reconciler.ask(EVERYTHING) for _ in range(50)]
    applier.may_end.release()
    reconciler.wait(first, PATIENCE)
    assert applier.started.acquire(timeout=PATIENCE)
    applier.may_end.release()
    for ticket in later:
        reconciler.wait(ticket, PATIENCE)
    assert applier.passes == 2


def test_a_pass_that_already_runs_does_not_serve_an_ask(running):
    applier = Gate()
    reconciler = running(applier)
    reconciler.ask(EVERYTHING)
    assert applier.started.acquire(timeout=PATIENCE)
    late = reconciler.ask(EVERYTHING)
    with pytest.raises(HostSetupError, match="not ready within"):
        reconciler.wait(late, 0.05)


def test_a_failure_is_told_to_the_instance_that_suffers(running):
    failure = Failure(port("tap1"), "no room", ("vm-1",))
    applier = Gate(Changes(failures=(failure,)))
    reconciler = running(applier)
    applier.may_end.release()
    outcome = reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    outcome.check("vm-2")
    with pytest.raises(HostSetupError, match="port tap1: no room"):
        outcome.check("vm-1")


def test_a_failure_of_the_host_is_told_to_all_but_who_is_to_go(running):
    failure = Failure(Subject(Surface.FIREWALL), "no iptables", key=HOST)
    applier = Gate(Changes(failures=(failure,)))
    reconciler = running(applier)
    applier.may_end.release()
    outcome = reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    assert outcome.state == "degraded"
    with pytest.raises(HostSetupError, match="firewall: no iptables"):
        outcome.check("vm-1")
    outcome.check_gone("vm-1")


def test_what_is_left_of_who_went_is_told():
    failure = Failure(port("tap1"), "busy", ("vm-1",))
    outcome = Pass(changes=Changes(failures=(failure,)))
    outcome.check_gone("vm-2")
    with pytest.raises(HostSetupError, match="port tap1: busy"):
        outcome.check_gone("vm-1")


def test_a_dead_applier_fails_the_pass_and_it_is_tried_again(running):
    applier = Gate(ApplierUnavailable("gone"), Changes())
    reconciler = running(applier)
    applier.may_end.release()
    outcome = reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    with pytest.raises(ApplierUnavailable):
        outcome.check("vm-1")
    # Nobody asks: the worker tries again by itself.
    applier.may_end.release()
    for _ in range(2):
        assert applier.started.acquire(timeout=PATIENCE)


def test_a_pass_of_which_a_part_failed_is_tried_again(running):
    """Long before the timer asks, and without anybody who does."""
    failure = Failure(Subject(Surface.CONNTRACK), "out of memory")
    applier = Gate(Changes(failures=(failure,)))
    reconciler = running(applier)
    applier.may_end.release()
    reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    for _ in range(2):
        assert applier.started.acquire(timeout=PATIENCE)


@pytest.mark.parametrize(
    "unlucky",
    [
        ApplierUnavailable("gone"),
        Changes(
            failures=(Failure(Subject(Surface.FIREWALL), "refused", ("two",)),)
        ),
    ],
)
def test_what_fails_for_good_does_not_hold_up_what_fails_once(
    running, unlucky
):
    """As quickly in part as in whole, whatever else is broken for long."""
    lasting = Changes(failures=(Failure(DHCP, "mend it", ("one",)),))
    applier = Gate(*[lasting] * 12, unlucky, lasting)
    reconciler = running(applier)
    for _ in range(12):
        applier.may_end.release()
        reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    applier.may_end.release()
    reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    passes = applier.passes
    begun = time.monotonic()
    applier.may_end.release()
    # Nobody asks for this one.
    while applier.passes == passes:
        assert time.monotonic() < begun + PATIENCE
        time.sleep(0.01)
    assert time.monotonic() < begun + 5


def test_the_timer_asks_when_nobody_does(running):
    applier = Gate()
    running(applier, interval=0.05)
    for _ in range(3):
        assert applier.started.acquire(timeout=PATIENCE)
        applier.may_end.release()


def test_a_defect_in_a_pass_does_not_end_the_worker(running):
    applier = Gate(ZeroDivisionError("a defect"), Changes())
    reconciler = running(applier)
    applier.may_end.release()
    outcome = reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    with pytest.raises(HostSetupError, match="a defect"):
        outcome.check("vm-1")
    applier.may_end.release()
    reconciler.ask_and_wait(PATIENCE, EVERYTHING).check("vm-1")


def test_what_others_ask_for_uses_up_no_retry():
    """They do not try again what failed."""
    failure = Failure(port("tap1"), "no room", ("vm-1",))
    applier = Gate(*[Changes(failures=(failure,))] * 8)
    reconciler = reconciling(applier, interval=60)
    for _ in range(8):
        applier.may_end.release()
    reconciler.run_pass()
    begun = time.monotonic()
    for _ in range(6):
        reconciler.run_pass(of_instance("vm-2"))
    assert reconciler._asks._schedule.whole_due < begun + 2
    reconciler.run_pass()
    assert reconciler._asks._schedule.whole_due < time.monotonic() + 2.5


def test_who_waits_is_told_of_the_pass_that_served_him(running):
    failure = Failure(port("tap1"), "no room", ("vm-1",))
    applier = Gate(Changes(failures=(failure,)), Changes())
    reconciler = running(applier)
    tickets = []
    for scope in (of_instance("vm-1"), of_instance("vm-2")):
        applier.may_end.release()
        tickets.append(reconciler.ask(scope))
        reconciler.wait(tickets[-1], PATIENCE)
    with pytest.raises(HostSetupError):
        reconciler.wait(tickets[0], PATIENCE).check("vm-1")
    reconciler.wait(tickets[1], PATIENCE).check("vm-1")


def test_what_is_asked_for_again_is_done_once_more(running):
    applier = Gate()
    reconciler = running(applier)
    for _ in range(3):
        applier.may_end.release()
    reconciler.ask_and_wait(PATIENCE, EVERYTHING)
    assert applier.passes == 1
    reconciler.ask_again(of_instance("vm-1"), 0.05)
    for _ in range(2):
        assert applier.started.acquire(timeout=PATIENCE)
