"""Addresses that instances give back: their quarantine begins.

Floating addresses that led there lead nowhere any more, and those that came
with an instance are free.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from flatnet.db import models
from flatnet.db.models import AnyRow

FIXED_IPS = models.fixed_ips
FLOATING_IPS = models.floating_ips
# In the order of locks: ascending.
_LED = (
    select(FLOATING_IPS.c.id, FLOATING_IPS.c.auto_assigned)
    .join(FIXED_IPS, FIXED_IPS.c.id == FLOATING_IPS.c.fixed_ip_id)
    .order_by(FLOATING_IPS.c.id)
)
_RELEASE = (
    update(FIXED_IPS)
    .where(FIXED_IPS.c.instance_uuid.is_not(None))
    .values(
        instance_uuid=None,
        virtual_interface_id=None,
        allocated=False,
        leased=False,
    )
)
_RELEASE_ALL = _RELEASE.where(
    FIXED_IPS.c.instance_uuid.in_(bindparam("instances", expanding=True))
)
_LED_TO_ALL = _LED.where(
    FIXED_IPS.c.instance_uuid.in_(bindparam("instances", expanding=True))
)


def release(connection: Connection, *conditions: ColumnElement[bool]) -> None:
    """Take addresses back from instances.

    The networks' rows are locked (`networks.locked`).
    """
    _lead_nowhere(
        connection, connection.execute(_LED.where(*conditions)).all()
    )
    connection.execute(_RELEASE.where(*conditions))


def lead_nowhere(connection: Connection, instances: Iterable[str]) -> None:
    """Have no floating address lead to instances any more."""
    theirs = {"instances": sorted(instances)}
    _lead_nowhere(connection, connection.execute(_LED_TO_ALL, theirs).all())


def release_all(connection: Connection, instances: Iterable[str]) -> None:
    """Take all addresses back that instances have; none is led to any more."""
    connection.execute(_RELEASE_ALL, {"instances": sorted(instances)})


def unlink(connection: Connection, network_id: int) -> None:
    """Have no floating address lead into a network, whose rows are to go."""
    theirs = select(FIXED_IPS.c.id).where(FIXED_IPS.c.network_id == network_id)
    connection.execute(
        update(FLOATING_IPS)
        .where(FLOATING_IPS.c.fixed_ip_id.in_(theirs))
        .values(fixed_ip_id=None, host=None)
    )


def _lead_nowhere(connection: Connection, rows: Sequence[AnyRow]) -> None:
    """Have floating addresses lead nowhere; nearly always there are none."""
    nowhere = {"fixed_ip_id": None, "host": None}
    free = {**nowhere, "project_id": None, "auto_assigned": False}
    for is_free, values in ((False, nowhere), (True, free)):
        ids = [row.id for row in rows if bool(row.auto_assigned) is is_free]
        if ids:
            connection.execute(
                update(FLOATING_IPS)
                .where(FLOATING_IPS.c.id.in_(ids))
                .values(values)
            )
