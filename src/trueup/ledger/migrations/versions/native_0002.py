"""An index of the order ids with blanks around them, so that looking for these reads no other row."""

from alembic import op
from sqlalchemy import inspect, text

revision = "native_0002"
down_revision = "native_0001"
branch_labels = None
depends_on = None

COLUMNS = ("order_id", "exchange_order_id", "client_order_id")
ON_POSTGRES = "{0} ~ '^[^!-~]|[^!-~]$'"
ON_SQLITE = "{0} != '' AND (substr({0}, 1, 1) NOT BETWEEN '!' AND '~' OR substr({0}, -1) NOT BETWEEN '!' AND '~')"


def upgrade() -> None:
    """Create the index; it holds only what it is about, as a rule nothing."""
    connection = op.get_bind()
    if not inspect(connection).has_table("orders"):
        return  # somebody dropped it; it is made anew with all of its indexes
    one = ON_POSTGRES if connection.dialect.name == "postgresql" else ON_SQLITE
    where = " OR ".join(one.format(column) for column in COLUMNS)
    connection.execute(text(f"CREATE INDEX idx_orders_padded_ids ON orders ({', '.join(COLUMNS)}) WHERE {where}"))
