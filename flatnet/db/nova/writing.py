"""Rows of a draft, written in the order in which they need each other."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from flatnet.db import models
from flatnet.db.clock import Now, stamps
from flatnet.db.nova.import_draft import Draft, GroupKey, Place

FIXED_IPS = models.fixed_ips
FLOATING_IPS = models.floating_ips
GROUPS = models.security_groups
NETWORKS = models.networks
VIFS = models.virtual_interfaces


def write(connection: Connection, draft: Draft) -> None:
    """Write a draft, new rows of each table by one statement."""
    present = connection.scalars(select(Now())).one()
    _put(connection, NETWORKS, present, draft.networks)
    networks = _ids(connection, NETWORKS)
    _put(
        connection,
        VIFS,
        present,
        (
            {**values, "network_id": networks[uuid]}
            for uuid, values in draft.interfaces
        ),
    )
    _write_addresses(connection, draft, present, networks)
    _write_floating(connection, draft, present)
    _write_groups(connection, draft, present)


def _put(
    connection: Connection,
    table: Table,
    present: datetime,
    rows: Iterable[dict[str, Any]],
) -> None:
    if stamped := [{**stamps(present), **row} for row in rows]:
        connection.execute(insert(table), stamped)


def _ids(connection: Connection, table: Table) -> dict[str, int]:
    """The ids of rows by their uuids."""
    rows = connection.execute(select(table.c.uuid, table.c.id))
    return {row.uuid: row.id for row in rows}


def _write_addresses(
    connection: Connection,
    draft: Draft,
    present: datetime,
    networks: dict[str, int],
) -> None:
    interfaces = _ids(connection, VIFS)

    def whole(interface: str | None, values: dict[str, Any]) -> dict[str, Any]:
        vif_id = interfaces[interface] if interface else None
        return {**values, "virtual_interface_id": vif_id}

    _put(
        connection,
        FIXED_IPS,
        present,
        (
            {**whole(interface, values), "network_id": networks[network]}
            for (network, _), interface, values in draft.addresses
        ),
    )
    for row_id, interface, values in draft.taken:
        connection.execute(
            update(FIXED_IPS)
            .where(FIXED_IPS.c.id == row_id)
            .values(**stamps(present), **whole(interface, values))
        )


def _write_floating(
    connection: Connection, draft: Draft, present: datetime
) -> None:
    if not draft.floating:
        return
    fixed: dict[Place | None, int] = {
        (row.uuid, row.address): row.id
        for row in connection.execute(
            select(FIXED_IPS.c.id, FIXED_IPS.c.address, NETWORKS.c.uuid).join(
                NETWORKS
            )
        )
    }
    new = []
    for row_id, place, values in draft.floating:
        whole = {**values, "fixed_ip_id": fixed.get(place)}
        if row_id is None:
            new.append(whole)
            continue
        connection.execute(
            update(FLOATING_IPS)
            .where(FLOATING_IPS.c.id == row_id)
            .values(**stamps(present), **whole)
        )
    _put(connection, FLOATING_IPS, present, new)


def _write_groups(
    connection: Connection, draft: Draft, present: datetime
) -> None:
    _put(connection, GROUPS, present, draft.groups)
    ids: dict[GroupKey | None, int] = {
        (row.project_id, row.name): row.id
        for row in connection.execute(select(GROUPS))
    }
    _put(
        connection,
        models.security_group_rules,
        present,
        (
            {
                **values,
                "parent_group_id": ids[parent],
                "group_id": ids.get(source),
            }
            for parent, source, values in draft.rules
        ),
    )
    _put(
        connection,
        models.security_group_instance_association,
        present,
        (
            {"security_group_id": ids[group], "instance_uuid": uuid}
            for group, uuid in draft.memberships
        ),
    )
