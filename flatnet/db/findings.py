"""What a host made of its ports, written to `port_bindings`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy import delete as delete_from

from flatnet.db import bindings, engine, models
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.rows import ARRIVING, GONE, SERVING, Binding, Finding

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances
_UPDATE = (
    update(BINDINGS)
    .where(BINDINGS.c.id == bindparam("of_id"))
    .values(
        found=bindparam("now_found"),
        carrier=bindparam("now_carrier"),
        reason=bindparam("now_reason"),
        plug=bindparam("now_plug"),
        seen_at=Now(),
    )
)


@dataclass(frozen=True)
class Recorded:
    """The bindings of the host that the findings are about, as they are now.

    `uncovered`: some interfaces are no longer this host's business.
    """

    bindings: tuple[Binding, ...]
    uncovered: bool = False


@engine.writes
def record(
    connection: Connection, *, host: str, findings: Sequence[Finding]
) -> Recorded:
    """Write what a host made of its ports; confirmed tombstones go.

    Where the row of an instance that lives still names the host, the
    tombstone stays: it says that the port is not wanted all the same.
    """
    uuids = [each.interface_uuid for each in findings]
    there = _bound(connection, host, uuids)
    unbound = [f for f in findings if f.interface_uuid not in there]
    _adopt(connection, host, unbound)
    if unbound:
        there = _bound(connection, host, uuids)
    changes = [
        _change(there[finding.interface_uuid], finding)
        for finding in findings
        if finding.interface_uuid in there
    ]
    if changes:
        connection.execute(_UPDATE, changes)
    if any(row.wanted == ARRIVING for row in there.values()):
        _settle(connection, host)
    uncovered = False
    if any(each["now_found"] == "missing" for each in changes):
        uncovered = _bury(connection, host)
    return Recorded(bindings.of_interfaces(connection, host, uuids), uncovered)


def _bound(
    connection: Connection, host: str, uuids: Sequence[str]
) -> dict[str, AnyRow]:
    rows = connection.execute(
        select(BINDINGS).where(
            BINDINGS.c.host == host, BINDINGS.c.interface_uuid.in_(uuids)
        )
    )
    return {row.interface_uuid: row for row in rows}


def _change(row: AnyRow, finding: Finding) -> dict[str, Any]:
    """What becomes of a row; of a tombstone only that its port went."""
    if row.wanted == GONE:
        went = finding.found == "missing"
        return {
            "of_id": row.id,
            "now_found": "missing" if went else row.found,
            "now_carrier": row.carrier,
            "now_reason": row.reason,
            "now_plug": row.plug,
        }
    return {
        "of_id": row.id,
        "now_found": finding.found,
        "now_carrier": finding.carrier,
        "now_reason": finding.reason,
        "now_plug": row.plug or finding.plug,
    }


def _adopt(connection: Connection, host: str, findings: list[Finding]) -> None:
    """Bind interfaces that serve a host because a row names it."""
    if not findings:
        return
    uuids = [each.interface_uuid for each in findings]
    living = set(
        connection.scalars(select(VIFS.c.uuid).where(VIFS.c.uuid.in_(uuids)))
    )
    for each in findings:
        if each.interface_uuid in living:
            bindings.add(
                connection,
                each.interface_uuid,
                each.instance_uuid,
                host,
                SERVING,
                each.plug,
            )


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
