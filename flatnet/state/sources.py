"""What plans are composed of, as it was the last time."""

from collections.abc import Mapping

from flatnet.state.filtering import Group, Members
from flatnet.state.guest_orders import Arranged
from flatnet.state.mappings import difference
from flatnet.state.parts import Member, Parts
from flatnet.state.shared_members import Held
from flatnet.state.sliced_collections import SlicedMap, sliced


class Sources:
    """The guests and groups of a host, and who is in those that openings name.

    A group may have members by the ten thousand, on whatever hosts: who comes
    or goes costs himself, and nobody costs nothing.
    """

    def __init__(self) -> None:
        self.guests = Arranged()
        self._groups: Mapping[int, Group] = {}
        self._sorted: tuple[Group, ...] = ()
        self._parts = SlicedMap[str, Member]()
        self._named: tuple[int, ...] = ()
        self._held = Held()
        self._made: dict[int, Members] = {}

    def groups(self, parts: Parts) -> tuple[Group, ...]:
        """Return them by id; where all are as before, the same object."""
        if parts.groups is not self._groups:
            before, self._groups = self._groups, parts.groups
            put, _ = difference(before, parts.groups)
            left, _ = difference(parts.groups, before)
            # Nearly none does, of those that came, and of those that went.
            if _named(put) or _named(left):
                self._named = _named(parts.groups)
            self._sorted = tuple(g for _, g in sorted(parts.groups.items()))
        return self._sorted

    def members(self, parts: Parts) -> tuple[Members, ...]:
        """Return them by group; those that are as before are the same."""
        self.groups(parts)
        if parts.members is not self._parts:
            self._note(parts.members)
        self._made = {group: self._gathered(group) for group in self._named}
        return tuple(self._made.values())

    def _note(self, members: Mapping[str, Member]) -> None:
        before, self._parts = self._parts, sliced(members)
        put, dropped = self._parts.differing(before)
        for key in (*dropped, *put):
            if key in before:
                for address in set(before[key].addresses):
                    self._held.leave(before[key].group, address, key)
        for key, member in put.items():
            for address in set(member.addresses):
                self._held.join(member.group, address, key)

    def _gathered(self, group: int) -> Members:
        addresses = self._held.sliced(group)
        known = self._made.get(group)
        if known is None or known.addresses is not addresses:
            known = Members(group, addresses)
        return known


def _named(groups: Mapping[int, Group]) -> tuple[int, ...]:
    """The ids of the groups that openings name, sorted."""
    found = {
        opening.group
        for group in groups.values()
        for opening in group.openings
        if opening.group is not None
    }
    return tuple(sorted(found))
