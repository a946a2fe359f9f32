"""trueup's own tables, as they were first laid down."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

revision = "own_0001"
down_revision = None
branch_labels = ("own",)
depends_on = None

EXACT = Text().with_variant(Numeric(38, 18), "postgresql")
TIME = Text().with_variant(DateTime(timezone=True), "postgresql")
JSON = Text().with_variant(JSONB(none_as_null=True), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "reconciliation_backfill_audit",
    tables,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("batch_id", Text, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("symbol", Text),
    Column("trade_id", Text),
    Column("exchange_order_id", Text),
    Column("exchange_client_order_id", Text),
    Column("backfill_order_id", Text),
    Column("filled_qty", EXACT),
    Column("filled_price", EXACT),
    Column("filled_at", TIME),
    Column("dry_run", Boolean, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("applied_at", TIME),
    Column("reverted_at", TIME),
    Column("actor", Text, nullable=False),
    Column("plan_hash", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Index("idx_reconciliation_backfill_audit_batch_id", "batch_id"),
    Index("idx_reconciliation_backfill_audit_exchange_order_id", "exchange_order_id"),
    Index("idx_reconciliation_backfill_audit_profile_id_decision", "profile_id", "decision"),
)

Table(
    "reconcile_runs",
    tables,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("audit_head", Text, nullable=False),
    Column("summary", JSON),
    Column("started_at", TIME, nullable=False),
    Column("ended_at", TIME),
)

Table(
    "safety_modes",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("scope", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("previous_mode", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Index("idx_safety_modes_scope_seq", "scope", "seq"),
)

Table(
    "incidents",
    tables,
    Column("incident_id", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("detail", JSON),
    Column("opened_at", TIME, nullable=False),
    Column("closed_at", TIME),
)

Table(
    "leases",
    tables,
    Column("scope", Text, primary_key=True),
    Column("owner", Text),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("next_run_at", BigInteger),
)

Table(
    "alerts",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("sent_at", TIME),
)

Table(
    "breaks",
    tables,
    Column("break_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("detail", JSON),
    Column("confirmations", Integer, nullable=False, server_default="0"),
    Column("owner", Text),
    Column("resolution", Text),
    Column("first_seen_at", TIME, nullable=False),
    Column("last_seen_at", TIME, nullable=False),
    Column("resolved_at", TIME),
)

Table(
    "sign_offs",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
    Column("created_at", TIME, nullable=False),
)

Table(
    "heartbeats",
    tables,
    Column("scope", Text, primary_key=True),
    Column("beat_at", BigInteger, nullable=False),
    Column("healthy", Boolean, nullable=False),
    Column("streak", Integer, nullable=False, server_default="0"),
)

Table(
    "watermarks",
    tables,
    Column("scope", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("updated_at", TIME, nullable=False),
)


def upgrade() -> None:
    """Create the tables that are missing."""
    tables.create_all(op.get_bind())
