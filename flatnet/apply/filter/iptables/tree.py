"""The chains that lead to the rules of groups, made again where they differ.

A host with a thousand groups has twice as many chains and more.  Of a profile
that comes these are its own, those of its groups, and those above it that did
not lead there yet.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from flatnet.apply.filter.iptables.matches import accepted
from flatnet.apply.filter.iptables.profiles import (
    GROUP_PREFIX,
    ROOT,
    TREE_PREFIX,
    Profile,
    profile_id,
    tree_sets,
)
from flatnet.apply.filter.iptables.tables import Chain
from flatnet.apply.sequence_diff import differing
from flatnet.state.filtering import Group

_REMEMBERED = 1 << 14


class Tree:
    """Makes the chains of one family, of profiles after others."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._groups: tuple[Group, ...] = ()
        self._begin()

    def _begin(self) -> None:
        self._profiles: frozenset[Profile] = frozenset()
        self._used: set[int] = set()
        # What each node leads to; the root is there in any case.
        self._below: dict[str, set[str]] = defaultdict(set)
        self._chains = {ROOT: self._node_chain("")}

    def chains(
        self, profiles: frozenset[Profile], groups: Mapping[int, Group]
    ) -> tuple[Chain, ...]:
        """Return all chains from the tree's root down, by name.

        What is as it was before is the same object.

        :param groups: by id, at least those of the profiles
        """
        if not profiles >= self._profiles:
            self._begin()
        new = profiles - self._profiles
        self._profiles = profiles
        made = {
            each.name: each
            for each in (
                *map(_profile_chain, new),
                *self._nodes(map(profile_id, new)),
                *self._group_chains(new, groups),
            )
        }
        if made:
            self._chains = dict(sorted((self._chains | made).items()))
        return tuple(self._chains.values())

    def _nodes(self, names: Iterable[str]) -> Iterator[Chain]:
        """Have the tree lead to profiles; return the nodes that did not."""
        touched = set()
        for name in names:
            ways = ("", name[:1]), (name[:1], name[:2]), (name[:2], name)
            for node, below in ways:
                if below not in self._below[node]:
                    self._below[node].add(below)
                    touched.add(node)
        return map(self._node_chain, touched)

    def _node_chain(self, node: str) -> Chain:
        start = tree_sets(self._family)
        rules = (
            f"-m set --match-set {start}{each} dst -j {_node(each)}"
            for each in sorted(self._below[node])
        )
        return Chain(_node(node), tuple(rules), any_order=True)

    def _group_chains(
        self, new: Iterable[Profile], groups: Mapping[int, Group]
    ) -> Iterator[Chain]:
        """The chains of groups that are new here, or others than before."""
        fresh = {each for mine in new for each in mine} - self._used
        self._used |= fresh
        planned = tuple(groups.values())
        _, others = differing(self._groups, planned)
        self._groups = planned
        fresh |= self._used & {each.id for each in others}
        return (_group_chain(groups[each], self._family) for each in fresh)


@lru_cache(_REMEMBERED)
def _profile_chain(profile: Profile) -> Chain:
    steps = tuple(f"-j {GROUP_PREFIX}{each}" for each in profile)
    return Chain(_node(profile_id(profile)), steps)


@lru_cache(_REMEMBERED)
def _group_chain(group: Group, family: int) -> Chain:
    rules = (accepted(o) for o in group.openings if o.family == family)
    return Chain(f"{GROUP_PREFIX}{group.id}", tuple(rules), group.id)


def _node(name: str) -> str:
    return f"{TREE_PREFIX}{name}" if name else ROOT
