"""Alembic's entry: runs the migrations on the connection, and in the transaction, that the caller opened."""

from alembic import context

from clipsearch.catalog.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=False)
context.run_migrations()
