"""Who undoes what we do, again and again, and what is said of it.

Another program that wants a device or a rule otherwise undoes each repair.
To repair each time at once is a race that nobody wins and all pay for.  So
repairs wait longer and longer; it is said once that it is a fight, and once
that it has ended.

What opens guests does not wait: rules are put back each time, whoever is to
repair the rest, and so is a bridge, by whose name the rules know guests.
"""

from flatnet.apply.backoff import LONGEST_PAUSE, Backoff, Often
from flatnet.state.changes import Fight
from flatnet.state.effects import Subject, Surface

RULES = Subject(Surface.FIREWALL)
# Times within a minute that are no fight yet.
_FREELY = 4


class Fights:
    """Those of one worker; time is an argument."""

    def __init__(self) -> None:
        self._backoff = Backoff[Subject](freely=_FREELY)
        self._told: set[Subject] = set()

    def to_repair(self, what: Subject, who: str, now: float) -> None:
        """Note that somebody undid what a pass is to repair."""
        self._backoff.count(what, now, who)
        if what.surface == Surface.BRIDGE:
            self._backoff.ask_now(what, now)
        else:
            self._backoff.ask(what, now)

    def due(self, now: float) -> frozenset[Subject]:
        """Return what a pass should repair now."""
        return self._backoff.due(now)

    def is_open(self, what: Subject) -> bool:
        """Whether it is known, and told, that somebody fights about it."""
        return what in self._told

    def begun(self) -> tuple[str, ...]:
        """Return a line for each fight that nobody was told of."""
        new = [e for e in self._backoff.often() if e.what not in self._told]
        self._told.update(each.what for each in new)
        return tuple(map(_begun, new))

    def ended(self, now: float) -> tuple[str, ...]:
        """Return a line for each that is over."""
        over = self._backoff.ended(now)
        self._told.difference_update(each.what for each in over)
        return tuple(
            f"{each.what}: nobody undoes it any more; it was undone "
            f"{each.times} times"
            for each in over
        )

    def shown(self, *, now: float, time: float) -> tuple[Fight, ...]:
        """Return those that go on.

        :param time: what a clock on the wall shows now, in seconds since 1970
        """
        return tuple(
            Fight(
                what=each.what,
                who=each.who,
                since=round(time - now + each.since),
                times=each.times,
            )
            for each in self._backoff.often()
        )


def _begun(often: Often[Subject]) -> str:
    rest = f"the pauses between repairs grow, up to {LONGEST_PAUSE:.0f} s"
    if often.what == RULES or often.what.surface == Surface.BRIDGE:
        rest = "it is put back each time, which is not logged each time"
    return (
        f"{often.what}: {often.who} undoes again and again what is repaired "
        f"({often.times} times by now); {rest}, until that has ended"
    )
