"""The address of a router of IPv6 that is a network's own.

Revision: 0010
Follows: 0009

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE, COLUMN = "networks", "gateway_v6"


def upgrade() -> None:
    if not _is_there():
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(39)))


def downgrade() -> None:
    # Addresses that MACs make: nobody knew of them before.
    op.execute(
        sa.text(
            "UPDATE floating_ips SET fixed_ip_id = NULL WHERE fixed_ip_id IN "
            "(SELECT id FROM fixed_ips WHERE position < 0)"
        )
    )
    op.execute(sa.text("DELETE FROM fixed_ips WHERE position < 0"))
    if _is_there():
        op.drop_column(TABLE, COLUMN)


def _is_there() -> bool:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return COLUMN in {each["name"] for each in found}
