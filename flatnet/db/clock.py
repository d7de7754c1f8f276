"""The database's clock: the one that all compute nodes share."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Now(FunctionElement[datetime]):
    """The present in UTC, without a time zone, to the microsecond.

    It advances within a transaction, so that a row which had to wait for a
    lock is stamped with the time of its change and not of its question.
    """

    type = DateTime()
    inherit_cache = True


@compiles(Now, "sqlite")
def _now_sqlite(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"


@compiles(Now, "mysql")
@compiles(Now, "mariadb")
def _now_mysql(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(Now, "postgresql")
def _now_postgresql(_element: Now, _compiler: SQLCompiler, **_: Any) -> str:
    return "timezone('utc', clock_timestamp())"


def stamps(present: datetime) -> dict[str, datetime]:
    """Return the columns that a new row has of the clock.

    Given as values, many rows are one statement: PyMySQL sends one for each
    where a function of the server is among what is inserted.
    """
    return {"created_at": present, "updated_at": present}
