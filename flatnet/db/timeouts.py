"""How long a database is waited for, and what it is told of that.

A transaction has an end, with all its retries (`flatnet.deadline`).  Locks
are given up on by the server, well before that: its error says for certain
that the statement had no effect.  Who waits for a server that does not
answer at all gives up at the end and closes the connection; what it has not
sent by then, such as the COMMIT, is never done.
"""

import math
from typing import Any

from sqlalchemy import Connection, exc

from flatnet import deadline
from flatnet.exceptions import DatabaseUnavailable

# Seconds of a transaction with all its retries, unless its caller has less.
PATIENCE = 30.0
# Of schema upgrades, whose statements work for long.
UPGRADE_PATIENCE = 3600.0
CONNECT = 10.0
# Seconds that a server lets a silent transaction live: a node that loses
# power with a network's row locked must not stop the others for as long as
# TCP takes to notice.
IDLE = 60
# Of what is left, the share that a lock is waited for; the rest is for the
# rollback, or one more look.
_LOCK_SHARE = 0.75
LOCK = int(PATIENCE * _LOCK_SHARE)
# Seconds without which a server could not say that a lock was not to be had:
# its own timeouts are whole ones.
ONE_MORE_LOCK = 1.5
_TOLD = "flatnet_lock_timeout"
# An execution option: the transaction may write.
WRITES = "flatnet_write"
# Timeouts of sockets are whole multiples of it, so that few are set.
STEP = 0.25


def lock_seconds() -> int:
    """Seconds that a server is to wait for a lock by now, at least one."""
    return max(1, min(LOCK, int(deadline.left() * _LOCK_SHARE)))


def answer_seconds() -> float:
    """Seconds that an answer is waited for by now, above zero."""
    left = deadline.left(UPGRADE_PATIENCE)
    return max(1, math.ceil(left / STEP)) * STEP


def told(connection: Connection, statement: str, *, begins: bool) -> None:
    """Tell a server of the lock timeout, where it has to be another one.

    Readers wait for no rows; whoever locks whole tables lets them wait until
    their connection is closed, and they have written nothing by then.

    :param statement: one that sets it, with `{}` for the seconds
    :param begins: whether the timeout may become longer too
    """
    if not connection.get_execution_options().get(WRITES, True):
        return
    wanted = lock_seconds()
    known = connection.info.get(_TOLD, LOCK)
    if wanted < known or (begins and wanted != known):
        _execute_within(connection, statement.format(wanted))
        connection.info[_TOLD] = wanted


def forget(connection: Connection) -> None:
    """Take it that the server is at the session's own lock timeout."""
    connection.info.pop(_TOLD, None)


def execute(connection: Any, *statements: str) -> None:
    """Execute statements on a connection of a driver."""
    cursor = connection.cursor()
    try:
        for statement in statements:
            cursor.execute(statement)
    finally:
        cursor.close()


def _execute_within(connection: Connection, statement: str) -> None:
    """Execute a statement whose error is one of the transaction's.

    :raises DBAPIError: as from what SQLAlchemy executes
    """
    dialect, lower = connection.dialect, connection.connection
    error_class = dialect.loaded_dbapi.Error
    try:
        execute(lower, statement)
    except error_class as error:
        plain = lower.dbapi_connection
        is_lost = dialect.is_disconnect(error, plain, None)
        if is_lost:
            connection.invalidate(error)
        raise exc.DBAPIError.instance(
            statement,
            None,
            error,
            error_class,
            connection_invalidated=is_lost,
            dialect=dialect,
        ) from error


def check_commit(database: str, budget: float) -> None:
    """Check that there is time to hear what became of a COMMIT.

    :param database: the URL without its password
    :param budget: seconds that its transaction had
    :raises DatabaseUnavailable: there is not; nothing was written
    """
    if deadline.left() < min(ONE_MORE_LOCK, budget * (1 - _LOCK_SHARE)):
        raise DatabaseUnavailable(
            f"database {database}: too slow to be done in time; nothing was "
            "written"
        )


def lost_commit(database: str, error: exc.DBAPIError) -> DatabaseUnavailable:
    """Return what is raised where a COMMIT has no answer."""
    lost = DatabaseUnavailable(
        f"database {database}: no answer to the COMMIT ({error.orig}): "
        "whether it was written is not known; asking again is safe"
    )
    lost.may_be_written = True
    return lost
