"""The native ledger."""

from alembic import op

from trueup.ledger import schema

revision = "native_0001"
down_revision = None
branch_labels = ("native",)
depends_on = None


def upgrade() -> None:
    """Create the tables that are missing."""
    schema.native.create_all(op.get_bind())
