"""Asks fold into passes; the only one who sends plans to the applier.

A pass reads rows of this host, plans, and applies.  An ask names what it is
about; any number of asks that arrive while a pass runs are served together
by the next, which reads what all of them are about and no more.  The timer
and every doubt read all.  Whoever waits, waits for a pass that started after
it asked, and so after its commit.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from flatnet import deadline
from flatnet.exceptions import (
    DatabaseUnavailable,
    FlatnetError,
    HostSetupError,
)
from flatnet.passes import passlog
from flatnet.passes.asks import Asks, Ticket
from flatnet.passes.keeper import Keeper
from flatnet.passes.outcome import Pass, looked_at
from flatnet.passes.protocols import AppliesPlans, HostRows, MakesPlans
from flatnet.plan.kept_rows import Kept
from flatnet.plan.planned import Planned
from flatnet.state.effects import Effect
from flatnet.state.plan import Uplink
from flatnet.state.scope import (
    EVERYTHING,
    NOTHING,
    WHOLE_HOST,
    Scope,
    of_instance,
)

LOG = logging.getLogger(__name__)

# Addresses of bridges that turn out to be somebody's, one after the other.
MOST_SWAPS = 4
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
        self._asks = Asks(interval)
        self.ask_if_known = self._asks.ask_if_known
        self.ask_again = self._asks.ask_again
        self.stop = self._asks.stop
        self._planned: Planned | None = None
        # The rows since, with what passes found.
        self._known = Kept()
        self._uplinks: dict[str, Uplink] = {}

    @property
    def last(self) -> Pass:
        """The outcome of the pass that ended last."""
        return self._asks.last

    @property
    def running(self) -> float:
        """Seconds that the present pass has taken so far, 0 without one."""
        begun = self._asks.begun
        return 0.0 if begun is None else time.monotonic() - begun

    def ask(self, scope: Scope) -> Ticket:
        """Ask for a pass; return a ticket to wait with."""
        ticket = self._asks.ask(scope)
        self._keeper.hear()
        return ticket

    def ask_about(self, ports: Iterable[str]) -> Ticket:
        """Ask for a pass about ports that somebody did something to."""
        planned = self._planned
        return self.ask(planned.scope_of(ports) if planned else EVERYTHING)

    def wait(self, ticket: Ticket, timeout: float) -> Pass:
        """Return the outcome of a pass that began after the ticket.

        :param timeout: seconds; less where the caller has less
        :raises HostSetupError: none ended in time; it goes on all the same
        """
        # What is left is for the answer, which is read from rows.
        timeout = min(timeout, deadline.left() * PATIENCE)
        outcome = self._asks.wait(ticket, timeout)
        if outcome is None:
            raise HostSetupError(
                f"this host was not ready within {timeout:.0f} s; "
                "it keeps trying, asking again is safe"
            )
        return outcome

    def ask_and_wait(self, timeout: float, scope: Scope) -> Pass:
        """Ask for a pass and return its outcome; errors as for `wait`."""
        return self.wait(self.ask(scope), timeout)

    def serve(
        self, instance_uuid: str, timeout: float, *, renewed: bool = False
    ) -> Pass:
        """Bring this host to the rows of an instance.

        :param renewed: it begins anew
        :raises HostSetupError: it could not, or not in time
        """
        scope = of_instance(instance_uuid, renewed=renewed)
        outcome = self.ask_and_wait(timeout, scope)
        outcome.check(instance_uuid)
        return outcome

    def run(self) -> None:
        """Serve asks, and the timer, until `stop`."""
        while self._asks.wait_for_work():
            self.run_pass(NOTHING)

    def run_pass(self, scope: Scope = EVERYTHING) -> Pass:
        """Run one pass now; all asks so far are served by it.

        A whole one takes along who waits once it has read rows, and looks at
        all of the host after those who asked about few.
        """
        if self._planned is None:
            scope |= EVERYTHING
        outcome = self._run(scope | self._asks.due())
        if self._asks.owes_look:
            outcome = self._run(WHOLE_HOST)
        return outcome

    def _run(self, scope: Scope) -> Pass:
        scope = self._asks.begin(scope)
        with self._keeper.awake():
            outcome = self._told(self._pass(scope))
        passlog.report(outcome, self.last)
        outcome = outcome.logged()
        self._asks.end(scope, outcome)
        return outcome

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
            self.last, planned=planned, error=error, bridges=bridges
        )

    def _applied(self, scope: Scope) -> Pass:
        made: tuple[Effect, ...] = ()
        for _ in range(MOST_SWAPS):
            planned = self._plan(scope)
            if self._lets_others_first(scope):
                scope = replace(scope, whole_host=False)
                if self._asks.are_few:
                    scope |= (others := self._asks.join())
                    planned = self._plan(others)
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
            ports=self.last.ports_after(planned, scope, changes),
            bridges=planned.bridges,
            is_whole=scope.whole_host,
        )

    def _lets_others_first(self, scope: Scope) -> bool:
        """Whether others are not to wait until all of the host is looked at.

        Not time and again, and not where nobody knows what the last pass left
        behind.
        """
        return (
            scope.everything
            and (self._asks.are_few or bool(scope.instances))
            and not self._asks.owes_look
            and self.last.planned is not None
            and self.last.error is None
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
        if scope == WHOLE_HOST:
            return self._known
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
