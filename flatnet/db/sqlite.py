"""sqlite3: transactions that are begun as what they are."""

from typing import Any

from sqlalchemy import Connection, Engine, event

from flatnet.db import timeouts


def listen(engine: Engine) -> None:
    """Have every connection of an engine begin its transactions our way."""
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)


def _prepare(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions: _begin does.
    connection.isolation_level = None
    timeouts.execute(
        connection, "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON"
    )


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(timeouts.WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
