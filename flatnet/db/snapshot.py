"""All rows that concern one host, as they were at one moment.

The number of queries does not depend on the number of rows.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    or_,
    select,
    union,
)

from flatnet.db import bindings, engine, interfaces, models, networks, rules
from flatnet.rows import (
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

VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
INSTANCES = models.instances
GROUPS = models.security_groups
RULES = models.security_group_rules
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
ALIVE = INSTANCES.c.deleted == 0


@engine.reads
def read(connection: Connection, host: str) -> Snapshot:
    """Return all that the database says about a host.

    Networks, rules and groups are sorted by id, interfaces by network and
    address, addresses as numbers.
    """
    bound = bindings.of_host(connection, host)
    here = of_living(select(VIFS.c.network_id), VIFS.c.instance_uuid, host)
    held = select(FIXED_IPS.c.network_id).where(FIXED_IPS.c.host == host)
    used = _groups_used(host)
    named = _named_by(RULES.c.parent_group_id.in_(used))
    return Snapshot(
        host=host,
        networks=networks_of(
            connection, or_(NETWORKS.c.id.in_(here), NETWORKS.c.id.in_(held))
        ),
        host_addresses=host_addresses(connection, host),
        interfaces=interfaces_here(connection, host, living(host), bound),
        security_groups=security_groups(connection, GROUPS.c.id.in_(used)),
        members=members(connection, MEMBERS.c.security_group_id.in_(named)),
        bindings=bound,
        elsewhere=tuple(sorted(bindings.elsewhere(connection, host))),
        departed=bindings.departed(connection, host),
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


def networks_of(
    connection: Connection, chosen: ColumnElement[bool]
) -> tuple[Network, ...]:
    rows = connection.execute(
        select(NETWORKS).where(chosen).order_by(NETWORKS.c.id)
    )
    return tuple(networks.from_row(row) for row in rows)


def host_addresses(
    connection: Connection, host: str, within: Collection[int] | None = None
) -> tuple[tuple[int, str], ...]:
    chosen = (
        select(FIXED_IPS.c.network_id, FIXED_IPS.c.address)
        .where(FIXED_IPS.c.host == host)
        .order_by(FIXED_IPS.c.network_id)
    )
    if within is not None:
        chosen = chosen.where(FIXED_IPS.c.network_id.in_(within))
    rows = connection.execute(chosen)
    return tuple((row.network_id, row.address) for row in rows)


def interfaces_here(
    connection: Connection,
    host: str,
    uuids: Subquery,
    bound: tuple[Binding, ...],
) -> tuple[Interface, ...]:
    wanted = {each.interface_uuid: each.wanted for each in bound}
    found = [
        each
        for each in interfaces.of_instances(connection, uuids)
        if wanted.get(each.uuid, SERVING if each.host == host else GONE)
        != GONE
    ]
    return tuple(sorted(found, key=_place))


def _place(
    interface: Interface,
) -> tuple[int, list[tuple[int, int, str]], str]:
    addresses = [address_order(address) for address in interface.addresses]
    return interface.network_id, addresses, interface.uuid


def security_groups(
    connection: Connection, chosen: ColumnElement[bool]
) -> tuple[SecurityGroup, ...]:
    wanted = select(GROUPS.c.id).where(chosen)
    by_group = interfaces.grouped(
        (row.parent_group_id, rules.from_row(row))
        for row in connection.execute(
            select(RULES)
            .where(RULES.c.parent_group_id.in_(wanted))
            .order_by(RULES.c.id)
        )
    )
    rows = connection.execute(
        select(GROUPS.c.id, GROUPS.c.name).where(chosen).order_by(GROUPS.c.id)
    )
    return tuple(
        SecurityGroup(
            id=row.id, name=row.name, rules=tuple(by_group.get(row.id, ()))
        )
        for row in rows
    )


def members(
    connection: Connection, chosen: ColumnElement[bool]
) -> tuple[SourceMember, ...]:
    """Living instances in groups with their addresses, by group."""
    addresses = interfaces.grouped(
        ((row.security_group_id, row.instance_uuid), row.address)
        for row in connection.execute(
            select(
                MEMBERS.c.security_group_id,
                MEMBERS.c.instance_uuid,
                FIXED_IPS.c.address,
            )
            .join(
                FIXED_IPS, FIXED_IPS.c.instance_uuid == MEMBERS.c.instance_uuid
            )
            .join(INSTANCES, INSTANCES.c.uuid == MEMBERS.c.instance_uuid)
            .where(ALIVE, chosen)
        )
    )
    return tuple(
        SourceMember(group, uuid, tuple(sorted(found, key=address_order)))
        for (group, uuid), found in sorted(addresses.items())
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


def living(host: str, *within: ColumnElement[bool]) -> Subquery:
    """The living instances of the host, or those of some instances.

    Those whose row names it, or that have an interface bound to it.
    """
    named = select(INSTANCES.c.uuid).where(
        ALIVE, INSTANCES.c.host == host, *within
    )
    bound = (
        select(INSTANCES.c.uuid)
        .join(BINDINGS, BINDINGS.c.instance_uuid == INSTANCES.c.uuid)
        .where(
            ALIVE, BINDINGS.c.host == host, BINDINGS.c.wanted != GONE, *within
        )
    )
    return union(named, bound).subquery("here")
