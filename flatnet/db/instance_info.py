"""What a caller is told of one instance, read at one moment."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, exists, select

from flatnet.db import engine, instances, interfaces, models, selects
from flatnet.state.rows import Interface, Network

FIXED_IPS = models.fixed_ips
INSTANCES = models.instances
BINDINGS = models.port_bindings
SERVICES = models.services


@dataclass(frozen=True)
class Attached:
    """The interfaces of an instance, oldest first.

    Each with its network, and with the address that the bridge of the host
    that asks has in it, or none.  `up` are the uuids of the interfaces whose
    ports were made by the last pass of the instance's own host.
    """

    networks: tuple[tuple[Interface, Network, str | None], ...]
    up: frozenset[str]


@engine.reads
def of_instance(
    connection: Connection, *, instance_uuid: str, host: str
) -> Attached:
    """Return what an instance has, as guests of `host` see it.

    :raises InstanceNotFound: no living instance has that uuid
    """
    instances.check_living(connection, instance_uuid)
    found = interfaces.attached(connection, instance_uuid)
    floating = interfaces.led(
        connection.execute(
            selects.FLOATING, {"instances": [instance_uuid]}
        ).all()
    )
    addresses = connection.execute(
        select(FIXED_IPS.c.network_id, FIXED_IPS.c.address).where(
            FIXED_IPS.c.host == host,
            FIXED_IPS.c.network_id.in_([network.id for _, network in found]),
        )
    )
    known = {row.network_id: row.address for row in addresses}
    return Attached(
        tuple(
            (
                replace(interface, floating=floating.get(interface.uuid, ())),
                network,
                known.get(network.id),
            )
            for interface, network in found
        ),
        _up(connection, instance_uuid),
    )


def _up(connection: Connection, instance_uuid: str) -> frozenset[str]:
    """Nobody vouches for ports where the last pass failed as a whole."""
    failed = exists().where(
        SERVICES.c.host == BINDINGS.c.host, SERVICES.c.state == "failed"
    )
    return frozenset(
        connection.scalars(
            select(BINDINGS.c.interface_uuid)
            .join(INSTANCES, INSTANCES.c.uuid == BINDINGS.c.instance_uuid)
            .where(
                INSTANCES.c.uuid == instance_uuid,
                INSTANCES.c.deleted == 0,
                BINDINGS.c.host == INSTANCES.c.host,
                BINDINGS.c.found == "up",
                ~failed,
            )
        )
    )
