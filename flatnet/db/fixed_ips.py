"""Rows of `fixed_ips`: read for whoever chooses, and written at once.

However many choose, it is one statement to read and one or two to write.
Both need the networks' rows locked (`networks.locked`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    insert,
    select,
    update,
)

from flatnet.db import candidates, models, ranges
from flatnet.db.candidates import CHUNK, Asked
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
_ADVANCED = (
    update(NETWORKS)
    .where(NETWORKS.c.id == bindparam("network"))
    .values(next_position=bindparam("next"))
)
_NEW = insert(FIXED_IPS)


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
    rows: Sequence[AnyRow] = ()
    if asked:
        rows = connection.execute(
            candidates.rows(len(asked)), candidates.parameters(asked, host)
        ).all()
    return pools_of(
        connection,
        asked,
        rows,
        host=host,
        quarantine=quarantine,
        present=present,
    )


def pools_of(
    connection: Connection,
    asked: Sequence[Asked],
    rows: Iterable[AnyRow],
    *,
    host: str | None,
    quarantine: int,
    present: datetime | None,
) -> dict[int, Pool]:
    """Return the same where rows of `candidates` were read already."""
    found = {}
    by_network: defaultdict[int, list[AnyRow]] = defaultdict(list)
    for row in rows:
        by_network[row.network_id].append(row)
    for each in asked:
        network = each.network
        mine = by_network[network.id]
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
        connection.execute(_NEW, rows)
    if again:
        _give_again(connection, again)


def _is(row: AnyRow, host: str | None) -> bool:
    """Whether a row is the address of a host's bridge."""
    return host is not None and row.host == host


def _chunk(position: int) -> ColumnElement[bool]:
    return FIXED_IPS.c.position.between(position, position + CHUNK - 1)


def _never_used(
    connection: Connection, asked: Asked, known: Mapping[int, AnyRow]
) -> tuple[int, ...]:
    """Return the lowest offsets without a row, from `next_position` on."""
    network = asked.network
    taken: Iterable[int] = known
    found: list[int] = []
    begin = int(network.next_position)
    while begin <= network.pool_last and len(found) < asked.candidates:
        end = min(begin + CHUNK, int(network.pool_last) + 1)
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
        select(*candidates.COLUMNS)
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
            _ADVANCED, {"network": pool.network.id, "next": used[-1] + 1}
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
