"""What floating addresses may lead to: fixed ones, of living instances."""

from sqlalchemy import Connection, select

from flatnet.db import models
from flatnet.db.models import AnyRow
from flatnet.exceptions import FloatingIpAssociateFailed

FIXED_IPS = models.fixed_ips
INSTANCES = models.instances
NETWORKS = models.networks


def fixed(connection: Connection, address: str) -> AnyRow | None:
    """The row of an address that a living instance has, or none."""
    return connection.execute(
        select(
            FIXED_IPS.c.id,
            FIXED_IPS.c.address,
            FIXED_IPS.c.network_id,
            FIXED_IPS.c.instance_uuid,
            INSTANCES.c.project_id,
            INSTANCES.c.host,
            NETWORKS.c.multi_host,
            NETWORKS.c.enable_dhcp,
            NETWORKS.c.host.label("server"),
        )
        .join(NETWORKS, NETWORKS.c.id == FIXED_IPS.c.network_id)
        .join(INSTANCES, INSTANCES.c.uuid == FIXED_IPS.c.instance_uuid)
        .where(
            FIXED_IPS.c.address == str(address),
            # Those that MACs make are IPv6.
            FIXED_IPS.c.position >= 0,
            INSTANCES.c.deleted == 0,
        )
    ).first()


def check_translated(row: AnyRow) -> None:
    """Check that the host of an instance is the gateway of its address.

    :raises FloatingIpAssociateFailed: one server has all of the network
    """
    is_shared = row.enable_dhcp and not row.multi_host
    if is_shared and row.server != row.host:
        raise FloatingIpAssociateFailed(
            f"{row.address} is of a network that host {row.server} "
            "serves for all, and it leads floating addresses to its own "
            f"instances alone: this one is on {row.host}"
        )
