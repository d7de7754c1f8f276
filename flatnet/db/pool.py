"""One address of a network's pool: which one, and whose it becomes.

All functions need the network's row locked (`networks.locked`).  Addresses
that were never used come first, ascending; then those that were released,
the longest ago first, and none before its quarantine is over: caches and
leases of the former owner may still be about.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from flatnet.db import checks, models, ranges
from flatnet.db.clock import Now
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    FixedIpNotFoundForNetwork,
)

FIXED_IPS = models.fixed_ips
RELEASED = (
    FIXED_IPS.c.instance_uuid.is_(None)
    & FIXED_IPS.c.host.is_(None)
    & FIXED_IPS.c.reserved.is_(False)
)
_CHUNK = 256


def take_next(
    connection: Connection,
    network: AnyRow,
    *,
    quarantine: int,
    owner: dict[str, Any],
) -> str | None:
    """Give the owner an address; none if there is none to be given.

    :param quarantine: seconds since an address was released
    :param owner: the columns that say whose it is
    """
    position = _never_used(connection, network)
    if position is not None:
        address = ranges.address_at(network.cidr, position)
        _insert(connection, network, address, owner)
        connection.execute(
            update(models.networks)
            .where(models.networks.c.id == network.id)
            .values(next_position=position + 1)
        )
        return address
    row = _released(connection, network, quarantine)
    if row is None:
        return None
    _update(connection, network, row, owner)
    return str(row.address)


def take(
    connection: Connection,
    network: AnyRow,
    address: str,
    *,
    owner: dict[str, Any],
) -> None:
    """Give the owner the address that was asked for by name.

    Quarantine does not apply: who names an address wants this one.

    :raises FixedIpInvalid: it is no address
    :raises FixedIpNotFoundForNetwork: it is outside the network
    :raises FixedIpAlreadyInUse: it is not to be given out, or taken
    """
    row = check_free(connection, network, address)
    if row is None:
        _insert(connection, network, address, owner)
    else:
        _update(connection, network, row, owner)


def check_free(
    connection: Connection, network: AnyRow, address: str
) -> AnyRow | None:
    """Return the row that an address left when it was released, or none.

    :raises FixedIpInvalid: and the others, as `take`
    """
    position = ranges.position(network.cidr, str(checks.address(address)))
    if not 0 <= position < ranges.size(network.cidr):
        raise FixedIpNotFoundForNetwork(
            f"{address} is outside {network.cidr} of network {network.label}"
        )
    if not network.pool_first <= position <= network.pool_last:
        raise _in_use(network, address, "is not among those given out")
    row = connection.execute(
        select(FIXED_IPS).where(
            FIXED_IPS.c.network_id == network.id,
            FIXED_IPS.c.position == position,
        )
    ).first()
    if row is None:
        return None
    if row.reserved:
        why = f": {row.reason}" if row.reason else ""
        raise _in_use(network, address, f"is reserved{why}")
    if row.host is not None:
        raise _in_use(network, address, f"is the bridge's on {row.host}")
    if row.instance_uuid is not None:
        raise _in_use(network, address, f"is {row.instance_uuid}'s")
    return row


def release(connection: Connection, *conditions: Any) -> None:
    """Take addresses back from instances; their quarantine begins."""
    connection.execute(
        update(FIXED_IPS)
        .where(FIXED_IPS.c.instance_uuid.is_not(None), *conditions)
        .values(
            instance_uuid=None,
            virtual_interface_id=None,
            allocated=False,
            leased=False,
        )
    )


def _never_used(connection: Connection, network: AnyRow) -> int | None:
    """Return the lowest offset without a row, from `next_position` on."""
    position = int(network.next_position)
    while position <= network.pool_last:
        taken = set(
            connection.scalars(
                select(FIXED_IPS.c.position).where(
                    FIXED_IPS.c.network_id == network.id,
                    FIXED_IPS.c.position.between(
                        position, position + _CHUNK - 1
                    ),
                )
            )
        )
        end = min(position + _CHUNK, int(network.pool_last) + 1)
        for candidate in range(position, end):
            if candidate not in taken:
                return candidate
        position = end
    return None


def _released(
    connection: Connection, network: AnyRow, quarantine: int
) -> AnyRow | None:
    present = connection.execute(select(Now())).scalar_one()
    return connection.execute(
        select(FIXED_IPS)
        .where(
            FIXED_IPS.c.network_id == network.id,
            FIXED_IPS.c.position.between(
                network.pool_first, network.pool_last
            ),
            RELEASED,
            FIXED_IPS.c.updated_at <= present - timedelta(seconds=quarantine),
        )
        .order_by(FIXED_IPS.c.updated_at, FIXED_IPS.c.position)
        .limit(1)
    ).first()


def _insert(
    connection: Connection,
    network: AnyRow,
    address: str,
    owner: dict[str, Any],
) -> None:
    connection.execute(
        insert(FIXED_IPS).values(
            network_id=network.id,
            address=address,
            position=ranges.position(network.cidr, address),
            **owner,
        )
    )


def _update(
    connection: Connection,
    network: AnyRow,
    row: AnyRow,
    owner: dict[str, Any],
) -> None:
    """Compare and set: a row that is no longer free is not overwritten."""
    updated = connection.execute(
        update(FIXED_IPS)
        .where(FIXED_IPS.c.id == row.id, RELEASED)
        .values(**owner)
    )
    if updated.rowcount != 1:
        raise _in_use(network, row.address, "was taken just now")


def _in_use(network: AnyRow, address: str, reason: str) -> FixedIpAlreadyInUse:
    return FixedIpAlreadyInUse(
        f"address {address} of network {network.label} {reason}"
    )
