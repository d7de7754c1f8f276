"""The IPv6 address of an interface: a row of `fixed_ips` beside the others.

Nobody chooses it: the interface's MAC makes it in `networks.cidr_v6`, a /64.
So its position is made of the MAC too and is negative, where no pool looks;
its ordinal is the highest, for what is leased first is an IPv4 one.  It comes
with the first IPv4 address of its interface and goes with the last: a row
that is let go is deleted, for no other interface could have that address.

Whoever writes such rows has the networks' rows locked (`networks.locked`).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, insert, select
from sqlalchemy import delete as delete_from

from flatnet.db import engine, models, networks
from flatnet.db.clock import Now, stamps
from flatnet.db.models import AnyRow
from flatnet.db.tenants import Tenant, Vif
from flatnet.state.eui64 import made_by

FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
VIFS = models.virtual_interfaces
INSTANCES = models.instances
# Of all addresses of an interface the last.
ORDINAL = (1 << 31) - 1
_OURS = FIXED_IPS.c.position < 0
_OTHER = FIXED_IPS.alias("other")
_NEW = insert(FIXED_IPS)
_GONE = delete_from(FIXED_IPS).where(
    _OURS,
    FIXED_IPS.c.instance_uuid.in_(bindparam("instances", expanding=True)),
)
_LEFT = delete_from(FIXED_IPS).where(
    _OURS,
    FIXED_IPS.c.network_id.in_(bindparam("networks", expanding=True)),
    FIXED_IPS.c.position.in_(bindparam("positions", expanding=True)),
)
_HELD = select(
    FIXED_IPS.c.id, FIXED_IPS.c.virtual_interface_id, FIXED_IPS.c.position
).where(FIXED_IPS.c.instance_uuid == bindparam("instance"))
_LACKING = (
    select(
        VIFS.c.id,
        VIFS.c.address.label("mac"),
        VIFS.c.instance_uuid,
        VIFS.c.network_id,
        NETWORKS.c.cidr_v6,
        FIXED_IPS.c.id.label("held"),
    )
    .join_from(VIFS, INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
    .join(NETWORKS, NETWORKS.c.id == VIFS.c.network_id)
    .outerjoin(
        FIXED_IPS, and_(FIXED_IPS.c.virtual_interface_id == VIFS.c.id, _OURS)
    )
    .where(
        INSTANCES.c.deleted == 0,
        VIFS.c.uuid.in_(bindparam("interfaces", expanding=True)),
        VIFS.c.network_id.in_(bindparam("networks", expanding=True)),
        exists().where(
            _OTHER.c.virtual_interface_id == VIFS.c.id, _OTHER.c.position >= 0
        ),
    )
)


def position(mac: str) -> int:
    """Return the position of what a MAC makes, in whichever network.

    >>> position("00:00:00:00:00:01")
    -2
    """
    return -1 - int(mac.replace(":", ""), 16)


def is_ipv6(row: AnyRow) -> bool:
    """Whether a row is one of these; it may be of no address at all."""
    return row.position is not None and row.position < 0


def made_for(mac: str, network: Any) -> str | None:
    """Return the address that a MAC makes in a network, if it makes one."""
    _, *made = made_by(mac, network.cidr_v6) or ("",)
    return made[0] if made else None


def write(
    connection: Connection,
    tenants: Iterable[Tenant],
    *,
    interface_ids: Mapping[str, int],
    present: datetime,
) -> None:
    """Write those of instances that were just served and are not there.

    :param interface_ids: those of the interfaces, by uuid
    :param present: by the database's clock
    """
    rows = [
        _row(vif, tenant.uuid, interface_ids[vif.uuid])
        for tenant in tenants
        for vif in tenant.vifs
        if vif.address_v6 and vif.address_v6 != vif.stored_v6
    ]
    _write(connection, rows, present)


@engine.writes
def ensure(
    connection: Connection,
    *,
    network_ids: Collection[int],
    interface_uuids: Collection[str],
) -> None:
    """Write those that interfaces of living instances lack.

    Interfaces are older than `use_ipv6`, or than the network's range.
    """
    networks.lock(connection, network_ids)
    found = connection.execute(
        _LACKING,
        {
            "interfaces": sorted(interface_uuids),
            "networks": sorted(network_ids),
        },
    ).all()
    stale = [row.held for row in found if row.held]
    if stale:
        connection.execute(
            delete_from(FIXED_IPS).where(FIXED_IPS.c.id.in_(stale))
        )
    rows = []
    for row in found:
        if address := made_for(row.mac, row):
            vif = Vif("", row.mac, row.network_id, address_v6=address)
            rows.append(_row(vif, row.instance_uuid, row.id))
    _write(connection, rows, connection.scalars(select(Now())).one())


def release_all(connection: Connection, instances: Iterable[str]) -> None:
    """Take back those that instances have."""
    connection.execute(_GONE, {"instances": sorted(instances)})


def release_alone(connection: Connection, instance_uuid: str) -> None:
    """Take back those of an instance's interfaces that have no other."""
    held = connection.execute(_HELD, {"instance": instance_uuid}).all()
    others = {r.virtual_interface_id for r in held if not is_ipv6(r)}
    alone = [
        row.id
        for row in held
        if is_ipv6(row) and row.virtual_interface_id not in others
    ]
    if alone:
        connection.execute(
            delete_from(FIXED_IPS).where(FIXED_IPS.c.id.in_(alone))
        )


def _row(vif: Vif, instance_uuid: str, interface_id: int) -> dict[str, Any]:
    return {
        "network_id": vif.network_id,
        "address": vif.address_v6,
        "position": position(vif.mac),
        "virtual_interface_id": interface_id,
        "instance_uuid": instance_uuid,
        "allocated": True,
        "ordinal": ORDINAL,
    }


def _write(
    connection: Connection, rows: list[dict[str, Any]], present: datetime
) -> None:
    if not rows:
        return
    # Left by whoever released them without deleting them.
    connection.execute(
        _LEFT,
        {
            "networks": sorted({row["network_id"] for row in rows}),
            "positions": sorted({row["position"] for row in rows}),
        },
    )
    connection.execute(_NEW, [{**stamps(present), **row} for row in rows])
