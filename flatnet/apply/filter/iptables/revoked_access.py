"""Whom less may reach than before, by what is about to be written.

The addresses are those whose tracked connections are to be judged anew.  An
address that is shut for the first time is among them, and one that no
connection can have yet does no harm.

The tree leads to what lets in and to nothing else, so that a way more lets
nobody in less.  A chain of it that stands as we wrote it, and is only to lead
to chains that are not there yet, is nobody's loss; whatever else is other in
it may be anybody's.
"""

from collections.abc import Iterable

from flatnet.apply.filter.iptables.ipset import SetEdits, unpacked
from flatnet.apply.filter.iptables.iptables import (
    Existing,
    changed,
    has_grown,
    leads,
)
from flatnet.apply.filter.iptables.marks import written
from flatnet.apply.filter.iptables.placement import Placement
from flatnet.apply.filter.iptables.profiles import (
    GROUP_PREFIX,
    ROOT,
    TREE_PREFIX,
    group_of,
)
from flatnet.apply.filter.iptables.tables import AddressSet, Chain, Table
from flatnet.state.filtering import Filter


def by_sets(
    edits: tuple[SetEdits, ...], sets: Iterable[AddressSet], wanted: Filter
) -> frozenset[str]:
    """Return who leaves a set that lets him in, or comes to one that shuts.

    :param sets: all that are planned
    """
    found: set[bytes] = set()
    of_groups: frozenset[str] = frozenset()
    for each in edits:
        source = each.wanted.source
        if each.wanted.closes:
            found.update(each.new)
        elif source is None:
            found.update(each.gone)
        elif each.gone:
            of_groups |= _of_groups(wanted, naming(wanted, source))
    filtered = [each.members for each in sets if each.closes]
    return of_groups | frozenset(
        unpacked(each)
        for each in found
        if any(each in members for members in filtered)
    )


def by_chains(
    existing: Existing,
    table: Table,
    wanted: Filter,
    place: Placement,
    *,
    alone: bool,
) -> frozenset[str]:
    """Return whose chains are there and become others.

    Where it is no group's own chain, that may be anybody.  So it is where
    nothing led to ours, for then everybody was open.  A group's chain only
    lets in, so that rules at its end are nobody's loss; nor are new ways in
    the tree, but for those whom they lead, and who had others before.

    :param existing, table: what of them may differ is enough
    :param place: which foreign rules stay above our jumps
    :param alone: whether our write is proven to be the only one since the
        table was read as it is told here
    """
    if not all(leads(existing, jump, place) for jump in table.jumps):
        return filtered_addresses(wanted)
    groups: set[int] = set()
    new = {each.name for each in table.chains} - existing.chains.keys()
    for chain in changed(existing, table):
        if chain.name in new:
            continue
        if chain.group is None:
            if not (alone and _leads_on(existing, chain, new)):
                return filtered_addresses(wanted)
        elif not has_grown(existing, chain):
            groups.add(chain.group)
    planned = {chain.name for chain in table.chains}
    gone = existing.chains.keys() - planned
    if any(not name.startswith(GROUP_PREFIX) for name in gone):
        return filtered_addresses(wanted)
    ways = (each for each in table.chains if each.name in new)
    return _of_groups(wanted, groups) | _led_anew(ways, wanted)


def _leads_on(existing: Existing, chain: Chain, new: set[str]) -> bool:
    """Whether a chain of the tree leads on as it did, and to what is new.

    What it is to lead to and is there already, it may have led to before by
    other rules, which somebody took away.

    :param new: the names of chains that are not there yet
    """
    if not chain.name.startswith((ROOT, TREE_PREFIX)):
        return False
    # Without text nobody can tell what stands.
    shown = existing.texts.get(chain.name)
    stood = None if shown is None else written(chain, shown)
    if stood is None:
        return False
    rest = iter(stood.rules)
    before = next(rest, None)
    for rule in chain.rules:
        if rule == before:
            before = next(rest, None)
        elif not _is_new_way(rule, new):
            return False
    return before is None


def _is_new_way(rule: str, new: set[str]) -> bool:
    target = _target(rule)
    return target.startswith(TREE_PREFIX) and target in new


def _target(rule: str) -> str:
    return rule.rpartition("-j ")[2]


def _led_anew(new: Iterable[Chain], wanted: Filter) -> frozenset[str]:
    """Return who is led to his groups by chains that are not there yet."""
    led = [
        {*filter(None, map(group_of, map(_target, chain.rules)))}
        for chain in new
        if chain.name.startswith(TREE_PREFIX)
    ]
    profiles = [each for each in led if each]
    # By most edits nobody is led anew, and nobody need be asked.
    if not profiles:
        return frozenset()
    some = frozenset().union(*profiles)
    return frozenset(
        address
        for guest in wanted.guests
        if not some.isdisjoint(guest.groups)
        and any(each.issubset(guest.groups) for each in profiles)
        for address in guest.addresses
    )


def by_waking(woken: frozenset[str], wanted: Filter) -> frozenset[str]:
    """Return who was open while tables of these names were dormant."""
    if "filter" not in woken:
        return frozenset()
    return filtered_addresses(wanted)


def filtered_addresses(wanted: Filter) -> frozenset[str]:
    """Return all addresses that are filtered here."""
    return frozenset(
        address
        for guest in wanted.guests
        if guest.filtered
        for address in guest.addresses
    )


def naming(wanted: Filter, source: int) -> set[int]:
    """The groups that let in members of another, or of themselves."""
    return {
        group.id
        for group in wanted.groups
        if any(opening.group == source for opening in group.openings)
    }


def _of_groups(wanted: Filter, groups: set[int]) -> frozenset[str]:
    if not groups:
        return frozenset()
    return frozenset(
        address
        for guest in wanted.guests
        if not groups.isdisjoint(guest.groups)
        for address in guest.addresses
    )
