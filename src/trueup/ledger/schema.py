"""The tables: the native ledger (§ data in the docs) and trueup's own."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text, func

from trueup.ledger.blanks import ID_COLUMNS, any_padded
from trueup.ledger.types import ExactDecimal, JsonText, UtcTime

native = MetaData()
own = MetaData()

VERSION_TABLE = "trueup_schema"
AUDIT = "reconciliation_backfill_audit"

ORDER_COLUMNS = (
    "order_id", "profile_id", "user_id", "symbol", "type", "side", "qty", "quantity", "price", "status", "timestamp",
    "filled_at", "trade_id", "action", "source", "sub_tag", "client_order_id", "exchange_order_id", "order_qty",
    "created_at", "updated_at",
)  # fmt: skip
REQUIRED_ORDER_COLUMNS = ("order_id", "symbol", "side", "status", "timestamp", "trade_id")
"""What an attached orders table must have, with at least one of qty and quantity."""

orders = Table(
    "orders",
    native,
    Column("order_id", Text, primary_key=True),
    Column("profile_id", Text, nullable=False),
    Column("user_id", Text),
    Column("symbol", Text),
    Column("type", Text),
    Column("side", Text),
    Column("qty", ExactDecimal),
    Column("quantity", ExactDecimal),
    Column("price", ExactDecimal),
    Column("status", Text),
    Column("timestamp", BigInteger),
    Column("filled_at", UtcTime),
    Column("trade_id", Text),
    Column("action", Text),
    Column("source", Text),
    Column("sub_tag", Text),
    Column("client_order_id", Text),
    Column("exchange_order_id", Text),
    Column("order_qty", ExactDecimal),
    Column("created_at", UtcTime),
    Column("updated_at", UtcTime),
    Index("idx_orders_trade_id", "trade_id"),
    Index("idx_orders_profile_id_trade_id", "profile_id", "trade_id", "symbol"),
    Index("idx_orders_exchange_order_id", "exchange_order_id"),
    Index("idx_orders_client_order_id", "client_order_id"),
    Index("idx_orders_profile_id_status", "profile_id", "status"),
    Index("idx_orders_profile_id_timestamp", "profile_id", "timestamp"),
    Index("idx_orders_profile_id_updated_at", "profile_id", "updated_at"),
)
_ORDER_IDS = [orders.c[name] for name in ID_COLUMNS]
Index(
    "idx_orders_padded_ids",
    *_ORDER_IDS,
    sqlite_where=any_padded(_ORDER_IDS, "sqlite"),
    postgresql_where=any_padded(_ORDER_IDS, "postgresql"),
)
Index("idx_orders_lower_client_order_id", func.lower(orders.c.client_order_id))
Index("idx_orders_lower_trade_id", func.lower(orders.c.trade_id))

positions = Table(
    "positions",
    native,
    Column("profile_id", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("qty", ExactDecimal),
    Column("avg_entry_price", ExactDecimal),
    Column("updated_at", UtcTime),
    PrimaryKeyConstraint("profile_id", "symbol", "side"),
)

trade_history = Table(
    "trade_history",
    native,
    Column("id", Text, primary_key=True),
    Column("profile_id", Text),
    Column("user_id", Text),
    Column("trade_id", Text),
    Column("symbol", Text),
    Column("side", Text),
    Column("entry_qty", ExactDecimal),
    Column("exit_qty", ExactDecimal),
    Column("entry_price", ExactDecimal),
    Column("exit_price", ExactDecimal),
    Column("fees", ExactDecimal),
    Column("realized_pnl", ExactDecimal),
    Column("price_source", Text),
    Column("opened_at", UtcTime),
    Column("closed_at", UtcTime),
    Index("idx_trade_history_trade_id", "trade_id"),
    Index("idx_trade_history_profile_id_closed_at", "profile_id", "closed_at"),
)

profiles = Table(
    "profiles",
    native,
    Column("profile_id", Text, primary_key=True),
    Column("user_id", Text),
    Column("account", Text),
    Column("managed_symbols", Text),
    Column("allocated_capital", ExactDecimal),
    Column("enabled", Boolean, nullable=False, server_default="1"),
)

capital_ledger = Table(
    "capital_ledger",
    native,
    Column("profile_id", Text, primary_key=True),
    Column("allocated", ExactDecimal),
    Column("reserved", ExactDecimal),
    Column("deployed", ExactDecimal),
    Column("available", ExactDecimal),
    Column("updated_at", UtcTime),
)

audit = Table(
    AUDIT,
    own,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("batch_id", Text, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("symbol", Text),
    Column("trade_id", Text),
    Column("exchange_order_id", Text),
    Column("exchange_client_order_id", Text),
    Column("backfill_order_id", Text),
    Column("filled_qty", ExactDecimal),
    Column("filled_price", ExactDecimal),
    Column("filled_at", UtcTime),
    Column("dry_run", Boolean, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("metadata", JsonText, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("applied_at", UtcTime),
    Column("reverted_at", UtcTime),
    Column("actor", Text, nullable=False),
    Column("plan_hash", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Index("idx_reconciliation_backfill_audit_batch_id", "batch_id"),
    Index("idx_reconciliation_backfill_audit_exchange_order_id", "exchange_order_id"),
    Index("idx_reconciliation_backfill_audit_profile_id_decision", "profile_id", "decision"),
)

reconcile_runs = Table(
    "reconcile_runs",
    own,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("audit_head", Text, nullable=False),
    Column("summary", JsonText),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("profile_id", Text),
    Column("account", Text),
    Column("cycle_id", Text),
    Column("dry_run", Boolean),
    Index("idx_reconcile_runs_profile_id", "profile_id", "started_at"),
    Index("idx_reconcile_runs_status", "status", "started_at"),
    Index("idx_reconcile_runs_started_at", "started_at", "run_id"),
)

safety_modes = Table(
    "safety_modes",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("scope", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("previous_mode", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("idx_safety_modes_scope_seq", "scope", "seq"),
)

incidents = Table(
    "incidents",
    own,
    Column("incident_id", Text, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("detail", JsonText),
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("account", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("open_scope", Text),
    Index("uq_incidents_open_scope", "open_scope", unique=True),
    Index("idx_incidents_closed_at", "closed_at"),
)

incident_steps = Table(
    "incident_steps",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JsonText),
    Column("created_at", UtcTime, nullable=False),
    Index("idx_incident_steps_incident_id", "incident_id", "seq"),
)

canaries = Table(
    "canaries",
    own,
    Column("canary_id", Text, primary_key=True),
    Column("incident_id", Text, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("profile_id", Text, nullable=False),
    Column("symbols", JsonText),
    Column("exposure_limit", ExactDecimal, nullable=False),
    Column("measured", ExactDecimal, nullable=False),
    Column("measured_at", BigInteger, nullable=False),
    Column("lifts", JsonText, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", Text),
    Index("idx_canaries_profile_id", "profile_id", "ended_at"),
    Index("idx_canaries_incident_id", "incident_id"),
)

canary_grants = Table(
    "canary_grants",
    own,
    Column("canary_id", Text, primary_key=True),
    Column("order_ref", Text, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("notional", ExactDecimal, nullable=False),
    Column("granted_at", BigInteger, nullable=False),
)

flatten_actions = Table(
    "flatten_actions",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("episode", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("what", Text, nullable=False),
    Column("symbol", Text),
    Column("token", Text),
    Column("side", Text),
    Column("qty", ExactDecimal),
    Column("held", ExactDecimal),
    Column("client_order_id", Text),
    Column("order_id", Text),
    Column("detail", Text, nullable=False),
    Column("closing", Text),
    Column("at", BigInteger, nullable=False),
    Index("uq_flatten_actions_closing", "closing", unique=True),
    Index("idx_flatten_actions_episode", "episode", "seq"),
    Index("idx_flatten_actions_account_scope", "account", "scope", "seq"),
)

integrity_steps = Table(
    "integrity_steps",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("phase", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("batch_id", Text),
    Column("detail", JsonText),
    Column("created_at", UtcTime, nullable=False),
    Index("idx_integrity_steps_object", "object", "seq"),
    Index("idx_integrity_steps_phase", "phase", "seq"),
)

leases = Table(
    "leases",
    own,
    Column("scope", Text, primary_key=True),
    Column("owner", Text),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("next_run_at", BigInteger),
    Column("contended", BigInteger, nullable=False, server_default="0"),
    Column("fenced_out", BigInteger, nullable=False, server_default="0"),
    Index("idx_leases_next_run_at", "next_run_at"),
)

alerts = Table(
    "alerts",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("key", Text),
    Column("severity", Text, nullable=False, server_default="warning"),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("last_seen_at", UtcTime),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", BigInteger),
    Column("escalated_at", UtcTime),
    Column("error", Text),
    Index("idx_alerts_key", "key", "seq"),
    Index("idx_alerts_sent_at", "sent_at"),
)

breaks = Table(
    "breaks",
    own,
    Column("break_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("detail", JsonText),
    Column("confirmations", Integer, nullable=False, server_default="0"),
    Column("owner", Text),
    Column("resolution", Text),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("account", Text, nullable=False, server_default=""),
    Column("profile_id", Text),
    Column("symbol", Text),
    Column("trade_id", Text),
    Column("exchange_order_id", Text),
    Column("state", Text, nullable=False, server_default="open"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("ledger_qty", Text),
    Column("venue_qty", Text),
    Column("notional", ExactDecimal),
    Column("as_of", BigInteger),
    Column("first_run_id", Text),
    Column("last_run_id", Text),
    Index("idx_breaks_account", "account", "resolved_at"),
    Index("idx_breaks_profile_id", "profile_id", "resolved_at"),
)

api_tokens = Table(
    "api_tokens",
    own,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

idempotency_keys = Table(
    "idempotency_keys",
    own,
    Column("key", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer),
    Column("response", JsonText),
    Column("created_at", UtcTime, nullable=False),
)

sign_offs = Table(
    "sign_offs",
    own,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
    Column("created_at", UtcTime, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    own,
    Column("scope", Text, primary_key=True),
    Column("beat_at", BigInteger, nullable=False),
    Column("healthy", Boolean, nullable=False),
    Column("streak", Integer, nullable=False, server_default="0"),
    Column("healthy_at", BigInteger),
    Column("recovering", Boolean, nullable=False, server_default="0"),
)

watermarks = Table(
    "watermarks",
    own,
    Column("scope", Text, primary_key=True),
    Column("feed", Text, primary_key=True),
    Column("position", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
