"""PyMySQL, with an end to whatever it waits for."""

import functools
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from pymysql.connections import Connection as Plain
from pymysql.constants import CR
from pymysql.err import OperationalError
from sqlalchemy import Connection, Engine, event

from flatnet import deadline
from flatnet.db import server_addresses, timeouts
from flatnet.db.tls import SharedContext

# Rows, and with the second what `FLUSH TABLES WITH READ LOCK` and a change
# of tables hold, which the first says nothing of: 24 hours by default.
_LOCK_TIMEOUT = (
    "SET SESSION innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}"
)


class BoundConnection(Plain):  # type: ignore[misc]
    """A connection whose socket waits until the deadline, at most.

    PyMySQL asks how long that is for each row, and is told what it was told
    for the last one, unless that is a while ago.
    """

    _timeout = 0.0
    # By the monotonic clock.
    _known_until = 0.0

    def __init__(
        self, *arguments: Any, tls: SharedContext, **options: Any
    ) -> None:
        # The other one asks for a context.
        self._tls = tls
        super().__init__(*arguments, **options)

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        """Return the context for options of TLS, or the one that they are.

        Given by the option `ssl` it would mean that TLS is required.
        """
        if isinstance(sslp, ssl.SSLContext):
            return sslp
        make: Callable[[Any], ssl.SSLContext] = super()._create_ssl_ctx
        return self._tls.get(sslp, lambda: make(sslp))

    @property
    def _read_timeout(self) -> float:
        now = time.monotonic()
        if now >= self._known_until:
            self._timeout = timeouts.answer_seconds()
            self._known_until = now + timeouts.STEP
        return self._timeout

    @_read_timeout.setter
    def _read_timeout(self, _seconds: object) -> None:
        """Leave it: the deadline says it."""

    @property
    def _write_timeout(self) -> float:
        # A statement begins, and may be somebody else's.
        self._known_until = 0.0
        return self._read_timeout

    @_write_timeout.setter
    def _write_timeout(self, _seconds: object) -> None:
        """Leave it, likewise."""


def listen(engine: Engine) -> None:
    """See to it that every connection of an engine has its timeouts."""
    if engine.driver == "pymysql":
        event.listen(
            engine,
            "do_connect",
            functools.partial(_connect, SharedContext()),
        )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "commit", _tell)


def _connect(
    tls: SharedContext,
    _dialect: Any,
    _record: Any,
    arguments: Any,
    options: Any,
) -> BoundConnection:
    """Connect to the first address of the server that is well."""
    connection = BoundConnection(
        *arguments,
        tls=tls,
        **{**options, "defer_connect": True, "connect_timeout": _seconds()},
    )
    if connection.unix_socket:
        connection.connect()
        return connection

    def reach(address: str) -> BoundConnection:
        connection.connect(_socket(connection, address))
        return connection

    try:
        found = server_addresses.addresses(connection.host)
    except OSError as error:
        raise _unreachable(connection, error) from error
    return server_addresses.first(found, reach, OperationalError)


def _socket(connection: BoundConnection, address: str) -> socket.socket:
    """A socket to an address of the server, as PyMySQL would make it."""
    source = connection.bind_address
    try:
        made = socket.create_connection(
            (address, connection.port),
            _seconds(),
            source_address=(source, 0) if source else None,
        )
    except OSError as error:
        raise _unreachable(connection, error) from error
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def _unreachable(
    connection: BoundConnection, error: OSError
) -> OperationalError:
    return OperationalError(
        CR.CR_CONN_HOST_ERROR,
        f"Can't connect to MySQL server on {connection.host!r} ({error})",
    )


def _seconds() -> float:
    return max(deadline.left(timeouts.CONNECT), 0.1)


def _prepare(connection: Any, _record: Any) -> None:
    # MySQL takes the second part for a comment: it knows no such timeout.
    timeouts.execute(
        connection,
        _LOCK_TIMEOUT.format(timeouts.LOCK)
        + f" /*M!100300 , idle_transaction_timeout = {timeouts.IDLE} */",
    )


def _begin(connection: Connection) -> None:
    timeouts.told(connection, _LOCK_TIMEOUT, begins=True)


def _before(connection: Connection, *_: Any) -> None:
    _tell(connection)


def _tell(connection: Connection) -> None:
    timeouts.told(connection, _LOCK_TIMEOUT, begins=False)
