"""The networks of a host, as rows of `selects` say them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from flatnet.db import networks, selects
from flatnet.db.models import AnyRow
from flatnet.state.rows import Network
from flatnet.state.shared_networks import has_one_server


@dataclass(frozen=True)
class NetworksHere:
    """What `Snapshot` has of networks, by the same names."""

    networks: tuple[Network, ...]
    host_addresses: tuple[tuple[int, str], ...]
    unclaimed: tuple[str, ...]


def read(
    connection: Connection, host: str, used: Sequence[int]
) -> NetworksHere:
    """Return all that a host has to do with; `used` as in `from_rows`."""
    rows = connection.execute(
        selects.NETWORKS_HERE, {"host": host, "ids": used}
    )
    return from_rows(rows, host, used)


def from_rows(
    rows: Iterable[AnyRow], host: str, used: Collection[int]
) -> NetworksHere:
    """Return what rows say of networks.

    :param used: the ids of those in which the host has interfaces, or serves
        some; others that it has nothing to do with are left out
    """
    found, addresses, unclaimed = [], [], []
    for row in rows:
        network = _network(row)
        address = row.held
        if has_one_server(network):
            is_mine = network.host == host
            is_claimed = row.holder == host
            address = network.dhcp_server if is_mine and is_claimed else None
            if (is_mine and not is_claimed) or not network.host:
                unclaimed.append(network.uuid)
        if address:
            addresses.append((network.id, address))
        if address or network.id in used:
            found.append(network)
    return NetworksHere(tuple(found), tuple(addresses), tuple(unclaimed))


def _network(row: AnyRow) -> Network:
    """A network, with the MAC of its server as far as that is known.

    By the row it is that of the host which said so last.
    """
    network = networks.from_row(row)
    if network.server_mac is None or row.holder == row.host:
        return network
    return replace(network, server_mac=None)
