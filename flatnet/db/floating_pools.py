"""Pools of floating addresses: ranges, one row for each address."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from sqlalchemy import Connection, func, insert, select
from sqlalchemy import delete as delete_from

from flatnet.db import checks, engine, models
from flatnet.db.columns import overlap
from flatnet.db.turns import wait_for_turn
from flatnet.exceptions import (
    CidrConflict,
    FloatingIpAssociated,
    FloatingIpExists,
    FloatingIpPoolNotFound,
    InvalidCidr,
)

FLOATING_IPS = models.floating_ips
NETWORKS = models.networks
# Of one call: each is a row.
_MOST = 1 << 14


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool; `interface` is the device of its addresses, or none.

    None is for `public_interface`.  `used` are those that a project has.
    """

    name: str
    interface: str | None
    addresses: int
    used: int


@engine.writes
def create(
    connection: Connection,
    *,
    name: str,
    cidr: str,
    interface: str | None = None,
) -> int:
    """Put the addresses of a range into a pool; return how many these are.

    Those of the range that are no host's, its first and last, are left out,
    but of a range of one or two.

    :raises InvalidCidr: malformed, or too large
    :raises InvalidBridgeName: Linux would refuse the interface
    :raises CidrConflict: it overlaps a network
    :raises FloatingIpExists: one is in a pool already
    """
    network = _range(cidr)
    values = {
        "pool": checks.name(name, "pool"),
        "interface": checks.device_name(interface) if interface else None,
    }
    # No constraint can judge an overlap with networks.
    wait_for_turn(connection)
    _check_others(connection, network)
    rows = [
        {"address": str(each), "position": int(each), **values}
        for each in network.hosts()
    ]
    connection.execute(insert(FLOATING_IPS), rows)
    return len(rows)


def _check_others(connection: Connection, network: IPv4Network) -> None:
    for row in connection.execute(select(NETWORKS)):
        if overlap(str(network), row.cidr):
            raise CidrConflict(
                f"{network} overlaps {row.cidr} of network {row.label} "
                f"({row.uuid})"
            )
    taken = _first_in(connection, network)
    if taken is not None:
        raise FloatingIpExists(
            f"{taken.address} is in pool {taken.pool} already"
        )


@engine.reads
def list_all(connection: Connection) -> tuple[Pool, ...]:
    """Return the pools by name, and by the device of their addresses."""
    columns = FLOATING_IPS.c.pool, FLOATING_IPS.c.interface
    rows = connection.execute(
        select(
            *columns,
            func.count().label("addresses"),
            func.count(FLOATING_IPS.c.project_id).label("used"),
        )
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        Pool(row.pool, row.interface, row.addresses, row.used) for row in rows
    )


@engine.writes
def delete(connection: Connection, name: str) -> None:
    """Delete a pool of which nobody has an address.

    :raises FloatingIpPoolNotFound: there is none of that name
    :raises FloatingIpAssociated: a project has one of its addresses
    """
    rows = connection.execute(
        select(FLOATING_IPS)
        .where(FLOATING_IPS.c.pool == name)
        .order_by(FLOATING_IPS.c.position)
        .with_for_update()
    ).all()
    if not rows:
        raise no_pool(name)
    used = [row for row in rows if row.project_id or row.fixed_ip_id]
    if used:
        raise FloatingIpAssociated(
            f"pool {name} has {len(used)} addresses in use, "
            f"{used[0].address} of project {used[0].project_id} among them: "
            "release them first"
        )
    connection.execute(
        delete_from(FLOATING_IPS).where(FLOATING_IPS.c.pool == name)
    )


def check_free(connection: Connection, cidr: str) -> None:
    """Check that a range that is to be a network's has no floating address.

    The caller has its turn (`wait_for_turn`).

    :raises CidrConflict: it has one
    """
    found = _first_in(connection, IPv4Network(cidr))
    if found is not None:
        raise CidrConflict(
            f"{cidr} holds {found.address}, a floating address of pool "
            f"{found.pool}"
        )


def no_pool(name: str) -> FloatingIpPoolNotFound:
    """Return the error that there is no such pool."""
    return FloatingIpPoolNotFound(
        f"no pool of floating addresses is named {name!r}"
    )


def _range(cidr: str) -> IPv4Network:
    network = checks.cidr(cidr)
    if network.num_addresses > _MOST:
        raise InvalidCidr(
            f"{network} has {network.num_addresses} addresses, more than "
            f"{_MOST}: give the parts that are to be used"
        )
    return network


def _first_in(
    connection: Connection, network: IPv4Network
) -> models.AnyRow | None:
    return connection.execute(
        select(FLOATING_IPS.c.address, FLOATING_IPS.c.pool)
        .where(
            FLOATING_IPS.c.position.between(
                int(network.network_address), int(network.broadcast_address)
            )
        )
        .order_by(FLOATING_IPS.c.position)
        .limit(1)
    ).first()
