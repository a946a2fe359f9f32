"""What incidents, canaries and the dead-man keep."""

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Numeric, Table, Text, inspect
from sqlalchemy.dialects.postgresql import JSONB

revision = "own_0004"
down_revision = "own_0003"
branch_labels = None
depends_on = None

EXACT = Text().with_variant(Numeric(38, 18), "postgresql")
TIME = Text().with_variant(DateTime(timezone=True), "postgresql")
JSON = Text().with_variant(JSONB(none_as_null=True), "postgresql")

tables = MetaData()
"""Frozen: a later change of the schema is a later migration."""

Table(
    "incident_steps",
    tables,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON),
    Column("created_at", TIME, nullable=False),
    Index("idx_incident_steps_incident_id", "incident_id", "seq"),
)

Table(
    "canaries",
    tables,
    Column("canary_id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("symbols", JSON),
    Column("exposure_limit", EXACT, nullable=False),
    Column("measured", EXACT, nullable=False),
    Column("measured_at", BigInteger, nullable=False),
    Column("lifts", JSON, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("ended_at", TIME),
    Column("outcome", Text),
    Index("idx_canaries_profile_id", "profile_id", "ended_at"),
    Index("idx_canaries_incident_id", "incident_id"),
)

Table(
    "canary_grants",
    tables,
    Column("canary_id", Text, primary_key=True),
    Column("order_ref", Text, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("notional", EXACT, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
)

FIRST = {
    "incidents": {"incident_id", "scope", "status", "detail", "opened_at", "closed_at"},
    "heartbeats": {"scope", "beat_at", "healthy", "streak"},
}
"""What the tables had at first: one without is somebody else's, which `init` refuses, and no column is added to it."""


def added() -> dict[str, tuple[Column[Any], ...]]:
    """Return the new columns of tables that stay."""
    return {
        "incidents": (
            Column("account", Text, nullable=False, server_default=""),
            Column("version", Integer, nullable=False, server_default="1"),
            Column("open_scope", Text),
        ),
        "heartbeats": (
            Column("healthy_at", BigInteger),
            Column("recovering", Boolean, nullable=False, server_default="0"),
        ),
    }


def _is_ours(name: str) -> bool:
    found = inspect(op.get_bind())
    return found.has_table(name) and FIRST[name] <= {column["name"] for column in found.get_columns(name)}


def upgrade() -> None:
    """Add the columns and the tables; a table that somebody dropped is made anew, whole, after the migrations."""
    there = {name for name in added() if _is_ours(name)}
    for name, columns in added().items():
        for column in columns if name in there else ():
            op.add_column(name, column)
    if "incidents" in there:
        op.create_index("uq_incidents_open_scope", "incidents", ["open_scope"], unique=True)
        op.create_index("idx_incidents_closed_at", "incidents", ["closed_at"])
    if "heartbeats" in there:
        op.execute("UPDATE heartbeats SET healthy_at = beat_at WHERE healthy")
    tables.create_all(op.get_bind())
