"""What one instance has on its networks, wherever it runs."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from flatnet.db import engine, models, networks
from flatnet.db.models import AnyRow
from flatnet.rows import Interface, Network

VIFS = models.virtual_interfaces
FIXED_IPS = models.fixed_ips
NETWORKS = models.networks
INSTANCES = models.instances
MEMBERS = models.security_group_instance_association


@engine.reads
def of_instance(
    connection: Connection, instance_uuid: str
) -> tuple[tuple[Interface, Network], ...]:
    """Return the interfaces of an instance with their networks, oldest first.

    An instance without a row, or without interfaces, has none.
    """
    rows = _rows(connection, instance_uuid)
    addresses = connection.execute(
        select(FIXED_IPS.c.virtual_interface_id, FIXED_IPS.c.address)
        .where(FIXED_IPS.c.instance_uuid == instance_uuid)
        .order_by(FIXED_IPS.c.position)
    ).all()
    groups = connection.scalars(
        select(MEMBERS.c.security_group_id)
        .where(MEMBERS.c.instance_uuid == instance_uuid)
        .order_by(MEMBERS.c.security_group_id)
    ).all()
    return tuple(
        (
            Interface(
                uuid=row.vif_uuid,
                mac=row.mac,
                network_id=row.id,
                instance_uuid=instance_uuid,
                hostname=row.hostname,
                project_id=row.owner,
                addresses=tuple(
                    address for vif, address in addresses if vif == row.vif_id
                ),
                security_group_ids=tuple(groups),
            ),
            networks.from_row(row),
        )
        for row in rows
    )


@engine.reads
def host_address(
    connection: Connection, *, network_id: int, host: str
) -> str | None:
    """Return the address of a host's bridge in a network, if it has one."""
    found: str | None = connection.scalar(
        select(FIXED_IPS.c.address).where(
            FIXED_IPS.c.network_id == network_id, FIXED_IPS.c.host == host
        )
    )
    return found


def _rows(connection: Connection, instance_uuid: str) -> Sequence[AnyRow]:
    """Interfaces with the columns of their networks, by age."""
    return connection.execute(
        select(
            VIFS.c.id.label("vif_id"),
            VIFS.c.uuid.label("vif_uuid"),
            VIFS.c.address.label("mac"),
            INSTANCES.c.hostname,
            INSTANCES.c.project_id.label("owner"),
            NETWORKS,
        )
        .join_from(VIFS, NETWORKS, NETWORKS.c.id == VIFS.c.network_id)
        .outerjoin(INSTANCES, INSTANCES.c.uuid == VIFS.c.instance_uuid)
        .where(VIFS.c.instance_uuid == instance_uuid)
        .order_by(VIFS.c.id)
    ).all()
