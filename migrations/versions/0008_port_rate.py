"""What an interface may send and take.

Revision: 0008
Follows: 0007

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "virtual_interfaces"
COLUMNS = {"rxtx_factor": sa.Double, "port_rate": sa.BigInteger}


def upgrade() -> None:
    there = _there()
    for name, kind in COLUMNS.items():
        if name not in there:
            op.add_column(TABLE, sa.Column(name, kind))


def downgrade() -> None:
    there = _there()
    for name in COLUMNS:
        if name in there:
            op.drop_column(TABLE, name)


def _there() -> set[str]:
    found = sa.inspect(op.get_bind()).get_columns(TABLE)
    return {each["name"] for each in found}
