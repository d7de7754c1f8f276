"""How soon one sees to what happens again and again.

Goals, and how each is met:

* What happens now and then is seen to at once: so are the first few times.
* What goes on costs less and less: each time that it was seen to, the next
  one waits twice as long, up to half a minute.
* What has ended is as it was before: after a minute in which nothing
  happened it is forgotten.

Time is an argument, in seconds by any clock that does not go back.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

# Seconds in which a few times are too many, and of quiet that end it; more
# than the longest pause, for who fights has his say after each repair.
MINUTE = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Often(Generic[K]):
    """What happens too often: `since` when, how many `times`.

    `who` did it last.
    """

    what: K
    who: str
    since: float
    times: int


@dataclass
class _Record:
    """What is known of one thing; `due` is none while nobody asks."""

    since: float
    who: str = ""
    times: int = 0
    lately: deque[float] = field(default_factory=deque)
    is_often: bool = False
    heard: float = 0.0
    pause: float = FIRST_PAUSE
    due: float | None = None


class Backoff(Generic[K]):
    """Counts what happens to things, and says when they are due."""

    def __init__(self, *, freely: int) -> None:
        """`freely`: so many times within a minute are nothing special."""
        self._freely = freely
        self._records: dict[K, _Record] = {}

    def count(self, what: K, now: float, who: str = "") -> None:
        """Note that something happened, by whom."""
        record = self._records.setdefault(what, _Record(now))
        record.who = who
        record.times += 1
        record.lately.append(now)
        while record.lately[0] <= now - MINUTE:
            record.lately.popleft()
        if len(record.lately) > self._freely:
            record.is_often = True
            # Of what goes on nobody asks how often it was lately.
            record.lately.popleft()

    def ask(self, what: K, now: float) -> None:
        """Have something that was counted come to be due."""
        record = self._records[what]
        if record.due is None:
            pause = record.pause if record.is_often else 0.0
            record.due = max(now, record.heard + pause)

    def ask_now(self, what: K, now: float) -> None:
        """Have something that was counted be due, however often it was."""
        self._records[what].due = now

    def due(self, now: float) -> frozenset[K]:
        """Return what is to be seen to now; it counts as seen to."""
        found = set()
        for what, record in self._records.items():
            if record.due is None or record.due > now:
                continue
            record.due, record.heard = None, now
            if record.is_often:
                record.pause = min(record.pause * 2, LONGEST_PAUSE)
            found.add(what)
        return frozenset(found)

    def is_often(self, what: K) -> bool:
        """Whether something happens again and again."""
        record = self._records.get(what)
        return record is not None and record.is_often

    def often(self) -> tuple[Often[K], ...]:
        """Return what happens again and again, the oldest first."""
        return tuple(
            Often(what, record.who, record.since, record.times)
            for what, record in self._records.items()
            if record.is_often
        )

    def ended(self, now: float) -> tuple[Often[K], ...]:
        """Forget what has been quiet; return what of it was often."""
        quiet = {
            what
            for what, record in self._records.items()
            if record.due is None and record.lately[-1] <= now - MINUTE
        }
        ended = tuple(each for each in self.often() if each.what in quiet)
        for what in quiet:
            del self._records[what]
        return ended
