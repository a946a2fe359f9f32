"""Set-ups for measuring the loop: a ledger with a long past, and fleets of profiles on venues inside the process."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, text

from trueup.bootstrap import build
from trueup.core.orders import Side
from trueup.core.snapshot import Coverage, Feed, FeedState, Leg, Snapshot, VenueOrder
from trueup.core.symbols import Symbols
from trueup.ledger import schema
from trueup.ledger.tables import Store
from trueup.ports import EVERYTHING, Check, OrderAnswer, ReadScope
from trueup.service.app import Account, App
from trueup.service.setup import initialise
from trueup.sim.exchange import Exchange, Market, OrderRequest
from trueup.sim.exchange import Side as SimSide
from trueup.sim.venue import SimVenue

COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "LINK", "AVAX", "UNI")
OPEN, RECENT = 100, 150
"""Open trades, and trades that were closed within the look-back, in every ledger with a past."""

ORDER_FIELDS = (
    "order_id", "profile_id", "symbol", "side", "qty", "price", "status", "timestamp", "filled_at", "trade_id",
    "action", "source", "client_order_id", "exchange_order_id", "created_at", "updated_at",
)  # fmt: skip
_HOUR = 3_600_000


class StillVenue:
    """A venue that always says the same, as of now."""

    actions = None

    def __init__(
        self, account: str, orders: tuple[VenueOrder, ...], legs: tuple[Leg, ...], now_ms: Any, since_ms: int | None
    ) -> None:
        complete = Coverage(FeedState.COMPLETE, since_ms=since_ms)
        self._now_ms = now_ms
        self._snapshot = Snapshot(
            account, 0, coverage=dict.fromkeys((Feed.POSITIONS, Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS), complete),
            orders=orders, legs=legs, symbols=Symbols(),
        )  # fmt: skip

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:  # noqa: ARG002  # it says all that it knows
        """Return what it says."""
        return replace(self._snapshot, as_of_ms=self._now_ms())

    def find_order(self, *_: object) -> OrderAnswer:
        """Know no other order."""
        return OrderAnswer(absent=True)

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:  # noqa: ARG002  # there is nothing to ask
        """Return nothing."""
        return []

    def stream(self, *_: object) -> None:
        """Return None."""
        return


def _iso(ms: int) -> str:
    """Return a time as the ledger writes it: thousands of rows a second, so without the core's checks."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def past(orders: int, profile: str, now_ms: int) -> Iterator[tuple[object, ...]]:
    """Yield a ledger's rows: the open and the recent trades, and closed ones of the last year up to so many orders."""
    for number in range(OPEN):
        yield a_row("open", number, profile, now_ms - 60 * _HOUR + number * 60_000, "ENTRY")
    for number in range(RECENT):
        at = now_ms - 50 * _HOUR + number * 60_000
        yield a_row("recent", number, profile, at, "ENTRY")
        yield a_row("recent", number, profile, at + 30_000, "EXIT")
    for number in range((orders - OPEN - 2 * RECENT) // 2):
        at = now_ms - 100 * _HOUR - number * 30_000
        yield a_row("past", number, profile, at, "ENTRY")
        yield a_row("past", number, profile, at + 15_000, "EXIT")


def a_row(kind: str, number: int, profile: str, at: int, action: str) -> tuple[object, ...]:
    """Return a row of the ledger, with the fields of ORDER_FIELDS."""
    trade, moment = f"TRD-{profile}-{kind}-{number:07d}", _iso(at)
    name = f"{trade}-{action.lower()}"
    return (
        name, profile, f"{COINS[number % len(COINS)]}/USD", "buy" if action == "ENTRY" else "sell", "0.5", "100",
        "filled", at, moment, trade, action, "BOT", f"bytelyst-{profile}-{name}", f"x-{name}", moment, moment,
    )  # fmt: skip


def venue_of(rows: Sequence[tuple[object, ...]], account: str, now_ms: Any, since_ms: int | None = None) -> StillVenue:
    """Return the venue that agrees with rows of open and recent trades, and remembers orders from `since_ms` on."""
    found = [dict(zip(ORDER_FIELDS, row, strict=True)) for row in rows]
    held: dict[str, Decimal] = {}
    orders: list[VenueOrder] = []
    for row in found:
        side, qty = Side(row["side"]), Decimal(str(row["qty"]))
        held[str(row["symbol"])] = held.get(str(row["symbol"]), Decimal(0)) + (qty if side is Side.BUY else -qty)
        orders.append(
            VenueOrder(
                id=str(row["exchange_order_id"]), symbol=str(row["symbol"]), side=side, status="filled", qty=qty,
                time_ms=int(str(row["timestamp"])), price=Decimal(100), price_source="order",
                client_order_id=str(row["client_order_id"]),
            )
        )  # fmt: skip
    legs = tuple(Leg(symbol, qty, mark_price=Decimal(100)) for symbol, qty in held.items() if qty)
    return StillVenue(account, tuple(orders), legs, now_ms, since_ms)


def fill_past(store: Store, orders: int, profile: str, now_ms: int) -> None:
    """Write a ledger with a past, and the past of trueup's own tables that goes with it."""
    trades = (orders - OPEN - 2 * RECENT) // 2
    with store.books.writing() as connection:
        copy_rows(connection, schema.orders.name, ORDER_FIELDS, past(orders, profile, now_ms))
        closed = ((number, _iso(now_ms - 100 * _HOUR - number)) for number in range(trades))
        history = ((f"h{n}", profile, f"TRD-{profile}-past-{n:07d}", "BTC/USD", "1", at) for n, at in closed)
        fields = ("id", "profile_id", "trade_id", "symbol", "realized_pnl", "closed_at")
        copy_rows(connection, schema.trade_history.name, fields, history)
        if trades >= 100:
            connection.execute(insert(schema.audit), [_repaired(number, profile) for number in range(trades // 100)])
            connection.execute(insert(schema.reconcile_runs), [_ran(n, profile, now_ms) for n in range(trades // 10)])
            connection.execute(insert(schema.breaks), [_broke(n, profile) for n in range(trades // 100)])
        if not store.books.is_sqlite:
            connection.execute(text("ANALYZE"))


def copy_rows(connection: Connection, table: str, fields: Sequence[str], rows: Iterator[tuple[object, ...]]) -> None:
    """Write many rows in the quickest way that the database has."""
    cursor = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        marks = ",".join("?" * len(fields))
        cursor.executemany(f"INSERT INTO {table} ({','.join(fields)}) VALUES ({marks})", rows)
        return
    with cursor.copy(f"COPY {table} ({','.join(fields)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _repaired(number: int, profile: str) -> dict[str, object]:
    """Return an old repair's audit row."""
    at = "2026-01-02T03:04:05.000Z"
    return {
        "seq": number + 1, "batch_id": f"B{number}", "profile_id": profile, "symbol": "BTC/USD",
        "trade_id": f"TRD-{profile}-past-{number * 100:07d}", "exchange_order_id": f"old-{number}",
        "backfill_order_id": f"BFILL-{number}", "filled_qty": Decimal(1), "filled_price": Decimal(100), "filled_at": at,
        "dry_run": False, "decision": "APPLIED", "reason": "eligible", "metadata": {"asOf": at}, "created_at": at,
        "applied_at": at, "actor": "bench", "plan_hash": "", "prev_hash": "", "hash": f"hash-{number}",
    }  # fmt: skip


def _ran(number: int, profile: str, now_ms: int) -> dict[str, object]:
    at = _iso(now_ms - _HOUR - number * 30_000)
    return {
        "run_id": f"RUN-{number}", "kind": "reconcile", "scope": f"profile:{profile}", "status": "OK",
        "audit_head": "", "summary": {"status": "OK", "counts": {"found": 0}}, "started_at": at, "ended_at": at,
        "profile_id": profile, "account": "main", "cycle_id": f"CYC-{number}", "dry_run": False,
    }  # fmt: skip


def _broke(number: int, profile: str) -> dict[str, object]:
    at = "2026-01-02T03:04:05.000Z"
    return {
        "break_id": f"BRK-{number}", "kind": "missing_in_db", "scope": f"profile:{profile}", "account": "main",
        "profile_id": profile, "state": "healed", "first_seen_at": at, "last_seen_at": at, "resolved_at": at,
    }  # fmt: skip


def an_app(folder: Path, url: str, profiles: Mapping[str, str], environ: Mapping[str, str] | None = None) -> App:
    """Build and initialise an App for profiles by id, each with its account's name."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[ledger]", f"url = {json.dumps(url)}"]
    for account in sorted(set(profiles.values())):
        lines += ["[[accounts]]", f'name = "{account}"', f'venue = "file:{account}.json"']
    for profile, account in profiles.items():
        symbols = json.dumps([f"{coin}/USD" for coin in COINS])
        lines += [
            "[[profiles]]", f'id = "{profile}"', f'account = "{account}"', 'user_id = "u"',
            'allocated_capital = "100000"', f"managed_symbols = {symbols}",
        ]  # fmt: skip
    config = folder / "trueup.toml"
    config.write_text("\n".join(lines))
    app = build(config, dict(environ or {}))
    initialise(app)
    return app


@dataclass(frozen=True)
class Fleet:
    """Profiles by id with their accounts, on exchanges inside the process, one an account."""

    profiles: Mapping[str, str]
    exchanges: Mapping[str, Exchange]

    def on(self, app: App) -> App:
        """Return the App with the exchanges as its venues."""
        venues = {name: SimVenue(exchange, name) for name, exchange in self.exchanges.items()}
        accounts = {name: Account(name, Symbols(), lambda venue=venue: venue) for name, venue in venues.items()}
        return replace(app, accounts=accounts)


def a_fleet(profiles: int, accounts: int, now_ms: int) -> tuple[Fleet, list[tuple[object, ...]]]:
    """Return a fleet and its ledger: each profile holds one trade of each of ten symbols."""
    names = {f"p{number:04d}": f"acc{number % accounts:04d}" for number in range(profiles)}
    exchanges = {account: _exchange(account, now_ms) for account in sorted(set(names.values()))}
    rows: list[tuple[object, ...]] = []
    for profile, account in names.items():
        for number, coin in enumerate(COINS):
            row = a_row("open", number, profile, now_ms - _HOUR, "ENTRY")
            request = OrderRequest(
                symbol=f"{coin}/USD", side=SimSide.BUY, qty=Decimal("0.5"), client_order_id=str(row[12]),
            )  # fmt: skip
            order = exchanges[account].submit(account, request)
            rows.append((*row[:13], order.id, *row[14:]))
    for exchange in exchanges.values():
        exchange.advance_to(now_ms)
    return Fleet(names, exchanges), rows


def _exchange(account: str, now_ms: int) -> Exchange:
    exchange = Exchange(now_ms - _HOUR, ids="uuid", seed=sum(account.encode()))
    exchange.open_account(account)
    exchange.deposit(account, "USD", "1000000000")
    for coin in COINS:
        exchange.list_market(Market(symbol=f"{coin}/USD", base=coin, quote="USD"), "100")
    return exchange
