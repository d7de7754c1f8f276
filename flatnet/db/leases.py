"""`fixed_ips.leased`: what whoever runs a DHCP server says of an address.

Such a word comes late, twice or not at all, and from whoever had the address
before: it counts for the one interface that has that MAC and the address now.
"""

from sqlalchemy import ColumnElement, Connection, and_, select, update

from flatnet.db import engine, models, networks, releases
from flatnet.db.models import AnyRow

FIXED_IPS = models.fixed_ips
VIFS = models.virtual_interfaces


@engine.writes
def lease(connection: Connection, *, address: str, mac: str | None) -> bool:
    """Note that an address is leased; return whether it is anybody's.

    :param mac: of who has leased it, in lower case; none where nobody said
    """
    for row in _held(connection, address, mac):
        _note(connection, row, leased=True)
        return True
    return False


@engine.writes
def release(connection: Connection, *, address: str, mac: str) -> bool:
    """Note that it is leased no more; return whether it is anybody's.

    One that was only waiting for that, no more allocated, is free.
    """
    for row in _held(connection, address, mac):
        if row.allocated:
            _note(connection, row, leased=False)
            return True
        networks.lock(connection, [row.network_id])
        # Whoever was faster may have given it to another.
        for still in _held(connection, address, mac):
            if not still.allocated:
                releases.release(connection, FIXED_IPS.c.id == still.id)
        return True
    return False


def _held(
    connection: Connection, address: str, mac: str | None
) -> list[AnyRow]:
    """The row of an address that an interface with the MAC has, or none."""
    conditions: list[ColumnElement[bool]] = [
        FIXED_IPS.c.address == address,
        FIXED_IPS.c.instance_uuid.is_not(None),
    ]
    wanted = select(
        FIXED_IPS.c.id,
        FIXED_IPS.c.network_id,
        FIXED_IPS.c.allocated,
        FIXED_IPS.c.instance_uuid,
    )
    if mac is not None:
        owner = and_(
            VIFS.c.instance_uuid == FIXED_IPS.c.instance_uuid,
            VIFS.c.network_id == FIXED_IPS.c.network_id,
        )
        # One that is no more allocated may have lost its interface.
        mine = FIXED_IPS.c.virtual_interface_id
        conditions += [
            VIFS.c.address == mac,
            mine.is_(None) | (mine == VIFS.c.id),
        ]
        wanted = wanted.join(VIFS, owner)
    return list(connection.execute(wanted.where(*conditions).limit(1)))


def _note(connection: Connection, held: AnyRow, *, leased: bool) -> None:
    """Write it, unless the address has become somebody else's."""
    connection.execute(
        update(FIXED_IPS)
        .where(
            FIXED_IPS.c.id == held.id,
            FIXED_IPS.c.instance_uuid == held.instance_uuid,
            FIXED_IPS.c.allocated.is_(True),
        )
        .values(leased=leased)
    )
