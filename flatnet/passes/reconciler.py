"""Asks fold into passes; the only one who sends plans to the applier.

A pass reads rows of this host, plans, and applies.  An ask names what it is
about; any number of asks that arrive while a pass runs are served together
by the next, which reads what all of them are about and no more.  The timer
and every doubt read all.  Whoever waits, waits for a pass that started after
it asked, and so after its commit.
"""

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import replace

from flatnet import deadline
from flatnet.exceptions import (
    DatabaseUnavailable,
    FlatnetError,
    HostSetupError,
)
from flatnet.passes import passlog
from flatnet.passes.keeper import Keeper
from flatnet.passes.outcome import Pass, looked_at
from flatnet.passes.partners import AppliesPlans, HostRows, MakesPlans
from flatnet.plan.kept import Kept
from flatnet.plan.planned import Planned
from flatnet.state.effects import Effect
from flatnet.state.plan import Uplink
from flatnet.state.scope import EVERYTHING, NOTHING, Scope

LOG = logging.getLogger(__name__)

# Seconds after a pass that failed, or a part of it; doubled up to the
# interval, while nothing fails that had not before.
FIRST_RETRY = 1.0
# Addresses of bridges that turn out to be somebody's, one after the other.
MOST_SWAPS = 4
# Passes whose outcome is kept for who waited for them.
_REMEMBERED = 32
# Of the time that a caller has, the share that is waited for a pass.
PATIENCE = 0.8


class Reconciler:
    """Runs passes, one at a time, in the thread that calls `run`."""

    def __init__(
        self,
        *,
        rows: HostRows,
        planner: MakesPlans,
        applier: AppliesPlans,
        interval: float,
    ) -> None:
        self._rows = rows
        self._planner = planner
        self._keeper = Keeper(applier)
        self._interval = interval
        self._changed = threading.Condition()
        self._asked = 0
        self._scope = NOTHING
        self._served = 0
        self._last = Pass()
        self._planned: Planned | None = None
        # The rows since, with what passes found.
        self._known = Kept()
        self._uplinks: dict[str, Uplink] = {}
        self._whole_due = time.monotonic() + interval
        # What the last passes served, and what became of them.
        self._outcomes: deque[tuple[int, Pass]] = deque(maxlen=_REMEMBERED)
        # What is asked for again, by the clock of `monotonic`.
        self._again: dict[int, Scope] = {}
        # Groups that matter if the pass that runs knows them.
        self._doubted: list[tuple[Collection[int], Scope]] = []
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

    def ask(self, scope: Scope) -> int:
        """Ask for a pass; return a ticket to wait with."""
        with self._changed:
            self._scope |= scope
            self._asked += 1
            self._changed.notify_all()
            ticket = self._asked
        self._keeper.hear()
        return ticket

    def ask_about(self, ports: Iterable[str]) -> int:
        """Ask for a pass about ports that somebody did something to."""
        planned = self._planned
        return self.ask(planned.scope_of(ports) if planned else EVERYTHING)

    def ask_if_known(self, groups: Collection[int], scope: Scope) -> None:
        """Ask for a pass if the last one knew some of these groups.

        One that runs is the last once it has ended: it may have read of them
        what nobody has written by now.
        """
        with self._changed:
            if self._begun is not None:
                self._doubted.append((groups, scope))
            elif not self._last.groups.isdisjoint(groups):
                self.ask(scope)

    def ask_again(self, scope: Scope, seconds: float) -> None:
        """Ask for a pass after a while, and nobody waits for it.

        What is asked for within a second becomes one.
        """
        with self._changed:
            due = math.ceil(time.monotonic() + seconds)
            self._again[due] = self._again.get(due, NOTHING) | scope
            self._changed.notify_all()

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
            served = (o for until, o in self._outcomes if until >= ticket)
            return next(served, self._last)

    def ask_and_wait(self, timeout: float, scope: Scope) -> Pass:
        """Ask for a pass and return its outcome; errors as for `wait`."""
        return self.wait(self.ask(scope), timeout)

    def run(self) -> None:
        """Serve asks, and the timer, until `stop`."""
        while self._wait_for_work():
            self.run_pass(NOTHING)

    def stop(self) -> None:
        """Let `run` return once the pass that it is in has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run_pass(self, scope: Scope = EVERYTHING) -> Pass:
        """Run one pass now; all asks so far are served by it."""
        with self._changed:
            serving = self._asked
            scope, self._scope = scope | self._scope, NOTHING
        if time.monotonic() >= self._whole_due or self._planned is None:
            scope |= EVERYTHING
        self._begun = time.monotonic()
        with self._keeper.awake():
            outcome = self._told(self._pass(scope))
        passlog.report(outcome, self._last)
        outcome = outcome.logged()
        with self._changed:
            # What fails for good must not hold up what fails for a moment.
            if outcome.has_news(self._last):
                self._retry = FIRST_RETRY
            elif scope.everything:
                self._retry = min(self._retry * 2, self._interval)
            self._last, self._begun = outcome, None
            doubted, self._doubted = self._doubted, []
            for groups, doubt in doubted:
                self.ask_if_known(groups, doubt)
            self._served = serving
            # Else so many plans would be kept, each of a whole host.
            self._outcomes.append((serving, replace(outcome, planned=None)))
            if outcome.error is not None:
                # Nobody knows what came of it.
                self._scope |= scope | EVERYTHING
            self._whole_due = self._next_whole(scope, outcome)
            self._changed.notify_all()
        return outcome

    def _next_whole(self, scope: Scope, outcome: Pass) -> float:
        """When all is looked at next, by the clock of `monotonic`."""
        # Jitter, so that the hosts of a cloud that lost power together do
        # not ask the database together for ever after; an interval at most.
        pause = self._interval * random.uniform(0.8, 1.0)
        if outcome.is_incomplete:
            pause = self._retry
        due = time.monotonic() + pause
        return due if scope.everything else min(due, self._whole_due)

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not (self._stopping or self._asked > self._served):
                now = time.monotonic()
                due = [at for at in self._again if at <= now]
                if due or now >= self._whole_due:
                    for at in due:
                        self._scope |= self._again.pop(at)
                    break
                ends = (self._whole_due, *self._again)
                self._changed.wait(min(ends) - now)
            return not self._stopping

    def _pass(self, scope: Scope) -> Pass:
        try:
            return self._applied(scope)
        except FlatnetError as error:
            return self._failed(error)
        except Exception as error:
            # A defect must not end the worker: guests that are well stay
            # so, and the timer tries again.
            LOG.exception("a pass met an unforeseen error")
            text = f"{type(error).__name__}: {error}"
            return self._failed(HostSetupError(text))

    def _failed(self, error: FlatnetError) -> Pass:
        """The outcome of a pass that ended so; the host is as it was.

        So is what was known of its ports, and of what fails.
        """
        planned = self._planned
        bridges = planned.bridges if planned else ()
        return replace(
            self._last, planned=planned, error=error, bridges=bridges
        )

    def _applied(self, scope: Scope) -> Pass:
        made: tuple[Effect, ...] = ()
        for _ in range(MOST_SWAPS):
            planned = self._plan(scope)
            changes = self._keeper.apply(
                planned.parts,
                renewed=scope.renewed,
                looked_at=looked_at(planned, scope),
            )
            made += changes.made
            # Whoever waits for this pass waits for the next address too.
            if not (changes.taken and self._rows.swap(changes.taken)):
                break
            scope |= EVERYTHING
        self._known, more = self._rows.record(planned.rows, changes)
        if more != NOTHING:
            self.ask(more)
        return Pass(
            planned,
            replace(changes, made=made),
            warnings=(*planned.warnings(), *changes.warnings),
            ports=self._last.ports_after(planned, scope, changes),
            bridges=planned.bridges,
        )

    def _plan(self, scope: Scope) -> Planned:
        """Plan from the rows that are in the scope, and those known."""
        self._known = rows = self._read(scope)
        names = self._planner.uplink_names(rows)
        if scope.everything or not self._uplinks.keys() >= set(names):
            found = self._keeper.uplinks(names)
            self._uplinks = {each.name: each for each in found}
        self._planned = self._planner.plan(rows, self._uplinks, self._planned)
        return self._planned

    def _read(self, scope: Scope) -> Kept:
        """Read rows; without a database have the host as the last had it.

        What others did to it may be what asked for this pass.
        """
        try:
            return self._rows.read(scope, self._known)
        except DatabaseUnavailable as error:
            unread = error
        # Outside of the handler, else each line of the log tells of it.
        self._keeper.keep()
        raise unread

    def _told(self, outcome: Pass) -> Pass:
        """Tell the cluster of a pass; what cannot be told is not done."""
        if isinstance(outcome.error, DatabaseUnavailable):
            return outcome
        try:
            self._rows.tell(outcome.state, outcome.reason)
        except FlatnetError as error:
            return replace(outcome, error=outcome.error or error)
        return outcome
