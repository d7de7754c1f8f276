"""PyMySQL, with an end to whatever it waits for."""

from typing import Any

from pymysql.connections import Connection as Plain
from sqlalchemy import Connection, Engine, event

from flatnet import deadline
from flatnet.db import waits

# Rows, and with the second what `FLUSH TABLES WITH READ LOCK` and a change
# of tables hold, which the first says nothing of: 24 hours by default.
_LOCK_TIMEOUT = (
    "SET SESSION innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}"
)


class BoundConnection(Plain):  # type: ignore[misc]
    """A connection whose socket waits until the deadline, at most."""

    @property
    def _read_timeout(self) -> float:
        return waits.answer_seconds()

    @_read_timeout.setter
    def _read_timeout(self, _seconds: object) -> None:
        """Leave it: the deadline says it."""

    _write_timeout = _read_timeout


def listen(engine: Engine) -> None:
    """See to it that every connection of an engine has its timeouts."""
    if engine.driver == "pymysql":
        event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "commit", _tell)


def _connect(
    _dialect: Any, _record: Any, arguments: Any, options: Any
) -> BoundConnection:
    seconds = max(deadline.left(waits.CONNECT_TIMEOUT), 0.1)
    return BoundConnection(
        *arguments, **{**options, "connect_timeout": seconds}
    )


def _prepare(connection: Any, _record: Any) -> None:
    # MySQL takes the second part for a comment: it knows no such timeout.
    waits.execute(
        connection,
        _LOCK_TIMEOUT.format(waits.LOCK_TIMEOUT)
        + f" /*M!100300 , idle_transaction_timeout = {waits.IDLE_TIMEOUT} */",
    )


def _begin(connection: Connection) -> None:
    waits.told(connection, _LOCK_TIMEOUT, begins=True)


def _before(connection: Connection, *_: Any) -> None:
    _tell(connection)


def _tell(connection: Connection) -> None:
    waits.told(connection, _LOCK_TIMEOUT, begins=False)
