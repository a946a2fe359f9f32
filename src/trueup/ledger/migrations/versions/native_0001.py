"""The native ledger, as it was first laid down."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
)  # fmt: skip

revision = "native_0001"
down_revision = None
branch_labels = ("native",)
depends_on = None

EXACT = Text().with_variant(Numeric(38, 18), "postgresql")
TIME = Text().with_variant(DateTime(timezone=True), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "orders",
    tables,
    Column("order_id", Text, primary_key=True),
    Column("profile_id", Text, nullable=False),
    Column("user_id", Text),
    Column("symbol", Text),
    Column("type", Text),
    Column("side", Text),
    Column("qty", EXACT),
    Column("quantity", EXACT),
    Column("price", EXACT),
    Column("status", Text),
    Column("timestamp", BigInteger),
    Column("filled_at", TIME),
    Column("trade_id", Text),
    Column("action", Text),
    Column("source", Text),
    Column("sub_tag", Text),
    Column("client_order_id", Text),
    Column("exchange_order_id", Text),
    Column("order_qty", EXACT),
    Column("created_at", TIME),
    Column("updated_at", TIME),
    Index("idx_orders_trade_id", "trade_id"),
    Index("idx_orders_profile_id_trade_id", "profile_id", "trade_id", "symbol"),
    Index("idx_orders_exchange_order_id", "exchange_order_id"),
    Index("idx_orders_client_order_id", "client_order_id"),
)

Table(
    "positions",
    tables,
    Column("profile_id", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("qty", EXACT),
    Column("avg_entry_price", EXACT),
    Column("updated_at", TIME),
    PrimaryKeyConstraint("profile_id", "symbol", "side"),
)

Table(
    "trade_history",
    tables,
    Column("id", Text, primary_key=True),
    Column("profile_id", Text),
    Column("user_id", Text),
    Column("trade_id", Text),
    Column("symbol", Text),
    Column("side", Text),
    Column("entry_qty", EXACT),
    Column("exit_qty", EXACT),
    Column("entry_price", EXACT),
    Column("exit_price", EXACT),
    Column("fees", EXACT),
    Column("realized_pnl", EXACT),
    Column("price_source", Text),
    Column("opened_at", TIME),
    Column("closed_at", TIME),
    Index("idx_trade_history_trade_id", "trade_id"),
)

Table(
    "profiles",
    tables,
    Column("profile_id", Text, primary_key=True),
    Column("user_id", Text),
    Column("account", Text),
    Column("managed_symbols", Text),
    Column("allocated_capital", EXACT),
    Column("enabled", Boolean, nullable=False, server_default="1"),
)

Table(
    "capital_ledger",
    tables,
    Column("profile_id", Text, primary_key=True),
    Column("allocated", EXACT),
    Column("reserved", EXACT),
    Column("deployed", EXACT),
    Column("available", EXACT),
    Column("updated_at", TIME),
)


def upgrade() -> None:
    """Create the tables that are missing."""
    tables.create_all(op.get_bind())
