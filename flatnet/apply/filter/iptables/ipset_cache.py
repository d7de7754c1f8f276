"""The sets of ours in the kernel, as we left them.

Reading them costs as much as they hold, and nothing tells of changes.  So
they are remembered, and read again by every whole pass and after every
error: what the kernel says then is held, as it stands, against what it said
before.  So they are once somebody's command for sets has ended, unless looks
for that took half a hundredth of the time lately.  In between the number of
members tells: of those sets that keep somebody out at every probe, and of all
of them as often as that takes a two thousandth of the time, which with a
hundred and fifty sets is at every probe too.

Somebody who takes a member and puts another leaves as many.  That is seen by
reading: those that keep somebody out as often as that takes two ten
thousandths of the time, and of the others, whoever wrote them, as many at
each probe as it has time for once it has counted: all where there are some
fifteen.

Given up: where there are more, it is seen when it is the turn of the set, or
by the next whole pass; so is what somebody does by netlink, without the
command.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping

from flatnet.apply.cpu_budget import CpuBudget
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
from flatnet.exceptions import HostSetupError

# To ask for all takes 2 or 3 us a set: so long as there are not much more than
# a hundred and fifty, that is done by each probe.
_REST = 2000
# What keeps somebody out is read at every probe as long as that takes less
# than 0.2 ms, as two sets of a thousand members do.
_REST_OF_GUARDING = 5000
# Seconds of a processor after which a probe that has counted reads no more of
# the others, and how many each reads all the same.  The first question takes
# 0.1 ms, each set more another 12 us.  One of twenty thousand members takes 2
# ms: then the others rest for three seconds.
_SPENT, _AT_LEAST, _REST_OF_OTHERS = 0.0004, 2, 1500
# Where somebody runs commands all the time.
_REST_OF_DOUBTS = 200


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
        self._budget = CpuBudget(_REST)
        self._of_guarding = CpuBudget(_REST_OF_GUARDING)
        self._of_others = CpuBudget(_REST_OF_OTHERS)
        self._of_doubts = CpuBudget(_REST_OF_DOUBTS)
        self._is_in_doubt = False
        # Those of the others that were not read lately, the next one last.
        self._turn: list[str] = []
        # What the kernel said of all, but for members, when they were so many
        # as they were left with; none once we changed them.
        self._heads: list[bytes] | None = None

    def are_as_left(self) -> bool:
        """Whether a probe finds what it looks at as we left it."""
        if self._found is None:
            return True
        if self._is_in_doubt and self._of_doubts.is_due:
            return self._all_are_as_left()
        spent = _SPENT if self.is_counting_due else 0
        until = time.thread_time() + spent
        guarding = tuple(self._guarding())
        with contextlib.suppress(HostSetupError):
            return (
                self._all_are_counted()
                and self._keep_out(guarding)
                and self._others_are_as_left(frozenset(guarding), until)
            )
        return False

    def doubt(self) -> None:
        """Have all looked at by the first look that there is time for."""
        self._is_in_doubt = True

    def _all_are_as_left(self) -> bool:
        """Whether all have just the members that they were left with."""
        self._is_in_doubt = False
        with contextlib.suppress(HostSetupError), self._of_doubts.taken():
            told = ipset.told_sets(self.asking)
            return all(
                name in told and self._is_told(name, told[name])
                for name in (self._found or {}).keys() - self._doubted
            )
        return False

    @property
    def is_counting_due(self) -> bool:
        """Whether the next probe counts the members of all sets."""
        return self._budget.is_due

    def _guarding(self) -> Iterator[str]:
        """Those that keep somebody out."""
        for name, (wanted, _) in self._settled.items():
            if wanted.guards and name not in self._doubted:
                yield name

    def _all_are_counted(self) -> bool:
        """Whether all have as many members as they should, if it is time."""
        if not self.is_counting_due:
            return True
        with self._budget.taken():
            return self._are_counted(heads(self.asking))

    def _keep_out(self, guarding: Iterable[str]) -> bool:
        """Whether those do that are there for it, as far as it is time."""
        if not self._of_guarding.is_due:
            return all(map(self._is_counted, guarding))
        # To compare takes no time but after our own writes.
        with self._of_guarding.taken():
            told = listed(guarding, self.asking)
        return all(
            self._is_told(name, told.get(name, ())) for name in guarding
        )

    def _others_are_as_left(
        self, guarding: frozenset[str], until: float
    ) -> bool:
        """Whether those are whose turn it is, as many as there is time for.

        :param until: by the clock of `thread_time`
        """
        if not self._of_others.is_due:
            return True
        with self._of_others.taken():
            for number, name in enumerate(self._in_turn(guarding)):
                if not self._is_as_left(name):
                    return False
                if number + 1 >= _AT_LEAST and time.thread_time() >= until:
                    break
        return True

    def _in_turn(self, guarding: frozenset[str]) -> Iterator[str]:
        """Take from the others, each once at most."""
        found = self._found or {}
        for _ in range(len(found) - len(guarding)):
            if not self._turn:
                self._turn = sorted(found.keys() - guarding, reverse=True)
            if self._turn:
                yield self._turn.pop()

    def _known_as_told(self, name: str) -> FoundSet | None:
        """A set as it was when the kernel told of it last."""
        return self._told[name][1] if name in self._told else None

    def _is_as_left(self, name: str) -> bool:
        """Whether a set has just the members that it was left with."""
        if name in self._doubted or name not in (self._found or ()):
            return True
        told = listed((name,), self.asking).get(name, ())
        return self._is_told(name, told)

    def _is_told(self, name: str, told: Told) -> bool:
        """Whether what the kernel tells of a set is how it was left."""
        known = self._found.get(name) if self._found else None
        if known is None:
            return True
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
        self._is_in_doubt = False

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
