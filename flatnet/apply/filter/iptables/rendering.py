"""A filter as text and sets, made again only as far as it differs.

Goals, and how each is met:

* A guest that comes or goes costs its own memberships: see `Gathered`.
* The chains are made of an outline (see `layout`), and only when that is
  another.
* What two guests claim for different groups lets in nothing for either.
* Who was the last of a profile leaves no work: see `UnusedProfiles`.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping

from flatnet.apply.filter.gathered import Gathered
from flatnet.apply.filter.iptables.chain_layout import ChainLayout
from flatnet.apply.filter.iptables.groupcast_tree import GroupcastTree
from flatnet.apply.filter.iptables.ipset import packed
from flatnet.apply.filter.iptables.isolation import (
    filtered_set,
    open_set,
)
from flatnet.apply.filter.iptables.profiles import (
    Profile,
    of_family,
    path,
)
from flatnet.apply.filter.iptables.rendered_sets import RenderedSets
from flatnet.apply.filter.iptables.rendered_tables import tables
from flatnet.apply.filter.iptables.tables import Rules, Table
from flatnet.apply.filter.iptables.tree import Tree
from flatnet.apply.filter.iptables.unused_profiles import UnusedProfiles
from flatnet.apply.sequence_diff import differing
from flatnet.state.filtering import Filter, Group, Guest

_FAMILIES = (4, 6)
# Things that are no sets: what is said of guests beside their memberships.
_CLAIMS, _BRIDGES, _OPEN = "claims", "bridges", "open"
_PROFILES = "profiles{}"
# Beside those of the families: all groups of guests, rules or none.
_WHOLE = 0


def rules(wanted: Filter) -> Rules:
    """Return the tables and the sets of a filter."""
    return Rendering().rules(wanted)


class Rendering:
    """Renders one filter after the other."""

    def __init__(self, most_departed: int = 0) -> None:
        """So many profiles may stay that no guest has any more."""
        self._departed = UnusedProfiles(most_departed)
        self._wanted: tuple[Guest, ...] = ()
        self._guests: dict[str, Guest] = {}
        self._gathered = Gathered()
        self._groups: tuple[Group, ...] = ()
        self._ruled = _ruled(())
        self._used: tuple[tuple[int, int], ...] = ()
        self._chain_layout = ChainLayout()
        self._trees = {
            each: (Tree(each), GroupcastTree(each)) for each in _FAMILIES
        }
        self._tables: tuple[Table, ...] = ()
        self._sets = RenderedSets(self._gathered, self._departed)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that were rendered last."""
        return self._tables

    def rules(self, wanted: Filter) -> Rules:
        """Return the tables and the sets of a filter; what is as it was
        before is the same object.
        """
        self._departed.begin()
        self._note_guests(wanted)
        layout = self._outlined(wanted)
        if layout != self._chain_layout:
            self._chain_layout = layout
            self._tables = _kept(self._tables, tables(layout, self._trees))
        sets = self._sets.of(layout, self._used, wanted.members)
        if not layout.filtered:
            self._departed.forget()
        return Rules(self._tables, sets)

    def collect(self) -> None:
        """Let no profile stay any longer that no guest has."""
        self._departed.forget()

    def _note_guests(self, wanted: Filter) -> None:
        other: frozenset[int] = frozenset()
        groups = self._departed.groups(wanted.groups)
        if groups is not self._groups:
            other = self._note_groups(groups)
        went, came = differing(self._wanted, wanted.guests)
        if len(self._guests) < len(self._wanted):
            # Some bear the name of others.
            went, came = list(self._wanted), list(wanted.guests)
        leave = {guest.uuid for guest in went}
        guests = {guest.uuid: guest for guest in came}
        gone, differ = leave - guests.keys(), {*guests}
        if other:
            differ |= {
                guest.uuid
                for guest in wanted.guests
                if not other.isdisjoint(guest.groups)
            }
        touched = differ | self._claimants(gone | differ)
        for uuid in gone:
            self._guests.pop(uuid, None)
        self._guests |= guests
        self._wanted, guests = wanted.guests, self._guests
        for uuid in gone:
            self._gathered.put(uuid, ())
        for uuid in differ:
            self._gathered.put(uuid, _claims(guests[uuid]))
        touched |= self._claimants(differ)
        for uuid in touched & guests.keys():
            self._gathered.put(uuid, self._memberships(guests[uuid]))

    def _note_groups(self, groups: tuple[Group, ...]) -> frozenset[int]:
        """Return those that have rules in a family and had none, or had."""
        went, came = differing(self._groups, groups)
        before, self._groups = self._ruled, groups
        gone, ruled = frozenset(each.id for each in went), _ruled(came)
        self._ruled = {n: (before[n] - gone) | ruled[n] for n in _FAMILIES}
        if _used(went) or _used(came):
            self._used = _used(groups)
        return frozenset(
            each for n in _FAMILIES for each in before[n] ^ self._ruled[n]
        )

    def _claimants(self, uuids: set[str]) -> set[str]:
        """Who else has an address of these guests."""
        found: set[str] = set()
        for uuid in uuids & self._guests.keys():
            for address in self._guests[uuid].addresses:
                found |= self._gathered.holders(_CLAIMS, address)
        return found

    def _memberships(self, guest: Guest) -> Iterator[tuple[str, Hashable]]:
        yield from _claims(guest)
        if not guest.filtered:
            yield _OPEN, guest.uuid
            for each in of_family(guest.addresses, 6):
                yield open_set(6), packed(each)
            return
        yield _BRIDGES, guest.bridge
        if guest.groups:
            yield _PROFILES.format(_WHOLE), guest.groups
        for family in _FAMILIES:
            for each in of_family(guest.addresses, family):
                yield filtered_set(family), packed(each)
                profile = self._profile(guest, each, family)
                if profile:
                    yield _PROFILES.format(family), profile
                    for name in path(profile, family):
                        yield name, packed(each)

    def _profile(self, guest: Guest, address: str, family: int) -> Profile:
        """The groups that let in to an address, none where two claim it."""
        for uuid in self._gathered.holders(_CLAIMS, address):
            other = self._guests.get(uuid, guest)
            if other.filtered and other.groups != guest.groups:
                return ()
        ruled = self._ruled[family]
        return tuple(each for each in guest.groups if each in ruled)

    def _outlined(self, wanted: Filter) -> ChainLayout:
        bridges = self._gathered.elements(_BRIDGES)
        profiles = self._departed.profiles(
            {
                family: self._gathered.elements(_PROFILES.format(family))
                for family in (*_FAMILIES, _WHOLE)
            }
        )
        return ChainLayout(
            same_network=wanted.same_network,
            networks=wanted.networks,
            filtered=tuple(
                each for each in wanted.networks if each.bridge in bridges
            ),
            has_open=self._gathered.holds(_OPEN),
            profiles={each: profiles[each] for each in _FAMILIES},
            whole_profiles=(
                frozenset() if wanted.same_network else profiles[_WHOLE]
            ),
            groups=self._groups,
            gateways=wanted.gateways,
            outside=wanted.outside,
            floating=wanted.floating,
        )


def _kept(
    before: tuple[Table, ...], now: tuple[Table, ...]
) -> tuple[Table, ...]:
    """Return the tables, those that are as they were as the same objects."""
    known = {(each.family, each.name): each for each in before}
    found = ((known.get((each.family, each.name)), each) for each in now)
    return tuple(old if old == each else each for old, each in found)


def _ruled(groups: Iterable[Group]) -> Mapping[int, frozenset[int]]:
    """The groups that have rules, by family."""
    return {
        family: frozenset(
            group.id
            for group in groups
            if any(each.family == family for each in group.openings)
        )
        for family in _FAMILIES
    }


def _used(groups: Iterable[Group]) -> tuple[tuple[int, int], ...]:
    """The groups that openings name, each with their families, sorted."""
    found = {
        (opening.group, opening.family)
        for group in groups
        for opening in group.openings
        if opening.group is not None
    }
    return tuple(sorted(found))


def _claims(guest: Guest) -> Iterator[tuple[str, Hashable]]:
    for each in guest.addresses:
        yield _CLAIMS, each
