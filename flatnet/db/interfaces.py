"""What one instance has on its networks, wherever it runs."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from sys import intern
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, select

from flatnet.db import engine, models, networks
from flatnet.db.models import AnyRow
from flatnet.db.orders import Concerned
from flatnet.db.row_cache import RowCache, intern_or_none
from flatnet.state.rows import FloatingIp, Interface, Network

VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
FLOATING_IPS = models.floating_ips
INSTANCES = models.instances
MEMBERS = models.security_group_instance_association
RULES = models.security_group_rules
# The groups of instances that some rule names.
NAMED = select(MEMBERS.c.security_group_id, MEMBERS.c.instance_uuid).where(
    MEMBERS.c.instance_uuid.in_(bindparam("instances", expanding=True)),
    exists().where(RULES.c.group_id == MEMBERS.c.security_group_id),
)
# By age: the first that an interface was given, and still has, is leased.
BY_AGE = (FIXED_IPS.c.ordinal, FIXED_IPS.c.position)
# Interfaces by age with their instances, one row per address, by age too.
ATTACHED = (
    select(
        VIFS.c.id.label("interface_id"),
        VIFS.c.uuid,
        VIFS.c.address.label("mac"),
        VIFS.c.network_id,
        VIFS.c.instance_uuid,
        VIFS.c.rxtx_factor,
        VIFS.c.port_rate,
        VIFS.c.plugged,
        INSTANCES.c.id.label("instance_id"),
        INSTANCES.c.hostname,
        INSTANCES.c.project_id,
        INSTANCES.c.host,
        FIXED_IPS.c.address,
    )
    .join_from(VIFS, INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
    .outerjoin(
        FIXED_IPS,
        and_(
            FIXED_IPS.c.virtual_interface_id == VIFS.c.id,
            FIXED_IPS.c.instance_uuid == VIFS.c.instance_uuid,
        ),
    )
    .order_by(VIFS.c.id, *BY_AGE)
)
# Floating addresses that lead to interfaces, ascending.
FLOATING = (
    select(
        VIFS.c.uuid,
        FLOATING_IPS.c.address,
        FIXED_IPS.c.address.label("fixed"),
        FLOATING_IPS.c.interface.label("device"),
        FLOATING_IPS.c.position,
    )
    .join_from(
        FLOATING_IPS, FIXED_IPS, FIXED_IPS.c.id == FLOATING_IPS.c.fixed_ip_id
    )
    .join(VIFS, VIFS.c.id == FIXED_IPS.c.virtual_interface_id)
    .join(INSTANCES, INSTANCES.c.uuid == FIXED_IPS.c.instance_uuid)
    .order_by(FLOATING_IPS.c.position)
)
# Instances that have a row, with their groups, ascending.
JOINED = (
    select(MEMBERS.c.instance_uuid, MEMBERS.c.security_group_id)
    .join(INSTANCES, INSTANCES.c.uuid == MEMBERS.c.instance_uuid)
    .order_by(MEMBERS.c.security_group_id)
)


@engine.reads
def of_instance(
    connection: Connection, instance_uuid: str
) -> tuple[tuple[Interface, Network], ...]:
    """Return the interfaces of an instance with their networks, oldest first.

    An instance without a row, or without interfaces, has none.
    """
    return attached(connection, instance_uuid)


def age(row: AnyRow) -> tuple[int, int]:
    """Return what sorts rows as `BY_AGE` does; some have no address."""
    return row.ordinal or 0, row.position or 0


def members(connection: Connection, uuids: Iterable[str]) -> Concerned:
    """Return which of these instances others may have rules about.

    Those in groups that some rule, of whatever host, names as a source.
    """
    if not (wanted := sorted(uuids)):
        return Concerned()
    return concerned(connection.execute(NAMED, {"instances": wanted}).all())


def concerned(rows: Sequence[AnyRow]) -> Concerned:
    """Return what rows of `NAMED` are about."""
    return Concerned(
        tuple(sorted({row.security_group_id for row in rows})),
        tuple(sorted({row.instance_uuid for row in rows})),
    )


def attached(
    connection: Connection, instance_uuid: str
) -> tuple[tuple[Interface, Network], ...]:
    """Return the same as `of_instance`, within a transaction."""
    rows = _rows(connection, instance_uuid)
    addresses = connection.execute(
        select(FIXED_IPS.c.virtual_interface_id, FIXED_IPS.c.address)
        .where(FIXED_IPS.c.instance_uuid == instance_uuid)
        .order_by(*BY_AGE)
    ).all()
    groups = _groups(connection, instance_uuid)
    return tuple(
        (
            Interface(
                uuid=row.vif_uuid,
                mac=row.mac,
                network_id=row.id,
                instance_uuid=instance_uuid,
                hostname=row.hostname,
                project_id=row.owner,
                addresses=tuple(
                    address for vif, address in addresses if vif == row.vif_id
                ),
                security_group_ids=tuple(groups),
                has_default_route=row is rows[0],
                rxtx_factor=row.rxtx_factor,
                port_rate=row.port_rate,
            ),
            networks.from_row(row),
        )
        for row in rows
    )


@engine.reads
def list_all(
    connection: Connection, *, host: str | None = None, uuid: str | None = None
) -> tuple[Interface, ...]:
    """Return the interfaces of living instances, by age.

    Of all, or of those that are on a host by their rows, or of one.
    """
    chosen = [INSTANCES.c.deleted == 0]
    if host is not None:
        chosen.append(INSTANCES.c.host == host)
    if uuid is not None:
        chosen.append(INSTANCES.c.uuid == uuid)
    attached = connection.execute(ATTACHED.where(*chosen))
    joined = connection.execute(JOINED.where(*chosen))
    return from_rows(attached, grouped(joined))


def from_rows(
    rows: Iterable[AnyRow],
    groups: Mapping[str, Sequence[int]],
    last: RowCache | None = None,
    floating: Mapping[str, tuple[FloatingIp, ...]] | None = None,
    name: str = "interfaces",
) -> tuple[Interface, ...]:
    """Return the interfaces that rows of `ATTACHED` are of.

    Of an instance there are all or none among them.

    :param groups: the ids of their groups, ascending, by instance
    :param floating: from `led`
    :param last: has those that were made before, by that name
    """
    known = floating or {}
    found = list(rows)
    first = _oldest(found)
    of_each = (list(its) for _, its in groupby(found, attrgetter("uuid")))
    return (last or RowCache()).each(
        name,
        (
            (
                (
                    its[0].interface_id in first,
                    *map(tuple, its),
                    *groups.get(its[0].instance_uuid, ()),
                    *known.get(its[0].uuid, ()),
                ),
                its,
            )
            for its in of_each
        ),
        lambda its: _from_rows(its, groups, first, known),
    )


def _oldest(rows: Iterable[AnyRow]) -> frozenset[int]:
    """The ids of the interfaces that are the oldest of their instances."""
    found: dict[str, int] = {}
    for row in rows:
        known = found.get(row.instance_uuid)
        if known is None or row.interface_id < known:
            found[row.instance_uuid] = row.interface_id
    return frozenset(found.values())


def led(rows: Iterable[AnyRow]) -> dict[str, tuple[FloatingIp, ...]]:
    """Return what rows of `FLOATING` say, by interface."""
    found = grouped(
        (row.uuid, FloatingIp(row.address, row.fixed, row.device))
        for row in rows
    )
    return {uuid: tuple(its) for uuid, its in found.items()}


def grouped(pairs: Iterable[Any]) -> dict[Any, list[Any]]:
    """Return the second of each pair, by the first."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return found


def _from_rows(
    rows: Sequence[AnyRow],
    groups: Mapping[str, Sequence[int]],
    first: Collection[int],
    floating: Mapping[str, tuple[FloatingIp, ...]],
) -> Interface:
    """Return one interface: its rows differ in the address alone."""
    row = rows[0]
    return Interface(
        uuid=intern(row.uuid),
        mac=row.mac,
        network_id=row.network_id,
        instance_uuid=intern(row.instance_uuid),
        instance_id=row.instance_id,
        hostname=row.hostname,
        project_id=intern_or_none(row.project_id),
        host=intern_or_none(row.host),
        addresses=tuple(each.address for each in rows if each.address),
        security_group_ids=tuple(groups.get(row.instance_uuid, ())),
        has_default_route=row.interface_id in first,
        floating=floating.get(row.uuid, ()),
        rxtx_factor=row.rxtx_factor,
        port_rate=row.port_rate,
        is_plugged=bool(row.plugged),
    )


@engine.reads
def host_address(
    connection: Connection, *, network_id: int, host: str
) -> str | None:
    """Return the address of a host's bridge in a network, if it has one."""
    found: str | None = connection.scalar(
        select(FIXED_IPS.c.address).where(
            FIXED_IPS.c.network_id == network_id, FIXED_IPS.c.host == host
        )
    )
    return found


def _groups(connection: Connection, instance_uuid: str) -> list[int]:
    return list(
        connection.scalars(
            select(MEMBERS.c.security_group_id)
            .where(MEMBERS.c.instance_uuid == instance_uuid)
            .order_by(MEMBERS.c.security_group_id)
        )
    )


def _rows(connection: Connection, instance_uuid: str) -> Sequence[AnyRow]:
    """Interfaces with the columns of their networks, by age."""
    return connection.execute(
        select(
            VIFS.c.id.label("vif_id"),
            VIFS.c.uuid.label("vif_uuid"),
            VIFS.c.address.label("mac"),
            VIFS.c.rxtx_factor,
            VIFS.c.port_rate,
            INSTANCES.c.hostname,
            INSTANCES.c.project_id.label("owner"),
            NETWORKS,
        )
        .join_from(VIFS, NETWORKS, NETWORKS.c.id == VIFS.c.network_id)
        .outerjoin(INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
        .where(VIFS.c.instance_uuid == instance_uuid)
        .order_by(VIFS.c.id)
    ).all()
