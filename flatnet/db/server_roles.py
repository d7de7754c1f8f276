"""Who is the one server of a network, of those that have one for all hosts.

The rows say it: `networks.host`, which an operator may write too, and the
address `networks.dhcp_server`, whose row in `fixed_ips` has the host that has
taken the role.  That address is the network's own and stays, whoever serves.
"""

from collections.abc import Collection
from ipaddress import AddressValueError

from sqlalchemy import Connection, insert, or_, select, update

from flatnet.db import (
    engine,
    host_addresses,
    models,
    networks,
    ranges,
    requests,
)
from flatnet.db.models import AnyRow
from flatnet.exceptions import Conflict, NetworkInUse
from flatnet.state.rows import Network
from flatnet.state.shared_networks import has_one_server
from flatnet.state.taken_addresses import InUse

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks


@engine.writes
def claim(
    connection: Connection,
    *,
    network_uuid: str,
    host: str,
    quarantine: int,
    in_use: Collection[InUse] = (),
) -> bool:
    """Let a host be the server of a network, if nobody else is.

    Return whether it is; of several that ask at once one is.

    :param in_use: what the host itself depends on, which it does not take
    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, network_uuid)
    if not has_one_server(networks.from_row(network)):
        return False
    won = connection.execute(
        update(NETWORKS)
        .where(
            NETWORKS.c.id == network.id,
            or_(NETWORKS.c.host.is_(None), NETWORKS.c.host.in_(("", host))),
        )
        .values(host=host, server_mac=None)
    )
    if won.rowcount != 1:
        return False
    address = _free(connection, network) or host_addresses.held_or_next(
        connection, network, host, quarantine, in_use
    )
    _hold(connection, network, host, address)
    return True


@engine.writes
def tell_mac(
    connection: Connection, *, network_id: int, host: str, mac: str
) -> None:
    """Write the MAC of the bridge that serves, if it is that host's."""
    connection.execute(
        update(NETWORKS)
        .where(NETWORKS.c.id == network_id, NETWORKS.c.host == host)
        .values(server_mac=mac)
    )


@engine.writes
def move(
    connection: Connection, network_uuid: str, host: str
) -> tuple[Network, str | None]:
    """Let another host be the server; return the network, and who it was.

    Its address stays, and the host takes it over by its next pass.

    :raises NetworkNotFound: the network does not exist
    :raises Conflict: each host serves its own guests there
    """
    network = requests.locked_network(connection, network_uuid)
    if network.multi_host:
        raise Conflict(
            f"network {network.label} is served by each host for its own "
            "guests, so no host has that role: set --single-host first"
        )
    connection.execute(
        update(NETWORKS).where(NETWORKS.c.id == network.id).values(host=host)
    )
    return _read(connection, network.id), network.host


@engine.writes
def set_mode(
    connection: Connection, network_uuid: str, *, multi_host: bool
) -> Network:
    """Have a network served by each host, or by one.

    :raises NetworkNotFound: the network does not exist
    :raises NetworkInUse: guests have a gateway there, which would be another
    """
    network = requests.locked_network(connection, network_uuid)
    if bool(network.multi_host) == multi_host:
        return networks.from_row(network)
    if host_addresses.has_guests(connection, network):
        raise NetworkInUse(
            f"network {network.label} has guests, whose gateway would be "
            "another: deallocate them first"
        )
    mine = FIXED_IPS.c.network_id == network.id
    connection.execute(
        update(FIXED_IPS)
        .where(mine, FIXED_IPS.c.host.is_not(None))
        .values(host=None)
    )
    if network.dhcp_server:
        # Set aside when the network was made, and nobody has claimed it.
        connection.execute(
            update(FIXED_IPS)
            .where(mine, FIXED_IPS.c.address == network.dhcp_server)
            .values(reserved=False, reason=None)
        )
    connection.execute(
        update(NETWORKS)
        .where(NETWORKS.c.id == network.id)
        .values(
            multi_host=multi_host, host=None, dhcp_server=None, server_mac=None
        )
    )
    return _read(connection, network.id)


def _read(connection: Connection, network_id: int) -> Network:
    return networks.from_row(
        connection.execute(
            select(NETWORKS).where(NETWORKS.c.id == network_id)
        ).one()
    )


def _free(connection: Connection, network: AnyRow) -> str | None:
    """The address that the network has for its server, if it can be had."""
    try:
        position = ranges.position(network.cidr, network.dhcp_server or "")
    except AddressValueError:
        return None
    if not 0 < position < ranges.size(network.cidr) - 1:
        return None
    taken = select(FIXED_IPS.c.id).where(
        FIXED_IPS.c.network_id == network.id,
        FIXED_IPS.c.position == position,
        FIXED_IPS.c.instance_uuid.is_not(None),
    )
    if connection.scalar(taken) is not None:
        return None
    return ranges.address_at(network.cidr, position)


def _hold(
    connection: Connection, network: AnyRow, host: str, address: str
) -> None:
    """Let an address be that of the network's server, and no other one."""
    mine = FIXED_IPS.c.network_id == network.id
    connection.execute(
        update(FIXED_IPS)
        .where(
            mine, FIXED_IPS.c.host.is_not(None), FIXED_IPS.c.address != address
        )
        .values(host=None)
    )
    values = {"host": host, "reserved": False, "reason": None}
    found = connection.execute(
        update(FIXED_IPS)
        .where(mine, FIXED_IPS.c.address == address)
        .values(values)
    )
    if not found.rowcount:
        connection.execute(
            insert(FIXED_IPS).values(
                network_id=network.id,
                address=address,
                position=ranges.position(network.cidr, address),
                **values,
            )
        )
    connection.execute(
        update(NETWORKS)
        .where(NETWORKS.c.id == network.id)
        .values(dhcp_server=address)
    )
