"""Bringing the tables to a revision: the newest, or an older one."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

import flatnet
from flatnet.db.engine import Database
from flatnet.db.timeouts import UPGRADE_PATIENCE
from flatnet.exceptions import DatabaseUnavailable, SchemaMismatch

# Any number: it names the lock that keeps two upgrades apart.
_LOCK = 7402561


def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision; again is a no-op.

    :raises SchemaMismatch: the database is newer than this program
    """
    _make_file(database)
    _migrate(database, command.upgrade, "head")


def downgrade(database: Database, revision: str) -> None:
    """Bring the tables back to `revision`; 'base' is before the first.

    The table `instances` stays: the compute service owns it.
    """
    _migrate(database, command.downgrade, revision)


def _migrate(
    database: Database, step: Callable[..., Any], revision: str
) -> None:
    config = _config()

    def run(connection: Connection) -> None:
        _lock(connection)
        try:
            config.attributes["connection"] = connection
            step(config, revision)
        finally:
            _unlock(connection)

    try:
        database.write(run, patience=UPGRADE_PATIENCE)
    except CommandError as error:
        raise SchemaMismatch(
            f"database {database.name}: {error}; upgrade this program"
        ) from error


def _lock(connection: Connection) -> None:
    """Wait for another upgrade; on SQLite the transaction itself does."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    elif connection.dialect.name in ("mysql", "mariadb"):
        connection.execute(text(f"SELECT GET_LOCK('flatnet-{_LOCK}', 600)"))


def _unlock(connection: Connection) -> None:
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.execute(text(f"SELECT RELEASE_LOCK('flatnet-{_LOCK}')"))


def _config() -> Config:
    config = Config()
    location = str(_script_location()).replace("%", "%%")
    config.set_main_option("script_location", location)
    return config


def _script_location() -> Path:
    """The installed package, or the directory of a source tree."""
    try:
        return Path(str(resources.files("flatnet.migrations")))
    except ModuleNotFoundError:
        return Path(flatnet.__file__).parent.parent / "migrations"


def _make_file(database: Database) -> None:
    """Make the file of a SQLite database, which is the default."""
    path = database.file
    if path is None:
        return
    directory = Path(path).parent
    try:
        if not directory.exists():
            directory.mkdir(parents=True)
            # Whatever the umask: dnsmasq passes through the state_path.
            directory.chmod(0o755)
        # Not for others: who can read a database can lock it.
        Path(path).touch(mode=0o600)
    except OSError as error:
        raise DatabaseUnavailable(
            f"database {database.name}: {error}"
        ) from error
