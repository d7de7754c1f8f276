"""The revision of the tables: a wrong one is refused.

Who only asks for it does not import what migrates tables, which takes a tenth
of a daemon's memory and of the time that it takes to start.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from flatnet.db import engine
from flatnet.db.engine import Database
from flatnet.exceptions import SchemaMismatch

# The last of `migrations/versions`.
HEAD = "0011"


def check_revision(database: Database) -> None:
    """Check that the tables are at our revision; nothing is made.

    :raises SchemaMismatch: they are not, or there is no such file
    """
    if database.file and not Path(database.file).exists():
        raise SchemaMismatch(
            f"database {database.name} does not exist: correct [database] "
            "connection, or run `flatnet db upgrade` to make it"
        )
    found = _revision(database)
    if found != HEAD:
        raise SchemaMismatch(
            f"database {database.name} is at revision {found or 'none'}, "
            f"this program needs {HEAD}: run `flatnet db upgrade`"
        )


@engine.reads
def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    wanted = text("SELECT version_num FROM alembic_version")
    # Of two, which alembic has of branches, neither is it.
    return ", ".join(sorted(connection.scalars(wanted)))
