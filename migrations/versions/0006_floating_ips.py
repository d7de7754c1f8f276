"""Floating addresses.

Revision: 0006
Follows: 0005

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "floating_ips"
TIMESTAMP = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)
NAME = sa.String(255)
INDEXES = {
    "floating_ips_fixed_ip_id_idx": ["fixed_ip_id"],
    "floating_ips_project_id_idx": ["project_id"],
    "floating_ips_pool_project_id_idx": ["pool", "project_id"],
    "floating_ips_position_idx": ["position"],
}


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table(TABLE):
        _create()
    found = sa.inspect(op.get_bind()).get_indexes(TABLE)
    for name in INDEXES.keys() - {each["name"] for each in found}:
        op.create_index(name, TABLE, INDEXES[name])


def downgrade() -> None:
    op.drop_table(TABLE, if_exists=True)


def _create() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created_at", TIMESTAMP),
        sa.Column("updated_at", TIMESTAMP),
        sa.Column("address", sa.String(39), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column(
            "fixed_ip_id",
            sa.Integer,
            sa.ForeignKey(
                "fixed_ips.id", name="floating_ips_fixed_ip_id_fkey"
            ),
        ),
        sa.Column("project_id", NAME),
        sa.Column("host", NAME),
        sa.Column(
            "auto_assigned",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
        ),
        sa.Column("pool", NAME, nullable=False),
        sa.Column("interface", sa.String(15)),
        sa.UniqueConstraint("address", name="uniq_floating_ips0address"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
