"""The address that a host's bridge takes from each pool it serves."""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from flatnet.db import engine, fixed_ips, models, requests, reservations
from flatnet.db.candidates import Asked
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.db.pool import Owner, Pool
from flatnet.exceptions import Conflict
from flatnet.state.rows import LONGEST_REASON
from flatnet.state.taken_addresses import InUse, Taken

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
VIFS = models.virtual_interfaces


@engine.writes
def ensure(
    connection: Connection,
    *,
    network_uuid: str,
    host: str,
    quarantine: int,
    in_use: Collection[InUse] = (),
) -> None:
    """Give a host's bridge its address, unless it has one.

    :param in_use: what the host itself depends on, which it does not take

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, network_uuid)
    named = frozenset(each.address for each in in_use)
    pool = _pool(connection, network, host, quarantine, named)
    pool = pool.without(in_use, host).with_bridge(host)
    _write(connection, pool)


def held_or_next(
    connection: Connection,
    network: AnyRow,
    host: str,
    quarantine: int,
    in_use: Collection[InUse],
) -> str:
    """Return the address of a host in a locked network, or the next one.

    :raises NoMoreFixedIps: its pool is exhausted
    """
    named = frozenset(each.address for each in in_use)
    pool = _pool(connection, network, host, quarantine, named)
    if pool.bridge:
        return pool.bridge
    pool, address = pool.without(in_use, host).take_next(Owner(host=host))
    _write(connection, pool)
    return address


@engine.writes
def swap(
    connection: Connection, *, taken: Taken, host: str, quarantine: int
) -> str | None:
    """Set aside an address that is somebody else's, and take the next.

    Returns the new one; none where machines on the segment have answered for
    so many, lately or in all, that they get no more.

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    :raises Conflict: guests on all hosts have it as their gateway
    """
    network = requests.locked_network(connection, taken.network_uuid)
    reason = taken.reason
    if not network.multi_host and has_guests(connection, network):
        raise _known_to_guests(network, reason)
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
    address = held_or_next(connection, network, host, quarantine, ())
    if not network.multi_host:
        connection.execute(
            update(NETWORKS)
            .where(NETWORKS.c.id == network.id)
            .values(dhcp_server=address)
        )
    return address


def has_guests(connection: Connection, network: AnyRow) -> bool:
    """Whether somebody has an interface in a network."""
    found = select(VIFS.c.id).where(VIFS.c.network_id == network.id)
    return connection.scalar(found.limit(1)) is not None


def _known_to_guests(network: AnyRow, reason: str) -> Conflict:
    return Conflict(
        f"it is the gateway of all guests of network {network.label} "
        f"({reason}); mend that, or let another host serve: flatnet network "
        f"set {network.label} --host HOST"
    )


def _pool(
    connection: Connection,
    network: AnyRow,
    host: str,
    quarantine: int,
    named: frozenset[str] = frozenset(),
) -> Pool:
    """Return what a bridge needs of a locked network's pool."""
    asked = Asked(network, named, number=1)
    return fixed_ips.pools(
        connection, [asked], host=host, quarantine=quarantine
    )[network.id]


def _write(connection: Connection, pool: Pool) -> None:
    present = connection.scalars(select(Now())).one()
    fixed_ips.write(connection, [pool], interface_ids={}, present=present)
