"""The first tables: nova's names, flatnet's constraints.

Revision: 0001
Follows: nothing

Every step passes over what it finds done: MariaDB commits each statement
by itself, so an upgrade that was cut off must be able to run again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)
NAME = sa.String(255)
UUID = sa.String(36)
ADDRESS = sa.String(39)


def upgrade() -> None:
    _create_instances()
    _create_networks()
    _create_virtual_interfaces()
    _create_fixed_ips()
    _create_security_groups()
    _create_security_group_rules()
    _create_security_group_instance_association()
    _create_services()


def downgrade() -> None:
    """Drop flatnet's tables; `instances` is the compute service's."""
    for table in (
        "services",
        "security_group_instance_association",
        "security_group_rules",
        "security_groups",
        "fixed_ips",
        "virtual_interfaces",
        "networks",
    ):
        op.drop_table(table, if_exists=True)


def _create(name, *contents, **indexes):
    """Create a table with the columns that all have, or finish it."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("created_at", TIMESTAMP),
            sa.Column("updated_at", TIMESTAMP),
            *contents,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
    found = sa.inspect(op.get_bind()).get_indexes(name)
    for index in indexes.keys() - {item["name"] for item in found}:
        op.create_index(index, name, indexes[index])


def _flag(name, value):
    return sa.Column(name, sa.Boolean, nullable=False, server_default=value)


def _create_instances() -> None:
    """Only where there is none: the compute service's is not touched."""
    if sa.inspect(op.get_bind()).has_table("instances"):
        return
    _create(
        "instances",
        sa.Column("deleted_at", TIMESTAMP),
        sa.Column(
            "deleted", sa.Integer, nullable=False, server_default=sa.text("0")
        ),
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("hostname", NAME),
        sa.Column("host", NAME),
        sa.Column("project_id", NAME),
        sa.UniqueConstraint("uuid", name="uniq_instances0uuid"),
        instances_host_deleted_idx=["host", "deleted"],
        instances_hostname_idx=["hostname"],
    )


def _create_networks() -> None:
    _create(
        "networks",
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("label", NAME, nullable=False),
        sa.Column("cidr", ADDRESS, nullable=False),
        sa.Column("cidr_v6", sa.String(43)),
        sa.Column("bridge", sa.String(15), nullable=False),
        sa.Column("bridge_interface", sa.String(15)),
        sa.Column("gateway", ADDRESS),
        sa.Column("broadcast", ADDRESS),
        sa.Column("netmask", ADDRESS),
        sa.Column("dns1", ADDRESS),
        sa.Column("dns2", ADDRESS),
        sa.Column("dhcp_start", ADDRESS),
        sa.Column("dhcp_server", ADDRESS),
        _flag("multi_host", sa.true()),
        _flag("enable_dhcp", sa.true()),
        sa.Column("mtu", sa.Integer),
        _flag("injected", sa.false()),
        sa.Column("project_id", NAME),
        sa.Column("host", NAME),
        sa.Column("pool_first", sa.BigInteger, nullable=False),
        sa.Column("pool_last", sa.BigInteger, nullable=False),
        sa.Column("next_position", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("uuid", name="uniq_networks0uuid"),
        sa.UniqueConstraint("bridge", name="uniq_networks0bridge"),
        sa.UniqueConstraint("cidr", name="uniq_networks0cidr"),
        networks_label_idx=["label"],
    )


def _create_virtual_interfaces() -> None:
    _create(
        "virtual_interfaces",
        sa.Column("uuid", UUID, nullable=False),
        sa.Column("address", sa.String(17), nullable=False),
        sa.Column(
            "network_id",
            sa.Integer,
            sa.ForeignKey(
                "networks.id", name="virtual_interfaces_network_id_fkey"
            ),
            nullable=False,
        ),
        sa.Column("instance_uuid", UUID, nullable=False),
        sa.UniqueConstraint("uuid", name="uniq_virtual_interfaces0uuid"),
        sa.UniqueConstraint("address", name="uniq_virtual_interfaces0address"),
        sa.UniqueConstraint(
            "network_id",
            "instance_uuid",
            name="uniq_virtual_interfaces0network_id0instance_uuid",
        ),
        virtual_interfaces_instance_uuid_idx=["instance_uuid"],
    )


def _create_fixed_ips() -> None:
    _create(
        "fixed_ips",
        sa.Column("address", ADDRESS, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column(
            "network_id",
            sa.Integer,
            sa.ForeignKey("networks.id", name="fixed_ips_network_id_fkey"),
            nullable=False,
        ),
        sa.Column(
            "virtual_interface_id",
            sa.Integer,
            sa.ForeignKey(
                "virtual_interfaces.id",
                name="fixed_ips_virtual_interface_id_fkey",
            ),
        ),
        sa.Column("instance_uuid", UUID),
        _flag("allocated", sa.false()),
        _flag("leased", sa.false()),
        _flag("reserved", sa.false()),
        sa.Column("host", NAME),
        sa.UniqueConstraint(
            "network_id", "address", name="uniq_fixed_ips0network_id0address"
        ),
        sa.UniqueConstraint(
            "network_id", "position", name="uniq_fixed_ips0network_id0position"
        ),
        sa.UniqueConstraint(
            "network_id", "host", name="uniq_fixed_ips0network_id0host"
        ),
        fixed_ips_virtual_interface_id_idx=["virtual_interface_id"],
        fixed_ips_instance_uuid_idx=["instance_uuid"],
        fixed_ips_host_idx=["host"],
        fixed_ips_address_idx=["address"],
        fixed_ips_network_id_updated_at_idx=["network_id", "updated_at"],
    )


def _create_security_groups() -> None:
    _create(
        "security_groups",
        sa.Column("name", NAME, nullable=False),
        sa.Column("description", NAME),
        sa.Column("project_id", NAME),
        sa.UniqueConstraint(
            "project_id", "name", name="uniq_security_groups0project_id0name"
        ),
    )


def _create_security_group_rules() -> None:
    _create(
        "security_group_rules",
        sa.Column(
            "parent_group_id",
            sa.Integer,
            sa.ForeignKey(
                "security_groups.id",
                name="security_group_rules_parent_group_id_fkey",
            ),
            nullable=False,
        ),
        sa.Column("protocol", sa.String(16)),
        sa.Column("from_port", sa.Integer),
        sa.Column("to_port", sa.Integer),
        sa.Column("cidr", sa.String(43)),
        sa.Column(
            "group_id",
            sa.Integer,
            sa.ForeignKey(
                "security_groups.id", name="security_group_rules_group_id_fkey"
            ),
        ),
        security_group_rules_parent_group_id_idx=["parent_group_id"],
        security_group_rules_group_id_idx=["group_id"],
    )


def _create_security_group_instance_association() -> None:
    _create(
        "security_group_instance_association",
        sa.Column(
            "security_group_id",
            sa.Integer,
            sa.ForeignKey(
                "security_groups.id",
                name="security_group_instance_security_group_id_fkey",
            ),
            nullable=False,
        ),
        sa.Column("instance_uuid", UUID, nullable=False),
        sa.UniqueConstraint(
            "security_group_id",
            "instance_uuid",
            name="uniq_security_group_instance0group_id0instance_uuid",
        ),
        security_group_instance_instance_uuid_idx=["instance_uuid"],
    )


def _create_services() -> None:
    _create(
        "services",
        sa.Column("host", NAME, nullable=False),
        sa.Column("binary", NAME, nullable=False),
        sa.Column("topic", NAME),
        sa.Column(
            "report_count",
            sa.Integer,
            nullable=False,
            server_default=sa.text("0"),
        ),
        sa.Column("last_seen_up", TIMESTAMP),
        sa.UniqueConstraint(
            "host", "binary", name="uniq_services0host0binary"
        ),
    )
