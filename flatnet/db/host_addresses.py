"""The address that a host's bridge takes from each pool it serves."""

from sqlalchemy import Connection, select

from flatnet.db import engine, models, pool, requests
from flatnet.db.models import AnyRow
from flatnet.exceptions import NoMoreFixedIps

FIXED_IPS = models.fixed_ips


@engine.writes
def ensure(
    connection: Connection, *, network_uuid: str, host: str, quarantine: int
) -> None:
    """Give a host's bridge its address, unless it has one.

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, network_uuid)
    ensure_locked(connection, network, host, quarantine)


def ensure_locked(
    connection: Connection, network: AnyRow, host: str, quarantine: int
) -> None:
    """Do the same in a locked network, where bridges have an address."""
    if not (network.multi_host and network.enable_dhcp):
        return
    present = connection.execute(
        select(FIXED_IPS.c.id).where(
            FIXED_IPS.c.network_id == network.id, FIXED_IPS.c.host == host
        )
    ).first()
    if present:
        return
    address = pool.take_next(
        connection, network, quarantine=quarantine, owner={"host": host}
    )
    if address is None:
        raise NoMoreFixedIps(
            f"network {network.label} ({network.cidr}) has no address left "
            f"for the bridge of host {host}"
        )
