"""All rows that concern one host, as they were at one moment.

The number of queries does not depend on the number of rows.
"""

from typing import Any

from sqlalchemy import Connection, Select, Subquery, or_, select, union

from flatnet.db import (
    bindings,
    engine,
    interfaces,
    models,
    networks,
    rules,
)
from flatnet.rows import (
    GONE,
    SERVING,
    Binding,
    Interface,
    Network,
    SecurityGroup,
    Snapshot,
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
    """Return what the database says about a host.

    Networks, rules and groups are sorted by id, interfaces by network and
    address, addresses as numbers.
    """
    bound = bindings.of_host(connection, host)
    return Snapshot(
        host=host,
        networks=_networks(connection, host),
        host_addresses=_host_addresses(connection, host),
        interfaces=_interfaces(connection, host, bound),
        security_groups=_security_groups(connection, host),
        group_members=_group_members(connection, host),
        bindings=bound,
        elsewhere=tuple(sorted(bindings.elsewhere(connection, host))),
        departed=bindings.departed(connection, host),
    )


@engine.reads
def groups(connection: Connection, host: str) -> frozenset[int]:
    """Return `Snapshot.group_ids` of a host, and read no more than that."""
    used = connection.scalars(_groups_used(host).distinct()).all()
    named = connection.scalars(_groups_named(host).distinct()).all()
    return frozenset([*used, *named])


def _networks(connection: Connection, host: str) -> tuple[Network, ...]:
    here = _here(select(VIFS.c.network_id), VIFS.c.instance_uuid, host)
    held = select(FIXED_IPS.c.network_id).where(FIXED_IPS.c.host == host)
    rows = connection.execute(
        select(NETWORKS)
        .where(or_(NETWORKS.c.id.in_(here), NETWORKS.c.id.in_(held)))
        .order_by(NETWORKS.c.id)
    )
    return tuple(networks.from_row(row) for row in rows)


def _host_addresses(
    connection: Connection, host: str
) -> tuple[tuple[int, str], ...]:
    rows = connection.execute(
        select(FIXED_IPS.c.network_id, FIXED_IPS.c.address)
        .where(FIXED_IPS.c.host == host)
        .order_by(FIXED_IPS.c.network_id)
    )
    return tuple((row.network_id, row.address) for row in rows)


def _interfaces(
    connection: Connection, host: str, bound: tuple[Binding, ...]
) -> tuple[Interface, ...]:
    wanted = {each.interface_uuid: each.wanted for each in bound}
    found = [
        each
        for each in interfaces.of_instances(connection, _uuids(host))
        if wanted.get(each.uuid, SERVING if each.host == host else GONE)
        != GONE
    ]
    return tuple(sorted(found, key=_place))


def _place(
    interface: Interface,
) -> tuple[int, list[tuple[int, int, str]], str]:
    addresses = [address_order(address) for address in interface.addresses]
    return interface.network_id, addresses, interface.uuid


def _security_groups(
    connection: Connection, host: str
) -> tuple[SecurityGroup, ...]:
    used = _groups_used(host)
    by_group = interfaces.grouped(
        (row.parent_group_id, rules.from_row(row))
        for row in connection.execute(
            select(RULES)
            .where(RULES.c.parent_group_id.in_(used))
            .order_by(RULES.c.id)
        )
    )
    rows = connection.execute(
        select(GROUPS.c.id, GROUPS.c.name)
        .where(GROUPS.c.id.in_(used))
        .order_by(GROUPS.c.id)
    )
    return tuple(
        SecurityGroup(
            id=row.id, name=row.name, rules=tuple(by_group.get(row.id, ()))
        )
        for row in rows
    )


def _group_members(
    connection: Connection, host: str
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Addresses of each source group; one without members has none."""
    sources = _groups_named(host)
    named = connection.scalars(sources.distinct()).all()
    addresses = interfaces.grouped(
        connection.execute(
            select(MEMBERS.c.security_group_id, FIXED_IPS.c.address)
            .join(
                FIXED_IPS, FIXED_IPS.c.instance_uuid == MEMBERS.c.instance_uuid
            )
            .join(INSTANCES, INSTANCES.c.uuid == MEMBERS.c.instance_uuid)
            .where(ALIVE, MEMBERS.c.security_group_id.in_(sources))
        )
    )
    return tuple(
        (group, tuple(sorted(addresses.get(group, ()), key=address_order)))
        for group in sorted(named)
    )


def _groups_named(host: str) -> Select[Any]:
    return select(RULES.c.group_id).where(
        RULES.c.parent_group_id.in_(_groups_used(host)),
        RULES.c.group_id.is_not(None),
    )


def _groups_used(host: str) -> Select[Any]:
    return _here(
        select(MEMBERS.c.security_group_id), MEMBERS.c.instance_uuid, host
    )


def _here(chosen: Select[Any], instance_uuid: Any, host: str) -> Select[Any]:
    """Keep what belongs to a living instance of the host."""
    here = _uuids(host)
    return chosen.join(here, here.c.uuid == instance_uuid)


def _uuids(host: str) -> Subquery:
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
