"""Rows of many instances, written at one go, as many calls would leave them.

A thousand allocations would take longer than all that is measured after them.
"""

import uuid as uuids
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from sqlalchemy import (
    Connection,
    Table,
    delete,
    insert,
    select,
    text,
    update,
)

from flatnet.db import engine, models, ranges
from flatnet.lab.bench.layout import RULES_OF_A_GROUP
from flatnet.state.rows import SERVING

PROJECT = "bench"
_FIRST_PORT = 8000
_NOBODY = "00000000-0000-4000-8000-000000000000"
_AT_ONCE = 500
_ANALYZE = {"mysql": "ANALYZE TABLE", "postgresql": "ANALYZE"}
_STATISTICS = (
    *("instances", "virtual_interfaces", "fixed_ips", "port_bindings"),
    *("security_group_instance_association", "security_group_rules"),
)


@dataclass(frozen=True)
class NewInstance:
    """An instance that is to be written; `groups` are ids."""

    uuid: str
    hostname: str
    host: str
    groups: tuple[int, ...] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """What a compute service says of it in each call."""
        return {
            "instance_id": self.uuid,
            "host": self.host,
            "project_id": PROJECT,
        }


def new_uuid() -> str:
    return str(uuids.uuid4())


@engine.writes
def empty(connection: Connection) -> None:
    """Delete all rows."""
    for table in reversed(models.metadata.sorted_tables):
        connection.execute(delete(table))


@engine.writes
def add_groups(connection: Connection, count: int) -> list[int]:
    """Write groups with their rules; return their ids, ascending."""
    table = models.security_groups
    names = [f"group {new_uuid()}" for _ in range(count)]
    _insert(
        connection,
        table,
        ({"name": name, "project_id": PROJECT} for name in names),
    )
    ids = list(
        connection.scalars(
            select(table.c.id).order_by(table.c.id.desc()).limit(count)
        )
    )
    rules = (
        {
            "parent_group_id": group,
            "protocol": "tcp",
            "from_port": _FIRST_PORT + number,
            "to_port": _FIRST_PORT + number,
            "cidr": "0.0.0.0/0",
        }
        for group in ids
        for number in range(RULES_OF_A_GROUP)
    )
    _insert(connection, models.security_group_rules, rules)
    return sorted(ids)


@engine.writes
def add_instances(
    connection: Connection, wanted: Sequence[NewInstance]
) -> None:
    """Write instances that nothing was allocated for, with their groups."""
    _add_instances(connection, wanted)


@engine.writes
def add_running(
    connection: Connection, wanted: Sequence[NewInstance], *, plug: str
) -> None:
    """Write instances with an interface and an address in the one network.

    :param plug: the kind of their ports
    """
    _add_instances(connection, wanted)
    networks = models.networks
    network = connection.execute(select(networks).with_for_update()).one()
    first = network.next_position
    vifs = {each.uuid: new_uuid() for each in wanted}
    _insert(
        connection,
        models.virtual_interfaces,
        (
            {
                "uuid": vifs[each.uuid],
                "address": _mac(first + number),
                "network_id": network.id,
                "instance_uuid": each.uuid,
            }
            for number, each in enumerate(wanted)
        ),
    )
    numbers = [first + number for number in range(len(wanted))]
    _address(connection, wanted, vifs, network, numbers)
    _bind(connection, wanted, vifs, plug)
    connection.execute(
        update(networks).values(next_position=first + len(wanted))
    )


@engine.writes
def remove_instances(connection: Connection, wanted: Iterable[str]) -> None:
    """Delete the rows of instances that have no interface any more."""
    here = list(wanted)
    members = models.security_group_instance_association
    table = models.instances
    connection.execute(
        delete(members).where(members.c.instance_uuid.in_(here))
    )
    connection.execute(delete(table).where(table.c.uuid.in_(here)))


@engine.writes
def hold_addresses(connection: Connection, network: str, count: int) -> None:
    """Have so many addresses of a network be allocated, to nobody known."""
    networks = models.networks
    mine = networks.c.uuid == network
    row = connection.execute(select(networks).where(mine)).one()
    first = row.next_position
    _insert(
        connection,
        models.fixed_ips,
        (
            {
                "address": ranges.address_at(row.cidr, first + number),
                "position": first + number,
                "network_id": row.id,
                "instance_uuid": _NOBODY,
                "allocated": True,
            }
            for number in range(count)
        ),
    )
    connection.execute(
        update(networks).where(mine).values(next_position=first + count)
    )


@engine.writes
def empty_network(connection: Connection, network: str) -> None:
    """Delete all that was allocated in a network."""
    networks, vifs = models.networks, models.virtual_interfaces
    mine = select(networks.c.id).where(networks.c.uuid == network)
    number = connection.scalars(mine).one()
    bindings, ips = models.port_bindings, models.fixed_ips
    here = select(vifs.c.uuid).where(vifs.c.network_id == number)
    connection.execute(
        delete(bindings).where(bindings.c.interface_uuid.in_(here))
    )
    connection.execute(delete(ips).where(ips.c.network_id == number))
    connection.execute(delete(vifs).where(vifs.c.network_id == number))


@engine.writes
def renew_statistics(connection: Connection) -> None:
    """Tell the planner of the database what there is now.

    Where rows come one by one it learns that by itself.
    """
    for name in _STATISTICS:
        connection.execute(text(f"{_ANALYZE[connection.dialect.name]} {name}"))


def _add_instances(
    connection: Connection, wanted: Sequence[NewInstance]
) -> None:
    _insert(
        connection,
        models.instances,
        (
            {
                "uuid": each.uuid,
                "hostname": each.hostname,
                "host": each.host,
                "project_id": PROJECT,
            }
            for each in wanted
        ),
    )
    _insert(
        connection,
        models.security_group_instance_association,
        (
            {"security_group_id": group, "instance_uuid": each.uuid}
            for each in wanted
            for group in each.groups
        ),
    )


def _address(
    connection: Connection,
    wanted: Sequence[NewInstance],
    vifs: dict[str, str],
    network: models.AnyRow,
    positions: Sequence[int],
) -> None:
    ids = _ids_of_interfaces(connection)
    _insert(
        connection,
        models.fixed_ips,
        (
            {
                "address": ranges.address_at(network.cidr, position),
                "position": position,
                "network_id": network.id,
                "virtual_interface_id": ids[vifs[each.uuid]],
                "instance_uuid": each.uuid,
                "allocated": True,
            }
            for position, each in zip(positions, wanted, strict=True)
        ),
    )


def _bind(
    connection: Connection,
    wanted: Sequence[NewInstance],
    vifs: dict[str, str],
    plug: str,
) -> None:
    _insert(
        connection,
        models.port_bindings,
        (
            {
                "interface_uuid": vifs[each.uuid],
                "instance_uuid": each.uuid,
                "host": each.host,
                "wanted": SERVING,
                "plug": plug,
            }
            for each in wanted
        ),
    )


def _ids_of_interfaces(connection: Connection) -> dict[str, int]:
    table = models.virtual_interfaces
    return {
        row.uuid: row.id
        for row in connection.execute(select(table.c.uuid, table.c.id))
    }


def _insert(
    connection: Connection,
    table: Table,
    rows: Iterable[dict[str, object]],
) -> None:
    values = list(rows)
    for start in range(0, len(values), _AT_ONCE):
        connection.execute(insert(table), values[start : start + _AT_ONCE])


def _mac(number: int) -> str:
    """A MAC that no daemon gives out by chance: those begin otherwise."""
    return "fa:16:3f:" + bytes(ip_address(number).packed[1:]).hex(":")
