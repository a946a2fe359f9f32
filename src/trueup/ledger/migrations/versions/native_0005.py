"""An index of closed trades by their end, so that the profit since a time is found without the whole history."""

from alembic import op
from sqlalchemy import inspect, text

revision = "native_0005"
down_revision = "native_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    connection = op.get_bind()
    if not inspect(connection).has_table("trade_history"):
        return  # somebody dropped it; it is made anew with all of its indexes
    name = "idx_trade_history_profile_id_closed_at"
    connection.execute(text(f"CREATE INDEX IF NOT EXISTS {name} ON trade_history (profile_id, closed_at)"))
