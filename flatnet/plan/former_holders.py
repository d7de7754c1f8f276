"""Who holds an address or a MAC, by rows of which some were read just now.

One may be given out again before a host hears that another has it no more, who
would speak there as the one that has it now.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from flatnet.plan.kept_rows import Kept
from flatnet.state.rows import SourceMember
from flatnet.state.scope import Covered


def former_holders(rows: Kept, read: Covered) -> frozenset[str]:
    """Return who, by rows that were not read, has what others have by now.

    Instances, here or in a source group.

    :param read: whose rows are as they are now
    """
    holders = {
        address: each.instance_uuid
        for each in _members(rows, read)
        for address in each.addresses
    }
    for one in rows.interfaces_of(read.instances):
        for key in (one.mac, *one.addresses):
            holders[key] = one.instance_uuid
    if not holders:
        return frozenset()
    there = holders.keys()
    former = {
        each.instance_uuid
        for each in rows.interfaces.values()
        # Of most there is nothing, which is soon seen.
        if (each.mac in holders or not there.isdisjoint(each.addresses))
        and _has_anothers(
            holders, each.instance_uuid, (each.mac, *each.addresses)
        )
    }
    for part, addresses in rows.members.of_slices(_addresses):
        if not there.isdisjoint(addresses):
            former.update(
                each.instance_uuid
                for each in part.values()
                if _has_anothers(holders, each.instance_uuid, each.addresses)
            )
    return frozenset(former.difference(read.instances))


def _members(rows: Kept, read: Covered) -> Iterator[SourceMember]:
    """The members of source groups whose rows were read."""
    for key in product(rows.sources, read.instances):
        if key in rows.members:
            yield rows.members[key]
    if read.sources:
        for each in rows.members.values():
            if each.group in read.sources:
                yield each


def _has_anothers(
    holders: Mapping[str, str], uuid: str, keys: Iterable[str]
) -> bool:
    """Whether an instance has what is another's."""
    return any(holders.get(key, uuid) != uuid for key in keys)


def _addresses(
    members: Mapping[tuple[int, str], SourceMember],
) -> frozenset[str]:
    return frozenset(a for each in members.values() for a in each.addresses)
