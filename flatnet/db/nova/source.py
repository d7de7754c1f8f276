"""Rows of nova's database, of Essex to Train, as one shape.

Nothing is written there.  Rows that nova has deleted are passed over: to
Essex `deleted` is a boolean, later it is the row's own id.  Essex names
instances by their integer id, and lacks columns that came later: these read
as null.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import (
    URL,
    Boolean,
    ColumnElement,
    Connection,
    column,
    exc,
    null,
    or_,
    select,
    table,
)

from flatnet.db import drivers
from flatnet.db.engine import Database
from flatnet.db.models import AnyRow
from flatnet.exceptions import DatabaseUnavailable, SchemaMismatch

# Seconds for all of it.
_PATIENCE = 600.0
_OWNER = "instance_id", "instance_uuid"
_COLUMNS = {
    "instances": ("uuid",),
    "networks": (
        *("uuid", "label", "cidr", "cidr_v6", "bridge", "bridge_interface"),
        *("gateway", "broadcast", "netmask", "dns1", "dns2", "dhcp_start"),
        *("dhcp_server", "multi_host", "enable_dhcp", "mtu", "injected"),
        *("project_id", "host", "vlan"),
    ),
    "virtual_interfaces": ("uuid", "address", "network_id", *_OWNER),
    "fixed_ips": (
        *("address", "network_id", "virtual_interface_id", *_OWNER),
        *("allocated", "leased", "reserved", "host", "updated_at"),
    ),
    "floating_ips": (
        *("address", "fixed_ip_id", "project_id", "host"),
        *("auto_assigned", "pool", "interface"),
    ),
    "security_groups": ("name", "description", "project_id"),
    "security_group_rules": (
        *("parent_group_id", "protocol", "from_port", "to_port"),
        *("cidr", "group_id"),
    ),
    "security_group_instance_association": ("security_group_id", *_OWNER),
}
# Not to be missing, nor in any other program's table of that name.
_MARKS = {
    "instances": ("uuid",),
    "networks": ("vlan", "cidr", "bridge"),
    "fixed_ips": ("address", "network_id"),
    "virtual_interfaces": ("uuid", "address"),
}


@dataclass(frozen=True)
class Nova:
    """The rows that nova has not deleted, by table, each by id.

    `uuids` are those of instances by their integer id.
    """

    tables: Mapping[str, Sequence[AnyRow]]
    uuids: Mapping[int, str]

    def __getitem__(self, name: str) -> Sequence[AnyRow]:
        return self.tables[name]

    @cached_property
    def living(self) -> frozenset[str]:
        """The uuids of nova's living instances."""
        return frozenset(self.uuids.values())

    def owner(self, row: AnyRow) -> str | None:
        """Return whose a row is: an instance's uuid, or what nova has."""
        if row.instance_uuid:
            return str(row.instance_uuid).lower()
        if row.instance_id is None:
            return None
        return self.uuids.get(row.instance_id, f"number {row.instance_id}")


def read(url: str) -> Nova:
    """Return what nova's database holds at one moment.

    :param url: SQLAlchemy URL of kind sqlite, mysql, mariadb or postgresql
    :raises ConfigurationError: the URL cannot be used
    :raises DatabaseUnavailable: it does not answer, or is not there
    :raises SchemaMismatch: it is no database of nova's
    """
    parsed = drivers.parsed_url(url, named="--connection")
    backend = parsed.get_backend_name()
    # nova may have had a driver that is not here.
    parsed = parsed.set(drivername=drivers.DRIVERS[backend])
    if backend == "sqlite":
        with _sqlite(parsed) as connection:
            return _read(connection)
    database = Database(
        parsed.render_as_string(hide_password=False), patience=_PATIENCE
    )
    try:
        return database.read(_read)
    finally:
        database.close()


@contextmanager
def _sqlite(url: URL) -> Iterator[Connection]:
    """A file that is only read: it is another program's."""
    path = Path(url.database or "").absolute()
    if not path.is_file():
        raise DatabaseUnavailable(
            f"--connection {drivers.printable(url)}: there is no such file"
        )
    engine = sqlalchemy.create_engine(
        url.set(
            database=f"file:{quote(str(path))}",
            query={"mode": "ro", "uri": "true"},
        )
    )
    try:
        with engine.connect() as connection:
            yield connection
    except exc.DatabaseError as error:
        raise DatabaseUnavailable(
            f"--connection {drivers.printable(url)}: {error.orig}"
        ) from error
    finally:
        engine.dispose()


def _read(connection: Connection) -> Nova:
    inspector = sqlalchemy.inspect(connection)
    present = {
        name: {each["name"]: each["type"] for each in columns}
        for (_, name), columns in inspector.get_multi_columns(
            filter_names=list(_COLUMNS)
        ).items()
    }
    _check(present, drivers.printable(connection.engine.url))
    found = {
        name: _rows(connection, name, present.get(name, {}))
        for name in _COLUMNS
    }
    instances = found.pop("instances")
    return Nova(
        found, {row.id: row.uuid.lower() for row in instances if row.uuid}
    )


def _check(present: Mapping[str, Mapping[str, Any]], database: str) -> None:
    for name, columns in _MARKS.items():
        found = present.get(name, {})
        for each in columns:
            if each not in found:
                raise SchemaMismatch(
                    f"database {database} is none of nova's, for its table "
                    f"{name} is missing or has no column {each}: --connection "
                    "is nova-network's, not that of nova_api or flatnet"
                )


def _rows(
    connection: Connection, name: str, present: Mapping[str, Any]
) -> Sequence[AnyRow]:
    """The rows of a table that are not deleted; of none if it is missing."""
    if not present:
        return []
    wanted: list[ColumnElement[Any]] = [
        column(each) if each in present else null().label(each)
        for each in _COLUMNS[name]
    ]
    source = table(name, column("id"), *(column(each) for each in present))
    chosen = select(column("id"), *wanted).select_from(source)
    if "deleted" in present:
        chosen = chosen.where(_is_alive(present["deleted"]))
    return connection.execute(chosen.order_by(column("id"))).all()


def _is_alive(kind: Any) -> ColumnElement[bool]:
    deleted: ColumnElement[Any] = column("deleted")
    is_boolean = isinstance(kind, Boolean)
    alive = deleted.is_(False) if is_boolean else deleted == 0
    return or_(alive, deleted.is_(None))
