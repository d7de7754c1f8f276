"""The address that a host's bridge takes from each pool it serves."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select, update

from flatnet.db import engine, models, pool, requests, reservations
from flatnet.db.models import AnyRow
from flatnet.exceptions import NoMoreFixedIps
from flatnet.rows import LONGEST_REASON
from flatnet.taken import InUse, Taken

FIXED_IPS = models.fixed_ips


@engine.writes
def ensure(
    connection: Connection,
    *,
    network_uuid: str,
    host: str,
    quarantine: int,
    in_use: Iterable[InUse] = (),
) -> None:
    """Give a host's bridge its address, unless it has one.

    :param in_use: what the host itself depends on, which it does not take

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, network_uuid)
    reservations.ensure_locked(connection, network, host, in_use)
    ensure_locked(connection, network, host, quarantine)


def ensure_locked(
    connection: Connection, network: AnyRow, host: str, quarantine: int
) -> None:
    """Do the same in a locked network, where bridges have an address."""
    if not (network.multi_host and network.enable_dhcp):
        return
    if connection.execute(_held(network, host)).first():
        return
    _take_next(connection, network, host, quarantine)


@engine.writes
def swap(
    connection: Connection, *, taken: Taken, host: str, quarantine: int
) -> str | None:
    """Set aside an address that is somebody else's, and take the next.

    Returns the new one; none where machines on the segment have answered for
    so many, lately or in all, that they get no more.

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, taken.network_uuid)
    reason = taken.reason
    if taken.answered:
        if not reservations.may_be_answered(connection, network):
            return None
        reason = reservations.ANSWERED + reason
    connection.execute(
        update(FIXED_IPS)
        .where(
            FIXED_IPS.c.network_id == network.id,
            FIXED_IPS.c.host == host,
            FIXED_IPS.c.address == taken.address,
        )
        .values(host=None, reserved=True, reason=reason[:LONGEST_REASON])
    )
    present = connection.execute(_held(network, host)).first()
    if present:
        return str(present.address)
    return _take_next(connection, network, host, quarantine)


def _held(network: AnyRow, host: str) -> Select[Any]:
    return select(FIXED_IPS.c.address).where(
        FIXED_IPS.c.network_id == network.id, FIXED_IPS.c.host == host
    )


def _take_next(
    connection: Connection, network: AnyRow, host: str, quarantine: int
) -> str:
    address = pool.take_next(
        connection, network, quarantine=quarantine, owner={"host": host}
    )
    if address is None:
        raise NoMoreFixedIps(
            f"network {network.label} ({network.cidr}) has no address left "
            f"for the bridge of host {host}"
        )
    return address
