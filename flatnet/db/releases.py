"""Addresses that instances give back: their quarantine begins."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, bindparam, update

from flatnet.db import models

FIXED_IPS = models.fixed_ips
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


def release(connection: Connection, *conditions: ColumnElement[bool]) -> None:
    """Take addresses back from instances.

    The networks' rows are locked (`networks.locked`).
    """
    connection.execute(_RELEASE.where(*conditions))


def release_all(connection: Connection, instances: Iterable[str]) -> None:
    """Take all addresses back that instances have."""
    connection.execute(_RELEASE_ALL, {"instances": sorted(instances)})
