"""Why an address is set aside.

Revision: 0003
Follows: 0002

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE, COLUMN = "fixed_ips", "reason"


def upgrade() -> None:
    if not _is_there():
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(255)))


def downgrade() -> None:
    if _is_there():
        op.drop_column(TABLE, COLUMN)


def _is_there() -> bool:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return COLUMN in {each["name"] for each in found}
