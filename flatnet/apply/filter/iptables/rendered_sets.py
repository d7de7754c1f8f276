"""The sets of a filter, made again only as far as they differ.

A host with a thousand groups has as many sets and more: who comes or goes
costs those that he is a member of, and copying what there is of the others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from flatnet.apply.filter.gathered import Gathered
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.ipset import packed
from flatnet.apply.filter.iptables.isolation import (
    every,
    every_set,
    filtered_set,
    open_set,
)
from flatnet.apply.filter.iptables.matches import source_set
from flatnet.apply.filter.iptables.profiles import of_family, tree_sets
from flatnet.apply.filter.iptables.tables import AddressSet
from flatnet.apply.filter.iptables.unused_profiles import UnusedProfiles
from flatnet.state.filtering import Members
from flatnet.state.sliced_collections import SlicedSet

_FAMILIES = (4, 6)


class RenderedSets:
    """Makes the sets of one filter after the other.

    :param gathered: what guests are members of, by the names of sets
    :param departed: which sets stay that no guest is a member of
    """

    def __init__(self, gathered: Gathered, departed: UnusedProfiles) -> None:
        self._gathered = gathered
        self._tree = {each: _TreeNames(each, departed) for each in _FAMILIES}
        self._sets: dict[str, AddressSet] = {}
        self._members: dict[int, Members] = {}

    def of(
        self,
        layout: ChainLayout,
        used: Iterable[tuple[int, int]],
        members: Iterable[Members],
    ) -> tuple[AddressSet, ...]:
        """Return the sets, those that lead to others first.

        What is as it was before is the same object.

        :param used: the groups that openings name, each with a family
        :param members: of these groups
        """
        touched = self._gathered.touched()
        for each in self._tree.values():
            each.note(touched, self._gathered)
        if not layout.filtered:
            self._sets = {}
            return ()
        sources = {
            each.name: each
            for each in self._sources(used, {m.group: m for m in members})
        }
        names = {each: self._names(each, layout) for each in _FAMILIES}
        if (*sources, *names[4], *names[6]) == tuple(self._sets):
            found = self._sets | sources
            # None of which is a source: of these nobody here is a member.
            for name in touched & found.keys():
                found[name] = self._made(name, found[name].family)
        else:
            found = sources | {
                name: self._kept(name, family, touched)
                for family, mine in names.items()
                for name in mine
            }
        self._sets = found
        return tuple(found.values())

    def _names(self, family: int, layout: ChainLayout) -> tuple[str, ...]:
        """Of a family, but for source groups."""
        is_open = family == 6 and layout.has_open
        return (
            every_set(family),
            filtered_set(family),
            *(open_set(family),) * is_open,
            *self._tree[family].ordered(),
        )

    def _kept(
        self, name: str, family: int, touched: frozenset[str]
    ) -> AddressSet:
        known = self._sets.get(name)
        if known is not None and name not in touched:
            return known
        return self._made(name, family)

    def _made(self, name: str, family: int) -> AddressSet:
        if name == every_set(family):
            return AddressSet(
                name, family, _packed(every(family)), guards=True
            )
        is_filter = name == filtered_set(family)
        return AddressSet(
            name,
            family,
            self._gathered.sliced(name),
            closes=is_filter,
            guards=is_filter,
        )

    def _sources(
        self, used: Iterable[tuple[int, int]], members: dict[int, Members]
    ) -> Iterator[AddressSet]:
        """The members of the groups that an opening names, by family."""
        for group, family in used:
            name = source_set(group, family)
            known = self._sets.get(name)
            before = self._members.get(group) if known else None
            now = members.get(group, Members(group))
            if known is None:
                known = AddressSet(name, family, source=group)
            found = _followed(known, before or Members(group), now)
            if found is not known.members:
                known = replace(known, members=found)
            yield known
        self._members = members


class _TreeNames:
    """The names of the sets of a family that lead to profiles."""

    def __init__(self, family: int, departed: UnusedProfiles) -> None:
        self._family = family
        self._departed = departed
        self._start = tree_sets(family)
        self._held: set[str] = set()
        self._all: frozenset[str] = frozenset()
        self._ordered: tuple[str, ...] = ()

    def note(self, touched: Iterable[str], gathered: Gathered) -> None:
        """Note which of those that were touched have members now."""
        mine = {each for each in touched if each.startswith(self._start)}
        held = {each for each in mine if gathered.holds(each)}
        self._held = (self._held - mine) | held

    def ordered(self) -> tuple[str, ...]:
        """Return all, those that lead to others first."""
        found = self._departed.sets(self._family) | self._held
        if found != self._all:
            # Nearly all are in order already.
            kept = filter(found.__contains__, self._ordered)
            by_name = sorted((*kept, *(found - self._all)))
            self._all = found
            self._ordered = tuple(sorted(by_name, key=len))
        return self._ordered


def _followed(
    known: AddressSet, before: Members, now: Members
) -> SlicedSet[bytes]:
    """The members of a set after another, by what differs.

    An address is written in one way alone (see `grammar`): what one text
    leaves no other has.
    """
    if now is before:
        return known.members
    new, gone = (
        frozenset(map(packed, of_family(each, known.family)))
        for each in (
            now.addresses - before.addresses,
            before.addresses - now.addresses,
        )
    )
    return known.members.changed(new, gone)


def _packed(addresses: Iterable[str]) -> SlicedSet[bytes]:
    return SlicedSet(map(packed, addresses))
