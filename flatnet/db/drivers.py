"""An engine per kind of database: its driver, pool and timeouts."""

from importlib import import_module
from typing import Any

import sqlalchemy
from sqlalchemy import URL, Engine, exc, make_url

from flatnet.db import pings, timeouts
from flatnet.exceptions import ConfigurationError

DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+psycopg2",
    "sqlite": "sqlite",
}
# Who reads, and who writes, at one moment; and the connections of each that
# are kept: a server has to bear those of all hosts.
READING, WRITING = 10, 20
_KEPT = 5
# Seconds that sqlite3 itself waits for another process.  It waits in C,
# where it would stop every green thread: so hardly at all, and we try again.
_SQLITE_TIMEOUT = 0.05


def parsed_url(url: str, *, named: str = "[database] connection") -> URL:
    """Return the URL with flatnet's driver where it names none.

    The text of a URL that does not parse may hold a password: it is not
    repeated.

    :param named: the option that it was given by
    :raises ConfigurationError: it is of no use
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (exc.ArgumentError, ValueError) as error:
        raise ConfigurationError(
            f"{named} is no SQLAlchemy URL such as "
            "mysql://user:password@host/flatnet"
        ) from error
    if backend not in DRIVERS:
        raise ConfigurationError(
            f"{named}: {backend} is none of {', '.join(sorted(DRIVERS))}"
        )
    driver = DRIVERS.get(parsed.drivername, parsed.drivername)
    return parsed.set(drivername=driver)


def printable(url: URL) -> str:
    """Return the URL without its password."""
    return url.set(query={}).render_as_string(hide_password=True)


def new_engine(
    url: URL, dialect: str, *, isolation: str = "READ COMMITTED"
) -> Engine:
    """Return an engine; nothing connects yet.

    :param dialect: sqlite, mysql or postgresql
    :param isolation: of its transactions, but on SQLite, which has one level
    :raises ConfigurationError: there is no such driver
    """
    arguments: dict[str, Any] = {"connect_timeout": int(timeouts.CONNECT)}
    # Every transaction is ended by us: there is nothing to undo on return.
    options: dict[str, Any] = {"pool_reset_on_return": None}
    if dialect == "sqlite":
        arguments = {"timeout": _SQLITE_TIMEOUT}
    else:
        options["isolation_level"] = isolation
        options["pool_size"] = _KEPT
        options["max_overflow"] = max(READING, WRITING) - _KEPT
        options["pool_recycle"] = 3600
        # The one that was used last is most likely to live.
        options["pool_use_lifo"] = True
    try:
        engine = sqlalchemy.create_engine(
            url, connect_args=arguments, **options
        )
    except (exc.ArgumentError, ImportError) as error:
        raise ConfigurationError(
            f"[database] connection {printable(url)}: {error}"
        ) from error
    import_module(f"flatnet.db.{dialect}").listen(engine)
    pings.listen(engine)
    return engine
