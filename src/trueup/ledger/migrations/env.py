"""Runs migrations on the connection that `trueup.ledger.migrate` hands over, inside its transaction."""

from alembic import context

from trueup.ledger.schema import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
