"""Interfaces and addresses of instances and hosts: given and taken back.

Every function is one transaction that holds the rows of the networks it is
about, so allocations in one network queue up and addresses ascend; asked
twice, each answers the same.  An error changes nothing.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select, union
from sqlalchemy import delete as delete_from

from flatnet.db import engine, instances, models, networks, pool, vifs
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    FixedIpAlreadyInUse,
    FixedIpNotFoundForSpecificInstance,
    NetworkNotFound,
    NoMoreFixedIps,
)

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
VIFS = models.virtual_interfaces
Requested = Iterable[tuple[str, str | None]]


@engine.writes
def allocate(
    connection: Connection,
    *,
    instance_uuid: str,
    host: str,
    host_address: bool,
    quarantine: int,
    mac_attempts: int,
    requested: Requested | None = None,
    macs: Iterable[str] = (),
) -> None:
    """Give an instance an interface with an address in each network.

    :param host: the compute node that it is to run on
    :param host_address: whether the host's bridge takes an address first
    :param quarantine: seconds before a released address is given out
    :param mac_attempts: how many random MACs are tried per interface
    :param requested: (network uuid, address or none); none: all networks
    :param macs: MACs for new interfaces, in this order; then random ones
    :raises InstanceNotFound: no living instance has that uuid
    :raises NetworkNotFound: a requested network does not exist
    :raises NoMoreFixedIps: a pool is exhausted
    :raises FixedIpInvalid, FixedIpNotFoundForNetwork, FixedIpAlreadyInUse:
        a requested address cannot be had
    :raises InvalidMacAddress, MacAddressInUse: nor a requested MAC
    """
    instances.check_living(connection, instance_uuid)
    choice = vifs.MacChoice.of(
        connection, instance_uuid, macs, attempts=mac_attempts
    )
    for network, address in _wanted(connection, requested):
        if host_address:
            _host_address(connection, network, host, quarantine)
        vif_id = vifs.ensure(connection, network, instance_uuid, choice)
        owner = _instance_owner(instance_uuid, vif_id)
        _ensure_address(connection, network, address, quarantine, owner)


@engine.writes
def deallocate(connection: Connection, *, instance_uuid: str) -> None:
    """Take back all interfaces and addresses of an instance.

    It needs no row in `instances`, and no interface either.
    """
    used = union(
        select(VIFS.c.network_id).where(VIFS.c.instance_uuid == instance_uuid),
        select(FIXED_IPS.c.network_id).where(
            FIXED_IPS.c.instance_uuid == instance_uuid
        ),
    )
    network_ids = connection.scalars(used).all()
    if not network_ids:
        return
    networks.locked(connection, NETWORKS.c.id.in_(network_ids))
    pool.release(connection, FIXED_IPS.c.instance_uuid == instance_uuid)
    connection.execute(
        delete_from(VIFS).where(VIFS.c.instance_uuid == instance_uuid)
    )


@engine.writes
def ensure_host_address(
    connection: Connection, *, network_uuid: str, host: str, quarantine: int
) -> None:
    """Give a host's bridge its address, unless it has one.

    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    network = _locked_network(connection, network_uuid)
    _host_address(connection, network, host, quarantine)


@engine.writes
def add_address(
    connection: Connection,
    *,
    instance_uuid: str,
    network_uuid: str,
    host: str,
    host_address: bool,
    quarantine: int,
    mac_attempts: int,
) -> None:
    """Give an instance one more address, with an interface if need be.

    As in nova each call adds one: it is the only one here that does not
    answer the same when it is asked twice.

    :raises InstanceNotFound: no living instance has that uuid
    :raises NetworkNotFound: the network does not exist
    :raises NoMoreFixedIps: its pool is exhausted
    """
    instances.check_living(connection, instance_uuid)
    network = _locked_network(connection, network_uuid)
    if host_address:
        _host_address(connection, network, host, quarantine)
    choice = vifs.MacChoice.of(
        connection, instance_uuid, (), attempts=mac_attempts
    )
    vif_id = vifs.ensure(connection, network, instance_uuid, choice)
    owner = _instance_owner(instance_uuid, vif_id)
    _take_next(connection, network, quarantine, owner)


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


@engine.reads
def check_requested(connection: Connection, requested: Requested) -> None:
    """Raise what `allocate` would raise about these, and write nothing."""
    wanted = [(uuid, address) for uuid, address in requested]
    found = connection.execute(
        select(NETWORKS).where(NETWORKS.c.uuid.in_(_uuids(wanted)))
    ).all()
    for network, address in _matched(found, wanted):
        if address is not None:
            pool.check_free(connection, network, address)


def _wanted(
    connection: Connection, requested: Requested | None
) -> list[tuple[AnyRow, str | None]]:
    """Return the networks' locked rows with the addresses asked for."""
    if requested is None:
        return [(row, None) for row in networks.locked(connection)]
    wanted = [(uuid, address) for uuid, address in requested]
    found = networks.locked(connection, NETWORKS.c.uuid.in_(_uuids(wanted)))
    return _matched(found, wanted)


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


def _locked_network(connection: Connection, network_uuid: str) -> AnyRow:
    ((network, _),) = _wanted(connection, [(network_uuid, None)])
    return network


def _instance_owner(instance_uuid: str, vif_id: int) -> dict[str, Any]:
    return {
        "instance_uuid": instance_uuid,
        "virtual_interface_id": vif_id,
        "allocated": True,
    }


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


def _host_address(
    connection: Connection, network: AnyRow, host: str, quarantine: int
) -> None:
    """Ensure the address of a host's bridge, where bridges have one."""
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
