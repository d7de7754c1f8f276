"""Who holds an address or a MAC, by rows of which some were read just now.

One may be given out again before a host hears that another has it no more, who
would speak there as the one that has it now.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TypeVar

from flatnet.plan.kept_rows import Kept
from flatnet.state.rows import Interface, NamedInstance, SourceMember
from flatnet.state.scope import Covered
from flatnet.state.sliced_collections import SlicedMap

Elsewhere = TypeVar("Elsewhere", SourceMember, NamedInstance)


def former_holders(rows: Kept, read: Covered) -> frozenset[str]:
    """Return who, by rows that were not read, has what others have by now.

    Instances, here, in a source group, or known by name.

    :param read: whose rows are as they are now
    """
    now: list[SourceMember | NamedInstance] = [
        *_members(rows, read),
        *_named(rows, read),
    ]
    holders = {
        address: each.instance_uuid
        for each in now
        for address in each.addresses
    }
    for one in (
        *rows.interfaces_of(read.instances),
        *rows.served_of(read.instances),
    ):
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
    former.update(_elsewhere(rows.members, holders))
    former.update(_elsewhere(rows.named, holders))
    former.update(_served(rows, holders))
    return frozenset(former.difference(read.instances))


def _served(rows: Kept, holders: Mapping[str, str]) -> Iterator[str]:
    """Those of other hosts that are served here."""
    there = holders.keys()
    for part, keys in rows.served.of_slices(_keys):
        if not there.isdisjoint(keys):
            for uuid, interfaces in part.items():
                for each in interfaces:
                    if _has_anothers(
                        holders, uuid, (each.mac, *each.addresses)
                    ):
                        yield uuid


def _keys(served: Mapping[str, tuple[Interface, ...]]) -> frozenset[str]:
    return frozenset(
        key
        for interfaces in served.values()
        for each in interfaces
        for key in (each.mac, *each.addresses)
    )


def _members(rows: Kept, read: Covered) -> Iterator[SourceMember]:
    """The members of source groups whose rows were read."""
    for key in product(rows.sources, read.instances):
        if key in rows.members:
            yield rows.members[key]
    if read.sources:
        for each in rows.members.values():
            if each.group in read.sources:
                yield each


def _named(rows: Kept, read: Covered) -> Iterator[NamedInstance]:
    """Those whom networks know by name and whose rows were read."""
    for key in product(rows.told, read.instances):
        if key in rows.named:
            yield rows.named[key]


def _has_anothers(
    holders: Mapping[str, str], uuid: str, keys: Iterable[str]
) -> bool:
    """Whether an instance has what is another's."""
    return any(holders.get(key, uuid) != uuid for key in keys)


def _elsewhere(
    known: SlicedMap[tuple[int, str], Elsewhere], holders: Mapping[str, str]
) -> Iterator[str]:
    """Those of whom one has what is another's."""
    for part, addresses in known.of_slices(_addresses):
        if not holders.keys().isdisjoint(addresses):
            for each in part.values():
                uuid = each.instance_uuid
                if _has_anothers(holders, uuid, each.addresses):
                    yield uuid


def _addresses(
    members: Mapping[tuple[int, str], SourceMember | NamedInstance],
) -> frozenset[str]:
    return frozenset(a for each in members.values() for a in each.addresses)
