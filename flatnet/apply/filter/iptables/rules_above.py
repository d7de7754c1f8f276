"""Rules of others that came before our jumps, until they go or have stayed.

Others put rules there and take them away again all the time (a port opened
for a minute, a ban, a test whether a rule is there), and to read all tables
for each costs as much as these hold.  What such a rule lets pass was judged by
none of ours, so that the guard lets none of it begin with a filtered guest.
So there is time: who is still there after a moment is overtaken in turn.

Given up: where foreign rules are to stay above, the text of a rule decides,
and all is read each time.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flatnet.apply.filter.iptables.iptables import jump_line
from flatnet.apply.filter.iptables.kernel_tables import marks_in
from flatnet.apply.filter.iptables.marks import mark_of
from flatnet.apply.filter.iptables.saved import is_legacy
from flatnet.apply.filter.iptables.tables import Table
from flatnet.apply.filter.iptables.touched_tables import Builtin
from flatnet.apply.netlink import KeptSocket
from flatnet.exceptions import HostSetupError

# Seconds that a rule may be there; a guest's new connections wait for it.
_MOMENT = 0.25


@dataclass
class _Waiting:
    """What came to a chain: `who` put it there, `rules` are its handles."""

    who: str
    rules: frozenset[int] = field(default_factory=frozenset)


class RulesAbove:
    """The chains in which ours may come second; time is an argument."""

    def __init__(self, asking: KeptSocket) -> None:
        """`asking` is a socket of netfilter's."""
        self._asking = asking
        self._waiting: dict[Builtin, _Waiting] = {}
        # The tables that were planned last, and the marks of their jumps.
        self._tables: tuple[Table, ...] = ()
        self._planned: Mapping[Builtin, str | None] = {}
        # When they are looked at next.
        self.due = math.inf

    def note(
        self,
        places: Iterable[Builtin],
        who: str,
        tables: tuple[Table, ...],
        now: float,
    ) -> None:
        """Note that somebody put rules in front.

        :param tables: the planned ones
        """
        if tables is not self._tables:
            self._tables, self._planned = tables, _jump_marks(tables)
            for place in self._waiting.keys() - self._planned.keys():
                del self._waiting[place]
        for place in self._planned.keys() & set(places):
            known = self._waiting.get(place)
            if known is None:
                self._waiting[place] = _Waiting(who, self._ahead(place))
            else:
                known.who = who
        if self._waiting:
            self.due = min(self.due, now + _MOMENT)

    def stayed(self, now: float) -> dict[Builtin, str]:
        """Return where others still come first, and who that is."""
        if now < self.due:
            return {}
        found = {}
        for place, known in list(self._waiting.items()):
            ahead = self._ahead(place)
            if ahead & known.rules:
                found[place] = known.who
            known.rules = ahead
            if place in found or not ahead:
                del self._waiting[place]
        self.due = now + _MOMENT if self._waiting else math.inf
        return found

    def _ahead(self, place: Builtin) -> frozenset[int]:
        """The handles of rules before ours; 0 is among them if it is away."""
        if is_legacy(place.family):
            return frozenset()
        found: set[int] = set()
        try:
            for handle, mark in marks_in(self._asking, *place):
                if mark == self._planned[place]:
                    return frozenset(found)
                found.add(handle)
        except HostSetupError:
            # For iptables to tell.
            pass
        return frozenset(found | {0})


def _jump_marks(tables: Iterable[Table]) -> Mapping[Builtin, str | None]:
    """The marks of the planned jumps, by where they stand."""
    return {
        Builtin(table.family, table.name, jump.builtin): mark_of(
            jump_line(jump)
        )
        for table in tables
        for jump in table.jumps
    }
