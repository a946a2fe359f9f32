"""Orders tables that other people made: the same three trades in many forms, and a dump of what is theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from tests.ledger.bot import Bot, Database, at

from trueup.core.times import iso, to_datetime

COLUMNS = {
    "order_id": "id", "profile_id": "bot", "symbol": "pair", "side": "direction", "qty": "amount", "price": "cost",
    "status": "state", "timestamp": "at", "trade_id": "deal", "action": "leg", "exchange_order_id": "venue_id",
}  # fmt: skip
TRADES = (
    ("TRD-1", "ENTRY", "buy", "0.1", 0), ("TRD-1", "ENTRY", "buy", "0.2", 1),
    ("TRD-2", "ENTRY", "sell", "3", 2),
    ("TRD-3", "ENTRY", "buy", "2", 3), ("TRD-3", "EXIT", "sell", "2", 4),
)  # fmt: skip
"""Open are 0.3 of TRD-1 and 3 of TRD-2, which is short; TRD-3 is closed."""


@dataclass(frozen=True)
class Form:
    """How a table writes quantities, times and statuses; `more` are further column definitions and table clauses."""

    qty: str = "TEXT"
    at: str = "BIGINT"
    clock: str = "ms"
    status: str = "TEXT"
    side: str = "TEXT"
    identity: str = "TEXT PRIMARY KEY"
    more: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def moment(self, minute: float) -> Any:
        ms = at(minute)
        if self.clock == "datetime":
            return to_datetime(ms)
        if self.clock == "naive":
            return to_datetime(ms).replace(tzinfo=None)
        return {"ms": ms, "s": ms // 1000, "float": ms / 1000, "iso": iso(ms), "digits": str(ms)}[self.clock]

    def number(self, qty: str) -> Any:
        kind = self.qty.upper()
        if kind.startswith(("REAL", "DOUBLE")):
            return float(qty)
        return int(float(qty) * 10) if kind.startswith("INT") else qty if "TEXT" in kind else Decimal(qty)

    def create(self, db: Database) -> None:
        kinds = {
            "order_id": self.identity, "qty": self.qty, "price": self.qty, "timestamp": self.at,
            "status": self.status, "side": self.side,
        }  # fmt: skip
        columns = [
            f"{theirs} {kinds.get(ours, 'TEXT')}" for ours, theirs in COLUMNS.items() if ours not in self.without
        ]
        body = ", ".join((*columns, *self.more))
        for statement in (*self.before, f"CREATE TABLE deals ({body})", *self.after):
            db.run(statement)

    def fill(self, db: Database) -> None:
        for count, (trade, action, side, qty, minute) in enumerate(TRADES):
            ours = {
                "order_id": f"o{count}", "profile_id": "p1", "symbol": "BTC/USD", "side": side,
                "qty": self.number(qty), "price": self.number("100"), "status": "filled",
                "timestamp": self.moment(minute), "trade_id": trade, "action": action, "exchange_order_id": f"V{count}",
            }  # fmt: skip
            given = {COLUMNS[name]: value for name, value in ours.items() if name not in self.without}
            if db.is_sqlite:
                given = {k: str(v) if isinstance(v, Decimal) else v for k, v in given.items()}
            db.insert("deals", [{**given, **self.extra}])

    def attach(self, bot: Bot) -> Bot:
        if bot.db.is_sqlite:
            (bot.folder / "ledger.db").touch()
        self.create(bot.db)
        self.fill(bot.db)
        bot.ledger["orders_table"] = "deals"
        bot.columns = {ours: theirs for ours, theirs in COLUMNS.items() if ours not in self.without}
        return bot


BOTH = {
    "text and milliseconds": Form(),
    "text and ISO times": Form(at="TEXT", clock="iso"),
    "digits as text": Form(at="TEXT", clock="digits"),
    "numeric and seconds": Form(qty="NUMERIC(20,8)", at="INTEGER", clock="s"),
    "no profile column": Form(without=frozenset({"profile_id"})),
    "no action, price or venue id": Form(without=frozenset({"action", "price", "exchange_order_id"})),
    "more columns that must be filled": Form(
        qty="NUMERIC(20,8)",
        more=("strategy TEXT NOT NULL DEFAULT 'momentum'", "tries INTEGER NOT NULL DEFAULT 0", "CHECK (tries >= 0)"),
        after=("CREATE INDEX deals_deal ON deals (deal)", "CREATE UNIQUE INDEX deals_venue ON deals (venue_id)"),
    ),
}
SQLITE = {
    "floats": Form(qty="REAL", at="INTEGER"),
    "floats and float seconds": Form(qty="REAL", at="REAL", clock="float"),
    "a trigger and a foreign key": Form(
        qty="REAL",
        before=("CREATE TABLE pairs (name TEXT PRIMARY KEY)", "INSERT INTO pairs VALUES ('BTC/USD')"),
        more=("FOREIGN KEY (pair) REFERENCES pairs (name)",),
        after=("CREATE TRIGGER no_delete BEFORE DELETE ON deals BEGIN SELECT RAISE(ABORT, 'kept'); END",),
    ),
}
POSTGRES = {
    "doubles": Form(qty="DOUBLE PRECISION", at="DOUBLE PRECISION", clock="float"),
    "single floats": Form(qty="REAL", at="BIGINT", clock="s"),
    "timestamptz": Form(qty="NUMERIC", at="TIMESTAMPTZ", clock="datetime"),
    "timestamp": Form(qty="NUMERIC(38,18)", at="TIMESTAMP", clock="naive"),
    "enums": Form(
        before=(
            "CREATE TYPE state AS ENUM ('new', 'filled', 'canceled')",
            "CREATE TYPE direction AS ENUM ('buy', 'sell')",
        ),
        status="state", side="direction",
    ),
    "varchars and a primary key of its own": Form(
        qty="VARCHAR(40)", status="VARCHAR(20)", identity="VARCHAR(64) UNIQUE NOT NULL",
        more=("row_id BIGSERIAL PRIMARY KEY", "seen TIMESTAMPTZ NOT NULL DEFAULT now()"),
    ),
}  # fmt: skip


def schema_of(db: Database, *tables: str) -> list[Any]:
    """All that the database knows of the shape of tables: columns, keys, constraints, indexes, triggers."""
    if db.is_sqlite:
        wanted = ", ".join(f"'{name}'" for name in tables)
        return db.rows(f"SELECT type, name, sql, rootpage FROM sqlite_master WHERE tbl_name IN ({wanted}) ORDER BY 2")
    found: list[Any] = []
    with db.engine.connect() as connection:
        for query in (
            "SELECT * FROM information_schema.columns WHERE table_name = :t ORDER BY ordinal_position",
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :t ORDER BY 1",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(:t) ORDER BY 1",
            "SELECT relfilenode, relkind, relpersistence FROM pg_class WHERE oid = CAST(:t AS regclass)",
            "SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:t AS regclass) ORDER BY 1",
        ):
            for name in tables:
                found += [tuple(row) for row in connection.execute(text(query), {"t": name})]
    return found
