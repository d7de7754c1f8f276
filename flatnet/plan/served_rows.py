"""Rows of interfaces of other hosts that a host serves, by instance."""

from flatnet.state.rows import Interface, Snapshot
from flatnet.state.scope import Covered
from flatnet.state.sliced_collections import SlicedMap

Served = SlicedMap[str, tuple[Interface, ...]]


def served_rows(before: Served, rows: Snapshot, covered: Covered) -> Served:
    """Return them, with those that were read anew.

    :param covered: whose rows `rows` has all of; the others stay
    """
    new: dict[str, tuple[Interface, ...]] = {}
    for each in rows.served:
        new[each.instance_uuid] = (*new.get(each.instance_uuid, ()), each)
    known = before if covered.everything else covered.instances
    return before.changed(new, known)
