"""trueup's own tables."""

from alembic import op

from trueup.ledger import schema

revision = "own_0001"
down_revision = None
branch_labels = ("own",)
depends_on = None


def upgrade() -> None:
    """Create the tables that are missing."""
    schema.own.create_all(op.get_bind())
