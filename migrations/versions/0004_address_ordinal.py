"""Which of its interface's addresses one is.

Revision: 0004
Follows: 0003

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE, COLUMN = "fixed_ips", "ordinal"


def upgrade() -> None:
    if not _is_there():
        op.add_column(
            TABLE,
            sa.Column(COLUMN, sa.Integer, nullable=False, server_default="0"),
        )


def downgrade() -> None:
    if _is_there():
        op.drop_column(TABLE, COLUMN)


def _is_there() -> bool:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return COLUMN in {each["name"] for each in found}
