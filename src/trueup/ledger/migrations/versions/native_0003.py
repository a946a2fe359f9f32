"""An index of client order ids in lower case, since tags are compared in any case."""

from alembic import op
from sqlalchemy import inspect, text

revision = "native_0003"
down_revision = "native_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    connection = op.get_bind()
    if not inspect(connection).has_table("orders"):
        return  # somebody dropped it; it is made anew with all of its indexes
    connection.execute(text("CREATE INDEX idx_orders_lower_client_order_id ON orders (lower(client_order_id))"))
