"""The engine and the two kinds of transaction, on three databases.

A function that is decorated with `writes` or `reads` takes a connection and
is called with a `Database`: it runs whole in one transaction, and again
from the start when another transaction got in its way.  So it must have no
effect but in the database.

Each has an end, with all its retries: see `timeouts`.

Writers are serialised where it matters by locking the network's row (on
SQLite by BEGIN IMMEDIATE), and read what is committed.  Readers see one
state of the database, whatever commits meanwhile.
"""

import functools
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import Connection, exc
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from flatnet import deadline
from flatnet.db import drivers, failures, timeouts
from flatnet.exceptions import DatabaseUnavailable

P = ParamSpec("P")
R = TypeVar("R")

# Of what others got in the way of; a lock is tried for until the end.
ATTEMPTS = 10
Lock: TypeAlias = "threading.Lock | threading.Semaphore"
_PAUSE = wait_random_exponential(multiplier=0.01, max=1)


class Database:
    """A pool of connections to one database; close it when done.

    :param url: SQLAlchemy URL of kind sqlite, mysql, mariadb or postgresql
    :param patience: seconds of a transaction with all its retries
    :raises ConfigurationError: the URL cannot be used

    Nothing is connected before the first transaction.
    """

    def __init__(
        self, url: str, *, patience: float = timeouts.PATIENCE
    ) -> None:
        parsed = drivers.parsed_url(url)
        self.url = url
        self.name = drivers.printable(parsed)
        self.dialect = parsed.get_backend_name().replace("mariadb", "mysql")
        self._patience = patience
        # Each keeps its level of isolation: telling a server costs two more
        # round trips a transaction.
        self._writing = drivers.new_engine(parsed, self.dialect)
        self._reading = self._writing
        if self.dialect != "sqlite":
            self._reading = drivers.new_engine(
                parsed, self.dialect, isolation="REPEATABLE READ"
            )
        # Who waits for a connection has an end too; the pool's is its own.
        # Writers that wait for a lock must not keep readers waiting.
        self._reading_turns = threading.Semaphore(drivers.READING)
        self._writing_turns = threading.Semaphore(drivers.WRITING)
        # Under eventlet a wait inside sqlite3 would stop every green thread,
        # the one that holds the lock too: so they queue up out here.
        self._writers = threading.Lock()

    @property
    def file(self) -> str | None:
        """The file of a SQLite database, none of any other.

        Nor of one in memory, or that is named by a URI of SQLite's own.
        """
        name = self._writing.url.database
        if self.dialect != "sqlite" or not name:
            return None
        return None if name.startswith((":memory:", "file:")) else name

    @property
    def servers(self) -> tuple[str, ...]:
        """The names or addresses of the machines that it is on, sorted.

        None where it is a file, or is reached by a socket of this machine.
        """
        url = self._writing.url
        given = url.query.get("host", ())
        several = (given,) if isinstance(given, str) else given
        names = ",".join((url.host or "", *several)).split(",")
        # SQLAlchemy takes `name:port` there; of IPv6 there are more colons.
        found = {re.sub(r"^([^:]*):\d+$", r"\1", name) for name in names}
        return tuple(sorted(name for name in found if name and name[0] != "/"))

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._writing.dispose()
        self._reading.dispose()

    def write(
        self,
        function: Callable[[Connection], R],
        *,
        patience: float | None = None,
    ) -> R:
        """Return `function(connection)`, run in a writing transaction.

        :param patience: seconds, in place of those of this database
        :raises DatabaseUnavailable: no answer in time, or always in conflict
        """
        with deadline.within(patience or self._patience):
            turn: AbstractContextManager[None] = nullcontext()
            if self.dialect == "sqlite":
                turn = self._turn(self._writers, "others write")
            with turn:
                return self._run(function, writes=True)

    def read(self, function: Callable[[Connection], R]) -> R:
        """Return `function(connection)`, run on one state of all tables.

        :raises DatabaseUnavailable: no answer in time
        """
        with deadline.within(self._patience):
            return self._run(function, writes=False)

    def _run(self, function: Callable[[Connection], R], *, writes: bool) -> R:
        retrying = Retrying(
            retry=retry_if_exception(failures.is_worth_another_try),
            wait=lambda state: deadline.left(_PAUSE(state)),
            stop=self._is_over,
            reraise=True,
        )
        full = "all connections of the pool are in use"
        turns = self._writing_turns if writes else self._reading_turns
        try:
            with self._turn(turns, full):
                answer: R = retrying(self._run_once, function, writes)
        except exc.SQLAlchemyError as error:
            raise failures.named(error, self.name) from error
        return answer

    def _is_over(self, state: RetryCallState) -> bool:
        """Whether a transaction that failed is not tried once more."""
        error = state.outcome.exception() if state.outcome else None
        if failures.is_lock(error):
            needed = (
                0.0 if self.dialect == "sqlite" else timeouts.ONE_MORE_LOCK
            )
            return deadline.left() <= needed
        return deadline.left() <= 0 or state.attempt_number >= ATTEMPTS

    @contextmanager
    def _turn(self, lock: Lock, why: str) -> Iterator[None]:
        if not lock.acquire(timeout=deadline.left()):
            raise DatabaseUnavailable(
                f"database {self.name}: not to be had in time: {why}"
            )
        try:
            yield
        finally:
            lock.release()

    def _run_once(
        self, function: Callable[[Connection], R], writes: bool
    ) -> R:
        budget = deadline.left()
        engine = self._writing if writes else self._reading
        with engine.connect() as fresh:
            connection = fresh.execution_options(**{timeouts.WRITES: writes})
            transaction = connection.begin()
            answer = function(connection)
            if writes:
                timeouts.check_commit(self.name, budget)
            try:
                transaction.commit()
            except exc.DBAPIError as error:
                if error.connection_invalidated:
                    # Not ours to repeat.
                    raise timeouts.lost_commit(self.name, error) from error
                # Refused, and so not done; nor ever, once it is closed.
                connection.invalidate(error)
                raise
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
