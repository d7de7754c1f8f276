"""The parts of a host, made of its rows: only those whose rows differ.

Each part is made by a pure function of its own rows, and what it was made
of is remembered beside it.  So a plan that is made after another costs a
comparison for what did not change, and rows that were not read again are
not even compared: they are the same objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flatnet.config.settings import Settings
from flatnet.plan.addresses import of_family
from flatnet.plan.bridge import uplink_name
from flatnet.plan.fit import Fit
from flatnet.plan.guest import GuestRows, PlannedGuest, planned_guest
from flatnet.plan.host import host_part
from flatnet.plan.kept import Kept
from flatnet.plan.names import names
from flatnet.plan.network import PlannedNetwork, planned_network
from flatnet.plan.openings import PlannedGroup, planned_group
from flatnet.plan.port import port_name
from flatnet.state.parts import Member, Parts
from flatnet.state.plan import Uplink
from flatnet.state.rows import GONE, Network, SecurityGroup, SourceMember
from flatnet.state.scope import EVERYTHING, Scope
from flatnet.state.sliced import SlicedMap, sliced
from flatnet.state.taken import InUse

K = TypeVar("K")
C = TypeVar("C")
V = TypeVar("V")
_NetworkRows = tuple[Network, str | None, Uplink | None]
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
    names: tuple[str, ...] = ()
    uplinks: Mapping[str, Uplink] = field(default_factory=dict)
    in_use: tuple[InUse, ...] = ()
    networks: Mapping[int, _Made[_NetworkRows, PlannedNetwork]] = field(
        default_factory=dict
    )
    guests: Mapping[str, _Made[GuestRows, PlannedGuest]] = field(
        default_factory=dict
    )
    groups: Mapping[int, _Made[_GroupRows, PlannedGroup]] = field(
        default_factory=dict
    )

    def warnings(self) -> Iterator[str]:
        """Lines about rows; they change nothing."""
        for network in self.networks.values():
            yield from network.value.fit.warnings
        for guest in self.guests.values():
            yield from guest.value.warnings
        yield from self.names
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
    before = before or Planned(Kept(), Parts(host_part((), settings)))
    networks = _networks(before, rows, settings, uplinks)
    groups = _made(before.groups, _group_rows(rows), _group)
    guests, lines = _guests(before, rows, networks, settings)
    values = [each.value for each in networks.values()]
    return Planned(
        rows=rows,
        parts=Parts(
            host=host_part(values, settings, in_use),
            networks={key: m.value.part for key, m in networks.items()},
            guests={key: m.value.part for key, m in guests.items()},
            gone=_gone(rows),
            groups={key: m.value.part for key, m in groups.items()},
            members=_members(before, rows),
        ),
        names=lines,
        uplinks=dict(uplinks),
        in_use=in_use,
        networks=networks,
        guests=guests,
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


def _networks(
    before: Planned,
    rows: Kept,
    settings: Settings,
    uplinks: Mapping[str, Uplink],
) -> dict[int, _Made[_NetworkRows, PlannedNetwork]]:
    def make(of: _NetworkRows) -> PlannedNetwork:
        row, address, uplink = of
        return planned_network(row, settings, address=address, uplink=uplink)

    return _made(
        before.networks,
        {
            key: (
                row,
                rows.addresses.get(key),
                uplinks.get(uplink_name(row, settings) or ""),
            )
            for key, row in sorted(rows.networks.items())
        },
        make,
    )


def _group_rows(rows: Kept) -> dict[int, _GroupRows]:
    """Each group with the families of those that its rules name."""
    six = frozenset[int]().union(
        *(found for _, found in rows.members.of_slices(_with_ipv6))
    )
    families = {
        group: frozenset((4, 6) if group in six else (4,))
        for group in rows.sources
    }
    return {
        key: (
            group,
            tuple(
                (named, families[named])
                for named in sorted(
                    {r.group_id for r in group.rules if r.group_id}
                )
            ),
        )
        for key, group in sorted(rows.groups.items())
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


def _guests(
    before: Planned,
    rows: Kept,
    networks: Mapping[int, _Made[_NetworkRows, PlannedNetwork]],
    settings: Settings,
) -> tuple[dict[str, _Made[GuestRows, PlannedGuest]], tuple[str, ...]]:
    """The guests by interface, and lines about names."""
    fits: dict[int, Fit] = {k: m.value.fit for k, m in networks.items()}
    served = {k for k, m in networks.items() if m.value.part.server}
    here = {
        key: each
        for key, each in rows.interfaces.items()
        if each.network_id in fits
    }
    named, lines = names(
        [each for each in here.values() if each.network_id in served],
        settings.dhcp_domain,
    )
    bindings = rows.bindings
    contexts = {
        key: GuestRows(
            interface=each,
            network=fits[each.network_id],
            wanted=bindings[key].wanted if key in bindings else None,
            plug=bindings[key].plug if key in bindings else None,
            is_elsewhere=key in rows.elsewhere,
            is_served=each.network_id in served,
            name=named.get(each.instance_uuid),
            groups=_known(each.security_group_ids, rows.groups),
        )
        for key, each in here.items()
    }
    made = _made(
        before.guests, contexts, lambda of: planned_guest(of, settings)
    )
    return made, lines


def _known(
    wanted: tuple[int, ...], groups: Mapping[int, SecurityGroup]
) -> tuple[int, ...]:
    found = [each for each in wanted if each in groups]
    return tuple(sorted(set(found)) if len(found) > 1 else found)


def _gone(rows: Kept) -> dict[str, str]:
    """The ports that are to go, whoever uses them, by interface."""
    gone = {
        key: port_name(key)
        for key, each in rows.bindings.items()
        if each.wanted == GONE
    }
    if not gone:
        return gone
    here = {port_name(key) for key in rows.interfaces}
    return {key: name for key, name in gone.items() if name not in here}
