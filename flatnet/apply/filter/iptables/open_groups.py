"""Groups that a set may let in by whom nobody planned.

The set of a source group that keeps a member which it was to lose, or another
set that has its name, lets in by each chain that names it.  These chains are
emptied: such a group lets nothing in, and nobody's port is shut for it.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from flatnet.apply.filter.iptables.revoked_access import naming
from flatnet.apply.filter.iptables.tables import AddressSet, Rules, emptied
from flatnet.state.filtering import Filter

# The groups that name a set as their source, by its name.
Unclosed = Mapping[str, AbstractSet[int]]


def unclosed(
    names: AbstractSet[str], sets: Iterable[AddressSet], wanted: Filter
) -> Unclosed:
    """Return which groups to empty for the sets that could not be closed.

    :param names: of these sets
    """
    return {
        each.name: naming(wanted, each.source)
        for each in sets
        if each.source is not None and each.name in names
    }


def shutting(planned: Rules, found: Unclosed) -> Rules:
    """Return rules whose chains of these groups are empty.

    A set is of one family; the same group of the other one is emptied with
    it, so that its members are told one thing.
    """
    groups = {group for those in found.values() for group in those}
    if not groups:
        return planned
    tables = (
        emptied(table, {c.name for c in table.chains if c.group in groups})
        for table in planned.tables
    )
    return replace(planned, tables=tuple(tables))
