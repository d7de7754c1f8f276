"""Profiles that no guest has any more, and that stay for a while.

Chains that go cost more than any that come: the kernel waits until nobody is
in them any more, and nobody can tell by rules alone whom they let in, so that
everybody's connections are judged.  A profile whose sets are empty leads
nobody anywhere; so its chains and its groups' stay as they are, until all of
their kind are collected at once.
"""

from collections.abc import Mapping

from flatnet.apply.filter.iptables.profiles import Profile, path
from flatnet.state.filtering import Group

Profiles = Mapping[int, frozenset[Profile]]


class UnusedProfiles:
    """What stays of profiles and groups, beside those of a plan."""

    def __init__(self, most: int) -> None:
        """`most` profiles of both families stay, or a few more."""
        self._most = most
        self._planned: tuple[Group, ...] | None = None
        self._groups: tuple[Group, ...] = ()
        self._profiles: Profiles = {}
        self._left: Profiles = {}

    def forget(self) -> None:
        """Let nothing stay any longer."""
        self._planned, self._groups = None, ()
        self._profiles, self._left = {}, {}

    def begin(self) -> None:
        """Begin to render; let nothing stay longer if it is too much."""
        if sum(map(len, self._left.values())) >= self._most:
            self.forget()

    def groups(self, planned: tuple[Group, ...]) -> tuple[Group, ...]:
        """Return the groups of a plan and those that stay, by id.

        Each is as the plan has it, or as the last one had it that did.  Where
        they are as before it is the same object.
        """
        if planned is not self._planned:
            both = {each.id: each for each in (*self._groups, *planned)}
            found = tuple(both[each] for each in sorted(both))
            if found == planned:
                self._groups = planned
            elif found != self._groups:
                self._groups = found
            self._planned = planned
        return self._groups

    def profiles(self, used: Profiles) -> Profiles:
        """Return the profiles of guests and those that stay, by family."""
        found, left = {}, {}
        for family, mine in used.items():
            known = self._profiles.get(family, frozenset())
            found[family] = known if known >= mine else known | mine
            left[family] = found[family] - mine
        self._profiles, self._left = found, left
        return found

    def sets(self, family: int) -> frozenset[str]:
        """The names of the sets that lead to what stays."""
        left = self._left.get(family, ())
        return frozenset(name for each in left for name in path(each, family))
