"""Rows of `virtual_interfaces`: one MAC each."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    false,
    insert,
    select,
    true,
    update,
)

from flatnet.db import engine, models
from flatnet.db.tenants import Vif
from flatnet.exceptions import MacAddressInUse

VIFS = models.virtual_interfaces
_PREFIX = "fa:16:3e"
_TAKEN = select(VIFS.c.address).where(
    VIFS.c.address.in_(bindparam("macs", expanding=True))
)
_NEW = insert(VIFS)
_RATED = (
    update(VIFS)
    .where(VIFS.c.id == bindparam("number"))
    .values(rxtx_factor=bindparam("factor"), port_rate=bindparam("own"))
)
_ADDED = _NEW.returning(VIFS.c.uuid, VIFS.c.id)


@dataclass(frozen=True)
class Macs:
    """The MACs that new interfaces may have.

    `taken` are those asked for by name that are somebody's, `random` free
    ones, each found in at most so many `attempts`.
    """

    taken: frozenset[str]
    random: tuple[str, ...]
    attempts: int

    def take(self, wanted: Sequence[str]) -> tuple["Macs", str]:
        """Return what is left, and the first that was wanted or a random one.

        :raises MacAddressInUse: that one, or all random ones, are taken
        """
        if not wanted and not self.random:
            raise MacAddressInUse(
                f"{self.attempts} random MAC addresses were all taken"
            )
        mac = wanted[0] if wanted else self.random[0]
        if mac in self.taken:
            raise MacAddressInUse(f"MAC address {mac} is another interface's")
        random = tuple(each for each in self.random if each != mac)
        return Macs(self.taken | {mac}, random, self.attempts), mac


def macs(
    connection: Connection,
    *,
    number: int,
    drawn: Sequence[str],
    unfit: Collection[str],
    taken: Collection[str],
    attempts: int,
) -> Macs:
    """Return so many random MACs, if they are found, and which are taken.

    :param drawn: what was drawn before anything was read
    :param unfit: those asked for by name, which no other is to get
    :param taken: those of all these that are somebody's
    :param attempts: how often one is drawn
    """
    gone = set(taken)
    random = {mac: None for mac in drawn if mac not in {*gone, *unfit}}
    for _ in range(attempts - 1):
        if len(random) >= number:
            break
        more = draw(number - len(random))
        gone.update(connection.scalars(_TAKEN, {"macs": sorted(more)}))
        random.update(
            (mac, None) for mac in more if mac not in {*gone, *unfit}
        )
    return Macs(frozenset(gone), tuple(random), attempts)


def draw(number: int) -> tuple[str, ...]:
    """Return so many random MACs, which may be taken."""
    return tuple(random_mac() for _ in range(number))


@engine.writes
def plug(connection: Connection, *, instance_uuid: str) -> None:
    """Have all interfaces of an instance plugged in, wherever it is."""
    _plugged(connection, instance_uuid, true())


@engine.writes
def unplug(connection: Connection, *, instance_uuid: str) -> None:
    """Have none of them plugged in, until `plug`."""
    _plugged(connection, instance_uuid, false())


def _plugged(
    connection: Connection, instance_uuid: str, value: ColumnElement[bool]
) -> None:
    connection.execute(
        update(VIFS)
        .where(VIFS.c.instance_uuid == instance_uuid)
        .values(plugged=value)
    )


def add(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """Insert rows in their order; return their ids by uuid."""
    if not rows:
        return {}
    if connection.dialect.insert_executemany_returning:
        return {row.uuid: row.id for row in connection.execute(_ADDED, rows)}
    # MySQL has no RETURNING.
    connection.execute(_NEW, rows)
    uuids = [row["uuid"] for row in rows]
    found = connection.execute(
        select(VIFS.c.uuid, VIFS.c.id).where(VIFS.c.uuid.in_(uuids))
    )
    return {row.uuid: row.id for row in found}


def rate(connection: Connection, vifs: Sequence[Vif]) -> None:
    """Write what interfaces may send and take."""
    rows = [
        {
            "number": vif.id,
            "factor": vif.rxtx_factor,
            "own": vif.port_rate,
        }
        for vif in vifs
    ]
    if rows:
        connection.execute(_RATED, rows)


def random_mac() -> str:
    """Return a MAC with nova's prefix and three random bytes."""
    return ":".join([_PREFIX, *(f"{b:02x}" for b in secrets.token_bytes(3))])
