"""The engine and the two kinds of transaction, on three databases.

A function that is decorated with `writes` or `reads` takes a connection and
is called with a `Database`: it runs whole in one transaction, and again
from the start when another transaction got in its way.  So it must have no
effect but in the database.

Writers are serialised where it matters by locking the network's row (on
SQLite by BEGIN IMMEDIATE), and read what is committed.  Readers see one
state of the database, whatever commits meanwhile.
"""

import functools
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, exc, make_url
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from flatnet.db import failures
from flatnet.exceptions import ConfigurationError, DatabaseUnavailable

P = ParamSpec("P")
R = TypeVar("R")

# Seconds that a statement waits for a lock, and that a server lets a silent
# transaction live: a node that loses power with a network's row locked must
# not stop the others for as long as TCP takes to notice.
LOCK_TIMEOUT = 30
IDLE_TIMEOUT = 60
CONNECT_TIMEOUT = 10
ATTEMPTS = 10
_WRITE = "flatnet_write"


class Database:
    """A pool of connections to one database; close it when done.

    :param url: SQLAlchemy URL of kind sqlite, mysql, mariadb or postgresql
    :raises ConfigurationError: the URL cannot be used

    Nothing is connected before the first transaction.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed_url(url)
        self.url = url
        self.name = _printable(parsed)
        self.dialect = parsed.get_backend_name().replace("mariadb", "mysql")
        self._engine = _engine(parsed, self.dialect)
        # Under eventlet a wait inside sqlite3 would stop every green thread,
        # the one that holds the lock too: so they queue up out here.
        self._writers_turn: AbstractContextManager[Any] = (
            threading.Lock() if self.dialect == "sqlite" else nullcontext()
        )

    @property
    def file(self) -> str | None:
        """The file of a SQLite database, none of any other.

        Nor of one in memory, or that is named by a URI of SQLite's own.
        """
        name = self._engine.url.database
        if self.dialect != "sqlite" or not name:
            return None
        return None if name.startswith((":memory:", "file:")) else name

    @property
    def servers(self) -> tuple[str, ...]:
        """The names or addresses of the machines that it is on, sorted.

        None where it is a file, or is reached by a socket of this machine.
        """
        url = self._engine.url
        given = url.query.get("host", ())
        several = (given,) if isinstance(given, str) else given
        names = ",".join((url.host or "", *several)).split(",")
        # SQLAlchemy takes `name:port` there; of IPv6 there are more colons.
        found = {re.sub(r"^([^:]*):\d+$", r"\1", name) for name in names}
        return tuple(sorted(name for name in found if name and name[0] != "/"))

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._engine.dispose()

    def write(self, function: Callable[[Connection], R]) -> R:
        """Return `function(connection)`, run in a writing transaction.

        :raises DatabaseUnavailable: no answer, or always in conflict
        """
        options = {_WRITE: True}
        with self._writers_turn:
            return self._run(function, options)

    def read(self, function: Callable[[Connection], R]) -> R:
        """Return `function(connection)`, run on one state of all tables.

        :raises DatabaseUnavailable: no answer
        """
        options: dict[str, Any] = {_WRITE: False}
        if self.dialect != "sqlite":
            options["isolation_level"] = "REPEATABLE READ"
        return self._run(function, options)

    def _run(
        self, function: Callable[[Connection], R], options: dict[str, Any]
    ) -> R:
        retrying = Retrying(
            retry=retry_if_exception(failures.is_worth_another_try),
            wait=wait_random_exponential(multiplier=0.01, max=1),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        try:
            answer: R = retrying(self._run_once, function, options)
        except exc.SQLAlchemyError as error:
            raise failures.named(error, self.name) from error
        return answer

    def _run_once(
        self, function: Callable[[Connection], R], options: dict[str, Any]
    ) -> R:
        with self._engine.connect() as fresh:
            connection = fresh.execution_options(**options)
            transaction = connection.begin()
            answer = function(connection)
            try:
                transaction.commit()
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # Whether it was committed is unknown: not ours to repeat.
                raise DatabaseUnavailable(
                    f"database {self.name}: the connection was lost at the "
                    f"commit"
                ) from error
            return answer


def writes(
    function: Callable[Concatenate[Connection, P], R],
) -> Callable[Concatenate[Database, P], R]:
    """Make a function on a connection one on a Database, that may write."""

    @functools.wraps(function)
    def run(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return database.write(
            lambda connection: function(connection, *args, **kwargs)
        )

    return run


def reads(
    function: Callable[Concatenate[Connection, P], R],
) -> Callable[Concatenate[Database, P], R]:
    """Make a function on a connection one on a Database, that only reads."""

    @functools.wraps(function)
    def run(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return database.read(
            lambda connection: function(connection, *args, **kwargs)
        )

    return run


_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "postgresql": "postgresql+psycopg2",
    "sqlite": "sqlite",
}


def _parsed_url(url: str) -> URL:
    """Return the URL with flatnet's driver where it names none.

    The text of a URL that does not parse may hold a password: it is not
    repeated.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (exc.ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "[database] connection is no SQLAlchemy URL such as "
            "mysql://user:password@host/flatnet"
        ) from error
    if backend not in _DRIVERS:
        raise ConfigurationError(
            f"[database] connection: {backend} is none of "
            f"{', '.join(sorted(_DRIVERS))}"
        )
    driver = _DRIVERS.get(parsed.drivername, parsed.drivername)
    return parsed.set(drivername=driver)


def _printable(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: URL, dialect: str) -> Engine:
    arguments: dict[str, Any] = {
        "sqlite": {"timeout": LOCK_TIMEOUT},
        "mysql": {"connect_timeout": CONNECT_TIMEOUT},
        "postgresql": {"connect_timeout": CONNECT_TIMEOUT},
    }[dialect]
    options: dict[str, Any] = {"pool_pre_ping": True}
    if dialect != "sqlite":
        options["isolation_level"] = "READ COMMITTED"
        options["max_overflow"] = 50
        options["pool_recycle"] = 3600
    try:
        engine = sqlalchemy.create_engine(
            url, connect_args=arguments, **options
        )
    except (exc.ArgumentError, ImportError) as error:
        raise ConfigurationError(
            f"[database] connection {_printable(url)}: {error}"
        ) from error
    event.listen(engine, "connect", _PREPARATIONS[dialect])
    if dialect == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions: _begin_sqlite does.
    connection.isolation_level = None
    _execute(
        connection, "PRAGMA journal_mode = WAL", "PRAGMA foreign_keys = ON"
    )


def _prepare_mysql(connection: Any, _record: Any) -> None:
    # MySQL takes the second part for a comment: it knows no such timeout.
    _execute(
        connection,
        f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT} "
        f"/*M!100300 , idle_transaction_timeout = {IDLE_TIMEOUT} */",
    )


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    _execute(
        connection,
        f"SET lock_timeout = '{LOCK_TIMEOUT}s'",
        f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'",
    )
    connection.commit()


_PREPARATIONS = {
    "sqlite": _prepare_sqlite,
    "mysql": _prepare_mysql,
    "postgresql": _prepare_postgresql,
}


def _execute(connection: Any, *statements: str) -> None:
    cursor = connection.cursor()
    try:
        for statement in statements:
            cursor.execute(statement)
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
