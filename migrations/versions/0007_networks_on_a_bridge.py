"""A bridge may have more than one network.

Revision: 0007
Follows: 0006

SQLite cannot drop a constraint: the table is made anew, and rows that refer
to it are judged once it is there again.

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

from flatnet.exceptions import SchemaMismatch

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE, COLUMN = "networks", "bridge"
CONSTRAINT = "uniq_networks0bridge"
INDEX = "networks_bridge_idx"
TWICE = """
    SELECT MIN(bridge) FROM networks GROUP BY bridge HAVING COUNT(*) > 1
"""


def upgrade() -> None:
    if _is_there(CONSTRAINT, "get_unique_constraints"):
        if _is_sqlite():
            _make_anew(_without)
        else:
            op.drop_constraint(CONSTRAINT, TABLE, type_="unique")
    if not _is_there(INDEX, "get_indexes"):
        op.create_index(INDEX, TABLE, [COLUMN])


def downgrade() -> None:
    twice = op.get_bind().scalar(sa.text(TWICE))
    if twice:
        raise SchemaMismatch(
            f"bridge {twice} has two networks, which the revision before has "
            "no room for: delete one first"
        )
    if _is_there(INDEX, "get_indexes"):
        op.drop_index(INDEX, TABLE)
    if not _is_there(CONSTRAINT, "get_unique_constraints"):
        if _is_sqlite():
            _make_anew(_with)
        else:
            op.create_unique_constraint(CONSTRAINT, TABLE, [COLUMN])


def _without(table: sa.Table) -> None:
    table.constraints.difference_update(
        [each for each in table.constraints if each.name == CONSTRAINT]
    )


def _with(table: sa.Table) -> None:
    table.append_constraint(sa.UniqueConstraint(COLUMN, name=CONSTRAINT))


def _make_anew(change) -> None:
    bind = op.get_bind()
    table = sa.Table(TABLE, sa.MetaData(), autoload_with=bind)
    change(table)
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TABLE networks_copy AS SELECT * FROM networks")
    op.drop_table(TABLE)
    table.create(bind)
    op.execute("INSERT INTO networks SELECT * FROM networks_copy")
    op.drop_table("networks_copy")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _is_there(name: str, kind: str) -> bool:
    found = getattr(sa.inspect(op.get_bind()), kind)(TABLE)
    return name in {each["name"] for each in found}
