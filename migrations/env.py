"""Run revisions on the connection that `flatnet.db.schema` hands over.

They become part of the transaction that is open on it.  On MySQL, which
commits each statement that changes tables, each revision is noted as soon as
it is done: else one that refuses would take back what was noted of those
before it, but not what these did.
"""

from typing import Any

from alembic import context

from flatnet.db import models

_CONNECTION = context.config.attributes["connection"]


def _noted(**_: Any) -> None:
    if _CONNECTION.dialect.name in ("mysql", "mariadb"):
        _CONNECTION.exec_driver_sql("COMMIT")


context.configure(
    connection=_CONNECTION,
    target_metadata=models.metadata,
    on_version_apply=_noted,
)
context.run_migrations()
