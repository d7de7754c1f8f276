"""Turns of those whose changes no constraint could judge."""

from sqlalchemy import Connection, text


def wait_for_turn(connection: Connection) -> None:
    """Let one after the other work, until the end of each transaction.

    The row that holds the schema's revision always exists, so it can be
    locked where there is none yet of what is to be changed.  On SQLite who
    writes is alone anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(
            text("SELECT version_num FROM alembic_version FOR UPDATE")
        )
