"""Indexes by which a reconciliation finds a profile's working, recent and changed orders."""

from alembic import op
from sqlalchemy import inspect, text

revision = "native_0004"
down_revision = "native_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    connection = op.get_bind()
    if not inspect(connection).has_table("orders"):
        return  # somebody dropped it; it is made anew with all of its indexes
    for column in ("status", "timestamp", "updated_at"):
        connection.execute(text(f"CREATE INDEX idx_orders_profile_id_{column} ON orders (profile_id, {column})"))
