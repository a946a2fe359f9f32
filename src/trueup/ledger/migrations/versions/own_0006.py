"""What the phases of lifecycle integrity keep of their steps."""

from alembic import op
from sqlalchemy import Column, DateTime, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

revision = "own_0006"
down_revision = "own_0005"
branch_labels = None
depends_on = None

TIME = Text().with_variant(DateTime(timezone=True), "postgresql")
JSON = Text().with_variant(JSONB(none_as_null=True), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "integrity_steps",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("batch_id", Text),
    Column("detail", JSON),
    Column("created_at", TIME, nullable=False),
    Index("idx_integrity_steps_object", "object", "seq"),
    Index("idx_integrity_steps_phase", "phase", "seq"),
)


def upgrade() -> None:
    """Create the table."""
    tables.create_all(op.get_bind(), checkfirst=True)
