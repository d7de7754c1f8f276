"""What a host found of ports whose rows are as it knew them.

That is nearly all that a host ever finds: a port that was to be made is there,
one that was to go went.  All that stand are one statement, however they
differ, which is also the question whether somebody else has written there
since; and so are all that went.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    and_,
    case,
    exists,
    literal,
    or_,
    update,
)
from sqlalchemy import delete as delete_from

from flatnet.db import models
from flatnet.db.clock import Now
from flatnet.state.rows import GONE, SERVING, Binding, Finding

BINDINGS = models.port_bindings
VIFS = models.virtual_interfaces
INSTANCES = models.instances
K = TypeVar("K", str, int)


@dataclass(frozen=True)
class Found:
    """The columns of a binding that say what the host made of it."""

    found: str | None
    carrier: bool | None
    reason: str | None
    plug: str | None


def names(host: str) -> ColumnElement[bool]:
    """That a binding's instance lives and its row may mean this host."""
    return exists().where(
        INSTANCES.c.uuid == BINDINGS.c.instance_uuid,
        or_(INSTANCES.c.host == host, INSTANCES.c.host.is_(None)),
        INSTANCES.c.deleted == 0,
    )


def is_asked_for(host: str) -> ColumnElement[bool]:
    """That a binding's interface is there and may be meant to be here."""
    is_there = exists().where(VIFS.c.uuid == BINDINGS.c.interface_uuid)
    return and_(names(host), is_there)


def as_found(
    key: ColumnElement[K], found: Mapping[K, Found]
) -> dict[str, ColumnElement[Any]]:
    """Return what columns become in rows that may be found differently.

    Each value stands once, and the most frequent one without its rows, for
    nearly always many are found alike.

    :param key: the column that has the keys of `found`
    """
    return {
        each.name: _by_row(key, BINDINGS.c[each.name], each.name, found)
        for each in fields(Found)
    }


def _by_row(
    key: ColumnElement[K],
    column: Column[Any],
    name: str,
    found: Mapping[K, Found],
) -> ColumnElement[Any]:
    rows: defaultdict[Any, list[K]] = defaultdict(list)
    for row, each in found.items():
        rows[getattr(each, name)].append(row)
    values = sorted(rows, key=lambda value: len(rows[value]))
    *others, last = (literal(value, column.type) for value in values)
    if not others:
        return last
    cases = zip(values, others, strict=False)
    return case(*((key.in_(rows[v]), new) for v, new in cases), else_=last)


def confirmed(
    connection: Connection,
    host: str,
    findings: Sequence[Finding],
    known: Mapping[str, Binding],
) -> dict[str, Binding | None]:
    """Write what can be; return what became of these, by interface.

    That are ports that serve, and tombstones of ports that went.  Where a row
    wants something else by now nothing is said of any of its kind, for nobody
    knows which it was.
    """
    stand: dict[str, Found] = {}
    gone: dict[str, Binding | None] = {}
    for each in findings:
        was = known.get(each.interface_uuid)
        if was is None:
            continue
        if was.wanted == GONE and each.found == "missing":
            gone[each.interface_uuid] = None
        elif was.wanted == SERVING and was.plug and each.found != "missing":
            found = Found(each.found, each.carrier, each.reason, was.plug)
            stand[each.interface_uuid] = found
    done: dict[str, Binding | None] = {}
    if stand and _all_stand(connection, host, stand):
        done |= {
            uuid: replace(known[uuid], **asdict(found))
            for uuid, found in stand.items()
        }
    if gone and _all_went(connection, host, gone):
        done |= gone
    return done


def _all_stand(
    connection: Connection, host: str, stand: Mapping[str, Found]
) -> bool:
    """Write of ports that serve, and are of the kind that is known."""
    new = as_found(BINDINGS.c.interface_uuid, stand)
    statement = (
        update(BINDINGS)
        .where(
            *_of(host, stand),
            BINDINGS.c.wanted == SERVING,
            BINDINGS.c.plug == new.pop("plug"),
        )
        .values(**new, seen_at=Now())
    )
    return connection.execute(statement).rowcount == len(stand)


def _all_went(
    connection: Connection, host: str, gone: Collection[str]
) -> bool:
    statement = delete_from(BINDINGS).where(
        *_of(host, gone), BINDINGS.c.wanted == GONE, ~is_asked_for(host)
    )
    return connection.execute(statement).rowcount == len(gone)


def _of(host: str, uuids: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        BINDINGS.c.host == host,
        BINDINGS.c.interface_uuid.in_(sorted(uuids)),
    )
