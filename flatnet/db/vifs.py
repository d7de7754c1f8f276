"""Rows of `virtual_interfaces`: one per network and instance, one MAC each."""

import secrets
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from flatnet.db import checks, models
from flatnet.db.models import AnyRow
from flatnet.exceptions import MacAddressInUse

VIFS = models.virtual_interfaces
_PREFIX = "fa:16:3e"


@dataclass
class MacChoice:
    """Where the MACs of an instance's new interfaces come from.

    `wanted` are used up in order, then random ones are tried.
    """

    wanted: list[str]
    attempts: int

    @classmethod
    def of(
        cls,
        connection: Connection,
        instance_uuid: str,
        macs: Iterable[str],
        *,
        attempts: int,
    ) -> "MacChoice":
        """Leave out what the instance's interfaces have already.

        :raises InvalidMacAddress: one is malformed, or not unicast
        """
        wanted = checks.macs(macs)
        held = connection.scalars(
            select(VIFS.c.address).where(VIFS.c.instance_uuid == instance_uuid)
        ).all()
        return cls([mac for mac in wanted if mac not in held], attempts)


def ensure(
    connection: Connection,
    network: AnyRow,
    instance_uuid: str,
    choice: MacChoice,
) -> int:
    """Return the id of the instance's interface in a locked network.

    :raises MacAddressInUse: the wanted MAC, or all random ones, are taken
    """
    mine = select(VIFS.c.id).where(
        VIFS.c.network_id == network.id,
        VIFS.c.instance_uuid == instance_uuid,
    )
    found = connection.scalar(mine)
    if found is None:
        connection.execute(
            insert(VIFS).values(
                uuid=str(uuids.uuid4()),
                address=_mac(connection, choice),
                network_id=network.id,
                instance_uuid=instance_uuid,
            )
        )
        found = connection.scalars(mine).one()
    return int(found)


def random_mac() -> str:
    """Return a MAC with nova's prefix and three random bytes."""
    return ":".join([_PREFIX, *(f"{b:02x}" for b in secrets.token_bytes(3))])


def _mac(connection: Connection, choice: MacChoice) -> str:
    if choice.wanted:
        mac = choice.wanted.pop(0)
        if _is_taken(connection, mac):
            raise MacAddressInUse(f"MAC address {mac} is another interface's")
        return mac
    for _ in range(choice.attempts):
        mac = random_mac()
        if not _is_taken(connection, mac):
            return mac
    raise MacAddressInUse(
        f"{choice.attempts} random MAC addresses were all taken"
    )


def _is_taken(connection: Connection, mac: str) -> bool:
    found = select(VIFS.c.id).where(VIFS.c.address == mac)
    return connection.execute(found).first() is not None
