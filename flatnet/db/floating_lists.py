"""Floating addresses as callers and operators are shown them."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection

from flatnet.db import engine, models
from flatnet.db.floating_ips import ROWS, FloatingIp, not_found
from flatnet.exceptions import FloatingIpNotFound

FLOATING_IPS = models.floating_ips
FIXED_IPS = models.fixed_ips


@engine.reads
def list_all(
    connection: Connection, *, project_id: str | None = None
) -> tuple[FloatingIp, ...]:
    """Return those that a project has, or all that anybody has."""
    if project_id is None:
        return _found(connection, FLOATING_IPS.c.project_id.is_not(None))
    return _found(connection, FLOATING_IPS.c.project_id == project_id)


@engine.reads
def of_fixed_address(
    connection: Connection, address: str
) -> tuple[FloatingIp, ...]:
    """Return those that lead to a fixed address."""
    return _found(connection, FIXED_IPS.c.address == address)


@engine.reads
def of_instance(
    connection: Connection, instance_uuid: str
) -> tuple[FloatingIp, ...]:
    """Return those that lead to an instance."""
    return _found(connection, FIXED_IPS.c.instance_uuid == instance_uuid)


@engine.reads
def get(connection: Connection, address: str) -> FloatingIp:
    """Return one by its address.

    :raises FloatingIpNotFoundForAddress: there is none
    """
    for each in _found(connection, FLOATING_IPS.c.address == address):
        return each
    raise not_found(address)


@engine.reads
def get_by_id(connection: Connection, number: int) -> FloatingIp:
    """Return one by its id.

    :raises FloatingIpNotFound: there is none
    """
    for each in _found(connection, FLOATING_IPS.c.id == number):
        return each
    raise FloatingIpNotFound(f"no floating address has the id {number}")


def as_dict(found: FloatingIp) -> dict[str, Any]:
    """Return a row as JSON primitives."""
    return asdict(found)


def _found(
    connection: Connection, chosen: ColumnElement[bool]
) -> tuple[FloatingIp, ...]:
    rows = connection.execute(ROWS.where(chosen)).mappings()
    return tuple(FloatingIp(**row) for row in rows)
