"""Those rows of a host that a scope is about, and what these need.

A scope of one instance costs a few queries that touch few rows, however
much the host or the cloud holds.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from flatnet.db import bindings, engine, models
from flatnet.db.snapshot import (
    host_addresses,
    interfaces_here,
    living,
    members,
    networks_of,
    of_living,
    security_groups,
)
from flatnet.rows import (
    Binding,
    Interface,
    SecurityGroup,
    Snapshot,
    SourceMember,
)
from flatnet.scope import Covered, KnownGroups, Scope

NETWORKS = models.networks
INSTANCES = models.instances
GROUPS = models.security_groups
MEMBERS = models.security_group_instance_association


@engine.reads
def read(
    connection: Connection, host: str, scope: Scope, known: KnownGroups
) -> tuple[Snapshot, Covered]:
    """Return what the database says about a scope, and what that covers.

    The networks and the groups of its instances are in it, and all members
    of groups that rules name and nobody knows yet.
    """
    instances = scope.instances | known.here
    instances |= _in_groups(connection, host, scope.members)
    bound = bindings.of_host(connection, host, instances)
    uuids = living(host, INSTANCES.c.uuid.in_(instances))
    found = interfaces_here(connection, host, uuids, bound)
    networks = {each.network_id for each in found}
    used = {group for each in found for group in each.security_group_ids}
    wanted = used | (scope.groups & known.groups)
    groups = _groups(connection, wanted)
    named = {r.group_id for g in groups for r in g.rules if r.group_id}
    sources = named | known.sources
    whole = (named - known.sources) | (scope.members & sources)
    rows = Snapshot(
        host=host,
        interfaces=found,
        security_groups=groups,
        members=_members(connection, whole, instances, sources),
        bindings=bound,
        **_networks(connection, host, networks),
        **_moved(connection, host, found, bound),
    )
    return rows, Covered(
        instances=instances,
        networks=frozenset(networks),
        groups=frozenset(wanted),
        sources=frozenset(whole),
    )


def _networks(
    connection: Connection, host: str, wanted: Collection[int]
) -> dict[str, Any]:
    if not wanted:
        return {}
    return {
        "networks": networks_of(connection, NETWORKS.c.id.in_(wanted)),
        "host_addresses": host_addresses(connection, host, wanted),
    }


def _groups(
    connection: Connection, wanted: Collection[int]
) -> tuple[SecurityGroup, ...]:
    if not wanted:
        return ()
    return security_groups(connection, GROUPS.c.id.in_(wanted))


def _in_groups(
    connection: Connection, host: str, groups: Collection[int]
) -> frozenset[str]:
    """The instances of the host that are in one of the groups."""
    if not groups:
        return frozenset()
    chosen = of_living(
        select(MEMBERS.c.instance_uuid), MEMBERS.c.instance_uuid, host
    ).where(MEMBERS.c.security_group_id.in_(groups))
    return frozenset(connection.scalars(chosen))


def _moved(
    connection: Connection,
    host: str,
    found: tuple[Interface, ...],
    bound: tuple[Binding, ...],
) -> dict[str, Any]:
    """What is asked only where rows say that somebody went or moved."""
    here = {each.uuid for each in found}
    elsewhere: frozenset[str] = frozenset()
    departed: tuple[str, ...] = ()
    if any(each.host not in (None, host) for each in found):
        elsewhere = bindings.elsewhere(connection, host) & here
    if any(each.interface_uuid not in here for each in bound):
        departed = bindings.departed(connection, host)
    return {"elsewhere": tuple(sorted(elsewhere)), "departed": departed}


def _members(
    connection: Connection,
    whole: Collection[int],
    instances: Collection[str],
    sources: Collection[int],
) -> tuple[SourceMember, ...]:
    """All members of some groups, and of others those that are named."""
    if not sources:
        return ()
    group, instance = MEMBERS.c.security_group_id, MEMBERS.c.instance_uuid
    return members(
        connection,
        or_(
            group.in_(whole),
            and_(group.in_(sources), instance.in_(instances)),
        ),
    )
