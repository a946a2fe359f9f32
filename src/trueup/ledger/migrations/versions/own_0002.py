"""What the reconciliation loop and the HTTP API keep: breaks across runs, whose run it was, tokens, the outbox's state.

Nothing is dropped (invariant 8), not even the table of breaks, to which nothing ever wrote: it gets what it lacks.
"""

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, MetaData, Numeric, Table, Text, inspect
from sqlalchemy.dialects.postgresql import JSONB

revision = "own_0002"
down_revision = "own_0001"
branch_labels = None
depends_on = None

EXACT = Text().with_variant(Numeric(38, 18), "postgresql")
TIME = Text().with_variant(DateTime(timezone=True), "postgresql")
JSON = Text().with_variant(JSONB(none_as_null=True), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "api_tokens",
    tables,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
)

Table(
    "idempotency_keys",
    tables,
    Column("key", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer),
    Column("response", JSON),
    Column("created_at", TIME, nullable=False),
)

INDEXES = (
    ("idx_breaks_account", "breaks", ["account", "resolved_at"]),
    ("idx_breaks_profile_id", "breaks", ["profile_id", "resolved_at"]),
    ("idx_reconcile_runs_profile_id", "reconcile_runs", ["profile_id", "started_at"]),
    ("idx_reconcile_runs_status", "reconcile_runs", ["status", "started_at"]),
    ("idx_leases_next_run_at", "leases", ["next_run_at"]),
    ("idx_alerts_key", "alerts", ["key", "seq"]),
    ("idx_alerts_sent_at", "alerts", ["sent_at"]),
)


def added() -> dict[str, tuple[Column[Any], ...]]:
    """Return the new columns of tables that stay; a column belongs to one table, so that each call makes them anew."""
    return {
        "breaks": (
            Column("account", Text, nullable=False, server_default=""),
            Column("profile_id", Text),
            Column("symbol", Text),
            Column("trade_id", Text),
            Column("exchange_order_id", Text),
            Column("state", Text, nullable=False, server_default="open"),
            Column("reason", Text, nullable=False, server_default=""),
            Column("ledger_qty", Text),
            Column("venue_qty", Text),
            Column("notional", EXACT),
            Column("as_of", BigInteger),
            Column("first_run_id", Text),
            Column("last_run_id", Text),
        ),
        "reconcile_runs": (
            Column("profile_id", Text),
            Column("account", Text),
            Column("cycle_id", Text),
            Column("dry_run", Boolean),
        ),
        "leases": (
            Column("contended", BigInteger, nullable=False, server_default="0"),
            Column("fenced_out", BigInteger, nullable=False, server_default="0"),
        ),
        "alerts": (
            Column("key", Text),
            Column("severity", Text, nullable=False, server_default="warning"),
            Column("count", Integer, nullable=False, server_default="1"),
            Column("last_seen_at", TIME),
            Column("attempts", Integer, nullable=False, server_default="0"),
            Column("next_attempt_at", BigInteger),
            Column("escalated_at", TIME),
            Column("error", Text),
        ),
    }


FIRST = {
    "breaks": {"break_id", "kind", "scope", "confirmations", "first_seen_at", "resolved_at"},
    "reconcile_runs": {"run_id", "kind", "scope", "status", "audit_head", "started_at"},
    "leases": {"scope", "owner", "fence", "expires_at", "next_run_at"},
    "alerts": {"seq", "kind", "scope", "text", "created_at", "sent_at"},
}
"""What the tables had at first: one without is somebody else's, which `init` refuses, and no column is added to it."""


def _is_ours(name: str) -> bool:
    found = inspect(op.get_bind())
    return found.has_table(name) and FIRST[name] <= {column["name"] for column in found.get_columns(name)}


def upgrade() -> None:
    """Add the columns and the tables; a table that somebody dropped is made anew, whole, after the migrations."""
    there = {name for name in added() if _is_ours(name)}
    for name, columns in added().items():
        for column in columns if name in there else ():
            op.add_column(name, column)
    for index, name, names in INDEXES:
        if name in there:
            op.create_index(index, name, names)
    tables.create_all(op.get_bind())
