"""Interfaces and addresses of instances and hosts: given and taken back.

Every function is one transaction that holds the rows of the networks it is
about, so allocations in one network queue up and addresses ascend; asked
twice, each answers the same.  An error changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, union
from sqlalchemy import delete as delete_from

from flatnet.db import (
    bindings,
    engine,
    host_addresses,
    instances,
    models,
    networks,
    pool,
    requests,
    reservations,
    vifs,
)
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    FixedIpNotFoundForSpecificInstance,
    NoMoreFixedIps,
)
from flatnet.taken import InUse

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
VIFS = models.virtual_interfaces


@dataclass(frozen=True)
class Placement:
    """Where an instance is to run, and how its host gives things out.

    `takes_address` says that the host's bridge takes an address first,
    `quarantine` are the seconds before a released address is given out,
    `mac_attempts` how many random MACs are tried per interface, `plug` is the
    kind of port that a new interface gets, `in_use` what the host itself
    depends on, which nobody is given.
    """

    host: str
    takes_address: bool = True
    quarantine: int = 600
    mac_attempts: int = 5
    plug: str = "tap"
    in_use: tuple[InUse, ...] = ()


@engine.writes
def allocate(
    connection: Connection,
    *,
    instance_uuid: str,
    placement: Placement,
    requested: requests.Requested | None = None,
    macs: Iterable[str] = (),
) -> None:
    """Give an instance an interface with an address in each network.

    Asked again for no networks by name, it keeps those that it has.

    :param requested: (network uuid, address or none); none: all networks
    :param macs: MACs for new interfaces, in this order; then random ones
    :raises InstanceNotFound: no living instance has that uuid
    :raises Conflict: its row names another host
    :raises InvalidInput: a network is requested twice
    :raises NetworkNotFound: a requested network does not exist
    :raises NoMoreFixedIps: a pool is exhausted
    :raises FixedIpInvalid, FixedIpNotFoundForNetwork, FixedIpAlreadyInUse:
        a requested address cannot be had
    :raises InvalidMacAddress, MacAddressInUse: nor a requested MAC
    """
    wanted = requests.wanted_networks(connection, requested, instance_uuid)
    # Now that nobody else can get at the networks: a call that waited may be
    # late, and its instance gone.
    instances.check_living(connection, instance_uuid, placement.host)
    choice = vifs.MacChoice.of(
        connection, instance_uuid, macs, attempts=placement.mac_attempts
    )
    for network, address in wanted:
        owner = _owner(connection, network, instance_uuid, placement, choice)
        _ensure_address(
            connection, network, address, placement.quarantine, owner
        )
    _bind(connection, instance_uuid, placement)


@engine.writes
def deallocate(
    connection: Connection, *, instance_uuid: str, hint: str | None = None
) -> tuple[str, ...]:
    """Take back all interfaces and addresses of an instance.

    It needs no row in `instances`, and no interface either.  Returns the
    hosts that are to follow.

    :param hint: the host that it ran on, where no row says it
    """
    return _deallocate(connection, instance_uuid, hint)


@engine.writes
def deallocate_departed(connection: Connection, *, host: str) -> None:
    """Take back what deleted instances have that were bound to a host."""
    for instance_uuid in bindings.departed(connection, host):
        _deallocate(connection, instance_uuid, host)


def _deallocate(
    connection: Connection, instance_uuid: str, hint: str | None
) -> tuple[str, ...]:
    used = union(
        select(VIFS.c.network_id).where(VIFS.c.instance_uuid == instance_uuid),
        select(FIXED_IPS.c.network_id).where(
            FIXED_IPS.c.instance_uuid == instance_uuid
        ),
    )
    network_ids = connection.scalars(used).all()
    if network_ids:
        networks.locked(connection, NETWORKS.c.id.in_(network_ids))
        pool.release(connection, FIXED_IPS.c.instance_uuid == instance_uuid)
    hosts = bindings.release(
        connection, instance_uuid=instance_uuid, hint=hint
    )
    connection.execute(
        delete_from(VIFS).where(VIFS.c.instance_uuid == instance_uuid)
    )
    return hosts


@engine.writes
def add_address(
    connection: Connection,
    *,
    instance_uuid: str,
    network_uuid: str,
    placement: Placement,
) -> None:
    """Give an instance one more address, with an interface if need be.

    As in nova each call adds one: it is the only one here that does not
    answer the same when it is asked twice.

    :raises InstanceNotFound: no living instance has that uuid
    :raises Conflict: its row names another host
    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = requests.locked_network(connection, network_uuid)
    instances.check_living(connection, instance_uuid, placement.host)
    choice = vifs.MacChoice.of(
        connection, instance_uuid, (), attempts=placement.mac_attempts
    )
    owner = _owner(connection, network, instance_uuid, placement, choice)
    _take_next(connection, network, placement.quarantine, owner)
    _bind(connection, instance_uuid, placement)


@engine.writes
def remove_address(
    connection: Connection, *, instance_uuid: str, address: str
) -> None:
    """Take one address back from an instance; its interface stays.

    :raises FixedIpNotFoundForSpecificInstance: it does not hold it
    """
    held = (
        FIXED_IPS.c.instance_uuid == instance_uuid,
        FIXED_IPS.c.address == address,
    )
    network_ids = connection.scalars(
        select(FIXED_IPS.c.network_id).where(*held)
    ).all()
    if not network_ids:
        raise FixedIpNotFoundForSpecificInstance(
            f"instance {instance_uuid} does not hold {address}"
        )
    networks.locked(connection, NETWORKS.c.id.in_(network_ids))
    pool.release(connection, *held)


def _owner(
    connection: Connection,
    network: AnyRow,
    instance_uuid: str,
    placement: Placement,
    choice: vifs.MacChoice,
) -> dict[str, Any]:
    """Who is to have an address: the instance's interface in the network."""
    reservations.ensure_locked(
        connection, network, placement.host, placement.in_use
    )
    if placement.takes_address:
        host_addresses.ensure_locked(
            connection, network, placement.host, placement.quarantine
        )
    return {
        "instance_uuid": instance_uuid,
        "virtual_interface_id": vifs.ensure(
            connection, network, instance_uuid, choice
        ),
        "allocated": True,
    }


def _bind(
    connection: Connection, instance_uuid: str, placement: Placement
) -> None:
    bindings.bind(
        connection,
        instance_uuid=instance_uuid,
        host=placement.host,
        plug=placement.plug,
    )


def _ensure_address(
    connection: Connection,
    network: AnyRow,
    address: str | None,
    quarantine: int,
    owner: dict[str, Any],
) -> None:
    """Give an interface this address, or the next, unless it has one."""
    held = _held(connection, owner["virtual_interface_id"])
    if address is not None and held and address not in held:
        raise FixedIpAlreadyInUse(
            f"instance {owner['instance_uuid']} already holds {held[0]} in "
            f"network {network.label}, not {address}: deallocate it first"
        )
    if held:
        return
    if address is None:
        _take_next(connection, network, quarantine, owner)
    else:
        pool.take(connection, network, address, owner=owner)


def _held(connection: Connection, vif_id: int) -> list[str]:
    return list(
        connection.scalars(
            select(FIXED_IPS.c.address)
            .where(FIXED_IPS.c.virtual_interface_id == vif_id)
            .order_by(FIXED_IPS.c.position)
        )
    )


def _take_next(
    connection: Connection,
    network: AnyRow,
    quarantine: int,
    owner: dict[str, Any],
) -> None:
    address = pool.take_next(
        connection, network, quarantine=quarantine, owner=owner
    )
    if address is None:
        raise NoMoreFixedIps(
            f"network {network.label} ({network.cidr}) has no address left; "
            f"released ones are given out again after {quarantine} s"
        )
