"""Connections of a pool are asked whether they live, where nobody knows.

To ask is a round trip, and each call needs several connections one after the
other: so one that has just worked is taken at its word.  Where it fails all
the same, so does the first statement, and the transaction is run again on a
new one (`failures`).
"""

import time
from typing import Any

from sqlalchemy import Engine, event, exc

# Seconds for which a connection is believed to live on.
_BELIEVED = 1.0
_WORKED = "flatnet_worked"


def listen(engine: Engine) -> None:
    """See to it that connections of an engine are alive when they are had."""

    def check(connection: Any, record: Any, _proxy: Any) -> None:
        worked = record.info.get(_WORKED)
        if worked is None or time.monotonic() - worked < _BELIEVED:
            # It is new, or was used just now.
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # And so are most likely the others.
            raise exc.InvalidatePoolError from error

    event.listen(engine, "checkout", check)
    event.listen(engine, "checkin", _note)


def _note(_connection: Any, record: Any) -> None:
    record.info[_WORKED] = time.monotonic()
