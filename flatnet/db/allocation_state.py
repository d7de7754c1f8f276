"""All that orders are judged by, read at once while their networks are locked.

Whoever waits for a network waits for each statement of who holds it, so
instances with what they have and the groups that they are in, addresses and
MACs are one statement.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CompoundSelect, Connection, bindparam, select

from flatnet.db import (
    candidates,
    checks,
    combined_select,
    interfaces,
    models,
    tenants,
    vifs,
)
from flatnet.db.candidates import Asked
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Placing
from flatnet.db.tenants import Tenants
from flatnet.exceptions import InvalidMacAddress

VIFS = models.virtual_interfaces
_REMEMBERED = 64


@dataclass(frozen=True)
class AllocationState:
    """Instances that live, networks' pools, and MACs.

    `asked` is what is known of which pool, by `rows` of `candidates`. `drawn`
    are random MACs, `named` those that orders name, and `taken` those of both
    that are somebody's. `members` are rows of `interfaces.NAMED`.
    """

    tenants: Tenants
    asked: tuple[Asked, ...]
    rows: Sequence[AnyRow]
    drawn: tuple[str, ...]
    named: frozenset[str]
    taken: frozenset[str]
    members: Sequence[AnyRow]


def read(
    connection: Connection,
    orders: Sequence[Order],
    locked: Sequence[AnyRow],
    placement: Placing,
) -> AllocationState:
    """Return what orders may need of networks that are locked.

    It is read before anybody knows who has what already, and is more than is
    needed then.
    """
    asked = _asked(orders, locked, placement)
    drawn = vifs.draw(sum(_count(order, locked) for order in orders))
    named = frozenset(mac for order in orders for mac in _macs(order))
    given = {
        **candidates.parameters(asked, placement.host),
        "instances": sorted({order.instance_uuid for order in orders}),
        "macs": sorted({*drawn, *named}),
    }
    rows = connection.execute(_statement(len(asked)), given)
    found = combined_select.by_kind(rows)
    return AllocationState(
        tenants=tenants.from_rows(found["tenant"]),
        asked=asked,
        rows=found["address"],
        drawn=drawn,
        named=named,
        taken=frozenset(row.mac for row in found["mac"]),
        members=found["member"],
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
    """Return the statement for so many networks."""
    macs = VIFS.c.address.in_(bindparam("macs", expanding=True))
    return combined_select.together(
        ("tenant", tenants.ROWS),
        *(
            ("address", select(*candidates.COLUMNS).where(each))
            for each in candidates.conditions(number)
        ),
        ("mac", select(VIFS.c.address.label("mac")).where(macs)),
        ("member", interfaces.NAMED),
    )
