"""An instance may have more than one interface on a network.

Revision: 0005
Follows: 0004

MariaDB wants an index for a foreign key before it lets go of the one that
served until then.  SQLite cannot drop a constraint: the table is made anew,
and rows that refer to it are judged once it is there again.

Every step passes over what it finds done, see 0001.
"""

import sqlalchemy as sa
from alembic import op

from flatnet.exceptions import SchemaMismatch

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "virtual_interfaces"
CONSTRAINT = "uniq_virtual_interfaces0network_id0instance_uuid"
COLUMNS = ("network_id", "instance_uuid")
INDEX = "virtual_interfaces_network_id_idx"
TWICE = """
    SELECT MIN(instance_uuid) FROM virtual_interfaces
    GROUP BY network_id, instance_uuid HAVING COUNT(*) > 1
"""


def upgrade() -> None:
    if not _is_there(INDEX, "get_indexes"):
        op.create_index(INDEX, TABLE, ["network_id"])
    if _is_there(CONSTRAINT, "get_unique_constraints"):
        if _is_sqlite():
            _make_anew(_without)
        else:
            op.drop_constraint(CONSTRAINT, TABLE, type_="unique")


def downgrade() -> None:
    twice = op.get_bind().scalar(sa.text(TWICE))
    if twice:
        raise SchemaMismatch(
            f"instance {twice} has two interfaces on one network, which "
            "revision 0004 has no room for: deallocate it first"
        )
    if not _is_there(CONSTRAINT, "get_unique_constraints"):
        if _is_sqlite():
            _make_anew(_with)
        else:
            op.create_unique_constraint(CONSTRAINT, TABLE, COLUMNS)
    if _is_there(INDEX, "get_indexes"):
        op.drop_index(INDEX, TABLE)


def _without(table: sa.Table) -> None:
    table.constraints.difference_update(
        [each for each in table.constraints if each.name == CONSTRAINT]
    )


def _with(table: sa.Table) -> None:
    table.append_constraint(sa.UniqueConstraint(*COLUMNS, name=CONSTRAINT))


def _make_anew(change) -> None:
    bind = op.get_bind()
    table = sa.Table(TABLE, sa.MetaData(), autoload_with=bind)
    change(table)
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(
        "CREATE TABLE virtual_interfaces_copy AS "
        "SELECT * FROM virtual_interfaces"
    )
    op.drop_table(TABLE)
    table.create(bind)
    op.execute(
        "INSERT INTO virtual_interfaces SELECT * FROM virtual_interfaces_copy"
    )
    op.drop_table("virtual_interfaces_copy")


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _is_there(name: str, kind: str) -> bool:
    found = getattr(sa.inspect(op.get_bind()), kind)(TABLE)
    return name in {each["name"] for each in found}
