"""The sets of ours in the kernel, as we left them.

Reading them costs as much as they hold, and nothing tells of changes.  So
they are remembered, and read again by every whole pass and after every
error: what the kernel says then is held, as it stands, against what it said
before.  In between the number of members tells: of those sets that keep
somebody out at every probe, of the others a few at a time.

Given up: somebody who takes a member and puts another is seen by the next
whole pass.
"""

import contextlib
from collections.abc import Iterable, Mapping

from flatnet.apply.filter.iptables import ipset
from flatnet.apply.filter.iptables.ipset import SetEdits
from flatnet.apply.filter.iptables.ipset_messages import (
    FoundSet,
    Told,
    count,
    found_set,
    listed,
    names,
    socket_of_sets,
)
from flatnet.apply.filter.iptables.tables import AddressSet
from flatnet.exceptions import HostSetupError

# Sets that are looked at by one probe beside those that keep somebody out.
_AT_ONCE = 16


class Sets:
    """What one process knows of the sets of a network namespace."""

    def __init__(self) -> None:
        # Kept, for who closes one may have to wait (see `KeptSocket`).
        self.asking = socket_of_sets()
        self._found: dict[str, FoundSet] | None = None
        # Those that are in the kernel just as planned, and how that is.
        self._settled: dict[str, tuple[AddressSet, FoundSet]] = {}
        # What the kernel said of sets, and what they were by that.
        self._told: dict[str, tuple[Told, FoundSet]] = {}
        # Those of which nobody knows what became of them.
        self._doubted: frozenset[str] = frozenset()
        self._turn: list[str] = []

    def are_as_left(self) -> bool:
        """Whether a probe finds what it looks at as we left it."""
        if self._found is None:
            return True
        if not self._turn:
            self._turn = sorted(self._found)
        turn, self._turn = self._turn[:_AT_ONCE], self._turn[_AT_ONCE:]
        closing = (n for n, (each, _) in self._settled.items() if each.guards)
        return all(map(self._is_as_left, {*turn, *closing}))

    def _is_as_left(self, name: str) -> bool:
        known = self._found.get(name) if self._found else None
        if known is None or name in self._doubted:
            return True
        with contextlib.suppress(HostSetupError):
            members = len(known.members)
            return count(name, self.asking) in (-1, members)
        return False

    @property
    def left(self) -> Mapping[str, FoundSet] | None:
        """The sets as they were left, or none where some are to be read."""
        return None if self._doubted else self._found

    def forget(self) -> None:
        """Have all read again the next time."""
        self._found = None

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
        gone: Iterable[str],
        refused: Iterable[str],
    ) -> None:
        """Note how sets were changed.

        :param before: as they were read
        :param refused: those that are to be read again
        """
        found = dict(before)
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
        for name in gone:
            found.pop(name, None)
            self._settled.pop(name, None)
        self._found = found
