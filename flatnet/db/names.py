"""Who has a leased address in a network, on whatever host: for its name."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, and_, select

from flatnet.db import models
from flatnet.db.interfaces import age
from flatnet.db.models import AnyRow
from flatnet.db.row_cache import RowCache, plain
from flatnet.db.selects import ALIVE, IDS
from flatnet.state.rows import NamedInstance

VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
INSTANCES = models.instances
# Addresses of living instances in networks; those of an interface are in no
# order.
_ADDRESSES = (
    select(
        VIFS.c.network_id,
        VIFS.c.instance_uuid,
        VIFS.c.uuid,
        INSTANCES.c.id.label("instance_id"),
        INSTANCES.c.hostname,
        FIXED_IPS.c.address,
        FIXED_IPS.c.ordinal,
        FIXED_IPS.c.position,
    )
    .join_from(VIFS, INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
    .join(
        FIXED_IPS,
        and_(
            FIXED_IPS.c.virtual_interface_id == VIFS.c.id,
            FIXED_IPS.c.instance_uuid == VIFS.c.instance_uuid,
        ),
    )
    .where(ALIVE, VIFS.c.network_id.in_(IDS))
)
_whose = attrgetter("network_id", "instance_uuid")


def of_networks(
    connection: Connection,
    networks: Collection[int],
    last: RowCache | None = None,
) -> tuple[NamedInstance, ...]:
    """Return whom networks know, by network and instance.

    :param last: has those that were made before
    """
    if not networks:
        return ()
    rows = connection.execute(_ADDRESSES, {"ids": sorted(networks)}).all()
    if last is None:
        return from_rows(rows)
    return last.made(
        "names",
        sorted(plain(rows)),
        lambda: last.each(
            "names", ((plain(its), its) for its in _gathered(rows)), _named
        ),
    )


def from_rows(rows: Iterable[AnyRow]) -> tuple[NamedInstance, ...]:
    """Return whom rows of interfaces with their addresses are about.

    Those without an address are left out.
    """
    return tuple(map(_named, _gathered(rows)))


def _gathered(rows: Iterable[AnyRow]) -> Iterator[list[AnyRow]]:
    """The rows of each instance in each network, sorted."""
    having = [each for each in rows if each.address]
    having.sort(key=_place)
    return (list(its) for _, its in groupby(having, key=_whose))


def _named(rows: Sequence[AnyRow]) -> NamedInstance:
    by_family = groupby(rows, key=lambda row: (row.uuid, ":" in row.address))
    return NamedInstance(
        network_id=rows[0].network_id,
        instance_uuid=rows[0].instance_uuid,
        hostname=rows[0].hostname,
        instance_id=rows[0].instance_id,
        addresses=tuple(next(its).address for _, its in by_family),
    )


def _place(row: AnyRow) -> tuple[Any, ...]:
    return *_whose(row), row.uuid, ":" in row.address, age(row)
