"""Seeded ledgers for the report: clean ones, and what is planted into them with all that follows from it.

Rows are by the native column names. What is planted is said as (kind, profile, trade id or symbol), so that what the
report finds can be compared whole: nothing missed, nothing said that is not so.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from trueup.core.decimals import plain
from trueup.core.integrity.kinds import Finding, Kind
from trueup.core.times import iso

START = 1_767_322_800_000
PROFILES = ("p1", "p2", "trend-3")
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD", "BTC/USDT:USDT", "XBT/USD")
SPELT = {"BTC/USD": ("BTC/USD", "BTCUSD", "btc-usd"), "ETH/USD": ("ETH/USD", "ETHUSD"), "XBT/USD": ("XBT/USD",)}
Key = tuple[str, str | None, str | None]


def key_of(found: Finding) -> Key:
    """By what a finding is compared: kind, profile, and the trade; a position's is its symbol."""
    positional = found.kind in (Kind.GHOST_POSITION, Kind.MISSING_POSITION, Kind.POSITION_MISMATCH)
    return (found.kind.value, found.profile_id, found.symbol if positional else found.trade_id)


@dataclass
class Trade:
    """One trade of the ledger: its rows, and its history row if it has one."""

    profile: str
    name: str
    symbol: str
    side: str
    orders: list[dict[str, Any]] = field(default_factory=list)
    history: dict[str, Any] | None = None

    @property
    def way(self) -> str:
        return "long" if self.side == "buy" else "short"

    def sum_of(self, action: str) -> Decimal:
        rows = (row for row in self.orders if row["action"] == action and row["status"] == "filled")
        return sum((Decimal(row["qty"]) for row in rows), Decimal(0))

    @property
    def open_qty(self) -> Decimal:
        return self.sum_of("ENTRY") - self.sum_of("EXIT")

    def rows(self, action: str) -> list[dict[str, Any]]:
        return [row for row in self.orders if row["action"] == action and row["status"] == "filled"]


class Ledger:
    """A clean ledger by a seed; `plant` makes one anomaly of a kind and returns all that it shows as."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.trades: list[Trade] = []
        self.loose: list[dict[str, Any]] = []
        self.positions: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.more_history: list[dict[str, Any]] = []
        self.gone: set[int] = set()
        self._number = 0
        for _ in range(self.random.randrange(2, 12)):
            self.trade(self.random.random() < 0.7)
        for _ in range(self.random.randrange(3)):
            self.loose.append(self._row(None, source=self.random.choice(("MANUAL", "manual", "app"))))
        for _ in range(self.random.randrange(2)):
            self.loose.append(self._row(None, status="canceled"))

    def number(self) -> int:
        self._number += 1
        return self._number

    def _row(self, trade: Trade | None, **said: Any) -> dict[str, Any]:
        number = self.number()
        at = START + number * 60_000
        symbol = trade.symbol if trade else "BTC/USD"
        qty = said.pop("qty", "1")
        row: dict[str, Any] = {
            "order_id": f"o{number:05d}", "profile_id": trade.profile if trade else "p1",
            "symbol": self.random.choice(SPELT.get(symbol, (symbol,))), "type": "market", "side": "buy",
            "qty": qty, "quantity": self.random.choice((qty, None)), "price": "100", "status": "filled",
            "timestamp": at, "filled_at": iso(at), "trade_id": trade.name if trade else None, "action": "ENTRY",
            "source": "BOT",
        }  # fmt: skip
        return {**row, **said}

    def trade(self, closed: bool, symbol: str | None = None, *, entries: int | None = None) -> Trade:
        """Add a trade that is well: closed with its history, or open in its position."""
        pick = self.random
        number = self.number()
        made = Trade(
            pick.choice(PROFILES), f"TRD-{number:04d}" + pick.choice(("", "-x", ".a:b")),
            symbol or pick.choice(SYMBOLS), pick.choice(("buy", "sell")),
        )  # fmt: skip
        other = "sell" if made.side == "buy" else "buy"
        sizes = [
            Decimal(pick.randrange(1, 999)) / pick.choice((1, 10, 1000))
            for _ in range(entries or pick.choice((1, 1, 2, 3)))
        ]
        for size in sizes:
            made.orders.append(self._row(made, side=made.side, qty=plain(size)))
        if pick.random() < 0.3:
            made.orders.append(self._row(made, side=made.side, status=pick.choice(("canceled", "Rejected")), qty="9"))
        total = sum(sizes, Decimal(0))
        if closed:
            first = (total / 2).quantize(Decimal("0.0001")) if pick.random() < 0.5 else total
            for size in (first, total - first):
                if size:
                    made.orders.append(self._row(made, side=other, action="EXIT", qty=plain(size)))
        elif pick.random() < 0.5:
            made.orders.append(self._row(made, side=other, action="EXIT", qty=plain(total / 4)))
        if not closed and pick.random() < 0.3:
            made.orders.append(self._row(made, side=other, action="EXIT", status="new", qty=plain(total)))
        if closed or pick.random() < 0.3:
            made.history = self.history_of(made, closed)
        if not closed:
            self.hold(made, made.open_qty)
        self.trades.append(made)
        return made

    def history_of(self, made: Trade, closed: bool) -> dict[str, Any]:
        number = self.number()
        return {
            "id": f"h{number:05d}", "profile_id": made.profile, "trade_id": made.name,
            "symbol": self.random.choice(SPELT.get(made.symbol, (made.symbol,))), "side": made.way,
            "entry_qty": plain(made.sum_of("ENTRY")), "exit_qty": plain(made.sum_of("EXIT")),
            "closed_at": iso(START + number * 60_000) if closed else None,
        }  # fmt: skip

    def hold(self, made: Trade, qty: Decimal) -> None:
        """Add to the position that a trade is part of."""
        key = (made.profile, "BTC/USD" if made.symbol == "XBT/USD" else made.symbol, made.way)
        row = self.positions.setdefault(
            key, {"profile_id": made.profile, "symbol": key[1], "side": made.way, "qty": "0"}
        )
        row["qty"] = plain(Decimal(row["qty"]) + qty)

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        told = [made.history for made in self.trades if made.history is not None]
        orders = [*(row for made in self.trades for row in made.orders), *self.loose]
        self.random.shuffle(orders)
        return {
            "orders": orders,
            "trade_history": [*told, *self.more_history],
            "positions": list(self.positions.values()),
        }

    def plant(self, kind: Kind) -> set[Key]:
        """Plant one anomaly, and return what it shows as, all that follows from it with it."""
        return self.random.choice(PLANTS[kind])(self)

    def own(self) -> str:
        """A symbol that no other trade has."""
        return f"C{self.number()}/USD"


def _missing_entry(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    made.orders = [row for row in made.orders if row["status"] != "filled"]
    return {(Kind.MISSING_ENTRY_ORDER, made.profile, made.name)}


def _deleted_entry(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    made.orders = made.rows("EXIT")
    kinds = (Kind.MISSING_ENTRY_ORDER, Kind.ORPHAN_EXIT)
    return {(kind, made.profile, made.name) for kind in kinds}


def _orphan(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    made.orders, made.history = made.rows("EXIT"), None
    return {(Kind.ORPHAN_EXIT, made.profile, made.name)}


def _over_exit(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    row = made.rows("EXIT")[-1]
    made.orders.append({**row, "order_id": f"{row['order_id']}-again", "timestamp": row["timestamp"] + 1})
    return {(kind, made.profile, made.name) for kind in (Kind.OVER_EXIT, Kind.HISTORY_MISMATCH)}


def _over_exit_told(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    row = made.rows("EXIT")[-1]
    row["qty"] = row["quantity"] = plain(Decimal(row["qty"]) + Decimal("0.00000002"))
    made.history = ledger.history_of(made, True)
    return {(Kind.OVER_EXIT, made.profile, made.name)}


def _exit_first(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    made.rows("EXIT")[0]["timestamp"] = made.rows("ENTRY")[0]["timestamp"] - 1
    return {(Kind.OUT_OF_ORDER_LIFECYCLE, made.profile, made.name)}


def _entered_again(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    for side, action in ((made.side, "ENTRY"), ("sell" if made.side == "buy" else "buy", "EXIT")):
        made.orders.append(ledger._row(made, side=side, action=action, qty="2"))
    made.history = ledger.history_of(made, True)
    return {(Kind.OUT_OF_ORDER_LIFECYCLE, made.profile, made.name)}


def _ran_ahead(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True, entries=1)
    last = made.rows("EXIT")[-1]["timestamp"]
    first = made.rows("ENTRY")[0]
    made.orders.append({**first, "order_id": f"{first['order_id']}-2", "timestamp": last + 1})
    row = made.rows("EXIT")[-1]
    row["qty"] = plain(Decimal(row["qty"]) + Decimal(first["qty"]))
    row["quantity"] = None
    made.history = ledger.history_of(made, True)
    return {(Kind.OUT_OF_ORDER_LIFECYCLE, made.profile, made.name)}


def _ghost(ledger: Ledger) -> set[Key]:
    profile, symbol = ledger.random.choice(PROFILES), ledger.own()
    ledger.positions[profile, symbol, "long"] = {"profile_id": profile, "symbol": symbol, "side": "long", "qty": "0.3"}
    return {(Kind.GHOST_POSITION, profile, symbol)}


def _no_position(ledger: Ledger) -> set[Key]:
    made = ledger.trade(False, ledger.own())
    if ledger.random.random() < 0.5:
        del ledger.positions[made.profile, made.symbol, made.way]
    else:
        ledger.positions[made.profile, made.symbol, made.way]["qty"] = "0"
    return {(Kind.MISSING_POSITION, made.profile, made.symbol)}


def _side_flip(ledger: Ledger) -> set[Key]:
    made = ledger.trade(False, ledger.own())
    row = ledger.positions.pop((made.profile, made.symbol, made.way))
    other = "short" if made.way == "long" else "long"
    ledger.positions[made.profile, made.symbol, other] = {**row, "side": other}
    return {(kind, made.profile, made.symbol) for kind in (Kind.MISSING_POSITION, Kind.GHOST_POSITION)}


def _other_position(ledger: Ledger) -> set[Key]:
    made = ledger.trade(False, ledger.own())
    row = ledger.positions[made.profile, made.symbol, made.way]
    row["qty"] = plain(Decimal(row["qty"]) + ledger.random.choice((Decimal(1), Decimal("0.00000002"))))
    return {(Kind.POSITION_MISMATCH, made.profile, made.symbol)}


def _no_history(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    made.history = None
    return {(Kind.MISSING_HISTORY, made.profile, made.name)}


def _other_history(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    assert made.history is not None
    wrong = {
        "entry_qty": plain(Decimal(made.history["entry_qty"]) + Decimal("0.0001")), "exit_qty": "0",
        "symbol": "DOGE/USD", "side": "short" if made.way == "long" else "long",
        "profile_id": next(name for name in PROFILES if name != made.profile),
    }  # fmt: skip
    column = ledger.random.choice(sorted(wrong))
    made.history[column] = wrong[column]
    return {(Kind.HISTORY_MISMATCH, made.profile, made.name)}


def _closed_too_soon(ledger: Ledger) -> set[Key]:
    made = ledger.trade(False)
    made.history = ledger.history_of(made, True)
    return {(Kind.HISTORY_MISMATCH, made.profile, made.name)}


def _twice_told(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    assert made.history is not None
    ledger.more_history.append({**made.history, "id": f"{made.history['id']}-again"})
    return {(Kind.DUPLICATE_HISTORY, made.profile, made.name)}


def _nameless(ledger: Ledger) -> set[Key]:
    row = ledger._row(
        None, status=ledger.random.choice(("new", "filled")), source=ledger.random.choice(("BOT", "bot", None))
    )
    if row["source"] is None:
        row["client_order_id"] = "bytelyst-p1-TRD-nobody"
    ledger.loose.append(row)
    return {(Kind.BLANK_TRADE_ID, "p1", None)}


def _blank(ledger: Ledger) -> set[Key]:
    blank = ledger.random.choice(("", " ", "\t \n", "\u00a0"))
    status, source = ledger.random.choice(("canceled", "filled")), ledger.random.choice(("BOT", "MANUAL"))
    ledger.loose.append({**ledger._row(None, status=status, source=source), "trade_id": blank})
    return {(Kind.BLANK_TRADE_ID, "p1", None)}


def _blank_history(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    assert made.history is not None
    made.history["trade_id"] = "  "
    return {(Kind.BLANK_TRADE_ID, made.profile, None), (Kind.MISSING_HISTORY, made.profile, made.name)}


def _lost_exit(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True, ledger.own())
    for row in made.rows("EXIT"):
        row["trade_id"] = None
    return {
        (Kind.BLANK_TRADE_ID, made.profile, None), (Kind.HISTORY_MISMATCH, made.profile, made.name),
        (Kind.MISSING_POSITION, made.profile, made.symbol),
    }  # fmt: skip


BAD_NAMES = ("abc", "trd-1", "TRD-", "TRD-1 ", " TRD-1", "TRD-1\n", "TRD-é", "TRD-a/b", "TRD-" + "x" * 121, "TRD1")


def _malformed(ledger: Ledger) -> set[Key]:
    made = ledger.trade(True)
    assert made.history is not None
    number = ledger.number()
    name = ledger.random.choice(BAD_NAMES)
    name = {"TRD-": "TRD-", "TRD-1\n": f"TRD-{number}\n"}.get(name, name)
    if any(other.name == name for other in ledger.trades):
        name = f"bad {number}"
    made.name = made.history["trade_id"] = name
    for row in made.orders:
        row["trade_id"] = name
    return {(Kind.MALFORMED_TRADE_ID, made.profile, name)}


def _malformed_dead(ledger: Ledger) -> set[Key]:
    name = f"bad/{ledger.number()}"
    ledger.loose.append({**ledger._row(None, status="canceled"), "trade_id": name})
    return {(Kind.MALFORMED_TRADE_ID, "p1", name)}


PLANTS: dict[Kind, tuple[Callable[[Ledger], set[Key]], ...]] = {
    Kind.MISSING_ENTRY_ORDER: (_missing_entry, _deleted_entry),
    Kind.ORPHAN_EXIT: (_orphan,),
    Kind.OVER_EXIT: (_over_exit, _over_exit_told),
    Kind.OUT_OF_ORDER_LIFECYCLE: (_exit_first, _entered_again, _ran_ahead),
    Kind.GHOST_POSITION: (_ghost, _side_flip),
    Kind.MISSING_POSITION: (_no_position,),
    Kind.POSITION_MISMATCH: (_other_position,),
    Kind.MISSING_HISTORY: (_no_history,),
    Kind.HISTORY_MISMATCH: (_other_history, _closed_too_soon),
    Kind.DUPLICATE_HISTORY: (_twice_told,),
    Kind.BLANK_TRADE_ID: (_nameless, _blank, _blank_history, _lost_exit),
    Kind.MALFORMED_TRADE_ID: (_malformed, _malformed_dead),
}
