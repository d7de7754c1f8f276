"""Those rows of a host that a scope is about, and what these need.

A scope of one instance costs a few queries that touch few rows, however
much the host or the cloud holds.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select

from flatnet.db import bindings, engine, interfaces, models, selects
from flatnet.db.models import AnyRow
from flatnet.db.selects import ALIVE, HOST, INSTANCE_UUIDS
from flatnet.db.snapshot import (
    from_groups,
    from_members,
    from_networks,
    sources_of,
    wanted_here,
)
from flatnet.state.rows import (
    GONE,
    Binding,
    Interface,
    SecurityGroup,
    Snapshot,
    SourceMember,
)
from flatnet.state.scope import Covered, KnownGroups, Scope

INSTANCES = models.instances
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
# Their bindings, and whether the instance is deleted and has its interface.
_BOUND = (
    select(
        *bindings.COLUMNS,
        and_(VIFS.c.id.is_not(None), INSTANCES.c.deleted != 0).label("left"),
    )
    .select_from(BINDINGS)
    .outerjoin(VIFS, VIFS.c.uuid == BINDINGS.c.interface_uuid)
    .outerjoin(INSTANCES, INSTANCES.c.uuid == BINDINGS.c.instance_uuid)
    .where(
        BINDINGS.c.host == HOST, BINDINGS.c.instance_uuid.in_(INSTANCE_UUIDS)
    )
    .order_by(BINDINGS.c.interface_uuid)
)
_ATTACHED = interfaces.ATTACHED.where(
    ALIVE,
    VIFS.c.instance_uuid.in_(INSTANCE_UUIDS),
    or_(
        INSTANCES.c.host == HOST,
        VIFS.c.instance_uuid.in_(bindparam("bound", expanding=True)),
    ),
)
_MEMBERSHIPS = selects.MEMBERSHIPS.where(
    MEMBERS.c.instance_uuid.in_(INSTANCE_UUIDS)
)


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
    bound, departed = _bound(connection, host, instances)
    joined = _memberships(connection, instances)
    found = _interfaces(connection, host, instances, bound, joined)
    networks = {each.network_id for each in found}
    used = {group for each in found for group in each.security_group_ids}
    wanted = used | (scope.groups & known.groups)
    groups = _groups(connection, wanted)
    named = sources_of(groups)
    sources = named | known.sources
    whole = (named - known.sources) | (scope.members & sources)
    rows = Snapshot(
        host=host,
        interfaces=found,
        security_groups=groups,
        members=(
            *from_members(joined, sources - whole),
            *_members(connection, whole),
        ),
        bindings=bound,
        elsewhere=_elsewhere(connection, host, found),
        departed=departed,
        **_networks(connection, host, networks),
    )
    return rows, Covered(
        instances=instances,
        networks=frozenset(networks),
        groups=frozenset(wanted),
        sources=frozenset(whole),
    )


def _in_groups(
    connection: Connection, host: str, groups: Collection[int]
) -> frozenset[str]:
    """The instances of the host that are in one of the groups."""
    if not groups:
        return frozenset()
    chosen = selects.of_living(
        select(MEMBERS.c.instance_uuid), MEMBERS.c.instance_uuid, host
    ).where(MEMBERS.c.security_group_id.in_(groups))
    return frozenset(connection.scalars(chosen))


def _bound(
    connection: Connection, host: str, instances: Collection[str]
) -> tuple[tuple[Binding, ...], tuple[str, ...]]:
    """The bindings of instances, and who of these departed."""
    if not instances:
        return (), ()
    given = {"host": host, "instances": sorted(instances)}
    rows = connection.execute(_BOUND, given).all()
    departed = {row.instance_uuid for row in rows if row.left}
    return tuple(map(bindings.from_row, rows)), tuple(sorted(departed))


def _memberships(
    connection: Connection, instances: Collection[str]
) -> list[AnyRow]:
    """The groups of instances that live, wherever, with their addresses."""
    if not instances:
        return []
    given = {"instances": sorted(instances)}
    return list(connection.execute(_MEMBERSHIPS, given))


def _interfaces(
    connection: Connection,
    host: str,
    instances: Collection[str],
    bound: Collection[Binding],
    joined: Collection[AnyRow],
) -> tuple[Interface, ...]:
    """The interfaces of instances that the host is to have."""
    if not instances:
        return ()
    given = {
        "host": host,
        "instances": sorted(instances),
        "bound": [each.instance_uuid for each in bound if each.wanted != GONE],
    }
    groups = interfaces.grouped(
        sorted({(row.instance_uuid, row.security_group_id) for row in joined})
    )
    rows = connection.execute(_ATTACHED, given)
    return wanted_here(interfaces.from_rows(rows, groups), bound, host)


def _groups(
    connection: Connection, wanted: Collection[int]
) -> tuple[SecurityGroup, ...]:
    if not wanted:
        return ()
    return from_groups(
        connection.execute(selects.GROUPS_WITH_RULES, {"ids": sorted(wanted)})
    )


def _members(
    connection: Connection, groups: Collection[int]
) -> tuple[SourceMember, ...]:
    """All members of groups."""
    if not groups:
        return ()
    given = {"ids": sorted(groups)}
    return from_members(
        connection.execute(selects.MEMBERS_OF_GROUPS, given), groups
    )


def _networks(
    connection: Connection, host: str, wanted: Collection[int]
) -> dict[str, Any]:
    if not wanted:
        return {}
    given = {"host": host, "ids": sorted(wanted)}
    return from_networks(connection.execute(selects.CHOSEN_NETWORKS, given))


def _elsewhere(
    connection: Connection, host: str, found: Collection[Interface]
) -> tuple[str, ...]:
    """`Snapshot.elsewhere`, asked only where rows say that somebody moved."""
    if all(each.host in (None, host) for each in found):
        return ()
    here = {each.uuid for each in found}
    return tuple(sorted(bindings.elsewhere(connection, host) & here))
