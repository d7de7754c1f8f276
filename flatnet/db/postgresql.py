"""psycopg2, with an end to whatever it waits for.

libpq waits in C, without an end, for a server that is silent; no option
bounds that where the server's kernel still acknowledges.  psycopg2 lets a
callback wait instead, for a whole process; eventlet has one of its own,
without an end either, which ours replaces.
"""

import selectors
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Connection, Engine, event

from flatnet import deadline
from flatnet.db import server_addresses, timeouts

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '{}s'"
_DIRECTIONS = {
    extensions.POLL_READ: selectors.EVENT_READ,
    extensions.POLL_WRITE: selectors.EVENT_WRITE,
}


def listen(engine: Engine) -> None:
    """See to it that every connection of an engine has its timeouts."""
    extensions.set_wait_callback(_wait)
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", timeouts.forget)
    event.listen(engine, "before_cursor_execute", _before)
    event.listen(engine, "commit", _tell)


def _wait(connection: Any) -> None:
    """Wait until a connection has what it asked for, or the deadline.

    psycopg2 closes the connection on which this raises.
    """
    at_most = timeouts.UPGRADE_PATIENCE
    if connection.status == extensions.STATUS_SETUP:
        at_most = timeouts.CONNECT
    while (state := connection.poll()) != extensions.POLL_OK:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), _DIRECTIONS[state])
            if not selector.select(deadline.left(at_most)):
                raise psycopg2.OperationalError("no answer in time")


def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """Connect to the first address of the first host that is well.

    As libpq does where it is not polled, but for a server that refuses: the
    next one is asked then too.
    """

    def reach(host: dict[str, Any]) -> Any:
        return server_addresses.first(
            tuple(_addresses(host)),
            lambda way: psycopg2.connect(*arguments, **{**options, **way}),
            psycopg2.OperationalError,
        )

    return server_addresses.first(
        _hosts(options), reach, psycopg2.OperationalError
    )


def _hosts(options: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The hosts that options name, as options of one each."""
    if options.get("hostaddr") or not options.get("host"):
        return ({},)
    hosts = str(options["host"]).split(",")
    ports = str(options.get("port") or "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return tuple(
        {"host": host, "port": port or None}
        for host, port in zip(hosts, ports, strict=False)
    )


def _addresses(host: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The addresses of a host, as options; a socket has none."""
    name = host.get("host")
    if not name or name.startswith(("/", "@")):
        yield host
        return
    try:
        for address in server_addresses.addresses(name):
            yield {**host, "hostaddr": address}
    except OSError as error:
        raise psycopg2.OperationalError(
            f"the address of {name} is not known: {error}"
        ) from error


def _prepare(connection: Any, _record: Any) -> None:
    timeouts.execute(
        connection,
        f"SET lock_timeout = '{timeouts.LOCK}s'",
        f"SET idle_in_transaction_session_timeout = '{timeouts.IDLE}s'",
    )
    connection.commit()


def _before(connection: Connection, *_: Any) -> None:
    _tell(connection)


def _tell(connection: Connection) -> None:
    timeouts.told(connection, _LOCK_TIMEOUT, begins=False)
