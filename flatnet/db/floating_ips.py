"""Floating addresses: allocated to projects, led to fixed ones of instances.

Every function is one transaction.  Who leads one to a fixed address holds the
row of its network, as who takes that address back does: so nobody's leads to
an address that is another's by now.  Of addresses two never wait for each
other, for each transaction takes them one by one, ascending.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from flatnet.db import (
    checks,
    engine,
    floating_pools,
    floating_targets,
    models,
    networks,
)
from flatnet.db.models import AnyRow
from flatnet.exceptions import (
    CannotDisassociateAutoAssignedFloatingIP,
    FixedIpNotFoundForAddress,
    FloatingIpAssociated,
    FloatingIpAssociateFailed,
    FloatingIpNotAssociated,
    FloatingIpNotFoundForAddress,
    Forbidden,
    NoMoreFloatingIps,
)
from flatnet.state.requester import Requester

FLOATING_IPS = models.floating_ips
FIXED_IPS = models.fixed_ips
INSTANCES = models.instances
NETWORKS = models.networks
# nova's name of the pool that is meant where none is named.
DEFAULT_POOL = "nova"
# Of a pool so many are tried at once, while others take them.
_CANDIDATES = 64
_FREE = FLOATING_IPS.c.project_id.is_(None) & FLOATING_IPS.c.fixed_ip_id.is_(
    None
)
ROWS = (
    select(
        FLOATING_IPS.c.id,
        FLOATING_IPS.c.address,
        FLOATING_IPS.c.fixed_ip_id,
        FLOATING_IPS.c.project_id,
        func.coalesce(INSTANCES.c.host, FLOATING_IPS.c.host).label("host"),
        FLOATING_IPS.c.auto_assigned,
        FLOATING_IPS.c.pool,
        FLOATING_IPS.c.interface,
        FIXED_IPS.c.address.label("fixed_address"),
        FIXED_IPS.c.instance_uuid,
    )
    .outerjoin(FIXED_IPS, FIXED_IPS.c.id == FLOATING_IPS.c.fixed_ip_id)
    .outerjoin(INSTANCES, INSTANCES.c.uuid == FIXED_IPS.c.instance_uuid)
    .order_by(FLOATING_IPS.c.position)
)


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A row of `floating_ips`, with what it leads to.

    `host` is that of the instance.
    """

    id: int
    address: str
    fixed_ip_id: int | None
    project_id: str | None
    host: str | None
    auto_assigned: bool
    pool: str
    interface: str | None
    fixed_address: str | None
    instance_uuid: str | None


@dataclass(frozen=True, slots=True)
class Led:
    """The instances that a floating address led to before, and now.

    Before is none where it leads to the same fixed address as it did.
    """

    before: str | None = None
    now: str | None = None

    @property
    def instances(self) -> tuple[str, ...]:
        """Whose hosts are to follow; first who has it no more."""
        return tuple(filter(None, dict.fromkeys((self.before, self.now))))


@engine.writes
def allocate(
    connection: Connection,
    *,
    pool: str | None,
    project_id: str | None,
    auto_assigned: bool = False,
) -> str:
    """Give a project the lowest free address of a pool.

    :raises Forbidden: there is no project
    :raises FloatingIpPoolNotFound: no pool has that name
    :raises NoMoreFloatingIps: all of them are taken
    """
    if not project_id:
        raise Forbidden("the call names no project to have the address")
    name = pool or DEFAULT_POOL
    owner = checks.name(project_id, "project")
    while candidates := _candidates(connection, name):
        for each in candidates:
            taken = connection.execute(
                update(FLOATING_IPS)
                .where(FLOATING_IPS.c.id == each.id, _FREE)
                .values(project_id=owner, auto_assigned=auto_assigned)
            )
            if taken.rowcount:
                return str(each.address)
    known = select(FLOATING_IPS.c.id).where(FLOATING_IPS.c.pool == name)
    if connection.execute(known.limit(1)).first() is None:
        raise floating_pools.no_pool(name)
    raise NoMoreFloatingIps(f"pool {name} has no free address left")


@engine.writes
def deallocate(
    connection: Connection,
    *,
    address: str,
    requester: Requester,
    affect_auto_assigned: bool = False,
) -> None:
    """Give an address back to its pool; one that is in it already stays.

    One that came with its instance is left to that, unless it is meant.

    :raises FloatingIpNotFoundForAddress: it is no floating address
    :raises Forbidden: it is another project's
    :raises FloatingIpAssociated: it leads to an instance
    """
    found = _locked(connection, address)
    if found.auto_assigned and not affect_auto_assigned:
        return
    check_owner(found, requester)
    if found.fixed_ip_id:
        raise FloatingIpAssociated(
            f"floating address {found.address} leads to an instance: "
            "disassociate it first"
        )
    _change(connection, found, project_id=None, host=None, auto_assigned=False)


@engine.writes
def associate(
    connection: Connection,
    *,
    address: str,
    fixed_address: str,
    requester: Requester,
    affect_auto_assigned: bool = False,
) -> Led:
    """Lead a floating address to a fixed one, wherever it led before.

    :raises FloatingIpNotFoundForAddress: it is no floating address
    :raises FixedIpNotFoundForAddress: no instance has the fixed address
    :raises Forbidden: one of them is another project's
    :raises FloatingIpAssociateFailed: it is nobody's
    """
    fixed = floating_targets.fixed(connection, fixed_address)
    if fixed is not None:
        networks.lock(connection, [fixed.network_id])
        fixed = floating_targets.fixed(connection, fixed_address)
    found = _locked(connection, address)
    if found.auto_assigned and not affect_auto_assigned:
        return Led()
    check_owner(found, requester)
    if found.project_id is None:
        raise FloatingIpAssociateFailed(
            f"floating address {found.address} is nobody's: allocate it first"
        )
    if fixed is None:
        raise FixedIpNotFoundForAddress(
            f"no instance has the address {fixed_address!r}"
        )
    if not requester.is_admin and fixed.project_id != requester.project_id:
        raise Forbidden(f"{fixed.address} is another project's")
    floating_targets.check_translated(fixed)
    before = None
    if found.fixed_ip_id != fixed.id:
        before = _instance_of(connection, found.fixed_ip_id)
    _change(connection, found, fixed_ip_id=fixed.id, host=fixed.host)
    return Led(before, str(fixed.instance_uuid))


@engine.writes
def disassociate(
    connection: Connection,
    *,
    address: str,
    requester: Requester,
    affect_auto_assigned: bool = False,
) -> Led:
    """Lead a floating address nowhere.

    :raises FloatingIpNotFoundForAddress: it is no floating address
    :raises CannotDisassociateAutoAssignedFloatingIP: it came with its
        instance, and that is not meant
    :raises Forbidden: it is another project's
    :raises FloatingIpNotAssociated: it leads nowhere
    """
    found = _locked(connection, address)
    if found.auto_assigned and not affect_auto_assigned:
        raise CannotDisassociateAutoAssignedFloatingIP(
            f"floating address {found.address} came with its instance, and "
            "goes with it"
        )
    check_owner(found, requester)
    if not found.fixed_ip_id:
        raise FloatingIpNotAssociated(
            f"floating address {found.address} leads to no instance"
        )
    before = _instance_of(connection, found.fixed_ip_id)
    _change(connection, found, fixed_ip_id=None, host=None)
    return Led(before)


def check_owner(row: AnyRow | FloatingIp, requester: Requester) -> None:
    """Check that a floating address is the requester's to change.

    :raises Forbidden: it is another project's, or nobody's
    """
    if requester.is_admin:
        return
    if requester.project_id is None or row.project_id != requester.project_id:
        whose = "another project's" if row.project_id else "nobody's"
        raise Forbidden(f"floating address {row.address} is {whose}")


def not_found(address: str) -> FloatingIpNotFoundForAddress:
    """Return the error that it is no floating address."""
    return FloatingIpNotFoundForAddress(
        f"{address!r} is no floating address: compare `flatnet floating list`"
    )


def _candidates(connection: Connection, pool: str) -> Sequence[AnyRow]:
    return connection.execute(
        select(FLOATING_IPS.c.id, FLOATING_IPS.c.address)
        .where(FLOATING_IPS.c.pool == pool, _FREE)
        .order_by(FLOATING_IPS.c.position)
        .limit(_CANDIDATES)
    ).all()


def _locked(connection: Connection, address: str) -> AnyRow:
    found = connection.execute(
        select(FLOATING_IPS)
        .where(FLOATING_IPS.c.address == str(address))
        .with_for_update()
    ).first()
    if found is None:
        raise not_found(address)
    return found


def _change(connection: Connection, row: AnyRow, **values: Any) -> None:
    connection.execute(
        update(FLOATING_IPS).where(FLOATING_IPS.c.id == row.id).values(values)
    )


def _instance_of(
    connection: Connection, fixed_ip_id: int | None
) -> str | None:
    found: str | None = connection.scalar(
        select(FIXED_IPS.c.instance_uuid).where(FIXED_IPS.c.id == fixed_ip_id)
    )
    return found
