"""Which networks and addresses callers ask for, as rows."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from flatnet.db import engine, models, networks, pool
from flatnet.db.models import AnyRow
from flatnet.exceptions import InvalidInput, NetworkNotFound

NETWORKS = models.networks
VIFS = models.virtual_interfaces
Requested = Iterable[tuple[str, str | None]]


@engine.reads
def check_requested(connection: Connection, requested: Requested) -> None:
    """Raise what `allocate` would raise about these, and write nothing."""
    wanted = [(uuid, address) for uuid, address in requested]
    _check_named_once(wanted)
    found = connection.execute(
        select(NETWORKS).where(NETWORKS.c.uuid.in_(_uuids(wanted)))
    ).all()
    for network, address in _matched(found, wanted):
        if address is not None:
            pool.check_free(connection, network, address)


def wanted_networks(
    connection: Connection,
    requested: Requested | None,
    instance_uuid: str,
) -> list[tuple[AnyRow, str | None]]:
    """Return the networks' locked rows with the addresses asked for."""
    if requested is None:
        rows = networks.locked(connection)
        has = connection.scalars(
            select(VIFS.c.network_id).where(
                VIFS.c.instance_uuid == instance_uuid
            )
        ).all()
        return [(row, None) for row in rows if not has or row.id in has]
    wanted = [(uuid, address) for uuid, address in requested]
    _check_named_once(wanted)
    found = networks.locked(connection, NETWORKS.c.uuid.in_(_uuids(wanted)))
    return _matched(found, wanted)


def _check_named_once(wanted: list[tuple[str, str | None]]) -> None:
    names = _uuids(wanted)
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise InvalidInput(
            f"network {twice[0]} is requested twice: an instance has one "
            "interface in each network"
        )


def _uuids(wanted: list[tuple[str, str | None]]) -> list[str]:
    return [str(uuid).lower() for uuid, _ in wanted]


def _matched(
    rows: Iterable[AnyRow], wanted: list[tuple[str, str | None]]
) -> list[tuple[AnyRow, str | None]]:
    by_uuid = {row.uuid: row for row in rows}
    for uuid in _uuids(wanted):
        if uuid not in by_uuid:
            raise NetworkNotFound(f"no network has the uuid {uuid}")
    return [
        (by_uuid[uuid], address)
        for uuid, (_, address) in zip(_uuids(wanted), wanted, strict=True)
    ]


def locked_network(connection: Connection, network_uuid: str) -> AnyRow:
    rows = networks.locked(connection, NETWORKS.c.uuid == network_uuid.lower())
    ((network, _),) = _matched(rows, [(network_uuid, None)])
    return network
