"""The sets of ours in the kernel, as we left them.

Reading them costs as much as they hold, and nothing tells of changes.  So
they are remembered, and read again by every whole pass and after every
error: what the kernel says then is held, as it stands, against what it said
before.  In between the number of members tells: of those sets that keep
somebody out at every probe, and of all of them as often as that takes a
thousandth of the time, which with three hundred sets is at every probe too.

Given up: somebody who takes a member and puts another is seen once the set is
read.  Beside whole passes that takes a ten thousandth of the time: each time
those that keep somebody out, and a few of those that we did not write since.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.ipset import Removed, SetEdits
from flatnet.apply.filter.iptables.ipset_heads import count, counts, heads
from flatnet.apply.filter.iptables.ipset_messages import (
    FoundSet,
    Told,
    found_set,
    listed,
    names,
    socket_of_sets,
)
from flatnet.apply.filter.iptables.tables import AddressSet
from flatnet.apply.ration import Ration
from flatnet.exceptions import HostSetupError

# To ask for all takes 2 or 3 us a set: so long as there are not much more than
# three hundred, that is done by each probe.
_REST = 1000
# Sets that are read along with those that keep somebody out, and for how many
# times as long that rests: at every probe where there are a hundred guests, at
# every third or fourth with a thousand.
_AT_ONCE, _LONG_REST = 8, 10000


class Sets:
    """What one process knows of the sets of a network namespace."""

    def __init__(self) -> None:
        # Kept, for who closes one may have to wait (see `KeptSocket`).
        self.asking = socket_of_sets()
        self._found: dict[str, FoundSet] | None = None
        # Those that are not planned, and that rules of others name.
        self.needed: frozenset[str] = frozenset()
        # Those that are in the kernel just as planned, and how that is.
        self._settled: dict[str, tuple[AddressSet, FoundSet]] = {}
        # What the kernel said of sets, and what they were by that.
        self._told: dict[str, tuple[Told, FoundSet]] = {}
        # Those of which nobody knows what became of them.
        self._doubted: frozenset[str] = frozenset()
        self._ration, self._turn_ration = Ration(_REST), Ration(_LONG_REST)
        self._turn: list[str] = []
        # What the kernel said of all, but for members, when they were so many
        # as they were left with; none once we changed them.
        self._heads: list[bytes] | None = None

    def are_as_left(self) -> bool:
        """Whether a probe finds what it looks at as we left it."""
        if self._found is None:
            return True
        with contextlib.suppress(HostSetupError):
            if self._turn_ration.is_due:
                with self._turn_ration.taken():
                    looked_at = (*self._guarding(), *self._next_turn())
                    if not all(map(self._is_as_left, looked_at)):
                        return False
            if not self.is_counting_due:
                return all(map(self._is_counted, self._guarding()))
            with self._ration.taken():
                return self._are_counted(heads(self.asking))
        return False

    @property
    def is_counting_due(self) -> bool:
        """Whether the next probe counts the members of all sets."""
        return self._ration.is_due

    def _guarding(self) -> Iterator[str]:
        """Those that keep somebody out."""
        for name, (wanted, _) in self._settled.items():
            if wanted.guards and name not in self._doubted:
                yield name

    def _next_turn(self) -> list[str]:
        """A few of those that are known as the kernel tells them."""
        if not self._turn:
            self._turn = sorted(self._found or ())
        turn, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        found = self._found or {}
        return [n for n in turn if self._known_as_told(n) is found.get(n)]

    def _known_as_told(self, name: str) -> FoundSet | None:
        """A set as it was when the kernel told of it last."""
        return self._told[name][1] if name in self._told else None

    def _is_as_left(self, name: str) -> bool:
        """Whether a set has just the members that it was left with."""
        known = self._found.get(name) if self._found else None
        if known is None or name in self._doubted:
            return True
        told = listed((name,), self.asking).get(name, ())
        if self._known_as_told(name) is known and self._told[name][0] == told:
            return True
        if found_set(name, told) != known:
            return False
        self._told[name] = told, known
        return True

    def _is_counted(self, name: str) -> bool:
        """Whether one of these has as many members as it was left with."""
        found = count(name, self.asking)
        return found in (-1, len(self._settled[name][1].members))

    def _are_counted(self, told: list[bytes]) -> bool:
        """Whether all sets have as many members as they were left with."""
        if told == self._heads:
            return True
        found = counts(told)
        are_as_left = all(
            found.get(name) in (-1, len(known.members))
            for name, known in (self._found or {}).items()
            if name not in self._doubted
        )
        if are_as_left:
            self._heads = told
        return are_as_left

    @property
    def left(self) -> Mapping[str, FoundSet] | None:
        """The sets as they were left, or none where some are to be read."""
        return None if self._doubted else self._found

    def forget(self) -> None:
        """Have all read again the next time."""
        self._found = self._heads = None

    def read(self) -> Mapping[str, FoundSet]:
        """Return the sets of ours, by name.

        :raises HostSetupError: the kernel does not tell
        """
        if self._found is None:
            self._doubted = frozenset()
            self._found = self._read()
            self._settled = {
                name: (wanted, left)
                for name, (wanted, left) in self._settled.items()
                if self._found.get(name) == left
            }
        if self._doubted:
            there = self._doubted & set(names(self.asking))
            self._heads = None
            without = self._found.keys() - self._doubted
            self._found = {name: self._found[name] for name in without}
            told_of = listed(sorted(there), self.asking) if there else {}
            for name, told in told_of.items():
                self._found[name] = found_set(name, told)
            self._doubted = frozenset()
        return self._found

    def _read(self) -> dict[str, FoundSet]:
        """Read all; most say what they said before."""
        before, self._told = self._told, {}
        for name, told in ipset.told_sets(self.asking).items():
            same, known = before.get(name, ((), None))
            if known is None or same != told:
                known = found_set(name, told)
            self._told[name] = told, known
        return {name: known for name, (_, known) in self._told.items()}

    def differing(
        self, wanted: Iterable[AddressSet]
    ) -> tuple[AddressSet, ...]:
        """Return those that are not known to be as they are wanted."""
        return tuple(
            each
            for each in wanted
            if self._settled.get(each.name, (None,))[0] is not each
        )

    def note(
        self,
        before: Mapping[str, FoundSet],
        edits: Iterable[SetEdits],
        *,
        away: Removed,
        refused: Iterable[str],
    ) -> None:
        """Note how sets were changed.

        :param before: as they were read
        :param away: what became of those that are not planned
        :param refused: those that are to be read again
        """
        found = dict(before)
        self._heads = None
        self._doubted = frozenset(refused)
        for name in self._doubted:
            self._settled.pop(name, None)
        for each in edits:
            wanted = each.wanted
            if wanted.name in self._doubted:
                continue
            left = FoundSet(wanted.name, wanted.family, wanted.members)
            found[wanted.name] = left
            self._settled[wanted.name] = wanted, left
        for name in away.gone | away.needed:
            family = found.pop(name).family
            self._settled.pop(name, None)
            if name in away.needed:
                found[name] = FoundSet(name, family)
        self.needed = away.needed
        self._found = found
