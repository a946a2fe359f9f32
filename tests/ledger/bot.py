"""A bot for the tests: its folder with trueup.toml, its venue's export and its ledger on one of the databases.

Times are minutes after START, quantities text; everything is of profile p1 and BTC/USD unless told otherwise.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from trueup.bootstrap import build
from trueup.core.errors import TrueupError
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ledger import schema
from trueup.ledger.tables import Store
from trueup.ports import ModeChange
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.backfill_report import BackfillReport, ProfileReport
from trueup.service.setup import initialise

START = 1_767_322_800_000
"""2026-01-02T03:00:00Z."""

NOW = 600
DERIVED = ("positions", "trade_history", "capital_ledger")
ALWAYS = {"ENABLE_RECON_EXIT_BACKFILL": "true", "TRUEUP_LEDGER_URL": None}


def at(minute: float) -> int:
    return START + round(minute * 60_000)


def row(trade: str | None, qty: object = "1", minute: float = 0, **columns: object) -> dict[str, Any]:
    """One filled ENTRY row by the native column names."""
    raw: dict[str, Any] = {
        "profile_id": "p1", "user_id": "u1", "symbol": "BTC/USD", "type": "market", "side": "buy", "qty": qty,
        "quantity": qty, "price": "100", "status": "filled", "timestamp": at(minute), "trade_id": trade,
        "action": "ENTRY", "source": "BOT", **columns,
    }  # fmt: skip
    raw.setdefault("order_id", f"{raw['profile_id']}/{trade}/{raw['action']}/{raw['status']}/{minute}")
    return raw


def leave(trade: str | None, qty: object = "1", minute: float = 1, **columns: object) -> dict[str, Any]:
    return row(trade, qty, minute, **{"action": "EXIT", "side": "sell", **columns})


def sold(name: str, qty: str = "1", minute: float = 10, **said: object) -> dict[str, object]:
    """One closed order of the venue: a sell at 110."""
    return {
        "id": name, "symbol": "BTC/USD", "side": "sell", "status": "filled", "filled_qty": qty,
        "filled_avg_price": "110", "filled_at": iso(at(minute)), **said,
    }  # fmt: skip


def native(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the native table takes it, decimals exact."""
    numbers = {name: Decimal(str(raw[name])) for name in ("qty", "quantity", "price") if raw.get(name) is not None}
    return {name: numbers.get(name, raw.get(name)) for name in schema.ORDER_COLUMNS}


class Database:
    """A database as somebody else sees it, in plain SQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine = create_engine(url, poolclass=NullPool if self.is_sqlite else None)
        if self.is_sqlite:
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))

    def run(self, statement: str, values: Any = None) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        for given in rows:
            names = ", ".join(given)
            self.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{n}' for n in given)})", dict(given))

    def orders(self, *rows: Mapping[str, Any]) -> None:
        """Put rows into the native orders table."""
        with self.engine.begin() as connection:
            connection.execute(schema.orders.insert(), [native(given) for given in rows])

    def rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(found) for found in connection.execute(text(query), values).mappings()]

    def table(self, name: str) -> list[dict[str, Any]]:
        return sorted(self.rows(f"SELECT * FROM {name}"), key=lambda found: repr(list(found.values())))

    def value(self, query: str, **values: object) -> Any:
        [found] = self.rows(query, **values)
        return next(iter(found.values()))

    def derived(self) -> dict[str, list[dict[str, Any]]]:
        """The derived tables, without the times of their writing."""
        return {
            name: [{k: v for k, v in found.items() if k != "updated_at"} for found in self.table(name)]
            for name in DERIVED
        }


class Bot:
    """A folder with everything that `build` needs; `environ` is all of the environment that it sees."""

    def __init__(self, folder: Path, url: str, **environ: str) -> None:
        self.folder = folder
        self.url = url
        self.db = Database(url)
        self.environ = {k: v for k, v in {**ALWAYS, **environ}.items() if v is not None}
        self.ledger: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self.profiles: list[dict[str, Any]] = [{"id": "p1", "user_id": "u1", "allocated_capital": "10000"}]
        self.accounts = ["main"]
        self._apps: list[App] = []
        self.venue()

    def venue(self, account: str = "main", **sections: object) -> None:
        """Write an account's export: complete, flat and silent unless told otherwise; None leaves a section out."""
        document = {"as_of": iso(at(NOW)), "positions": [], "closed_orders": [], **sections}
        text = json.dumps({name: value for name, value in document.items() if value is not None})
        (self.folder / f"{account}.json").write_text(text)

    def sells(self, *orders: Mapping[str, object], **sections: object) -> None:
        self.venue(closed_orders=list(orders), **sections)

    @property
    def config(self) -> Path:
        lines = ["[ledger]", *_pairs({"url": self.url, **self.ledger})]
        lines += ["[ledger.columns]", *_pairs(self.columns)]
        for account in self.accounts:
            lines += ["[[accounts]]", *_pairs({"name": account, "venue": f"file:{account}.json"})]
        for profile in self.profiles:
            lines += ["[[profiles]]", *_pairs({"account": self.accounts[0], **profile})]
        path = self.folder / "trueup.toml"
        path.write_text("\n".join(lines))
        return path

    def app(self) -> App:
        self._apps.append(build(self.config, self.environ))
        return self._apps[-1]

    @property
    def store(self) -> Store:
        """The databases of the App that was built last."""
        return self._apps[-1].ledger._store

    def close(self) -> None:
        self.db.engine.dispose()
        for app in self._apps:
            close(app)

    def init(self) -> App:
        app = self.app()
        initialise(app)
        return app

    def ready(self, *rows: Mapping[str, Any]) -> App:
        """Initialise, put rows into the native ledger, and pause trading."""
        app = self.init()
        if rows:
            self.db.orders(*rows)
        pause(app)
        return app


@contextmanager
def a_bot(folder: Path, url: str, **environ: str) -> Iterator[Bot]:
    """Give a bot whose connections are closed afterwards."""
    bot = Bot(folder, url, **environ)
    try:
        yield bot
    finally:
        bot.close()


def _pairs(values: Mapping[str, Any]) -> Iterable[str]:
    return (f"{name} = {json.dumps(value)}" for name, value in values.items())


def close(app: App) -> None:
    """Close the App's connections, which a process that ends need not do."""
    store = app.ledger._store
    for database in (store.books, store.state):
        database.close()


def pause(app: App, mode: Mode = Mode.SAFE_MODE, scope: str = "global") -> None:
    app.modes.set(ModeChange(scope, mode, Mode.NORMAL, "operator", "somebody", "test", iso(at(NOW))))


def run(app: App, *, apply: bool = False, **asked: Any) -> BackfillReport:
    return run_backfill(app, BackfillRequest(apply=apply, **asked))


def only(report: BackfillReport) -> ProfileReport:
    """The report's only profile, which must have ended without an error."""
    [entry] = report.profiles.values()
    if entry.error is not None:
        raise entry.error
    return entry


def decisions(entry: ProfileReport) -> list[tuple[Any, ...]]:
    return [(found["trade_id"], found["decision"], found["reason"]) for found in entry.final_rows]


def set_flags(app: App, **changes: Any) -> App:
    """The same App with other flags of the backfill."""
    return replace(app, backfill=replace(app.backfill, **changes))


def why(error: BaseException) -> str:
    assert isinstance(error, TrueupError)
    assert error.do
    return str(error)
