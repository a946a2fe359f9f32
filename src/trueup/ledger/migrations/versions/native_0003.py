"""Indexes of client order ids and trade ids in lower case, since tags are compared in any case."""

from alembic import op
from sqlalchemy import inspect, text

revision = "native_0003"
down_revision = "native_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    connection = op.get_bind()
    if not inspect(connection).has_table("orders"):
        return  # somebody dropped it; it is made anew with all of its indexes
    for column in ("client_order_id", "trade_id"):
        connection.execute(text(f"CREATE INDEX idx_orders_lower_{column} ON orders (lower({column}))"))
