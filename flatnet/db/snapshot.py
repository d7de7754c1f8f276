"""All rows that concern one host, as they were at one moment.

The number of queries does not depend on the number of rows.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    or_,
    select,
    union,
)

from flatnet.db import bindings, engine, interfaces, models, networks, rules
from flatnet.db.models import AnyRow
from flatnet.db.remembered import Remembered
from flatnet.state.rows import (
    GONE,
    SERVING,
    Binding,
    Interface,
    SecurityGroup,
    Snapshot,
    SourceMember,
    address_order,
)

VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
INSTANCES = models.instances
GROUPS = models.security_groups
RULES = models.security_group_rules
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
ALIVE = INSTANCES.c.deleted == 0
# Groups by id, one row per rule, by age; one without a rule has one row.
GROUPS_WITH_RULES = (
    select(GROUPS.c.id.label("group"), GROUPS.c.name, *rules.COLUMNS)
    .outerjoin(RULES, RULES.c.parent_group_id == GROUPS.c.id)
    .order_by(GROUPS.c.id, RULES.c.id)
)
# Living instances in groups, one row per address, or one without.
MEMBERSHIPS = (
    select(
        MEMBERS.c.security_group_id,
        MEMBERS.c.instance_uuid,
        FIXED_IPS.c.address,
    )
    .join(INSTANCES, INSTANCES.c.uuid == MEMBERS.c.instance_uuid)
    .outerjoin(FIXED_IPS, FIXED_IPS.c.instance_uuid == MEMBERS.c.instance_uuid)
    .where(ALIVE)
)


@engine.reads
def read(
    connection: Connection, host: str, last: Remembered | None = None
) -> Snapshot:
    """Return all that the database says about a host.

    Networks, rules and groups are sorted by id, interfaces by network and
    address, addresses as numbers.

    :param last: what was read of the same host before; where all is as it
        was then, the snapshot is the same object
    """
    last = last or Remembered()
    bound = _bound(connection, host, last)
    attached, joined = interfaces.rows_of(connection, living(host))
    found = last.made(
        "interfaces",
        (attached, joined, bound),
        lambda: wanted_here(
            interfaces.from_rows(attached, interfaces.grouped(joined)),
            bound,
            host,
        ),
    )
    used = _networks(connection, host, {row.network_id for row in attached})
    groups = _groups(connection, {row.security_group_id for row in joined})
    known = last.made("groups", groups, lambda: from_groups(groups))
    read = Snapshot(
        host=host,
        interfaces=found,
        security_groups=known,
        members=_members(connection, sources_of(known), last),
        bindings=bound,
        elsewhere=tuple(sorted(bindings.elsewhere(connection, host))),
        departed=bindings.departed(connection, host),
        **from_networks(used),
    )
    return last.made("snapshot", read, lambda: read)


def _bound(
    connection: Connection, host: str, last: Remembered
) -> tuple[Binding, ...]:
    rows = bindings.rows_of(connection, host)
    return last.made(
        "bindings", rows, lambda: tuple(map(bindings.from_row, rows))
    )


def _networks(
    connection: Connection, host: str, used: Collection[int]
) -> Sequence[AnyRow]:
    """Those of interfaces, and those in which the host has an address."""
    held = select(FIXED_IPS.c.network_id).where(FIXED_IPS.c.host == host)
    wanted = or_(NETWORKS.c.id.in_(sorted(used)), NETWORKS.c.id.in_(held))
    return connection.execute(networks_of(host).where(wanted)).all()


def _groups(connection: Connection, used: Collection[int]) -> Sequence[AnyRow]:
    if not used:
        return []
    wanted = GROUPS.c.id.in_(sorted(used))
    return connection.execute(GROUPS_WITH_RULES.where(wanted)).all()


def _members(
    connection: Connection, named: Collection[int], last: Remembered
) -> tuple[SourceMember, ...]:
    """All members of the groups that rules name."""
    if not named:
        return ()
    wanted = MEMBERS.c.security_group_id.in_(sorted(named))
    rows = connection.execute(MEMBERSHIPS.where(wanted)).all()
    return last.made(
        "members", (named, rows), lambda: from_members(rows, named)
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


def networks_of(host: str | BindParameter[str]) -> Select[Any]:
    """Networks, each with the address of a host's bridge in it, by id."""
    return (
        select(*networks.COLUMNS, FIXED_IPS.c.address.label("held"))
        .outerjoin(
            FIXED_IPS,
            and_(
                FIXED_IPS.c.network_id == NETWORKS.c.id,
                FIXED_IPS.c.host == host,
            ),
        )
        .order_by(NETWORKS.c.id)
    )


def from_networks(rows: Iterable[AnyRow]) -> dict[str, Any]:
    """Return what rows of `networks_of` are in a snapshot."""
    found = list(rows)
    return {
        "networks": tuple(networks.from_row(row) for row in found),
        "host_addresses": tuple(
            (row.id, row.held) for row in found if row.held
        ),
    }


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
        rules=tuple(rules.from_row(row) for row in rows if row.id is not None),
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
    return of_living(
        select(MEMBERS.c.security_group_id), MEMBERS.c.instance_uuid, host
    )


def of_living(
    chosen: Select[Any], instance_uuid: Any, host: str
) -> Select[Any]:
    """Keep what belongs to a living instance of the host."""
    here = living(host)
    return chosen.join(here, here.c.uuid == instance_uuid)


def living(host: str) -> Subquery:
    """The living instances of the host.

    Those whose row names it, or that have an interface bound to it.
    """
    named = select(INSTANCES.c.uuid).where(ALIVE, INSTANCES.c.host == host)
    bound = (
        select(INSTANCES.c.uuid)
        .join(BINDINGS, BINDINGS.c.instance_uuid == INSTANCES.c.uuid)
        .where(ALIVE, BINDINGS.c.host == host, BINDINGS.c.wanted != GONE)
    )
    return union(named, bound).subquery("here")
