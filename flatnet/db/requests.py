"""Which networks and addresses callers ask for, as rows."""

from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import Connection, select

from flatnet.db import engine, fixed_ips, models, networks
from flatnet.db.candidates import Asked
from flatnet.db.draft import Wanted
from flatnet.db.models import AnyRow
from flatnet.db.orders import Order, Requested
from flatnet.exceptions import InvalidInput, NetworkNotFound

NETWORKS = models.networks


@engine.reads
def check_requested(
    connection: Connection, requested: Iterable[tuple[str, str | None]]
) -> None:
    """Raise what `allocate` would raise about these, and write nothing."""
    wanted = tuple((uuid, address) for uuid, address in requested)
    _check_named_once(wanted)
    found = connection.execute(
        select(NETWORKS).where(NETWORKS.c.uuid.in_(_uuids(wanted)))
    ).all()
    named = [each for each in _matched(found, wanted) if each[1] is not None]
    pools = fixed_ips.pools(
        connection,
        [
            Asked(network, frozenset([str(address)]))
            for network, address in named
        ],
    )
    for network, address in named:
        pools[network.id].position_of_free(str(address))


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
    order: Order, locked: Sequence[AnyRow], has: Collection[int]
) -> Wanted:
    """Return the networks of an order with the addresses asked for.

    :param has: ids of the networks in which its instance has an interface
    :raises InvalidInput: a network is requested twice
    :raises NetworkNotFound: a requested network does not exist
    """
    if order.requested is None:
        return tuple((row, None) for row in locked if not has or row.id in has)
    _check_named_once(order.requested)
    return _matched(locked, order.requested)


def _check_named_once(wanted: Requested) -> None:
    names = _uuids(wanted)
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise InvalidInput(
            f"network {twice[0]} is requested twice: an instance has one "
            "interface in each network"
        )


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
