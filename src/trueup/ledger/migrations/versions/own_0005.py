"""What a flattening puts on record before it asks the venue for anything."""

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Numeric, Table, Text

revision = "own_0005"
down_revision = "own_0004"
branch_labels = None
depends_on = None

EXACT = Text().with_variant(Numeric(38, 18), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "flatten_actions",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("episode", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("what", Text, nullable=False),
    Column("symbol", Text),
    Column("token", Text),
    Column("side", Text),
    Column("qty", EXACT),
    Column("held", EXACT),
    Column("client_order_id", Text),
    Column("order_id", Text),
    Column("detail", Text, nullable=False),
    Column("closing", Text),
    Column("at", BigInteger, nullable=False),
    Index("uq_flatten_actions_closing", "closing", unique=True),
    Index("idx_flatten_actions_episode", "episode", "seq"),
    Index("idx_flatten_actions_account_scope", "account", "scope", "seq"),
)


def upgrade() -> None:
    """Create the table."""
    tables.create_all(op.get_bind(), checkfirst=True)
