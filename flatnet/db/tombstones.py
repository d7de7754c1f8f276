"""Rows of `port_bindings` for ports that are wanted no more.

They outlive the interfaces: a port goes because a row says so, and never
because rows are missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from flatnet.db import models
from flatnet.db.clock import Now, stamps
from flatnet.db.models import AnyRow
from flatnet.rows import GONE

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances
# What a host made of a port says nothing of the one that is wanted now.
NOT_FOUND = {"found": None, "carrier": None, "reason": None}


def release(
    connection: Connection,
    hints: Mapping[str, str | None],
    *,
    host: str | None = None,
) -> dict[str, tuple[str, ...]]:
    """Want ports no more: on a host, or anywhere; return the hosts.

    Call it while the interfaces are there.  An interface that was never
    bound is taken for one on the host that its instance's row names, or
    else on that of the hint.

    :param hints: hosts, or none, by the uuids of their instances
    :returns: hosts by the same uuids
    """
    bound = _buried(connection, hints, host)
    hosts = {uuid: set[str]() for uuid in hints}
    for row in bound:
        hosts[row.instance_uuid].add(row.host)
    known = {row.interface_uuid for row in bound}
    new = []
    for row in _interfaces(connection, hints):
        named = host or row.host or hints[row.instance_uuid]
        if named is not None and row.uuid not in known:
            new.append(_tombstone(row, named))
            hosts[row.instance_uuid].add(named)
    if new:
        connection.execute(insert(BINDINGS), new)
    return {uuid: tuple(sorted(found)) for uuid, found in hosts.items()}


def _buried(
    connection: Connection, instances: Iterable[str], host: str | None
) -> Sequence[AnyRow]:
    """Make tombstones of the bindings of instances, and return them."""
    mine: list[ColumnElement[bool]] = [
        BINDINGS.c.instance_uuid.in_(sorted(instances))
    ]
    if host is not None:
        mine.append(BINDINGS.c.host == host)
    connection.execute(
        update(BINDINGS).where(*mine).values(wanted=GONE, **NOT_FOUND)
    )
    columns = (
        BINDINGS.c.interface_uuid,
        BINDINGS.c.instance_uuid,
        BINDINGS.c.host,
    )
    return connection.execute(select(*columns).where(*mine)).all()


def _interfaces(
    connection: Connection, instances: Iterable[str]
) -> Sequence[AnyRow]:
    """Interfaces of instances, with the hosts that their rows name."""
    return connection.execute(
        select(
            VIFS.c.uuid,
            VIFS.c.instance_uuid,
            INSTANCES.c.host,
            Now().label("present"),
        )
        .outerjoin(INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
        .where(VIFS.c.instance_uuid.in_(sorted(instances)))
        .order_by(VIFS.c.id)
    ).all()


def _tombstone(row: AnyRow, host: str) -> dict[str, Any]:
    return {
        **stamps(row.present),
        "interface_uuid": row.uuid,
        "instance_uuid": row.instance_uuid,
        "host": host,
        "wanted": GONE,
    }
