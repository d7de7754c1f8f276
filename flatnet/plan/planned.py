"""The parts of a host, made of its rows: only those whose rows differ.

Each part is made by a pure function of its own rows.  So a plan that is made
after another makes those whose rows differ from the rows of that one: rows
that were not read again are the same objects, and are not even compared.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flatnet.config.settings import Settings
from flatnet.plan.addresses import of_family
from flatnet.plan.bridge import uplink_name
from flatnet.plan.gone_ports import gone_names, gone_ports
from flatnet.plan.ground import Ground
from flatnet.plan.guests import Guests, guests
from flatnet.plan.host import host_part
from flatnet.plan.kept_rows import Kept
from flatnet.plan.network import NetworkRows, PlannedNetwork, planned_network
from flatnet.plan.network_names import NetworkNames
from flatnet.plan.openings import PlannedGroup, planned_group
from flatnet.plan.served import has_guests
from flatnet.state.filtering import Group
from flatnet.state.mappings import difference, renewed
from flatnet.state.parts import Member, Parts
from flatnet.state.plan import Bridge, Uplink
from flatnet.state.rows import Network, SecurityGroup, SourceMember
from flatnet.state.scope import EVERYTHING, Scope
from flatnet.state.sliced_collections import SlicedMap, sliced
from flatnet.state.taken_addresses import InUse

K = TypeVar("K")
C = TypeVar("C")
V = TypeVar("V")
_GroupRows = tuple[SecurityGroup, tuple[tuple[int, frozenset[int]], ...]]


@dataclass(frozen=True)
class _Made(Generic[C, V]):
    """A value, and what it was made of."""

    of: C
    value: V


@dataclass(frozen=True)
class Planned:
    """The parts of a host, with the rows that they were made of."""

    rows: Kept
    parts: Parts
    guests: Guests
    uplinks: Mapping[str, Uplink] = field(default_factory=dict)
    in_use: tuple[InUse, ...] = ()
    networks: Mapping[int, _Made[NetworkRows, PlannedNetwork]] = field(
        default_factory=dict
    )
    groups: Mapping[int, _Made[_GroupRows, PlannedGroup]] = field(
        default_factory=dict
    )

    @property
    def ground(self) -> Ground:
        """What its guests were made of."""
        return Ground(self.rows, _values(self.networks))

    @property
    def bridges(self) -> tuple[Bridge, ...]:
        """The bridges by name."""
        found = [each.bridge for each in self.parts.networks.values()]
        return tuple(sorted(found, key=lambda each: each.name))

    def ports_left(self, after: "Planned") -> set[str]:
        """The names of ports that are nobody's in a plan after this one."""
        old, new = self.parts, after.parts
        gone = old.guests.keys() - new.guests.keys()
        left = {old.guests[key].port.name for key in gone}
        return {*left, *gone_names(old.gone)} - {*gone_names(new.gone)}

    def warnings(self) -> Iterator[str]:
        """Lines about rows; they change nothing."""
        for network in self.networks.values():
            yield from network.value.fit.warnings
        for _, lines in sorted(self.guests.warnings.items()):
            yield from lines
        for group_id, group in sorted(self.groups.items()):
            for rule_id, reason in group.value.reasons:
                yield self._left_out(group_id, rule_id, reason)

    def is_of(
        self, uplinks: Mapping[str, Uplink], in_use: tuple[InUse, ...]
    ) -> bool:
        """Whether the host was so when this was planned."""
        return (self.uplinks, self.in_use) == (uplinks, in_use)

    def scope_of(self, ports: Iterable[str]) -> Scope:
        """Return whose rows ports are about; in doubt everybody's.

        :param ports: their names
        """
        owners = {
            each.port.name: each.port.instance_uuid
            for each in self.parts.guests.values()
        }
        uuids = frozenset(owners.get(name, "") for name in ports)
        return EVERYTHING if "" in uuids else Scope(instances=uuids)

    def _left_out(self, group_id: int, rule_id: int, reason: str) -> str:
        instances = sorted(
            each.instance_uuid
            for each in self.rows.interfaces.values()
            if group_id in each.security_group_ids
        )
        return (
            f"security group rule {rule_id} of group {group_id} is left "
            f"out for instances {', '.join(instances)}: {reason}"
        )


def planned(
    rows: Kept,
    settings: Settings,
    uplinks: Mapping[str, Uplink],
    *,
    before: Planned | None = None,
    in_use: tuple[InUse, ...] = (),
) -> Planned:
    """Return what a host with these rows should look like.

    :param uplinks: what the kernel says of the devices that exist, by name
    :param before: the plan of the same host, and settings, before
    :param in_use: what the host needs itself, and no network may take
    """
    before = before or _nothing(settings)
    networks = _networks(before, rows, settings, uplinks)
    values = _values(networks)
    groups = _groups(before, rows)
    here = guests(before.guests, before.ground, Ground(rows, values), settings)
    return Planned(
        rows=rows,
        parts=Parts(
            host=host_part(values.values(), settings, in_use),
            networks={key: each.part for key, each in values.items()},
            guests=here.parts,
            gone=gone_ports(rows),
            groups=_group_parts(before, groups),
            members=_members(before, rows),
            names=here.names.slices,
            served=here.served,
        ),
        guests=here,
        uplinks=dict(uplinks),
        in_use=in_use,
        networks=networks,
        groups=groups,
    )


def _made(
    before: Mapping[K, _Made[C, V]],
    contexts: Mapping[K, C],
    make: Callable[[C], V],
) -> dict[K, _Made[C, V]]:
    """Return what each context makes, anew only where it is another."""
    found = {}
    for key, context in contexts.items():
        known = before.get(key)
        if known is None or known.of != context:
            known = _Made(context, make(context))
        found[key] = known
    return found


def _nothing(settings: Settings) -> Planned:
    return Planned(
        rows=Kept(),
        parts=Parts(host_part((), settings)),
        guests=Guests(NetworkNames(settings.dhcp_domain)),
    )


def _values(made: Mapping[K, _Made[C, V]]) -> dict[K, V]:
    return {key: each.value for key, each in made.items()}


def _networks(
    before: Planned,
    rows: Kept,
    settings: Settings,
    uplinks: Mapping[str, Uplink],
) -> dict[int, _Made[NetworkRows, PlannedNetwork]]:
    first: dict[str, Network] = {}
    return _made(
        before.networks,
        {
            key: NetworkRows(
                row,
                rows.addresses.get(key),
                uplinks.get(uplink_name(row, settings) or ""),
                first.setdefault(row.bridge, row),
                has_guests(rows, row),
            )
            for key, row in sorted(rows.networks.items())
        },
        lambda of: planned_network(of, settings),
    )


def _groups(
    before: Planned, rows: Kept
) -> Mapping[int, _Made[_GroupRows, PlannedGroup]]:
    known = before.rows
    others, gone = difference(known.groups, rows.groups)
    if rows.members is not known.members or rows.sources != known.sources:
        others = rows.groups
    if not others and not gone:
        return before.groups
    made = _made(before.groups, _group_rows(rows, others), _group)
    return renewed(before.groups, gone, made)


def _group_parts(
    before: Planned, groups: Mapping[int, _Made[_GroupRows, PlannedGroup]]
) -> Mapping[int, Group]:
    if groups is before.groups:
        return before.parts.groups
    return {key: each.value.part for key, each in groups.items()}


def _group_rows(rows: Kept, keys: Iterable[int]) -> dict[int, _GroupRows]:
    """Groups, each with the families of those that its rules name."""
    six = frozenset[int]().union(
        *(found for _, found in rows.members.of_slices(_with_ipv6))
    )
    families = {
        group: frozenset((4, 6) if group in six else (4,))
        for group in rows.sources
    }
    return {
        key: (
            rows.groups[key],
            tuple(
                (named, families[named])
                for named in sorted(
                    {r.group_id for r in rows.groups[key].rules if r.group_id}
                )
            ),
        )
        for key in sorted(keys)
    }


def _group(of: _GroupRows) -> PlannedGroup:
    row, families = of
    return planned_group(row, dict(families))


def _with_ipv6(
    members: Mapping[tuple[int, str], SourceMember],
) -> frozenset[int]:
    """The groups that have a member with an IPv6 address among these."""
    return frozenset(
        each.group
        for each in members.values()
        if any(":" in address for address in each.addresses)
    )


def _members(before: Planned, rows: Kept) -> SlicedMap[str, Member]:
    """The parts of members: those of before, but for whose rows differ."""
    put, dropped = rows.members.differing(before.rows.members)
    return sliced(before.parts.members).changed(
        {_member_key(key): _member(row) for key, row in put.items()},
        map(_member_key, dropped),
    )


def _member_key(key: tuple[int, str]) -> str:
    group, uuid = key
    return f"{group} {uuid}"


def _member(row: SourceMember) -> Member:
    found = of_family(row.addresses, 4) + of_family(row.addresses, 6)
    return Member(row.group, found)
