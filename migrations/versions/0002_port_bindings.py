"""Who has a port, and what its host made of it.

Revision: 0002
Follows: 0001

Interfaces that exist are bound to the host that their instance's row names,
of whatever kind their port is; a pass of that host finds it out.

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)
NAME = sa.String(255)
UUID = sa.String(36)
INDEXES = {
    "port_bindings_host_idx": ["host"],
    "port_bindings_instance_uuid_idx": ["instance_uuid"],
}
SERVICE_COLUMNS = {
    "state": sa.String(16),
    "reason": NAME,
    "holder": NAME,
    "machine": NAME,
}
# Collations of a compute service's table may be others than ours.
BIND = """
    INSERT INTO port_bindings (interface_uuid, instance_uuid, host, wanted)
    SELECT virtual_interfaces.uuid, virtual_interfaces.instance_uuid,
           instances.host, 'serving'
    FROM virtual_interfaces
    JOIN instances ON instances.uuid = virtual_interfaces.instance_uuid
    WHERE instances.host IS NOT NULL AND virtual_interfaces.uuid NOT IN
          (SELECT interface_uuid FROM port_bindings)
"""


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table("port_bindings"):
        _create_port_bindings()
    present = {
        each["name"]
        for each in sa.inspect(op.get_bind()).get_indexes("port_bindings")
    }
    for name in INDEXES.keys() - present:
        op.create_index(name, "port_bindings", INDEXES[name])
    op.execute(BIND)
    columns = {each["name"] for each in inspector.get_columns("services")}
    for name in SERVICE_COLUMNS.keys() - columns:
        op.add_column("services", sa.Column(name, SERVICE_COLUMNS[name]))


def downgrade() -> None:
    op.drop_table("port_bindings", if_exists=True)
    found = sa.inspect(op.get_bind()).get_columns("services")
    for name in SERVICE_COLUMNS.keys() & {each["name"] for each in found}:
        op.drop_column("services", name)


def _create_port_bindings() -> None:
    op.create_table(
        "port_bindings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created_at", TIMESTAMP),
        sa.Column("updated_at", TIMESTAMP),
        sa.Column("interface_uuid", UUID, nullable=False),
        sa.Column("instance_uuid", UUID, nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("wanted", sa.String(16), nullable=False),
        sa.Column("plug", sa.String(16)),
        sa.Column("found", sa.String(16)),
        sa.Column("carrier", sa.Boolean),
        sa.Column("reason", NAME),
        sa.Column("seen_at", TIMESTAMP),
        sa.UniqueConstraint(
            "interface_uuid",
            "host",
            name="uniq_port_bindings0interface_uuid0host",
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
