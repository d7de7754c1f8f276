"""Those rows of a host that a scope is about, and what these need.

A scope of one instance costs one statement that touches few rows, however
much the host or the cloud holds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    select,
)

from flatnet.db import (
    bindings,
    combined_select,
    engine,
    interfaces,
    models,
    names,
    networks_here,
    selects,
)
from flatnet.db.models import AnyRow
from flatnet.db.networks_here import NetworksHere
from flatnet.db.selects import ALIVE, HOST, IDS, INSTANCE_UUIDS
from flatnet.db.snapshot import (
    from_groups,
    from_members,
    sources_of,
    wanted_here,
)
from flatnet.state.rows import (
    Binding,
    Interface,
    NamedInstance,
    Snapshot,
    SourceMember,
)
from flatnet.state.scope import Covered, KnownGroups, Scope
from flatnet.state.shared_networks import served_interfaces
from flatnet.state.told_networks import told_networks

FIXED_IPS = models.fixed_ips
INSTANCES = models.instances
MEMBERS = models.security_group_instance_association
BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
# Bindings of instances, and whether one is deleted and has its interface.
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
)
# Of those that live, wherever they are: interfaces, and groups with addresses.
_ATTACHED = (
    interfaces.ATTACHED.add_columns(*interfaces.BY_AGE)
    .order_by(None)
    .where(ALIVE, VIFS.c.instance_uuid.in_(INSTANCE_UUIDS))
)
_FLOATING = interfaces.FLOATING.order_by(None).where(
    ALIVE, FIXED_IPS.c.instance_uuid.in_(INSTANCE_UUIDS)
)
_MEMBERSHIPS = selects.MEMBERSHIPS.where(
    MEMBERS.c.instance_uuid.in_(INSTANCE_UUIDS)
)
# Networks and groups of any: what is not for this host is dropped here, which
# costs less than to have a server find that out.
_NETWORKS = selects.networks_among(
    select(VIFS.c.network_id).where(VIFS.c.instance_uuid.in_(INSTANCE_UUIDS))
)
_GROUPS = selects.groups_among(
    select(MEMBERS.c.security_group_id).where(
        MEMBERS.c.instance_uuid.in_(INSTANCE_UUIDS)
    )
)
_OF_INSTANCES = (
    ("binding", _BOUND),
    ("interface", _ATTACHED),
    ("network", _NETWORKS),
    ("group", _GROUPS),
    ("member", _MEMBERSHIPS),
    ("floating", _FLOATING),
)
_OF_GROUPS = (("group", selects.groups_among(IDS)),)
# Of instances, of groups, or of both.
_together = lru_cache(combined_select.together)


@engine.reads
def read(
    connection: Connection, host: str, scope: Scope, known: KnownGroups
) -> tuple[Snapshot, Covered]:
    """Return what the database says about a scope, and what that covers.

    The networks and the groups of its instances are in it, all members of
    groups that rules name and nobody knows yet, and so all names of networks.
    """
    instances = scope.instances | known.here
    instances |= _in_groups(connection, host, scope.members)
    chosen = scope.groups & known.groups
    rows = _rows(connection, host, instances, chosen)
    bound, departed = _bound(rows["binding"])
    attached = _attached(rows)
    found = wanted_here(attached, bound, host)
    here = _networks(rows["network"], found, host)
    used = {group for each in found for group in each.security_group_ids}
    wanted = frozenset(used | chosen)
    groups = from_groups(_kept(rows["group"], "group", wanted))
    named = sources_of(groups)
    sources = named | known.sources
    whole = (named - known.sources) | (scope.members & sources)
    unnamed = _told(here) - known.named
    snapshot = Snapshot(
        host=host,
        interfaces=found,
        security_groups=groups,
        members=_members(connection, rows["member"], sources - whole, whole),
        bindings=bound,
        elsewhere=_elsewhere(connection, host, found),
        departed=departed,
        named=_named(connection, rows["interface"], known.named, unnamed),
        served=served_interfaces(attached, here.networks, host, found),
        **vars(here),
    )
    networks = frozenset(each.id for each in here.networks)
    covered = Covered(False, instances, networks, wanted, whole, named=unnamed)
    return snapshot, covered


def _networks(
    rows: Iterable[AnyRow], found: Iterable[Interface], host: str
) -> NetworksHere:
    """The networks of interfaces here, and those with one server.

    Who serves these may be another host by now, whoever is in them here.
    """
    once = _kept(rows, "id")
    used = {each.network_id for each in found}
    used.update(row.id for row in once if not row.multi_host)
    return networks_here.from_rows(once, host, used)


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


def _rows(
    connection: Connection,
    host: str,
    instances: Collection[str],
    groups: Collection[int],
) -> Mapping[str, Sequence[AnyRow]]:
    """All that is asked of instances and of groups, by kind."""
    wanted: tuple[tuple[str, Select[Any]], ...] = ()
    given: dict[str, Any] = {}
    if instances:
        wanted += _OF_INSTANCES
        given |= {"host": host, "instances": sorted(instances)}
    if groups:
        wanted += _OF_GROUPS
        given |= {"ids": sorted(groups)}
    if not wanted:
        return combined_select.by_kind(())
    return combined_select.by_kind(
        connection.execute(_together(*wanted), given)
    )


def _bound(
    rows: Sequence[AnyRow],
) -> tuple[tuple[Binding, ...], tuple[str, ...]]:
    """The bindings of instances, by interface, and who of these departed."""
    departed = {row.instance_uuid for row in rows if row.left}
    by_interface = sorted(rows, key=attrgetter("interface_uuid"))
    return (
        tuple(map(bindings.from_row, by_interface)),
        tuple(sorted(departed)),
    )


def _attached(
    rows: Mapping[str, Sequence[AnyRow]],
) -> tuple[Interface, ...]:
    """The interfaces of rows by kind, wherever they are."""
    joined = {
        (row.instance_uuid, row.security_group_id) for row in rows["member"]
    }
    attached = sorted(
        rows["interface"],
        key=lambda row: (row.uuid, interfaces.age(row)),
    )
    groups = interfaces.grouped(sorted(joined))
    floating = interfaces.led(
        sorted(rows["floating"], key=attrgetter("position"))
    )
    return interfaces.from_rows(attached, groups, floating=floating)


def _kept(
    rows: Iterable[AnyRow], name: str, wanted: Collection[int] | None = None
) -> list[AnyRow]:
    """Rows once each, ascending, whose column of that name is wanted."""
    found = {
        (getattr(row, name), row.id or 0): row
        for row in rows
        if wanted is None or getattr(row, name) in wanted
    }
    return [found[key] for key in sorted(found)]


def _members(
    connection: Connection,
    rows: Iterable[AnyRow],
    known: Collection[int],
    whole: Collection[int],
) -> tuple[SourceMember, ...]:
    """The members of groups: those of rows of instances, or all of them."""
    found = from_members(rows, known)
    if not whole:
        return found
    given = {"ids": sorted(whole)}
    more = connection.execute(selects.MEMBERS_OF_GROUPS, given)
    return *found, *from_members(more, whole)


def _told(here: NetworksHere) -> frozenset[int]:
    """The networks whose names are told here, of those that were read."""
    return told_networks(here.networks, dict(here.host_addresses))


def _named(
    connection: Connection,
    rows: Iterable[AnyRow],
    known: Collection[int],
    unnamed: Collection[int],
) -> tuple[NamedInstance, ...]:
    """Whom networks know: those of rows of interfaces, or all of them.

    :param known: the networks whose other names are known
    :param unnamed: those of which nothing is known yet
    """
    return (
        *names.from_rows(row for row in rows if row.network_id in known),
        *names.of_networks(connection, unnamed),
    )


def _elsewhere(
    connection: Connection, host: str, found: Collection[Interface]
) -> tuple[str, ...]:
    """`Snapshot.elsewhere`, asked only where it may matter.

    That is where rows say that somebody moved; and a guest that has moved
    before these say it takes its floating addresses along.
    """
    if all(e.host in (None, host) and not e.floating for e in found):
        return ()
    here = {each.uuid for each in found}
    return tuple(sorted(bindings.elsewhere(connection, host) & here))
