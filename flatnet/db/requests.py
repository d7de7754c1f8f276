"""Which networks and addresses callers ask for, as rows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, select

from flatnet.db import engine, fixed_ips, models, networks
from flatnet.db.candidates import Asked
from flatnet.db.draft import Wanted
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Requested
from flatnet.db.pool import Owner
from flatnet.exceptions import NetworkNotFound

NETWORKS = models.networks
# Whose an address is that was named before.
_NAMED = Owner(reserved=True, reason="it is requested twice")


@engine.reads
def check_requested(
    connection: Connection, requested: Iterable[tuple[str, str | None]]
) -> None:
    """Raise what `allocate` would raise about these, and write nothing."""
    wanted = tuple((uuid, address) for uuid, address in requested)
    found = connection.execute(
        select(NETWORKS).where(NETWORKS.c.uuid.in_(_uuids(wanted)))
    ).all()
    named: defaultdict[AnyRow, list[str]] = defaultdict(list)
    for network, address in _matched(found, wanted):
        if address is not None:
            named[network].append(address)
    asked = [Asked(each, frozenset(named[each])) for each in named]
    pools = fixed_ips.pools(connection, asked)
    for network, addresses in named.items():
        pool = pools[network.id]
        for address in addresses:
            # Nor is one to be had twice.
            pool = pool.take(address, _NAMED)


def locked_networks(
    connection: Connection, orders: Iterable[Order]
) -> list[AnyRow]:
    """Return the rows of all networks that orders are about, locked."""
    names: set[str] = set()
    for order in orders:
        if order.requested is None:
            return networks.locked(connection)
        names.update(_uuids(order.requested))
    return networks.locked_named(connection, names)


def are_served_by(
    locked: Iterable[AnyRow], orders: Iterable[Order]
) -> Callable[[Order], bool]:
    """Return whether an order needs no lock but those of other orders."""
    has_all = any(each.requested is None for each in orders)
    known = {row.uuid for row in locked}

    def is_served(order: Order) -> bool:
        return has_all or (
            order.requested is not None
            and known.issuperset(_uuids(order.requested))
        )

    return is_served


def wanted_networks(
    order: Order, locked: Sequence[AnyRow], has: Sequence[int]
) -> Wanted:
    """Return the networks of an order with the addresses asked for.

    :param has: the network's id of each interface that its instance has
    :raises NetworkNotFound: a requested network does not exist
    """
    if order.requested is not None:
        return _matched(locked, order.requested)
    rows = {row.id: row for row in locked}
    known = [each for each in has if each in rows] or rows
    return tuple((rows[each], None) for each in known)


def _uuids(wanted: Requested) -> list[str]:
    return [str(uuid).lower() for uuid, _ in wanted]


def _matched(rows: Iterable[AnyRow], wanted: Requested) -> Wanted:
    by_uuid = {row.uuid: row for row in rows}
    for uuid in _uuids(wanted):
        if uuid not in by_uuid:
            raise NetworkNotFound(f"no network has the uuid {uuid}")
    return tuple(
        (by_uuid[uuid], address)
        for uuid, (_, address) in zip(_uuids(wanted), wanted, strict=True)
    )


def locked_network(connection: Connection, network_uuid: str) -> AnyRow:
    rows = networks.locked_named(connection, [network_uuid.lower()])
    ((network, _),) = _matched(rows, ((network_uuid, None),))
    return network
