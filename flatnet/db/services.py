"""Daemons: who reported, from where and when."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, update

from flatnet.db import engine, models
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.state.rows import LONGEST_REASON, Service

SERVICES = models.services
_TOPIC = "network"
_REPORT = {
    "report_count": SERVICES.c.report_count + 1,
    "last_seen_up": Now(),
}


@dataclass(frozen=True)
class Claim:
    """Who has the name of a host; `reports` counts what it has reported."""

    machine: str
    reports: int


@engine.writes
def claim(
    connection: Connection,
    *,
    host: str,
    binary: str,
    holder: str,
    machine: str,
    patience: float,
) -> Claim | None:
    """Take the name of a host; return none, or who has it.

    A daemon that was stopped, or has been silent for `patience` seconds, has
    it no more; nor has one of the same holder.

    :param holder: what no two machines share, nor one before and after it
        was started
    :param machine: what people call it
    """
    mine = (SERVICES.c.host == host, SERVICES.c.binary == binary)
    row = connection.execute(
        select(SERVICES, Now().label("now")).where(*mine).with_for_update()
    ).first()
    if row is None:
        connection.execute(
            insert(SERVICES).values(host=host, binary=binary, topic=_TOPIC)
        )
    elif row.holder not in (None, holder) and _is_heard(row, patience):
        return Claim(machine=row.machine, reports=row.report_count)
    values = {"holder": holder, "machine": machine}
    connection.execute(
        update(SERVICES)
        .where(*mine)
        .values(**values, state=None, reason=None, **_REPORT)
    )
    return None


def _is_heard(row: AnyRow, patience: float) -> bool:
    if row.state == "stopped" or row.last_seen_up is None:
        return False
    return bool((row.now - row.last_seen_up).total_seconds() <= patience)


@engine.writes
def report(
    connection: Connection, *, host: str, binary: str, holder: str
) -> bool:
    """Say that a daemon is alive now; return whether it still has the name."""
    reported = connection.execute(
        update(SERVICES)
        .where(
            SERVICES.c.host == host,
            SERVICES.c.binary == binary,
            SERVICES.c.holder == holder,
        )
        .values(**_REPORT)
    )
    return bool(reported.rowcount)


@engine.writes
def tell(
    connection: Connection,
    *,
    host: str,
    binary: str,
    holder: str,
    state: str,
    reason: str | None = None,
) -> None:
    """Say what the last pass of who has the name was, or that it stopped."""
    connection.execute(
        update(SERVICES)
        .where(
            SERVICES.c.host == host,
            SERVICES.c.binary == binary,
            SERVICES.c.holder == holder,
        )
        .values(
            state=state,
            reason=reason[:LONGEST_REASON] if reason else None,
        )
    )


@engine.reads
def list_all(connection: Connection) -> tuple[Service, ...]:
    """Return the daemons that ever reported, by host and binary."""
    return _list_all(connection)


@engine.reads
def get(connection: Connection, host: str) -> Service | None:
    """Return the daemon that reported last from a host, or none ever did."""
    reported = _list_all(connection, SERVICES.c.host == host)
    return min(reported, key=lambda each: each.seconds_ago, default=None)


def _list_all(
    connection: Connection, *chosen: ColumnElement[bool]
) -> tuple[Service, ...]:
    rows = connection.execute(
        select(
            SERVICES.c.host,
            SERVICES.c.binary,
            SERVICES.c.last_seen_up,
            SERVICES.c.state,
            SERVICES.c.reason,
            Now().label("now"),
        )
        .where(SERVICES.c.last_seen_up.is_not(None), *chosen)
        .order_by(SERVICES.c.host, SERVICES.c.binary)
    )
    return tuple(
        Service(
            host=row.host,
            binary=row.binary,
            last_seen_up=row.last_seen_up.isoformat(timespec="seconds") + "Z",
            seconds_ago=(row.now - row.last_seen_up).total_seconds(),
            state=row.state,
            reason=row.reason,
        )
        for row in rows
    )
