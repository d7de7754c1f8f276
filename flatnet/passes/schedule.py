"""When this host is looked at, whether somebody asks or not."""

import math
import random
import time

from flatnet.passes.outcome import Pass
from flatnet.state.scope import EVERYTHING, NOTHING, Scope

# Seconds after a pass that failed, or a part of it; doubled up to the
# interval, while nothing fails that had not before.
_FIRST_RETRY = 1.0


class Schedule:
    """The next whole pass, and what is to be asked for again.

    Times are those of the clock of `monotonic`.  It is used under the lock of
    who has it.

    :param interval: seconds between whole passes, at most
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self.whole_due = time.monotonic() + interval
        self._retry = _FIRST_RETRY
        self._again: dict[int, Scope] = {}

    def put(self, scope: Scope, seconds: float) -> None:
        """Have something looked at after a while.

        What is due within a second becomes one.
        """
        due = math.ceil(time.monotonic() + seconds)
        self._again[due] = self._again.get(due, NOTHING) | scope

    def whole(self) -> Scope:
        """Everything, if that is due by now."""
        is_due = time.monotonic() >= self.whole_due
        return EVERYTHING if is_due else NOTHING

    def taken(self) -> Scope:
        """What is to be looked at again by now, once; nothing if none is."""
        now = time.monotonic()
        scope = NOTHING
        for due in [each for each in self._again if each <= now]:
            scope |= self._again.pop(due)
        return scope

    def seconds(self) -> float:
        """Seconds until something is due, 0 where it is."""
        return max(0, min((self.whole_due, *self._again)) - time.monotonic())

    def note(self, scope: Scope, outcome: Pass, before: Pass) -> None:
        """Say when all is looked at next, now that a pass has ended.

        :param before: the outcome of the pass before it
        """
        # What fails for good must not hold up what fails for a moment.
        if outcome.has_news(before):
            self._retry = _FIRST_RETRY
        elif scope.everything:
            self._retry = min(self._retry * 2, self._interval)
        # Jitter, so that the hosts of a cloud that lost power together do
        # not ask the database together for ever after; an interval at most.
        pause = self._interval * random.uniform(0.8, 1.0)
        if outcome.is_incomplete:
            pause = self._retry
        due = time.monotonic() + pause
        self.whole_due = due if scope.everything else min(due, self.whole_due)
