"""What a host made of its ports, written to `port_bindings`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select, update
from sqlalchemy import delete as delete_from

from flatnet.db import bindings, engine, models
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.db.unchanged_findings import (
    Found,
    as_found,
    confirmed,
    is_asked_for,
    names,
)
from flatnet.state.rows import (
    ARRIVING,
    GONE,
    LEAVING,
    SERVING,
    Binding,
    Finding,
)

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces


@dataclass(frozen=True)
class Recorded:
    """The bindings of the host that the findings are about, as they are now.

    `uncovered`: some interfaces are no longer this host's business.
    """

    bindings: tuple[Binding, ...]
    uncovered: bool = False


@engine.writes
def record(
    connection: Connection,
    *,
    host: str,
    findings: Sequence[Finding],
    known: Mapping[str, Binding],
) -> Recorded:
    """Write what a host made of its ports; confirmed tombstones go.

    Where the row of an instance that lives still names the host, the
    tombstone stays: it says that the port is not wanted all the same.

    :param known: bindings of the host by interface, as they were read before;
        what is as it was then is one statement
    """
    done = confirmed(connection, host, findings, known)
    left = [each for each in findings if each.interface_uuid not in done]
    there = tuple(binding for binding in done.values() if binding)
    if not left:
        return Recorded(there)
    recorded = _compared(connection, host, left, known)
    return replace(recorded, bindings=(*there, *recorded.bindings))


def _compared(
    connection: Connection,
    host: str,
    findings: Sequence[Finding],
    known: Mapping[str, Binding],
) -> Recorded:
    """Do the same by the rows as they are now."""
    uuids = [each.interface_uuid for each in findings]
    there = _bound(connection, host, uuids)
    unbound = [
        each
        for each in findings
        if each.interface_uuid not in there
        and not _was_gone(known.get(each.interface_uuid))
    ]
    _adopt(connection, host, unbound)
    if unbound:
        there = _bound(connection, host, uuids)
    changes = {
        there[finding.interface_uuid].id: _change(
            there[finding.interface_uuid], finding
        )
        for finding in findings
        if finding.interface_uuid in there
    }
    _write(connection, changes)
    if any(row.wanted == ARRIVING for row in there.values()):
        _settle(connection, host)
    uncovered = False
    if any(each.found == "missing" for each in changes.values()):
        uncovered = _bury(connection, host)
    return Recorded(bindings.of_interfaces(connection, host, uuids), uncovered)


def _was_gone(binding: Binding | None) -> bool:
    """Whether it was a tombstone, which has gone where there is no row."""
    return binding is not None and binding.wanted == GONE


def _bound(
    connection: Connection, host: str, uuids: Sequence[str]
) -> dict[str, AnyRow]:
    rows = connection.execute(
        select(BINDINGS).where(
            BINDINGS.c.host == host, BINDINGS.c.interface_uuid.in_(uuids)
        )
    )
    return {row.interface_uuid: row for row in rows}


def _change(row: AnyRow, finding: Finding) -> Found:
    """What becomes of a row; of a tombstone only that its port went."""
    if row.wanted == GONE:
        went = finding.found == "missing"
        return Found(
            found="missing" if went else row.found,
            carrier=row.carrier,
            reason=row.reason,
            plug=row.plug,
        )
    return Found(
        found=finding.found,
        carrier=finding.carrier,
        reason=finding.reason,
        plug=row.plug or finding.plug,
    )


def _write(connection: Connection, changes: Mapping[int, Found]) -> None:
    """Write what became of rows, by their ids.

    As one statement: PyMySQL sends an UPDATE of many rows as one of each.
    """
    if changes:
        connection.execute(
            update(BINDINGS)
            .where(BINDINGS.c.id.in_(sorted(changes)))
            .values(**as_found(BINDINGS.c.id, changes), seen_at=Now())
        )


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
            names(host),
        )
        .values(wanted=SERVING)
    )


def _bury(connection: Connection, host: str) -> bool:
    """Delete the rows of ports that went and that nothing asks for.

    Returns whether an instance that runs elsewhere was among them.
    """
    went = (BINDINGS.c.host == host, BINDINGS.c.found == "missing")
    connection.execute(
        delete_from(BINDINGS).where(
            *went, BINDINGS.c.wanted == GONE, ~is_asked_for(host)
        )
    )
    moved = connection.execute(
        delete_from(BINDINGS).where(
            *went, BINDINGS.c.wanted.in_((SERVING, LEAVING)), ~names(host)
        )
    )
    return bool(moved.rowcount)
