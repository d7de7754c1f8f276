"""The MAC of the bridge that serves a network for all hosts.

Revision: 0011
Follows: 0010

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE, COLUMN = "networks", "server_mac"


def upgrade() -> None:
    if not _is_there():
        op.add_column(TABLE, sa.Column(COLUMN, sa.String(17)))


def downgrade() -> None:
    if _is_there():
        op.drop_column(TABLE, COLUMN)


def _is_there() -> bool:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return COLUMN in {each["name"] for each in found}
