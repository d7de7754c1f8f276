"""The rows of a host by key, and how rows that were read anew change them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeVar

from flatnet.plan.served_rows import served_rows
from flatnet.state.mappings import renewed
from flatnet.state.rows import (
    Binding,
    Interface,
    NamedInstance,
    Network,
    SecurityGroup,
    Snapshot,
    SourceMember,
)
from flatnet.state.scope import Covered, KnownGroups, Scope
from flatnet.state.sliced_collections import SlicedMap
from flatnet.state.told_networks import told_networks

Owned = TypeVar("Owned", Interface, Binding)


@dataclass(frozen=True)
class Kept:
    """All rows that concern a host, as they were read last.

    Networks and groups by id, interfaces and bindings by the uuid of the
    interface, members by group and instance, `named` by network and instance.
    `owned` has the interfaces of each instance, here or bound, and `sources`
    the ids of the groups that rules here name.  `served` are interfaces of
    other hosts that this one is the DHCP server of, by the uuid of their
    instance.
    """

    networks: Mapping[int, Network] = field(default_factory=dict)
    addresses: Mapping[int, str] = field(default_factory=dict)
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    groups: Mapping[int, SecurityGroup] = field(default_factory=dict)
    members: SlicedMap[tuple[int, str], SourceMember] = field(
        default_factory=SlicedMap
    )
    named: SlicedMap[tuple[int, str], NamedInstance] = field(
        default_factory=SlicedMap
    )
    elsewhere: frozenset[str] = frozenset()
    owned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sources: frozenset[int] = frozenset()
    served: SlicedMap[str, tuple[Interface, ...]] = field(
        default_factory=SlicedMap
    )

    @property
    def group_ids(self) -> frozenset[int]:
        """The groups that somebody here is in, or that rules here name."""
        return self.sources | self.groups.keys()

    @property
    def told(self) -> frozenset[int]:
        """The networks whose names this host tells, by id."""
        return told_networks(self.networks.values(), self.addresses)

    def interfaces_of(self, instances: Iterable[str]) -> list[Interface]:
        """Return the interfaces here of some instances."""
        return [
            self.interfaces[key]
            for uuid in instances
            for key in self.owned.get(uuid, ())
            if key in self.interfaces
        ]

    def served_of(self, instances: Iterable[str]) -> list[Interface]:
        """Return the interfaces of other hosts that are served here."""
        return [
            each for uuid in instances for each in self.served.get(uuid, ())
        ]

    def known(self, scope: Scope) -> KnownGroups:
        """Return what need not be read again for a scope."""
        here = frozenset[str]()
        if scope.members:
            here = frozenset(
                each.instance_uuid
                for each in self.interfaces.values()
                if not scope.members.isdisjoint(each.security_group_ids)
            )
        return KnownGroups(
            frozenset(self.groups), self.sources, here, self.told
        )


def kept(before: Kept, rows: Snapshot, covered: Covered) -> Kept:
    """Return the rows of a host, with those that were read anew.

    What nobody here uses any more goes.  What is equal to what was known
    stays the same object.

    :param covered: whose rows `rows` has all of; the others stay
    """
    interfaces = renewed(
        before.interfaces,
        _covered(before, before.interfaces, covered),
        {each.uuid: each for each in rows.interfaces},
    )
    bindings = renewed(
        before.bindings,
        _covered(before, before.bindings, covered),
        {each.interface_uuid: each for each in rows.bindings},
    )
    addresses = renewed(
        before.addresses,
        before.addresses if covered.everything else covered.networks,
        dict(rows.host_addresses),
    )
    groups = _groups(before, interfaces, rows, covered)
    found = Kept(
        networks=_networks(before, interfaces, addresses, rows, covered),
        addresses=addresses,
        interfaces=interfaces,
        bindings=bindings,
        groups=groups,
        elsewhere=_elsewhere(before, rows, covered),
        owned=_owned(before, rows, covered),
        sources=before.sources if groups is before.groups else _named(groups),
        served=served_rows(before.served, rows, covered),
    )
    return replace(
        found,
        members=_members(before, found, rows, covered),
        named=_named_instances(before, found, rows, covered),
    )


def rebound(
    before: Kept, recorded: Iterable[Binding], interfaces: Collection[str]
) -> Kept:
    """Return the rows with the bindings of interfaces as they are now.

    :param recorded: all that there are of these interfaces on the host
    """
    new = {each.interface_uuid: each for each in recorded}
    owned = dict(before.owned)
    for key in interfaces:
        found = (before.interfaces.get(key), new.get(key))
        owners = {each.instance_uuid for each in found if each is not None}
        old = before.bindings.get(key)
        if old and old.instance_uuid not in owners:
            owned[old.instance_uuid] -= {key}
            if not owned[old.instance_uuid]:
                del owned[old.instance_uuid]
        for uuid in owners:
            _own(owned, uuid, key)
    bindings = renewed(before.bindings, interfaces, new)
    return replace(before, bindings=bindings, owned=owned)


def _covered(
    before: Kept, known: Mapping[str, Owned], covered: Covered
) -> Iterable[str]:
    """The interfaces, of those that are known, whose rows were read anew."""
    if covered.everything:
        return known
    return [
        key
        for uuid in covered.instances
        for key in before.owned.get(uuid, ())
        if key in known and known[key].instance_uuid == uuid
    ]


def _owned(
    before: Kept, rows: Snapshot, covered: Covered
) -> dict[str, frozenset[str]]:
    owned = {} if covered.everything else dict(before.owned)
    for uuid in covered.instances:
        owned.pop(uuid, None)
    for each in rows.interfaces:
        _own(owned, each.instance_uuid, each.uuid)
    for bound in rows.bindings:
        _own(owned, bound.instance_uuid, bound.interface_uuid)
    return owned


def _own(owned: dict[str, frozenset[str]], uuid: str, key: str) -> None:
    if key not in (known := owned.get(uuid, frozenset())):
        owned[uuid] = known | {key}


def _networks(
    before: Kept,
    interfaces: Mapping[str, Interface],
    addresses: Mapping[int, str],
    rows: Snapshot,
    covered: Covered,
) -> Mapping[int, Network]:
    """The networks that the host is in, or somebody on it."""
    new = {each.id: each for each in rows.networks}
    known = before.networks if covered.everything else covered.networks
    found = renewed(before.networks, known, new)
    left = found.keys() - addresses.keys()
    # Of those with one server rows are read though nobody is in them here.
    left -= {each.network_id for each in rows.interfaces}
    if covered.everything:
        left -= new.keys()
    elif left:
        left -= {each.network_id for each in interfaces.values()}
    return renewed(found, left, {})


def _groups(
    before: Kept,
    interfaces: Mapping[str, Interface],
    rows: Snapshot,
    covered: Covered,
) -> Mapping[int, SecurityGroup]:
    """The groups that somebody here is in."""
    new = {each.id: each for each in rows.security_groups}
    known = before.groups if covered.everything else covered.groups
    found = renewed(before.groups, known, new)
    # Others are in use as they were.
    left = {
        group
        for each in before.interfaces_of(covered.instances)
        for group in each.security_group_ids
        if group in found
    }
    if covered.everything:
        left = set(found)
    for each in interfaces.values():
        if not left:
            break
        left.difference_update(each.security_group_ids)
    return renewed(found, left, {})


def _named(groups: Mapping[int, SecurityGroup]) -> frozenset[int]:
    """The ids of the groups that rules of groups name."""
    return frozenset(
        rule.group_id
        for group in groups.values()
        for rule in group.rules
        if rule.group_id is not None
    )


def _elsewhere(
    before: Kept, rows: Snapshot, covered: Covered
) -> frozenset[str]:
    """The interfaces bound here whose guest is on another host by now."""
    found = frozenset(rows.elsewhere)
    if covered.everything:
        return found
    return found | {
        key
        for key in before.elsewhere
        if key in before.bindings
        and before.bindings[key].instance_uuid not in covered.instances
    }


def _members(
    before: Kept, found: Kept, rows: Snapshot, covered: Covered
) -> SlicedMap[tuple[int, str], SourceMember]:
    """The members of the groups that rules here name."""
    sources = found.sources
    new = {
        (each.group, each.instance_uuid): each
        for each in rows.members
        if each.group in sources
    }
    gone = set(product(before.sources, covered.instances))
    if covered.everything:
        gone.update(before.members)
    elif covered.sources or before.sources != sources:
        left = (before.sources - sources) | covered.sources
        gone.update(key for key in before.members if key[0] in left)
    return before.members.changed(new, gone)


def _named_instances(
    before: Kept, found: Kept, rows: Snapshot, covered: Covered
) -> SlicedMap[tuple[int, str], NamedInstance]:
    """Whom the networks know whose names are told here."""
    was, told = before.told, found.told
    new = {
        (each.network_id, each.instance_uuid): each
        for each in rows.named
        if each.network_id in told
    }
    gone = set(product(was, covered.instances))
    if covered.everything:
        gone.update(before.named)
    elif covered.named or was != told:
        left = (was - told) | covered.named
        gone.update(key for key in before.named if key[0] in left)
    return before.named.changed(new, gone)
