"""Databases in the shapes that nova gave them: Essex's and Train's."""

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, String

from tests.db.nova_cloud import NUMBERS

ESSEX, TRAIN = "essex", "train"
_FLAGS = frozenset(
    (
        *("injected", "multi_host", "enable_dhcp", "share_address"),
        *("allocated", "leased", "reserved", "auto_assigned"),
    )
)
_INTEGERS = frozenset(
    (
        *("vlan", "mtu", "network_id", "virtual_interface_id", "instance_id"),
        *("from_port", "to_port", "parent_group_id", "group_id"),
        *("fixed_ip_id", "security_group_id"),
    )
)
_OWNED = (
    "fixed_ips",
    "virtual_interfaces",
    "security_group_instance_association",
)
_NEWER = {"networks": ["mtu", "dhcp_server", "enable_dhcp", "share_address"]}
_COLUMNS = {
    "instances": "uuid host hostname project_id",
    "networks": "label injected cidr cidr_v6 multi_host gateway_v6 netmask_v6 "
    "netmask bridge bridge_interface gateway broadcast dns1 dns2 vlan "
    "vpn_public_address dhcp_start project_id host uuid",
    "fixed_ips": "address network_id virtual_interface_id allocated leased "
    "reserved host",
    "virtual_interfaces": "address network_id uuid",
    "floating_ips": "address fixed_ip_id project_id host auto_assigned pool "
    "interface",
    "security_groups": "name description user_id project_id",
    "security_group_rules": "parent_group_id protocol from_port to_port cidr "
    "group_id",
    "security_group_instance_association": "security_group_id",
}


class NovaDatabase:
    """One of a release; `url` is what an operator gives."""

    def __init__(self, url, release):
        self.url = url
        self._is_essex = release == ESSEX
        self._metadata = MetaData()
        self._engine = sa.create_engine(url)
        for name, columns in _COLUMNS.items():
            self._table(name, columns.split())
        self._metadata.create_all(self._engine)

    def close(self):
        self._metadata.drop_all(self._engine)
        self._engine.dispose()

    def put(self, table, *rows, deleted=False):
        """Write rows; an `instance` is named as the release does."""
        found = self._metadata.tables[table]
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(found),
                [self._row(found, dict(row), deleted) for row in rows],
            )

    def change(self, table, row_id, **values):
        found = self._metadata.tables[table]
        if owner := values.pop("instance", None):
            values |= self._owner(owner)
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(found).where(found.c.id == row_id).values(values)
            )

    def _owner(self, instance):
        """The column by which a row names an instance."""
        if self._is_essex:
            return {"instance_id": NUMBERS[instance]}
        return {"instance_uuid": instance}

    def _table(self, name, columns):
        if name in _OWNED:
            columns += ["instance_id" if self._is_essex else "instance_uuid"]
        if not self._is_essex:
            columns += _NEWER.get(name, [])
        sa.Table(
            name,
            self._metadata,
            Column("id", Integer, primary_key=True),
            Column("created_at", DateTime),
            Column("updated_at", DateTime),
            Column("deleted_at", DateTime),
            Column("deleted", Boolean if self._is_essex else Integer),
            *(Column(each, _kind(each)) for each in columns),
        )

    def _row(self, table, row, deleted):
        if owner := row.pop("instance", None):
            row |= self._owner(owner)
        marked = deleted if self._is_essex else deleted * row["id"]
        row["deleted"] = marked
        # Essex lacks some.
        return {each.name: row.get(each.name) for each in table.c}


def _kind(name):
    if name in _INTEGERS:
        return Integer
    return Boolean if name in _FLAGS else String(255)
