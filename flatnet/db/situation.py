"""All that orders are judged by, read at once while their networks are locked.

Whoever waits for a network waits for each statement of who holds it, so
instances with what they have, addresses and MACs are one statement: rows of
three kinds in the columns of all of them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    bindparam,
    literal_column,
    select,
    union_all,
)

from flatnet.db import candidates, checks, models, tenants, vifs
from flatnet.db.candidates import Asked
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Placing
from flatnet.db.tenants import Tenants
from flatnet.exceptions import InvalidMacAddress

VIFS = models.virtual_interfaces
_TENANT, _ADDRESS, _MAC = range(3)
_REMEMBERED = 64
_KNOWN = {column.name: column for column in candidates.COLUMNS}
_ALL = {**_KNOWN, **tenants.COLUMNS}


@dataclass(frozen=True)
class Situation:
    """Instances that live, networks' pools, and MACs.

    `asked` is what is known of which pool, by `rows` of `candidates`. `drawn`
    are random MACs, `named` those that orders name, and `taken` those of both
    that are somebody's.
    """

    tenants: Tenants
    asked: tuple[Asked, ...]
    rows: Sequence[AnyRow]
    drawn: tuple[str, ...]
    named: frozenset[str]
    taken: frozenset[str]


def read(
    connection: Connection,
    orders: Sequence[Order],
    locked: Sequence[AnyRow],
    placement: Placing,
) -> Situation:
    """Return what orders may need of networks that are locked.

    It is read before anybody knows who has what already, and is more than is
    needed then.
    """
    asked = _asked(orders, locked, placement)
    drawn = vifs.draw(sum(_count(order, locked) for order in orders))
    named = frozenset(mac for order in orders for mac in _macs(order))
    given = {
        **candidates.parameters(asked, placement.host),
        "uuids": sorted({order.instance_uuid for order in orders}),
        "macs": sorted({*drawn, *named}),
    }
    found: dict[int, list[AnyRow]] = {_TENANT: [], _ADDRESS: [], _MAC: []}
    for row in connection.execute(_statement(len(asked)), given):
        found[row.kind].append(row)
    return Situation(
        tenants=tenants.from_rows(found[_TENANT]),
        asked=asked,
        rows=found[_ADDRESS],
        drawn=drawn,
        named=named,
        taken=frozenset(row.mac for row in found[_MAC]),
    )


def _asked(
    orders: Sequence[Order], locked: Sequence[AnyRow], placement: Placing
) -> tuple[Asked, ...]:
    """What of each network may be needed; its bridge may need one too."""
    number: Counter[str] = Counter()
    named: defaultdict[str, set[str]] = defaultdict(set)
    for order in orders:
        if order.requested is None:
            number.update(row.uuid for row in locked)
        for uuid, address in order.requested or ():
            number[uuid.lower()] += 1
            if address:
                named[uuid.lower()].add(address)
    in_use = {each.address for each in placement.in_use}
    return tuple(
        Asked(row, frozenset(named[row.uuid] | in_use), number[row.uuid] + 1)
        for row in locked
    )


def _count(order: Order, locked: Sequence[AnyRow]) -> int:
    """How many interfaces an order may need."""
    return len(locked if order.requested is None else order.requested)


def _macs(order: Order) -> tuple[str, ...]:
    """The MACs that an order names; an error is its own, and told later."""
    with suppress(InvalidMacAddress):
        return checks.macs(order.macs)
    return ()


@lru_cache(_REMEMBERED)
def _statement(number: int) -> CompoundSelect[Any]:
    """Return the statement for so many networks.

    Tenants come first, and addresses after them: PostgreSQL types columns by
    the first two selects, and these have all types between them.
    """
    macs = VIFS.c.address.in_(bindparam("macs", expanding=True))
    return union_all(
        tenants.joined(select(*_columns(_TENANT, tenants.COLUMNS))),
        *(
            select(*_columns(_ADDRESS, _KNOWN)).where(each)
            for each in candidates.conditions(number)
        ),
        select(*_columns(_MAC, {"mac": VIFS.c.address})).where(macs),
    )


def _columns(
    kind: int, known: Mapping[str, ColumnElement[Any]]
) -> list[ColumnElement[Any]]:
    """The columns of all kinds, of which this one has some."""
    return [
        literal_column(str(kind), Integer).label("kind"),
        *(
            known[name].label(name)
            if name in known
            else literal_column("NULL", each.type).label(name)
            for name, each in _ALL.items()
        ),
    ]
