"""The rows of a host by key, and how rows that were read anew change them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import TypeVar

from flatnet.state.rows import (
    Binding,
    Interface,
    Network,
    SecurityGroup,
    Snapshot,
    SourceMember,
)
from flatnet.state.scope import Covered, KnownGroups, Scope
from flatnet.state.sliced import SlicedMap

K = TypeVar("K")
V = TypeVar("V")
Owned = TypeVar("Owned", Interface, Binding)


@dataclass(frozen=True)
class Kept:
    """All rows that concern a host, as they were read last.

    Networks and groups by id, interfaces and bindings by the uuid of the
    interface, members by group and instance.
    """

    networks: Mapping[int, Network] = field(default_factory=dict)
    addresses: Mapping[int, str] = field(default_factory=dict)
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    groups: Mapping[int, SecurityGroup] = field(default_factory=dict)
    members: SlicedMap[tuple[int, str], SourceMember] = field(
        default_factory=SlicedMap
    )
    elsewhere: frozenset[str] = frozenset()

    @cached_property
    def sources(self) -> frozenset[int]:
        """The ids of the groups that rules here name."""
        return frozenset(
            rule.group_id
            for group in self.groups.values()
            for rule in group.rules
            if rule.group_id is not None
        )

    @property
    def group_ids(self) -> frozenset[int]:
        """The groups that somebody here is in, or that rules here name."""
        return self.sources | self.groups.keys()

    def known(self, scope: Scope) -> KnownGroups:
        """Return what need not be read again for a scope."""
        return KnownGroups(
            groups=frozenset(self.groups),
            sources=self.sources,
            here=frozenset(
                each.instance_uuid
                for each in self.interfaces.values()
                if not scope.members.isdisjoint(each.security_group_ids)
            ),
        )

    def claiming(self, instances: Collection[str]) -> frozenset[str]:
        """Return who else, here or in a source group, has an address or a MAC
        of these instances.

        One may be given out again before one hears that the other has it no
        more.
        """
        mine: set[str] = set()
        others: dict[str, str] = {}
        for each in self.interfaces.values():
            if each.instance_uuid in instances:
                mine.update((each.mac, *each.addresses))
            else:
                others[each.mac] = each.instance_uuid
                for address in each.addresses:
                    others[address] = each.instance_uuid
        for key in product(self.sources, instances):
            if key in self.members:
                # Else who has it here still would speak as a member.
                mine.update(self.members[key].addresses)
        found = {others[key] for key in mine & others.keys()}
        for part, there in self.members.of_slices(_addresses):
            if not mine.isdisjoint(there):
                found.update(
                    each.instance_uuid
                    for each in part.values()
                    if not mine.isdisjoint(each.addresses)
                )
        return frozenset(found - set(instances))


def _addresses(
    members: Mapping[tuple[int, str], SourceMember],
) -> frozenset[str]:
    return frozenset(a for each in members.values() for a in each.addresses)


def kept(before: Kept, rows: Snapshot, covered: Covered) -> Kept:
    """Return the rows of a host, with those that were read anew.

    What nobody here uses any more goes.

    :param covered: whose rows `rows` has all of; the others stay
    """
    if covered.everything:
        before = Kept()
    interfaces = _others(before.interfaces, covered.instances)
    interfaces.update((each.uuid, each) for each in rows.interfaces)
    bindings = _others(before.bindings, covered.instances)
    bindings.update((each.interface_uuid, each) for each in rows.bindings)
    addresses = _without(before.addresses, covered.networks)
    addresses.update(rows.host_addresses)
    networks = _without(before.networks, covered.networks)
    networks.update((each.id, each) for each in rows.networks)
    here = addresses.keys() | {each.id for each in rows.networks}
    here |= {each.network_id for each in interfaces.values()}
    groups = _without(before.groups, covered.groups)
    groups.update((each.id, each) for each in rows.security_groups)
    used = {
        group for i in interfaces.values() for group in i.security_group_ids
    }
    found = Kept(
        networks=_within(networks, here),
        addresses=addresses,
        interfaces=interfaces,
        bindings=bindings,
        groups=_within(groups, used),
        elsewhere=before.elsewhere - _bound(before, covered)
        | frozenset(rows.elsewhere),
    )
    return _with_members(found, before, rows, covered)


def rebound(
    before: Kept, recorded: Iterable[Binding], interfaces: Iterable[str]
) -> Kept:
    """Return the rows with the bindings of interfaces as they are now.

    :param recorded: all that there are of these interfaces on the host
    """
    bindings = _without(before.bindings, interfaces)
    bindings.update((each.interface_uuid, each) for each in recorded)
    return replace(before, bindings=bindings)


def _with_members(
    found: Kept, before: Kept, rows: Snapshot, covered: Covered
) -> Kept:
    """Return the rows with the members of the groups that they name."""
    sources = found.sources
    read = {
        (each.group, each.instance_uuid): each
        for each in rows.members
        if each.group in sources
    }
    gone = set(product(sources, covered.instances))
    if covered.sources or before.sources != sources:
        gone.update(
            key
            for key in before.members
            if key[0] not in sources or key[0] in covered.sources
        )
    members = before.members.changed(read, gone - read.keys())
    return replace(found, members=members)


def _bound(before: Kept, covered: Covered) -> frozenset[str]:
    """The interfaces of the instances that were covered."""
    return frozenset(
        key
        for key in before.elsewhere
        if key not in before.bindings
        or before.bindings[key].instance_uuid in covered.instances
    )


def _others(
    before: Mapping[str, Owned], instances: Collection[str]
) -> dict[str, Owned]:
    if not instances:
        return dict(before)
    return {
        key: each
        for key, each in before.items()
        if each.instance_uuid not in instances
    }


def _without(before: Mapping[K, V], covered: Iterable[K]) -> dict[K, V]:
    found = dict(before)
    for key in covered:
        found.pop(key, None)
    return found


def _within(found: Mapping[K, V], used: Collection[K]) -> dict[K, V]:
    return {key: value for key, value in found.items() if key in used}
