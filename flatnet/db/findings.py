"""What a host made of its ports, written to `port_bindings`."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, update
from sqlalchemy import delete as delete_from

from flatnet.db import bindings, engine, models
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.rows import ARRIVING, GONE, SERVING, Finding

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances


@engine.writes
def record(
    connection: Connection, *, host: str, findings: Iterable[Finding]
) -> bool:
    """Write what a host made of its ports; confirmed tombstones go.

    Where the row of an instance that lives still names the host, the
    tombstone stays: it says that the port is not wanted all the same.

    Returns whether some interfaces are no longer this host's business.
    """
    for finding in findings:
        row = bindings.row_of(connection, finding.interface_uuid, host)
        row = row or _adopted(connection, finding, host)
        if row is None:
            continue
        if row.wanted != GONE:
            bindings.change(
                connection,
                row.id,
                found=finding.found,
                carrier=finding.carrier,
                reason=finding.reason,
                plug=row.plug or finding.plug,
                seen_at=Now(),
            )
        elif finding.found == "missing":
            bindings.change(connection, row.id, found="missing", seen_at=Now())
    _settle(connection, host)
    return _bury(connection, host)


def _adopted(
    connection: Connection, finding: Finding, host: str
) -> AnyRow | None:
    """Bind an interface that serves a host because a row names it."""
    if finding.interface_uuid in bindings.interfaces_of(
        connection, finding.instance_uuid
    ):
        bindings.add(
            connection,
            finding.interface_uuid,
            finding.instance_uuid,
            host,
            SERVING,
            finding.plug,
        )
    return bindings.row_of(connection, finding.interface_uuid, host)


def _settle(connection: Connection, host: str) -> None:
    """What arrived serves, once the row of its instance names the host."""
    connection.execute(
        update(BINDINGS)
        .where(
            BINDINGS.c.host == host,
            BINDINGS.c.wanted == ARRIVING,
            _names(host),
        )
        .values(wanted=SERVING)
    )


def _bury(connection: Connection, host: str) -> bool:
    """Delete the rows of ports that went and that nothing asks for.

    Returns whether an instance that runs elsewhere was among them.
    """
    named = _names(host)
    is_there = exists().where(VIFS.c.uuid == BINDINGS.c.interface_uuid)
    went = (BINDINGS.c.host == host, BINDINGS.c.found == "missing")
    connection.execute(
        delete_from(BINDINGS).where(
            *went, BINDINGS.c.wanted == GONE, ~and_(named, is_there)
        )
    )
    moved = connection.execute(
        delete_from(BINDINGS).where(
            *went, BINDINGS.c.wanted == SERVING, ~named
        )
    )
    return bool(moved.rowcount)


def _names(host: str) -> ColumnElement[bool]:
    """That a binding's instance lives and its row may mean this host."""
    return exists().where(
        INSTANCES.c.uuid == BINDINGS.c.instance_uuid,
        or_(INSTANCES.c.host == host, INSTANCES.c.host.is_(None)),
        INSTANCES.c.deleted == 0,
    )
