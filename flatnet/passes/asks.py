"""Who asks for passes and who waits for them: asks fold, tickets are served.

A whole pass may be done in two: first rows are in force, then all of the host
is looked at.  Whoever asks about rows is served by the first.
"""

import threading
import time
from collections import deque
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from flatnet.passes.outcome import Pass
from flatnet.passes.schedule import Schedule
from flatnet.state.scope import EVERYTHING, NOTHING, Scope

# Passes whose outcome is kept for who waited for them.
_REMEMBERED = 32


class Ticket(NamedTuple):
    """Of one ask: its number, and whether it is about all of the host."""

    number: int
    is_whole: bool

    def is_among(self, served: int, looked: int) -> bool:
        """Whether it is one of those whose rows are in force.

        :param looked: for how many all of the host was looked at since
        """
        return self.number <= (looked if self.is_whole else served)


class Asks:
    """What is asked for, by anybody in any thread, or by the clock.

    `last` is the outcome of the pass that ended last, `owes_look` whether it
    has left the look at all of the host to another, and `begun` when the
    present one began, by the clock of `monotonic`.
    """

    def __init__(self, interval: float) -> None:
        self._schedule = Schedule(interval)
        self._changed = threading.Condition()
        self._scope = NOTHING
        # How many there were, and how many the present pass serves; how many
        # were served, and for how many all of the host was looked at.
        self._asked = self._serving = 0
        self._served = self._looked = 0
        # What passes served, in both ways, and what came of them.
        self._outcomes: deque[tuple[int, int, Pass]] = deque(
            maxlen=_REMEMBERED
        )
        # Groups that matter if the pass that runs knows them.
        self._doubted: list[tuple[Collection[int], Scope]] = []
        self._stopping = False
        self.last = Pass()
        self.begun: float | None = None
        self.owes_look = False

    def ask(self, scope: Scope) -> Ticket:
        """Ask for a pass; return a ticket to wait with."""
        with self._changed:
            self._scope |= scope
            self._asked += 1
            self._changed.notify_all()
            return Ticket(self._asked, scope.whole_host)

    def ask_if_known(self, groups: Collection[int], scope: Scope) -> None:
        """Ask for a pass if the last one knew some of these groups.

        Or of the scope's instances.  One that runs is the last once it has
        ended: it may have read of them what nobody has written by now.
        """
        with self._changed:
            if self.begun is not None:
                self._doubted.append((groups, scope))
            elif self.last.knows(groups, scope.instances):
                self.ask(scope)

    def ask_again(self, scope: Scope, seconds: float) -> None:
        """Ask for a pass after a while, and nobody waits for it."""
        with self._changed:
            self._schedule.put(scope, seconds)
            self._changed.notify_all()

    @property
    def are_few(self) -> bool:
        """Whether some wait for another pass, and none of them for all."""
        return self._asked > self._serving and not self._scope.everything

    def join(self) -> Scope:
        """Have the present pass serve all asks so far; return their scope."""
        with self._changed:
            self._serving = self._asked
            scope, self._scope = self._scope, NOTHING
            return scope

    def wait(self, ticket: Ticket, timeout: float) -> Pass | None:
        """Return the outcome of a pass that began after the ticket.

        :param timeout: seconds, after which there is none
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: ticket.is_among(self._served, self._looked), timeout
            ):
                return None
            outcomes = (
                outcome
                for *served, outcome in self._outcomes
                if ticket.is_among(*served)
            )
            return next(outcomes, self.last)

    def wait_for_work(self) -> bool:
        """Wait until there is something to do; false once it is to stop."""
        with self._changed:
            while not (self._stopping or self._asked > self._served):
                self._scope |= (due := self._schedule.taken())
                if due != NOTHING or self._schedule.whole() != NOTHING:
                    break
                self._changed.wait(self._schedule.seconds())
            return not self._stopping

    def stop(self) -> None:
        """Let nobody wait for work any more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def due(self) -> Scope:
        """Everything, if the clock says so."""
        return self._schedule.whole()

    def begin(self, scope: Scope) -> Scope:
        """Begin a pass; return its scope with that of all asks so far."""
        with self._changed:
            self.begun = time.monotonic()
            return scope | self.join()

    def end(self, scope: Scope, outcome: Pass) -> None:
        """End it, and let know who waits.

        :param scope: what it was asked for
        """
        with self._changed:
            self._schedule.note(scope, outcome, self.last)
            self.last, self.begun = outcome, None
            doubted, self._doubted = self._doubted, []
            for groups, doubt in doubted:
                self.ask_if_known(groups, doubt)
            self.owes_look = not outcome.is_final and (
                self.owes_look or scope.whole_host
            )
            self._served = self._serving
            if not self.owes_look:
                self._looked = self._serving
            # Else so many plans would be kept, each of a whole host.
            kept = replace(outcome, planned=None)
            self._outcomes.append((self._served, self._looked, kept))
            if outcome.error is not None:
                # Nobody knows what came of it.
                self._scope |= scope | EVERYTHING
            self._changed.notify_all()
