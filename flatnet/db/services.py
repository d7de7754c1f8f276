"""Daemons: who reported, from where and when."""

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy import exists as exists_row

from flatnet.db import engine, models
from flatnet.db.clock import Now
from flatnet.rows import LONGEST_REASON, Service

SERVICES = models.services
_TOPIC = "network"


@engine.writes
def report(connection: Connection, *, host: str, binary: str) -> None:
    """Say that a daemon is alive now, by the database's clock."""
    reported = connection.execute(
        update(SERVICES)
        .where(SERVICES.c.host == host, SERVICES.c.binary == binary)
        .values(report_count=SERVICES.c.report_count + 1, last_seen_up=Now())
    )
    if reported.rowcount:
        return
    connection.execute(
        insert(SERVICES).values(
            host=host,
            binary=binary,
            topic=_TOPIC,
            report_count=1,
            last_seen_up=Now(),
        )
    )


@engine.writes
def tell(
    connection: Connection,
    *,
    host: str,
    binary: str,
    state: str,
    reason: str | None = None,
) -> None:
    """Say what a daemon's last pass was, or that it has stopped."""
    connection.execute(
        update(SERVICES)
        .where(SERVICES.c.host == host, SERVICES.c.binary == binary)
        .values(
            state=state,
            reason=reason[:LONGEST_REASON] if reason else None,
        )
    )


@engine.reads
def list_all(
    connection: Connection, host: str | None = None
) -> tuple[Service, ...]:
    """Return the daemons that ever reported, by host and binary.

    :param host: those of this host alone
    """
    chosen: list[ColumnElement[bool]] = [SERVICES.c.last_seen_up.is_not(None)]
    if host is not None:
        chosen.append(SERVICES.c.host == host)
    rows = connection.execute(
        select(
            SERVICES.c.host,
            SERVICES.c.binary,
            SERVICES.c.last_seen_up,
            SERVICES.c.state,
            SERVICES.c.reason,
            Now().label("now"),
        )
        .where(*chosen)
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


@engine.reads
def exists(connection: Connection, host: str) -> bool:
    """Whether a daemon ever reported from that host."""
    return bool(
        connection.scalar(select(exists_row().where(SERVICES.c.host == host)))
    )
