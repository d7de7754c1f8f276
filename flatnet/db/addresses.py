"""Rows of `fixed_ips`: read for whoever chooses, and written at once.

However many choose, it is one statement to read and one or two to write.
Both need the networks' rows locked (`networks.locked`).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from ipaddress import AddressValueError
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    insert,
    or_,
    select,
    update,
)

from flatnet.db import models, ranges
from flatnet.db.clock import Now, stamps
from flatnet.db.models import AnyRow
from flatnet.db.pool import Owner, Pool
from flatnet.exceptions import FixedIpAlreadyInUse

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
RELEASED = (
    FIXED_IPS.c.instance_uuid.is_(None)
    & FIXED_IPS.c.host.is_(None)
    & FIXED_IPS.c.reserved.is_(False)
)
# What a pool is to know of an address.
_COLUMNS = (
    FIXED_IPS.c.id,
    FIXED_IPS.c.network_id,
    FIXED_IPS.c.position,
    FIXED_IPS.c.address,
    FIXED_IPS.c.instance_uuid,
    FIXED_IPS.c.host,
    FIXED_IPS.c.reserved,
    FIXED_IPS.c.reason,
)
_CHUNK = 256


@dataclass(frozen=True)
class Asked:
    """What of a network's pool is needed.

    The rows of these addresses, and at most so many of the next ones.
    """

    network: AnyRow
    addresses: frozenset[str] = frozenset()
    number: int = 0

    @property
    def candidates(self) -> int:
        """How many next ones to find: each one named may be among them."""
        return self.number + len(self.addresses) if self.number else 0


def pools(
    connection: Connection,
    asked: Sequence[Asked],
    *,
    host: str | None = None,
    quarantine: int = 0,
    present: datetime | None = None,
) -> dict[int, Pool]:
    """Return what is needed of pools, by their networks' ids.

    :param host: whose bridges' addresses are needed
    :param quarantine: seconds since an address was released
    :param present: by the database's clock, where it is known already
    """
    found = {}
    rows = _rows(connection, asked, host)
    for each in asked:
        network = each.network
        mine = [row for row in rows if row.network_id == network.id]
        known = {row.position: row for row in mine}
        fresh = _never_used(connection, each, known)
        released: Sequence[AnyRow] = ()
        if len(fresh) < each.candidates:
            present = present or connection.scalars(select(Now())).one()
            before = present - timedelta(seconds=quarantine)
            number = each.candidates - len(fresh)
            released = _released(connection, network, before, number)
            known.update({row.position: row for row in released})
        found[network.id] = Pool(
            network=network,
            quarantine=quarantine,
            rows=known,
            fresh=fresh,
            released=tuple(row.position for row in released),
            bridge=next((row.address for row in mine if _is(row, host)), None),
        )
    return found


def write(
    connection: Connection,
    changed: Iterable[Pool],
    *,
    interface_ids: Mapping[str, int],
    present: datetime,
) -> None:
    """Write what was taken from pools.

    :param interface_ids: those of the owners' interfaces, by uuid
    :param present: by the database's clock, after the networks were locked
    :raises FixedIpAlreadyInUse: one is no longer free
    """
    new: list[dict[str, Any]] = []
    again: dict[int, dict[str, Any]] = {}
    for pool in changed:
        for position, owner in pool.given.items():
            values = _columns(owner, interface_ids)
            if row := pool.rows.get(position):
                again[row.id] = values
            else:
                new.append(_new(pool.network, position, values))
        _advance(connection, pool)
    if new:
        rows = [{**stamps(present), **values} for values in new]
        connection.execute(insert(FIXED_IPS), rows)
    if again:
        _give_again(connection, again)


def _rows(
    connection: Connection, asked: Sequence[Asked], host: str | None
) -> Sequence[AnyRow]:
    """Rows of what is asked for, by name or as the next, and of bridges."""
    conditions = [
        and_(
            FIXED_IPS.c.network_id == each.network.id,
            or_(
                FIXED_IPS.c.position.in_(_positions(each)),
                _chunk(int(each.network.next_position)),
            ),
        )
        for each in asked
        if each.number or each.addresses
    ]
    wanted = [select(*_COLUMNS).where(or_(*conditions))] if conditions else []
    if host is not None and asked:
        # Apart, for each of both has an index of its own.
        wanted.append(
            select(*_COLUMNS).where(
                FIXED_IPS.c.network_id.in_(
                    [each.network.id for each in asked]
                ),
                FIXED_IPS.c.host == host,
            )
        )
    if not wanted:
        return ()
    first, *others = wanted
    whole = first.union_all(*others) if others else first
    return connection.execute(whole).all()


def _is(row: AnyRow, host: str | None) -> bool:
    """Whether a row is the address of a host's bridge."""
    return host is not None and row.host == host


def _positions(asked: Asked) -> list[int]:
    cidr = asked.network.cidr
    found = set()
    for each in asked.addresses:
        # What is no address is told to who asked for it, not to the others.
        with suppress(AddressValueError):
            found.add(ranges.position(cidr, each))
    return sorted(each for each in found if 0 <= each < ranges.size(cidr))


def _chunk(position: int) -> ColumnElement[bool]:
    return FIXED_IPS.c.position.between(position, position + _CHUNK - 1)


def _never_used(
    connection: Connection, asked: Asked, known: Mapping[int, AnyRow]
) -> tuple[int, ...]:
    """Return the lowest offsets without a row, from `next_position` on."""
    network = asked.network
    taken: Iterable[int] = known
    found: list[int] = []
    begin = int(network.next_position)
    while begin <= network.pool_last and len(found) < asked.candidates:
        end = min(begin + _CHUNK, int(network.pool_last) + 1)
        found += [each for each in range(begin, end) if each not in taken]
        begin = end
        if len(found) < asked.candidates and begin <= network.pool_last:
            taken = set(
                connection.scalars(
                    select(FIXED_IPS.c.position).where(
                        FIXED_IPS.c.network_id == network.id, _chunk(begin)
                    )
                )
            )
    return tuple(found[: asked.candidates])


def _released(
    connection: Connection, network: AnyRow, before: datetime, number: int
) -> Sequence[AnyRow]:
    return connection.execute(
        select(*_COLUMNS)
        .where(
            FIXED_IPS.c.network_id == network.id,
            FIXED_IPS.c.position.between(
                network.pool_first, network.pool_last
            ),
            RELEASED,
            FIXED_IPS.c.updated_at <= before,
        )
        .order_by(FIXED_IPS.c.updated_at, FIXED_IPS.c.position)
        .limit(number)
    ).all()


def _columns(owner: Owner, interface_ids: Mapping[str, int]) -> dict[str, Any]:
    values = asdict(owner)
    interface = values.pop("interface_uuid")
    values["virtual_interface_id"] = interface and interface_ids[interface]
    return {**values, "allocated": owner.instance_uuid is not None}


def _new(
    network: AnyRow, position: int, values: dict[str, Any]
) -> dict[str, Any]:
    return {
        "network_id": network.id,
        "address": ranges.address_at(network.cidr, position),
        "position": position,
        **values,
    }


def _advance(connection: Connection, pool: Pool) -> None:
    """Note which addresses are no longer new."""
    # Not past those that others, asked for by name, have left before them.
    used = tuple(takewhile(pool.given.__contains__, pool.fresh))
    if used:
        connection.execute(
            update(NETWORKS)
            .where(NETWORKS.c.id == pool.network.id)
            .values(next_position=used[-1] + 1)
        )


def _give_again(
    connection: Connection, again: Mapping[int, Mapping[str, Any]]
) -> None:
    """Compare and set: rows that are no longer free are not overwritten."""
    columns = {
        name: _each({key: values[name] for key, values in again.items()})
        for name in next(iter(again.values()))
    }
    updated = connection.execute(
        update(FIXED_IPS)
        .where(FIXED_IPS.c.id.in_(list(again)), RELEASED)
        .values(columns)
    )
    if updated.rowcount != len(again):
        raise FixedIpAlreadyInUse("an address was taken just now: ask again")


def _each(values: Mapping[int, Any]) -> Any:
    """Return a value for each row by its id, or the one that all have."""
    if len({*values.values()}) == 1:
        return next(iter(values.values()))
    return case(dict(values), value=FIXED_IPS.c.id)
