"""Rows of `port_bindings` for ports that are wanted no more.

They outlive the interfaces: a port goes because a row says so, and never
because rows are missing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    false,
    insert,
    select,
    true,
    union_all,
    update,
)

from flatnet.db import models
from flatnet.db.clock import Now, stamps
from flatnet.db.models import AnyRow
from flatnet.state.rows import GONE

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances
# What a host made of a port says nothing of the one that is wanted now.
NOT_FOUND = {"found": None, "carrier": None, "reason": None}
_OF_BINDING = BINDINGS.c.instance_uuid.in_(
    bindparam("instances", expanding=True)
)
# Bindings of instances, then their interfaces with the host of their row.
_THERE = union_all(
    select(
        BINDINGS.c.interface_uuid,
        BINDINGS.c.instance_uuid,
        BINDINGS.c.host,
        true().label("is_bound"),
        Now().label("present"),
    ).where(_OF_BINDING),
    select(
        VIFS.c.uuid,
        VIFS.c.instance_uuid,
        INSTANCES.c.host,
        false(),
        Now(),
    )
    .outerjoin(INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
    .where(VIFS.c.instance_uuid.in_(bindparam("instances", expanding=True))),
)
_BURY = update(BINDINGS).where(_OF_BINDING).values(wanted=GONE, **NOT_FOUND)


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
    mine = _BURY if host is None else _BURY.where(BINDINGS.c.host == host)
    connection.execute(mine, {"instances": sorted(hints)})
    there = _there(connection, hints, host)
    known = {row.interface_uuid for row in there if row.is_bound}
    hosts = {uuid: set[str]() for uuid in hints}
    new = []
    for row in there:
        if row.is_bound:
            hosts[row.instance_uuid].add(row.host)
        elif row.interface_uuid not in known and (
            named := host or row.host or hints[row.instance_uuid]
        ):
            hosts[row.instance_uuid].add(named)
            new.append(_tombstone(row, named))
    if new:
        connection.execute(insert(BINDINGS), new)
    return {uuid: tuple(sorted(found)) for uuid, found in hosts.items()}


def _there(
    connection: Connection, instances: Iterable[str], host: str | None
) -> list[AnyRow]:
    """What rows of `_THERE` say of a host, or of any, by interface."""
    rows = connection.execute(_THERE, {"instances": sorted(instances)})
    mine = [
        row
        for row in rows
        if not row.is_bound or host is None or row.host == host
    ]
    return sorted(mine, key=lambda row: (row.interface_uuid, row.host or ""))


def _tombstone(row: AnyRow, host: str) -> dict[str, Any]:
    return {
        **stamps(row.present),
        "interface_uuid": row.interface_uuid,
        "instance_uuid": row.instance_uuid,
        "host": host,
        "wanted": GONE,
    }
