"""Whether an instance moves, by the rows that bind it to hosts."""

from sqlalchemy import ColumnElement, Connection, select, update

from flatnet.db import models
from flatnet.state.rows import ARRIVING, SERVING

BINDINGS = models.port_bindings
INSTANCES = models.instances


def arrives(connection: Connection, instance_uuid: str, host: str) -> bool:
    """Whether an instance is wanted on a host that its row does not name."""
    if named_host(connection, instance_uuid) == host:
        return False
    found = connection.scalar(
        select(BINDINGS.c.id).where(
            BINDINGS.c.instance_uuid == instance_uuid,
            BINDINGS.c.host == host,
            BINDINGS.c.wanted.in_((ARRIVING, SERVING)),
        )
    )
    return found is not None


def turn(
    connection: Connection,
    instance_uuid: str,
    was: str,
    wanted: str,
    hosts: ColumnElement[bool],
) -> tuple[str, ...]:
    """Want something else of an instance's ports; return on which hosts."""
    these = (
        BINDINGS.c.instance_uuid == instance_uuid,
        BINDINGS.c.wanted == was,
        hosts,
    )
    found = connection.scalars(
        select(BINDINGS.c.host).where(*these).distinct()
    ).all()
    if found:
        connection.execute(
            update(BINDINGS).where(*these).values(wanted=wanted)
        )
    return tuple(sorted(found))


def named_host(connection: Connection, instance_uuid: str) -> str | None:
    """The host that an instance's row names, if any."""
    found: str | None = connection.scalar(
        select(INSTANCES.c.host).where(INSTANCES.c.uuid == instance_uuid)
    )
    return found
