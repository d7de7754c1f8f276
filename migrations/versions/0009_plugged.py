"""Whether an interface is to have a port.

Revision: 0009
Follows: 0008

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE, COLUMN = "virtual_interfaces", "plugged"


def upgrade() -> None:
    if not _is_there():
        op.add_column(
            TABLE,
            sa.Column(
                COLUMN, sa.Boolean, nullable=False, server_default=sa.true()
            ),
        )


def downgrade() -> None:
    if _is_there():
        op.drop_column(TABLE, COLUMN)


def _is_there() -> bool:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return COLUMN in {each["name"] for each in found}
