"""Rows of several kinds, read by one statement.

A round trip to a server costs more than most of what is asked there, so what
can be asked at once is: each row has the columns of all kinds, of which those
of the others are NULL.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Cast,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    literal_column,
    null,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from flatnet.db.models import AnyRow

_KIND = "kind"


class _Lacking(Cast[Any]):
    """NULL, in the place of a column of another kind."""

    inherit_cache = True


@compiles(_Lacking)
def _null(_element: _Lacking, _compiler: SQLCompiler, **_: Any) -> str:
    return "NULL"


@compiles(_Lacking, "postgresql")
def _null_postgresql(
    element: _Lacking, compiler: SQLCompiler, **given: Any
) -> str:
    # It takes a column for text whose first two rows do not say otherwise.
    return f"CAST(NULL AS {compiler.process(element.typeclause, **given)})"


def together(*wanted: tuple[str, Select[Any]]) -> CompoundSelect[Any]:
    """Return one statement for selects, each with the kind of its rows.

    They have no order, and columns of one name are of one type.  To make it
    costs more than to send it: it is to be kept.
    """
    columns: dict[str, ColumnElement[Any]] = {}
    for _, select in wanted:
        columns |= {each.name: each for each in select.selected_columns}
    return union_all(
        *(_padded(kind, select, columns) for kind, select in wanted)
    )


def _padded(
    kind: str, select: Select[Any], columns: Mapping[str, ColumnElement[Any]]
) -> Select[Any]:
    has = {each.name: each for each in select.selected_columns}
    return select.with_only_columns(
        literal_column(f"'{kind}'", String).label(_KIND),
        *(
            has.get(name, _Lacking(null(), each.type)).label(name)
            for name, each in columns.items()
        ),
    )


def by_kind(rows: Iterable[AnyRow]) -> Mapping[str, Sequence[AnyRow]]:
    """Return the rows of such a statement by their kinds, all others empty."""
    found = defaultdict(list)
    for row in rows:
        found[row.kind].append(row)
    return found
