"""A bot as bots are: it trades at a venue that speaks Alpaca, over HTTP, and keeps its books carelessly.

What it does at the venue is right. Of what it writes into its ledger, an SQLite file, some is lost, some is written
twice, and some comes late; a seed decides.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from trueup.core.times import iso, read_time
from trueup.core.world import Slip

LOST, DOUBLED, LATE = "lost", "doubled", "delayed"
_LATE_MS = (2_000, 5_000)
_TIMEOUT_S = 10.0
_MOST_OPEN = 6
_COLUMNS = (
    "order_id", "profile_id", "user_id", "symbol", "type", "side", "qty", "quantity", "price", "status", "timestamp",
    "filled_at", "trade_id", "action", "source", "sub_tag", "client_order_id", "exchange_order_id", "order_qty",
    "created_at", "updated_at",
)  # fmt: skip

Row = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Habits:
    """How often a write goes wrong, and how long the bot rests between two orders, in seconds at the least and most."""

    carelessness: float = 0.35
    rests_s: tuple[float, float] = (0.3, 0.9)


@dataclass(slots=True)
class CarelessBot:
    """One bot of one profile at one venue; `tell` hears of each slip, from the thread that works the bot.

    `wares` are the symbols that it trades, each with a usual quantity.
    """

    url: str
    headers: Mapping[str, str]
    ledger: Path
    profile: str
    prefix: str
    wares: tuple[tuple[str, int], ...]
    tell: Callable[[Slip], None]
    chance: Random
    habits: Habits = field(default_factory=Habits)
    orders: int = 0
    _open: list[tuple[str, str, str]] = field(default_factory=list)
    _late: list[tuple[int, Row, Slip]] = field(default_factory=list)
    _trades: int = 0

    def rest(self) -> float:
        """Return how many seconds to wait until the next order."""
        return self.chance.uniform(*self.habits.rests_s)

    def trade(self) -> None:
        """Enter a trade, or leave one that is open; then write what the bot remembers to write."""
        leave = bool(self._open) and (len(self._open) >= _MOST_OPEN or self.chance.random() < 0.5)
        if leave:
            trade_id, symbol, qty = self._open.pop(self.chance.randrange(len(self._open)))
        else:
            self._trades += 1
            symbol, usual = self.chance.choice(self.wares)
            trade_id, qty = f"TRD-{symbol}-{self._trades:03d}", str(self.chance.randint(1, usual))
            self._open.append((trade_id, symbol, qty))
        self._write(self._order(symbol, "sell" if leave else "buy", qty, trade_id, "EXIT" if leave else "ENTRY"))

    def catch_up(self, *, everything: bool = False) -> None:
        """Write what was delayed and is due now, or all of it."""
        now = _now_ms()
        due = [entry for entry in self._late if everything or entry[0] <= now]
        self._late = [entry for entry in self._late if entry not in due]
        for _, row, slip in due:
            self._insert(row)
            self.tell(replace(slip, late_ms=_now_ms() - slip.at_ms))

    def _order(self, symbol: str, side: str, qty: str, trade_id: str, action: str) -> Row:
        """Send a market order, and return the row about it that belongs into the ledger."""
        client = f"{self.prefix}-{self.profile}-{trade_id}-{action.lower()}"
        body = {
            "symbol": symbol, "side": side, "type": "market", "qty": qty, "time_in_force": "day",
            "client_order_id": client, "subtag": f"{self.prefix}:{self.profile}:{trade_id}",
        }  # fmt: skip
        answer = self._ask(body)
        self.orders += 1
        at = read_time(str(answer["filled_at"]))
        filled = str(answer["filled_qty"])
        return {
            "order_id": f"{self.profile}-{self.orders:04d}", "profile_id": self.profile, "user_id": "demo",
            "symbol": symbol, "type": "market", "side": side, "qty": filled, "quantity": filled,
            "price": str(answer["filled_avg_price"]), "status": "filled", "timestamp": at, "filled_at": iso(at),
            "trade_id": trade_id, "action": action, "source": "BOT", "sub_tag": str(body["subtag"]),
            "client_order_id": client, "exchange_order_id": str(answer["id"]), "order_qty": qty,
            "created_at": iso(at), "updated_at": iso(at),
        }  # fmt: skip

    def _ask(self, body: Mapping[str, str]) -> Mapping[str, object]:
        place = urlsplit(self.url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", "/v2/orders", json.dumps(body), dict(self.headers))
            answer: Mapping[str, object] = json.load(connection.getresponse())
        finally:
            connection.close()
        assert answer.get("status") == "filled", answer
        return answer

    def _write(self, row: Row) -> None:
        """Write a row, or not quite."""
        kind = (
            self.chance.choice((LOST, LOST, DOUBLED, LATE)) if self.chance.random() < self.habits.carelessness else ""
        )
        what = f"{row['side']} {row['qty']} {row['symbol']}"
        slip = Slip(kind, str(row["exchange_order_id"]), str(row["trade_id"]), what, int(row["timestamp"] or 0))
        if kind == LATE:
            self._late.append((_now_ms() + self.chance.randint(*_LATE_MS), row, slip))
        elif kind != LOST:
            self._insert(row)
        if kind == DOUBLED:
            self._insert({**row, "order_id": f"{row['order_id']}-again"})
        if kind:
            self.tell(slip)

    def _insert(self, row: Row) -> None:
        marks = ", ".join("?" * len(_COLUMNS))
        with sqlite3.connect(self.ledger, timeout=30) as connection:
            connection.execute(
                f"INSERT INTO orders ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608  # names of this module
                [row[name] for name in _COLUMNS],
            )
        connection.close()


def open_by_symbol(ledger: Path) -> tuple[dict[str, Decimal], dict[str, list[Decimal]]]:
    """Return what a ledger says, in plain SQL: the signed quantity by symbol, and what is booked by exchange order."""
    connection = sqlite3.connect(ledger, timeout=30)
    rows = connection.execute("SELECT symbol, side, qty, exchange_order_id FROM orders WHERE status = 'filled'")
    held: dict[str, Decimal] = {}
    booked: dict[str, list[Decimal]] = {}
    for symbol, side, qty, order_id in rows:
        amount = Decimal(str(qty))
        held[symbol] = held.get(symbol, Decimal(0)) + (amount if side == "buy" else -amount)
        booked.setdefault(str(order_id), []).append(amount)
    connection.close()
    return held, booked


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
