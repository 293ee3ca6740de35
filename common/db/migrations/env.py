"""Alembic's entry: the connection comes from `common.db.migrate`."""

from alembic import context

from common.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
