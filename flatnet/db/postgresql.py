"""psycopg2, with an end to whatever it waits for.

libpq waits in C, without an end, for a server that is silent; no option
bounds that where the server's kernel still acknowledges.  psycopg2 lets a
callback wait instead, for a whole process; eventlet has one of its own,
without an end either, which ours replaces.
"""

import selectors
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, Engine, event

from flatnet import deadline
from flatnet.db import waits

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '{}s'"
_DIRECTIONS = {
    extensions.POLL_READ: selectors.EVENT_READ,
    extensions.POLL_WRITE: selectors.EVENT_WRITE,
}


def listen(engine: Engine) -> None:
    """See to it that every connection of an engine has its timeouts."""
    extensions.set_wait_callback(_wait)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", waits.forget)
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "commit", _tell)


def _wait(connection: Any) -> None:
    """Wait until a connection has what it asked for, or the deadline.

    psycopg2 closes the connection on which this raises.
    """
    at_most = waits.UPGRADE_PATIENCE
    if connection.status == extensions.STATUS_SETUP:
        at_most = waits.CONNECT_TIMEOUT
    while (state := connection.poll()) != extensions.POLL_OK:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), _DIRECTIONS[state])
            if not selector.select(deadline.left(at_most)):
                raise psycopg2.OperationalError("no answer in time")


def _prepare(connection: Any, _record: Any) -> None:
    waits.execute(
        connection,
        f"SET lock_timeout = '{waits.LOCK_TIMEOUT}s'",
        f"SET idle_in_transaction_session_timeout = '{waits.IDLE_TIMEOUT}s'",
    )
    connection.commit()


def _before(connection: Connection, *_: Any) -> None:
    _tell(connection)


def _tell(connection: Connection) -> None:
    waits.told(connection, _LOCK_TIMEOUT, begins=False)
