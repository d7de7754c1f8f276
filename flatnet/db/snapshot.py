"""All rows that concern one host, as they were at one moment.

The number of queries does not depend on the number of rows.  What hardly
ever finds anything is asked only where rows that were read leave room for it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, select

from flatnet.db import (
    bindings,
    engine,
    interfaces,
    models,
    names,
    networks_here,
    security_group_rules,
    selects,
)
from flatnet.db.models import AnyRow
from flatnet.db.row_cache import RowCache, plain
from flatnet.state.rows import (
    GONE,
    SERVING,
    Binding,
    Interface,
    Network,
    SecurityGroup,
    Snapshot,
    SourceMember,
    address_order,
)
from flatnet.state.shared_networks import served_interfaces, serves_all
from flatnet.state.told_networks import told_networks

RULES = models.security_group_rules
MEMBERS = models.security_group_instance_association


@dataclass(frozen=True)
class _Here:
    """The interfaces of a host, and what follows from whose they are.

    `networks` and `groups` are ids.  `are_living` says that all that are
    bound to the host are of instances that live.
    """

    interfaces: tuple[Interface, ...]
    networks: tuple[int, ...]
    groups: tuple[int, ...]
    are_living: bool


class _Living(NamedTuple):
    """Rows of `ATTACHED`, `JOINED` and `FLOATING` of living instances."""

    attached: Sequence[AnyRow]
    joined: Sequence[AnyRow]
    floating: Sequence[AnyRow]


@engine.reads
def read(
    connection: Connection, host: str, last: RowCache | None = None
) -> Snapshot:
    """Return all that the database says about a host.

    Networks, rules and groups are sorted by id, interfaces by network and
    address, addresses as numbers.

    :param last: what was read of the same host before; where all is as it
        was then, the snapshot is the same object
    """
    last = last or RowCache()
    held = connection.execute(bindings.OF_HOST, {"host": host}).all()
    answer = plain(held)
    bound = last.made("bindings", answer, lambda: _bound(answer, held, last))
    living = _living(connection, host, bound)
    here = last.made(
        "interfaces",
        (*map(plain, living), answer),
        lambda: _here(living, bound, host, last),
    )
    groups = _groups(connection, here.groups)
    known = last.made("groups", plain(groups), lambda: from_groups(groups))
    found = networks_here.read(connection, host, here.networks)
    told = told_networks(found.networks, dict(found.host_addresses))
    read = Snapshot(
        host=host,
        interfaces=here.interfaces,
        security_groups=known,
        members=_members(connection, sources_of(known), last),
        bindings=bound,
        elsewhere=tuple(sorted(bindings.elsewhere(connection, host))),
        departed=(
            () if here.are_living else bindings.departed(connection, host)
        ),
        named=names.of_networks(connection, told, last),
        served=_served(connection, host, found.networks, here, last),
        **vars(found),
    )
    return last.same("snapshot", read)


def _served(
    connection: Connection,
    host: str,
    networks: Collection[Network],
    here: _Here,
    last: RowCache,
) -> tuple[Interface, ...]:
    """The interfaces of other hosts in networks that are served for all."""
    ids = sorted(each.id for each in networks if serves_all(each, host))
    if not ids:
        return ()
    rows = connection.execute(selects.ATTACHED_TO, {"ids": ids})
    found = interfaces.from_rows(rows, {}, last, name="served")
    return served_interfaces(found, networks, host, here.interfaces)


def _bound(
    answer: Iterable[object], rows: Iterable[AnyRow], last: RowCache
) -> tuple[Binding, ...]:
    """All bindings of a host."""
    of_each = zip(answer, rows, strict=True)
    return last.each("bindings", of_each, bindings.from_row)


def _living(
    connection: Connection, host: str, bound: Iterable[Binding]
) -> _Living:
    """What is asked of the living instances of a host.

    Those whose row names it, who are nearly always all, and those that have
    an interface bound to it.
    """
    named = {"host": host}
    found = _Living(
        connection.execute(selects.ATTACHED_HERE, named).all(),
        connection.execute(selects.JOINED_HERE, named).all(),
        connection.execute(selects.FLOATING_HERE, named).all(),
    )
    others = {each.instance_uuid for each in bound if each.wanted != GONE}
    others.difference_update(row.instance_uuid for row in found.attached)
    if not others:
        return found
    more = {"instances": sorted(others)}
    return _Living(
        [*found.attached, *connection.execute(selects.ATTACHED, more)],
        [*found.joined, *connection.execute(selects.JOINED, more)],
        [*found.floating, *connection.execute(selects.FLOATING, more)],
    )


def _here(
    rows: _Living,
    bound: Collection[Binding],
    host: str,
    last: RowCache,
) -> _Here:
    found = interfaces.from_rows(
        rows.attached,
        interfaces.grouped(rows.joined),
        last,
        interfaces.led(rows.floating),
    )
    living = {(each.uuid, each.instance_uuid) for each in found}
    return _Here(
        interfaces=wanted_here(found, bound, host),
        networks=tuple(sorted({each.network_id for each in found})),
        groups=tuple(sorted({row.security_group_id for row in rows.joined})),
        are_living=living.issuperset(
            (each.interface_uuid, each.instance_uuid) for each in bound
        ),
    )


def _groups(connection: Connection, used: Sequence[int]) -> Sequence[AnyRow]:
    if not used:
        return []
    return connection.execute(selects.GROUPS_WITH_RULES, {"ids": used}).all()


def _members(
    connection: Connection, named: Collection[int], last: RowCache
) -> tuple[SourceMember, ...]:
    """All members of the groups that rules name."""
    if not named:
        return ()
    given = {"ids": sorted(named)}
    rows = connection.execute(selects.MEMBERS_OF_GROUPS, given).all()
    return last.made(
        "members",
        (given["ids"], plain(rows)),
        lambda: from_members(rows, named),
    )


@engine.reads
def groups(connection: Connection, host: str) -> frozenset[int]:
    """Return the groups that matter to a host, and read no more than that.

    Those that somebody here is in, and those that their rules name.
    """
    used = _groups_used(host)
    named = _named_by(RULES.c.parent_group_id.in_(used))
    return frozenset(
        [
            *connection.scalars(used.distinct()),
            *connection.scalars(named.distinct()),
        ]
    )


def wanted_here(
    found: Iterable[Interface], bound: Iterable[Binding], host: str
) -> tuple[Interface, ...]:
    """Return those interfaces that a host is to have, by network and address.

    :param bound: all bindings of these on the host
    """
    wanted = {each.interface_uuid: each.wanted for each in bound}
    kept = [
        each
        for each in found
        if wanted.get(each.uuid, SERVING if each.host == host else GONE)
        != GONE
    ]
    return tuple(sorted(kept, key=_place))


def _place(
    interface: Interface,
) -> tuple[int, list[tuple[int, int, str]], str]:
    addresses = [address_order(address) for address in interface.addresses]
    return interface.network_id, addresses, interface.uuid


def from_groups(rows: Iterable[AnyRow]) -> tuple[SecurityGroup, ...]:
    """Return the groups that rows of `GROUPS_WITH_RULES` are of."""
    return tuple(
        _group(list(its)) for _, its in groupby(rows, lambda row: row.group)
    )


def _group(rows: Sequence[AnyRow]) -> SecurityGroup:
    return SecurityGroup(
        id=rows[0].group,
        name=rows[0].name,
        rules=tuple(
            security_group_rules.from_row(row)
            for row in rows
            if row.id is not None
        ),
    )


def from_members(
    rows: Iterable[AnyRow], sources: Collection[int]
) -> tuple[SourceMember, ...]:
    """Return who of rows of `MEMBERSHIPS` is in some groups, by group."""
    addresses = interfaces.grouped(
        ((row.security_group_id, row.instance_uuid), row.address)
        for row in rows
        if row.address and row.security_group_id in sources
    )
    return tuple(
        SourceMember(group, uuid, tuple(sorted(found, key=address_order)))
        for (group, uuid), found in sorted(addresses.items())
    )


def sources_of(groups: Iterable[SecurityGroup]) -> frozenset[int]:
    """The ids of the groups that rules of groups name."""
    return frozenset(
        rule.group_id
        for group in groups
        for rule in group.rules
        if rule.group_id
    )


def _named_by(chosen: ColumnElement[bool]) -> Select[Any]:
    return select(RULES.c.group_id).where(
        chosen, RULES.c.group_id.is_not(None)
    )


def _groups_used(host: str) -> Select[Any]:
    return selects.of_living(
        select(MEMBERS.c.security_group_id), MEMBERS.c.instance_uuid, host
    )
