"""Asks fold into passes; the only one who sends plans to the applier.

A pass reads the rows of this host, plans, and applies.  Any number of asks
that arrive while one runs are served together by the next.  Whoever waits,
waits for a pass that started after it asked, and so after its commit.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from flatnet import deadline
from flatnet.exceptions import (
    DatabaseUnavailable,
    FlatnetError,
    HostSetupError,
)
from flatnet.outcome import Pass
from flatnet.rows import Snapshot
from flatnet.state import Changes, Plan, Uplink
from flatnet.taken import Taken

LOG = logging.getLogger(__name__)

# Seconds after a pass that failed, or a part of it; doubled up to the
# interval, while nothing fails that had not before.
FIRST_RETRY = 1.0
# Addresses of bridges that turn out to be somebody's, one after the other.
MOST_SWAPS = 4
# Of the time that a caller has, the share that is waited for a pass.
PATIENCE = 0.8


class HostRows(Protocol):
    """What the reconciler needs of the rows of its host."""

    def read(self) -> Snapshot:
        """What the database says about this host."""

    def record(self, snapshot: Snapshot, changes: Changes) -> bool:
        """Write what a pass found; return whether there is more to do."""

    def swap(self, taken: tuple[Taken, ...]) -> bool:
        """Take other addresses for bridges; return whether there are any."""

    def tell(self, state: str, reason: str | None) -> None:
        """Write what the last pass was: ready, degraded or failed."""


class AppliesPlans(Protocol):
    """What the reconciler needs of the applier."""

    def uplinks(self, names: tuple[str, ...]) -> tuple[Uplink, ...]:
        """What the kernel says of the devices that exist."""

    def apply(self, plan: Plan) -> Changes:
        """Make this host look like the plan."""


class Reconciler:
    """Runs passes, one at a time, in the thread that calls `run`."""

    def __init__(
        self,
        *,
        rows: HostRows,
        uplink_names: Callable[[Snapshot], tuple[str, ...]],
        plan: Callable[[Snapshot, dict[str, Uplink]], Plan],
        applier: AppliesPlans,
        interval: float,
    ) -> None:
        self._rows = rows
        self._uplink_names = uplink_names
        self._plan = plan
        self._applier = applier
        self._interval = interval
        self._changed = threading.Condition()
        self._asked = 0
        self._renewed: set[str] = set()
        self._served = 0
        self._last = Pass()
        self._stopping = False
        self._retry = FIRST_RETRY
        self._begun: float | None = None

    @property
    def last(self) -> Pass:
        """The outcome of the pass that ended last."""
        return self._last

    @property
    def running(self) -> float:
        """Seconds that the present pass has taken so far, 0 without one."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    def ask(self, *, renewed: str | None = None) -> int:
        """Ask for a pass; return a ticket to wait with.

        :param renewed: the uuid of an instance that begins anew
        """
        with self._changed:
            self._renewed |= {renewed} if renewed else set()
            self._asked += 1
            self._changed.notify_all()
            return self._asked

    def wait(self, ticket: int, timeout: float) -> Pass:
        """Return the outcome of a pass that began after the ticket.

        :param timeout: seconds; less where the caller has less
        :raises HostSetupError: none ended in time; it goes on all the same
        """
        # What is left is for the answer, which is read from rows.
        timeout = min(timeout, deadline.left() * PATIENCE)
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._served >= ticket, timeout
            ):
                raise HostSetupError(
                    f"this host was not ready within {timeout:.0f} s; "
                    "it keeps trying, asking again is safe"
                )
            return self._last

    def ask_and_wait(
        self, timeout: float, *, renewed: str | None = None
    ) -> Pass:
        """Ask for a pass and return its outcome; errors as for `wait`."""
        return self.wait(self.ask(renewed=renewed), timeout)

    def run(self) -> None:
        """Serve asks, and the timer, until `stop`."""
        while self._wait_for_work():
            self.run_pass()

    def stop(self) -> None:
        """Let `run` return once the pass that it is in has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run_pass(self) -> Pass:
        """Run one pass now; all asks so far are served by it."""
        with self._changed:
            serving = self._asked
            renewed = frozenset(self._renewed)
        self._begun = time.monotonic()
        outcome = self._told(self._pass(renewed))
        self._begun = None
        _report(outcome, self._last)
        with self._changed:
            # What fails for good must not hold up what fails for a moment.
            self._retry = (
                FIRST_RETRY
                if outcome.has_news(self._last)
                else min(self._retry * 2, self._interval)
            )
            self._last = outcome
            self._served = serving
            if outcome.error is None:
                self._renewed -= renewed
            self._changed.notify_all()
        return outcome

    def _wait_for_work(self) -> bool:
        # Jitter, so that the hosts of a cloud that lost power together do
        # not ask the database together for ever after.
        pause = self._interval * random.uniform(0.9, 1.1)
        if self._last.is_incomplete:
            pause = self._retry
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._asked > self._served, pause
            )
            return not self._stopping

    def _pass(self, renewed: frozenset[str]) -> Pass:
        try:
            made: tuple[str, ...] = ()
            for _ in range(MOST_SWAPS):
                snapshot, plan = self._planned(renewed)
                changes = self._applier.apply(plan)
                made += changes.made
                # Whoever waits for this pass waits for the next address too.
                if not (changes.taken and self._rows.swap(changes.taken)):
                    break
            if self._rows.record(snapshot, changes):
                self.ask()
            changes = replace(changes, made=made)
            return Pass(plan, changes, groups=snapshot.group_ids)
        except FlatnetError as error:
            return Pass(error=error)
        except Exception as error:
            # A defect must not end the worker: guests that are well stay
            # so, and the timer tries again.
            LOG.exception("a pass met an unforeseen error")
            text = f"{type(error).__name__}: {error}"
            return Pass(error=HostSetupError(text))

    def _planned(self, renewed: frozenset[str]) -> tuple[Snapshot, Plan]:
        rows = self._rows.read()
        found = self._applier.uplinks(self._uplink_names(rows))
        plan = self._plan(rows, {each.name: each for each in found})
        return rows, replace(plan, renewed=tuple(sorted(renewed)))

    def _told(self, outcome: Pass) -> Pass:
        """Tell the cluster of a pass; what cannot be told is not done."""
        if isinstance(outcome.error, DatabaseUnavailable):
            return outcome
        try:
            self._rows.tell(outcome.state, outcome.reason)
        except FlatnetError as error:
            return replace(outcome, error=outcome.error or error)
        return outcome


def _report(outcome: Pass, before: Pass) -> None:
    """Log what changed; a state that lasts is said once, not each time."""
    if outcome.error is not None:
        LOG.error("pass failed: %s", outcome.error)
        return
    for line in outcome.changes.made:
        LOG.info("%s", line)
    for failure in outcome.changes.failures:
        if failure not in before.changes.failures:
            LOG.error(
                "%s: %s (instances: %s)",
                failure.subject,
                failure.message,
                ", ".join(map(_shown, failure.instances)) or "none",
            )
    known = before.warnings
    for line in outcome.warnings:
        if line not in known:
            LOG.warning("%s", _shown(line))


def _shown(text: str) -> str:
    """Text of rows in a way that cannot break a line of the log."""
    return "".join(
        each if each.isprintable() else ascii(each)[1:-1] for each in text
    )
