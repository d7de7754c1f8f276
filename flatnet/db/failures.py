"""What the databases' errors mean: try again, not there, or a mistake."""

from typing import Any

from sqlalchemy import exc

from flatnet.exceptions import (
    DatabaseUnavailable,
    FlatnetError,
    SchemaMismatch,
)

# MySQL's error numbers, PostgreSQL's SQLSTATEs and SQLite's result codes.
_LOCKED = {
    1205,  # lock wait timeout
    "55P03",  # lock timeout
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
}
_IN_THE_WAY = {
    *_LOCKED,
    1213,  # deadlock
    "40001",  # serialization failure
    "40P01",  # deadlock
}
_NO_SUCH_TABLE_OR_COLUMN = {1146, 1054, "42P01", "42703"}


def is_worth_another_try(error: BaseException) -> bool:
    """Whether running the whole transaction again may succeed.

    A broken constraint is worth it: somebody committed between our look
    and our write.  The next run sees their row and chooses another value,
    or raises the error that has a name.
    """
    if not isinstance(error, exc.DBAPIError):
        return False
    return (
        isinstance(error, exc.IntegrityError)
        or error.connection_invalidated
        or _code(error) in _IN_THE_WAY
    )


def is_lock(error: BaseException | None) -> bool:
    """Whether somebody held for too long what a transaction needs."""
    return isinstance(error, exc.DBAPIError) and _code(error) in _LOCKED


def named(error: exc.SQLAlchemyError, database: str) -> Exception:
    """Return what a caller gets to see for an error of SQLAlchemy.

    :param database: the URL without its password
    """
    if not isinstance(error, exc.DBAPIError):
        return error
    if _is_about_schema(error):
        return _mismatch(error, database)
    if is_lock(error):
        return DatabaseUnavailable(
            f"database {database}: somebody else holds a lock there, a backup "
            f"or an open transaction, and nothing was written "
            f"({_line(error)})"
        )
    if error.connection_invalidated or isinstance(
        error, exc.OperationalError | exc.InterfaceError | exc.InternalError
    ):
        return DatabaseUnavailable(f"database {database}: {_line(error)}")
    return error


def _mismatch(error: exc.DBAPIError, database: str) -> FlatnetError:
    return SchemaMismatch(
        f"database {database}: {_line(error)}; run `flatnet db upgrade`"
    )


def _is_about_schema(error: exc.DBAPIError) -> bool:
    return _code(
        error
    ) in _NO_SUCH_TABLE_OR_COLUMN or "no such table" in _line(error)


def _code(error: exc.DBAPIError) -> Any:
    original = error.orig
    state = getattr(original, "pgcode", None)
    name = getattr(original, "sqlite_errorname", None)
    if name:
        # Extended codes such as SQLITE_BUSY_SNAPSHOT name their kind first.
        return "_".join(name.split("_")[:2])
    if state:
        return state
    return original.args[0] if original and original.args else None


def _line(error: exc.DBAPIError) -> str:
    """The driver's text without its number, in one line."""
    original = error.orig
    text = str(original.args[-1] if original and original.args else error)
    return text.strip().splitlines()[0] if text.strip() else "no answer"
