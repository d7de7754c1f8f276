"""Networks: one flat pool each, that all hosts and tenants share."""

import uuid as uuids
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, or_, select
from sqlalchemy import delete as delete_from

from flatnet.db import (
    checks,
    columns,
    engine,
    floating_pools,
    models,
    network_conflicts,
    ranges,
    releases,
)
from flatnet.db.models import AnyRow
from flatnet.db.turns import wait_for_turn
from flatnet.exceptions import (
    Conflict,
    NetworkInUse,
    NetworkNotFound,
)
from flatnet.state.rows import Network

NETWORKS = models.networks
_FIELDS = tuple(Network.__dataclass_fields__)
COLUMNS = tuple(NETWORKS.c[field] for field in _FIELDS)
_POOL = (NETWORKS.c.pool_first, NETWORKS.c.pool_last, NETWORKS.c.next_position)
_LOCKED = select(*COLUMNS, *_POOL).order_by(NETWORKS.c.id).with_for_update()
_LOCKED_NAMED = _LOCKED.where(
    NETWORKS.c.uuid.in_(bindparam("uuids", expanding=True))
)
_LOCK = (
    select(
        NETWORKS.c.id,
        NETWORKS.c.cidr_v6,
        NETWORKS.c.multi_host,
        NETWORKS.c.enable_dhcp,
        NETWORKS.c.host,
    )
    .where(NETWORKS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(NETWORKS.c.id)
    .with_for_update()
)


def from_row(row: AnyRow) -> Network:
    """Return a row of `networks` as the value that leaves this package."""
    return Network(**{field: getattr(row, field) for field in _FIELDS})


class LockedNetworks(NamedTuple):
    """Of networks that are locked: whether one has an IPv6 range.

    `servers` are the hosts that serve all guests of one, by its id.
    """

    have_ipv6: bool = False
    servers: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class NewNetwork:
    """The arguments of `create`, as a caller has them.

    :param cidr: the range, with its network address (`10.0.0.0/24`)
    :param gateway: an address that is set aside, for a router of its own
    :param gateway_v6: the same of `cidr_v6`, or a link-local one
    :param fixed_cidr: the part of `cidr` that addresses are taken from
    :param allowed_start: the first address to be given out; `allowed_end`
        the last
    :param mtu: bytes, or none to follow the uplink
    :param host: who serves all guests, where that is one host
    :param dhcp_server: his address, or none for the first of the pool
    """

    label: str
    cidr: str
    bridge: str
    uuid: str | None = None
    cidr_v6: str | None = None
    gateway_v6: str | None = None
    bridge_interface: str | None = None
    gateway: str | None = None
    dns1: str | None = None
    dns2: str | None = None
    fixed_cidr: str | None = None
    allowed_start: str | None = None
    allowed_end: str | None = None
    multi_host: bool = True
    enable_dhcp: bool = True
    mtu: int | None = None
    injected: bool = False
    project_id: str | None = None
    host: str | None = None
    dhcp_server: str | None = None


@engine.writes
def create(connection: Connection, /, **wanted: Any) -> Network:
    """Create a network of NewNetwork's fields; no row is made per address.

    :raises InvalidCidr: malformed, or no room for a host and an instance
    :raises InvalidBridgeName: Linux would refuse the bridge or the uplink
    :raises FixedIpInvalid: another address is malformed or outside `cidr`
    :raises CidrConflict: it overlaps a network, or holds a floating address
    :raises Conflict: the label, the bridge, the uplink or the uuid is
        another network's
    """
    values = _values(NewNetwork(**wanted))
    # No constraint can judge an overlap.
    wait_for_turn(connection)
    network_conflicts.check_free(connection, values)
    floating_pools.check_free(connection, values["cidr"])
    return _insert(connection, values)


@engine.reads
def list_all(connection: Connection) -> tuple[Network, ...]:
    """Return all networks in the order of their making."""
    rows = connection.execute(select(NETWORKS).order_by(NETWORKS.c.id))
    return tuple(from_row(row) for row in rows)


@engine.reads
def get(connection: Connection, name_or_uuid: str) -> Network:
    """Return one network.

    :raises NetworkNotFound: no network has that uuid or label
    :raises Conflict: several have that label
    """
    return from_row(_find(connection, name_or_uuid))


@engine.reads
def meant(connection: Connection, reference: str) -> str:
    """Return the uuid of a network by its uuid, or its integer id as text.

    :raises NetworkNotFound: there is none
    """
    number = checks.row_id(reference)
    wanted = NETWORKS.c.uuid == reference.lower()
    if number is not None:
        wanted = NETWORKS.c.id == number
    found: str | None = connection.scalar(
        select(NETWORKS.c.uuid).where(wanted)
    )
    if found is None:
        raise NetworkNotFound(f"no network has the uuid or id {reference}")
    return found


@engine.writes
def delete(connection: Connection, name_or_uuid: str) -> None:
    """Delete a network with the addresses of its hosts' bridges.

    :raises NetworkNotFound: no network has that uuid or label
    :raises NetworkInUse: an instance has an interface or address in it
    """
    found = _find(connection, name_or_uuid)
    lock(connection, [found.id])
    ips, vifs = models.fixed_ips, models.virtual_interfaces
    users = connection.scalars(
        select(vifs.c.instance_uuid)
        .where(vifs.c.network_id == found.id)
        .union(
            select(ips.c.instance_uuid).where(
                ips.c.network_id == found.id, ips.c.instance_uuid.is_not(None)
            )
        )
    ).all()
    if users:
        raise NetworkInUse(
            f"network {found.label} ({found.uuid}) is in use by "
            f"{len(users)} instances, {min(users)} among them: deallocate "
            "them first"
        )
    releases.unlink(connection, found.id)
    connection.execute(delete_from(ips).where(ips.c.network_id == found.id))
    connection.execute(delete_from(NETWORKS).where(NETWORKS.c.id == found.id))


def lock(connection: Connection, ids: Iterable[int]) -> LockedNetworks:
    """Lock networks' rows as `locked` does."""
    rows = connection.execute(_LOCK, {"ids": sorted(ids)}).all()
    return LockedNetworks(
        have_ipv6=any(row.cidr_v6 for row in rows),
        servers={
            row.id: row.host
            for row in rows
            if row.host and row.enable_dhcp and not row.multi_host
        },
    )


def locked(connection: Connection) -> list[AnyRow]:
    """Return the rows of all networks, locked until the transaction ends.

    Whoever gives out or takes back an address of a network holds this lock
    first, so that nobody chooses from a state that is about to change.
    Rows are locked by ascending id: two transactions never wait for each
    other.
    """
    return list(connection.execute(_LOCKED))


def locked_named(connection: Connection, uuids: Iterable[str]) -> list[AnyRow]:
    """Return those of networks by their uuids, locked as by `locked`."""
    return list(connection.execute(_LOCKED_NAMED, {"uuids": sorted(uuids)}))


def _find(connection: Connection, name_or_uuid: str) -> AnyRow:
    rows = connection.execute(
        select(NETWORKS)
        .where(
            or_(
                NETWORKS.c.uuid == name_or_uuid.lower(),
                NETWORKS.c.label == name_or_uuid,
            )
        )
        .order_by(NETWORKS.c.id)
    ).all()
    for row in rows:
        if row.uuid == name_or_uuid.lower():
            return row
    if not rows:
        raise NetworkNotFound(
            f"no network has the name or uuid {name_or_uuid!r}"
        )
    if len(rows) > 1:
        raise Conflict(
            f"{len(rows)} networks are named {name_or_uuid!r}, use a uuid: "
            f"{', '.join(row.uuid for row in rows)}"
        )
    return rows[0]


def _values(new: NewNetwork) -> dict[str, Any]:
    """Return the columns of a network's row, all of them checked."""
    addresses = columns.addresses(new.cidr, gateway=new.gateway)
    pool = columns.pool(
        new.cidr,
        fixed_cidr=new.fixed_cidr,
        allowed_start=new.allowed_start,
        allowed_end=new.allowed_end,
        gateway=new.gateway,
        hosts_take_one=new.enable_dhcp,
    )
    return {
        "uuid": checks.uuid(new.uuid) if new.uuid else str(uuids.uuid4()),
        "label": checks.name(new.label, "label"),
        "multi_host": new.multi_host,
        "enable_dhcp": new.enable_dhcp,
        "injected": new.injected,
        "project_id": checks.optional_name(new.project_id, "project"),
        **columns.devices(new.bridge, new.bridge_interface, new.mtu),
        **addresses,
        **columns.addresses_v6(new.cidr_v6, gateway=new.gateway_v6),
        "dns1": checks.name_server(new.dns1),
        "dns2": checks.name_server(new.dns2),
        **columns.server(
            new.cidr,
            multi_host=new.multi_host or not new.enable_dhcp,
            host=new.host,
            dhcp_server=new.dhcp_server,
            first=pool["dhcp_start"],
        ),
        **pool,
    }


def _insert(connection: Connection, values: dict[str, Any]) -> Network:
    connection.execute(insert(NETWORKS).values(values))
    row = connection.execute(
        select(NETWORKS).where(NETWORKS.c.uuid == values["uuid"])
    ).one()
    for address in dict.fromkeys((row.gateway, row.dhcp_server)):
        if address:
            connection.execute(
                insert(models.fixed_ips).values(
                    network_id=row.id,
                    address=address,
                    position=ranges.position(row.cidr, address),
                    reserved=True,
                    reason=columns.reason(address, row.dhcp_server),
                )
            )
    return from_row(row)
