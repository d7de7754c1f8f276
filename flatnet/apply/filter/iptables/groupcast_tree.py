"""The way of a groupcast's copy to the rules of its guest's groups.

What is bound for an address is led by sets (see `profiles`); a copy of a
groupcast has no guest's address, and is led by the mark that the guard has
given it (see `groupcast_mark`): by its first digit, by the second, and then
by all of it to the profile of the guest's groups, which is the same chain.

A guest that comes or goes changes nothing here, and groups that are new
together a way more.  Of profiles that have the same mark none is led to.
"""

from collections import defaultdict
from collections.abc import Iterable

from flatnet.apply.filter import groupcast_mark, judged_mark
from flatnet.apply.filter.groupcast_mark import digits_match, profile_digits
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.matches import ACCEPT, DROP
from flatnet.apply.filter.iptables.profiles import (
    TREE_PREFIX,
    Profile,
    profile_id,
)
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.state.filtering import Group

GROUPCAST = "flatnet-groupcast"
# No profile begins with this letter.
ROOT = f"{TREE_PREFIX}m"


def _bits(bits: int) -> str:
    return f"-m mark --mark {bits:#x}/{bits:#x}"


# The end of a copy's way; as for what has an address, see `isolation`.
_JUDGED = Chain(
    GROUPCAST,
    (
        "-m conntrack --ctstate INVALID -j DROP",
        judged_mark.MARKED,
        f"{_bits(groupcast_mark.QUERY)} {ACCEPT}",
        f"-j {ROOT}",
        judged_mark.UNMARKED,
        DROP,
    ),
)


def led_away(layout: ChainLayout, family: int) -> tuple[str, ...]:
    """Return what leads copies away, which others' marks alone do not make."""
    if layout.same_network:
        return ()
    targets = [groupcast_mark.MULTICAST[family]]
    if family == 4:
        found = (groupcast_mark.broadcast(n.cidr) for n in layout.filtered)
        own = sorted({*filter(None, found), groupcast_mark.BROADCAST})
        targets += [f"{each}/32" for each in own]
    is_copy = _bits(groupcast_mark.COPY)
    return tuple(f"-d {each} {is_copy} -j {GROUPCAST}" for each in targets)


class GroupcastTree:
    """Makes the chains of one family, of layouts after others."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._begin()

    def _begin(self) -> None:
        self._whole: frozenset[Profile] = frozenset()
        self._ruled: frozenset[int] = frozenset()
        self._there: frozenset[Profile] = frozenset()
        self._used: set[int] = set()
        self._waiting: set[Profile] = set()
        # What leads to profiles, by all digits, and these by their start.
        self._ways: dict[str, set[Profile]] = defaultdict(set)
        self._below: dict[str, set[str]] = defaultdict(set)
        self._chains = {ROOT: Chain(ROOT, any_order=True)}

    def chains(self, layout: ChainLayout) -> tuple[Chain, ...]:
        """Return that where copies are judged, and all from the root down.

        What is as it was before is the same object.
        """
        ruled = _ruled(layout.groups, self._family)
        there = layout.profiles.get(self._family, frozenset())
        if not (
            layout.whole_profiles >= self._whole
            and there >= self._there
            and self._ruled & self._used == ruled & self._used
        ):
            self._begin()
        self._ruled, self._there = ruled, there
        new = layout.whole_profiles - self._whole
        self._whole = layout.whole_profiles
        self._used.update(group for profile in new for group in profile)
        self._waiting |= new
        made = {
            each.name: each for each in map(self._node_chain, self._lead())
        }
        if made:
            self._chains = dict(sorted((self._chains | made).items()))
        return (_JUDGED, *self._chains.values())

    def _lead(self) -> Iterable[str]:
        """Lead to what there is a chain for; return the nodes that did not."""
        touched = set()
        led = {p for p in self._waiting if self._rest(p) in self._there}
        self._waiting -= led
        for profile in led:
            digits = profile_digits(profile)
            self._ways[digits].add(profile)
            for size in (0, 1):
                node = digits[:size]
                if digits[: size + 1] not in self._below[node]:
                    self._below[node].add(digits[: size + 1])
                    touched.add(node)
            self._below[digits[:2]].add(digits)
            touched.add(digits[:2])
        return touched

    def _rest(self, profile: Profile) -> Profile:
        """The groups of a profile that have rules in this family."""
        return tuple(each for each in profile if each in self._ruled)

    def _node_chain(self, node: str) -> Chain:
        rules = (
            f"{digits_match(each)} -j {target}"
            for each in sorted(self._below[node])
            for target in self._targets(each)
        )
        return Chain(f"{ROOT}{node}", tuple(rules), any_order=True)

    def _targets(self, digits: str) -> tuple[str, ...]:
        """Where one is led by some digits, or by all."""
        if digits not in self._ways:
            return (f"{ROOT}{digits}",)
        profiles = self._ways[digits]
        if len(profiles) > 1:
            return ()
        (profile,) = profiles
        return (f"{TREE_PREFIX}{profile_id(self._rest(profile))}",)


def _ruled(groups: Iterable[Group], family: int) -> frozenset[int]:
    return frozenset(
        group.id
        for group in groups
        if any(each.family == family for each in group.openings)
    )
