"""Run revisions on the connection that `flatnet.db.schema` hands over.

They become part of the transaction that is open on it.
"""

from alembic import context

from flatnet.db import models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=models.metadata,
)
context.run_migrations()
