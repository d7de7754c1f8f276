"""Who has a port: `port_bindings`, one row per interface and host.

Callers say what they want of an interface on a host; the host says what it
made of it.  That a port is to go is said by a row too, a tombstone, so that
no port ever goes because rows are missing.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from sys import intern
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    insert,
    select,
    update,
)

from flatnet.db import engine, models, moving, tombstones
from flatnet.db.clock import stamps
from flatnet.db.models import AnyRow
from flatnet.db.row_cache import intern_or_none
from flatnet.db.tenants import Tenant
from flatnet.db.tombstones import NOT_FOUND
from flatnet.state.rows import ARRIVING, GONE, LEAVING, SERVING, Binding

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances
_LIVING = VIFS.alias("living")
# What `from_row` needs.
COLUMNS = (
    BINDINGS.c.interface_uuid,
    BINDINGS.c.instance_uuid,
    BINDINGS.c.wanted,
    BINDINGS.c.plug,
    BINDINGS.c.found,
    BINDINGS.c.carrier,
    BINDINGS.c.reason,
    # Who is deallocated has no interface any more.
    and_(
        BINDINGS.c.wanted == GONE,
        exists().where(_LIVING.c.uuid == BINDINGS.c.interface_uuid),
    ).label("moved"),
)
_NEW = insert(BINDINGS)
_HERE = BINDINGS.alias("here")
_HOST: BindParameter[str] = bindparam("host")
# Of a host, by interface.
OF_HOST = (
    select(*COLUMNS)
    .where(BINDINGS.c.host == _HOST)
    .order_by(BINDINGS.c.interface_uuid)
)
_ELSEWHERE = (
    select(BINDINGS.c.interface_uuid)
    .join(_HERE, _HERE.c.interface_uuid == BINDINGS.c.interface_uuid)
    .where(
        _HERE.c.host == _HOST,
        BINDINGS.c.host != _HOST,
        BINDINGS.c.found == "up",
        BINDINGS.c.carrier.is_(True),
    )
)


@engine.writes
def expect(
    connection: Connection, *, instance_uuid: str, host: str, plug: str
) -> None:
    """Want the ports of an instance on a host.

    Where its row names the host they serve there, else they arrive.

    :param plug: the kind of ports that have none yet
    """
    bind(connection, instance_uuid=instance_uuid, host=host, plug=plug)


@engine.writes
def leave(connection: Connection, *, instance_uuid: str, host: str) -> None:
    """Note that an instance is leaving a host that serves it."""
    moving.turn(
        connection, instance_uuid, SERVING, LEAVING, BINDINGS.c.host == host
    )


@engine.writes
def dismiss(
    connection: Connection, *, instance_uuid: str, host: str
) -> tuple[str, ...]:
    """Want the ports of an instance on a host no more.

    Where it arrives and its row does not name the host yet, it has given up
    a move: a host that it was leaving serves it as before.

    :returns: such hosts
    """
    gives_up = moving.arrives(connection, instance_uuid, host)
    tombstones.release(connection, {instance_uuid: None}, host=host)
    if not gives_up:
        return ()
    others = BINDINGS.c.host != host
    return moving.turn(connection, instance_uuid, LEAVING, SERVING, others)


def bind(
    connection: Connection, *, instance_uuid: str, host: str, plug: str
) -> None:
    """Do the same as `expect`, within a transaction."""
    named = moving.named_host(connection, instance_uuid)
    wanted = SERVING if named in (None, host) else ARRIVING
    mine = BINDINGS.c.instance_uuid == instance_uuid
    present = {
        row.interface_uuid: row for row in rows_of(connection, host, mine)
    }
    for uuid in interfaces_of(connection, instance_uuid):
        row = present.get(uuid)
        if row is None:
            add(connection, uuid, instance_uuid, host, wanted, plug)
        elif row.wanted == GONE:
            # Another port than the one that goes.
            change(connection, row.id, wanted=wanted, plug=plug, **NOT_FOUND)
        elif row.wanted != wanted:
            change(connection, row.id, wanted=wanted)


def serve(
    connection: Connection,
    tenants: Iterable[Tenant],
    *,
    host: str,
    plug: str,
    present: datetime,
) -> None:
    """Want the ports of instances on the host that their rows mean.

    :param present: by the database's clock
    """
    vifs = [(each.uuid, vif) for each in tenants for vif in each.vifs]
    new = [
        {
            **stamps(present),
            "interface_uuid": vif.uuid,
            "instance_uuid": instance_uuid,
            "host": host,
            "wanted": SERVING,
            "plug": plug,
        }
        for instance_uuid, vif in vifs
        if vif.binding is None
    ]
    if new:
        connection.execute(_NEW, new)
    for was, values in (
        # Another port than the one that goes.
        (GONE, {"plug": plug, **NOT_FOUND}),
        (ARRIVING, {}),
        (LEAVING, {}),
    ):
        ids = [vif.binding for _, vif in vifs if vif.wanted == was]
        if ids:
            connection.execute(
                update(BINDINGS)
                .where(BINDINGS.c.id.in_(ids))
                .values(wanted=SERVING, **values)
            )


def rows_of(
    connection: Connection, host: str, *conditions: ColumnElement[bool]
) -> Sequence[AnyRow]:
    """Return rows of a host that `from_row` takes, by interface."""
    chosen = OF_HOST.add_columns(BINDINGS.c.id).where(*conditions)
    return connection.execute(chosen, {"host": host}).all()


def of_interfaces(
    connection: Connection, host: str, interfaces: Collection[str]
) -> tuple[Binding, ...]:
    """Return the bindings of interfaces on a host, by interface."""
    chosen = BINDINGS.c.interface_uuid.in_(interfaces)
    return tuple(map(from_row, rows_of(connection, host, chosen)))


@engine.reads
def list_all(
    connection: Connection, *, host: str | None = None, uuid: str | None = None
) -> tuple[tuple[str, Binding], ...]:
    """Return (host, binding) of all, or of a host or an instance, by host."""
    wanted = select(BINDINGS.c.host, *COLUMNS).order_by(
        BINDINGS.c.host, BINDINGS.c.interface_uuid
    )
    if host is not None:
        wanted = wanted.where(BINDINGS.c.host == host)
    if uuid is not None:
        wanted = wanted.where(BINDINGS.c.instance_uuid == uuid)
    rows = connection.execute(wanted)
    return tuple((row.host, from_row(row)) for row in rows)


def from_row(row: AnyRow) -> Binding:
    """Return a row of `port_bindings` as the value that leaves `db`."""
    return Binding(
        interface_uuid=intern(row.interface_uuid),
        instance_uuid=intern(row.instance_uuid),
        wanted=intern(row.wanted),
        plug=intern_or_none(row.plug),
        found=intern_or_none(row.found),
        carrier=bool(row.carrier),
        reason=row.reason,
        moved=bool(row.moved),
    )


def departed(connection: Connection, host: str) -> tuple[str, ...]:
    """The uuids of deleted instances with an interface bound to a host."""
    rows = connection.scalars(
        select(INSTANCES.c.uuid)
        .join(BINDINGS, BINDINGS.c.instance_uuid == INSTANCES.c.uuid)
        .join(VIFS, VIFS.c.uuid == BINDINGS.c.interface_uuid)
        .where(BINDINGS.c.host == host, INSTANCES.c.deleted != 0)
        .distinct()
    )
    return tuple(sorted(rows))


def elsewhere(connection: Connection, host: str) -> frozenset[str]:
    """The interfaces bound here that a guest holds on another host too."""
    return frozenset(connection.scalars(_ELSEWHERE, {"host": host}))


def interfaces_of(connection: Connection, instance_uuid: str) -> Sequence[str]:
    return connection.scalars(
        select(VIFS.c.uuid)
        .where(VIFS.c.instance_uuid == instance_uuid)
        .order_by(VIFS.c.id)
    ).all()


def add(
    connection: Connection,
    interface_uuid: str,
    instance_uuid: str,
    host: str,
    wanted: str,
    plug: str | None,
) -> None:
    connection.execute(
        insert(BINDINGS).values(
            interface_uuid=interface_uuid,
            instance_uuid=instance_uuid,
            host=host,
            wanted=wanted,
            plug=plug,
        )
    )


def change(connection: Connection, row_id: int, **values: Any) -> None:
    connection.execute(
        update(BINDINGS).where(BINDINGS.c.id == row_id).values(**values)
    )
