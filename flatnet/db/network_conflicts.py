"""What of a new network is another one's already."""

from typing import Any

from sqlalchemy import Connection, select

from flatnet.db import columns, models
from flatnet.db.models import AnyRow
from flatnet.exceptions import CidrConflict, Conflict

NETWORKS = models.networks


def check_free(connection: Connection, values: dict[str, Any]) -> None:
    """Check the columns of a network's row against those that there are.

    :raises CidrConflict: it overlaps one
    :raises Conflict: the label, the bridge, the uplink or the uuid is one's
    """
    for other in connection.execute(select(NETWORKS)):
        whose = f"network {other.label} ({other.uuid})"
        for column in ("cidr", "cidr_v6"):
            mine, theirs = values[column], getattr(other, column)
            if mine and theirs and columns.overlap(mine, theirs):
                raise CidrConflict(f"{mine} overlaps {theirs} of {whose}")
        for column in ("label", "bridge", "uuid"):
            if getattr(other, column) == values[column]:
                raise Conflict(
                    f"{column} {values[column]} is that of {whose} already"
                )
        _check_uplink_free(values, other, whose)


def _check_uplink_free(
    values: dict[str, Any], other: AnyRow, whose: str
) -> None:
    """Linux makes a device a port of one bridge, and a bridge of none."""
    uplink = values["bridge_interface"]
    if uplink and uplink == other.bridge_interface:
        raise Conflict(
            f"uplink {uplink} is that of {whose} already: give this network "
            "a device of its own"
        )
    if uplink == other.bridge or values["bridge"] == other.bridge_interface:
        raise Conflict(
            f"{other.bridge} with uplink {other.bridge_interface} is the "
            f"bridge of {whose}: one network's bridge cannot be another's "
            "uplink"
        )
