"""What really happened at a made-up venue, and what the bot wrote into its ledger of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from trueup.core.decimals import plain
from trueup.core.times import iso, read_time

YEAR = "2026"
PREFIX = "demo"
"""How the made-up bots' order tags begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One order that executed: base quantity, quote price, `at` as MM-DDTHH:MM:SS of UTC.

    `booked` says that the bot wrote it into its ledger. `ordered` is what was asked for, where the rest was canceled.
    `fills` are the parts in which it executed, by default one. A person's own order has neither profile nor trade.
    """

    account: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    at: str
    profile_id: str | None = None
    trade_id: str | None = None
    action: str = "ENTRY"
    booked: bool = True
    client_order_id: str | None = None
    sub_tag: str | None = None
    names_trade: bool = False
    ordered: Decimal | None = None
    fills: tuple[Decimal, ...] = ()

    @property
    def time_ms(self) -> int:
        """Return the time of the last fill, epoch milliseconds."""
        return read_time(f"{YEAR}-{self.at}Z")

    @property
    def parts(self) -> tuple[Decimal, ...]:
        """Return the fills' quantities."""
        return self.fills or (self.qty,)

    @property
    def digest(self) -> bytes:
        """Return bytes from which the venue's ids are made."""
        return sha256(f"{self.account}:{self.symbol}:{self.side}:{self.at}".encode()).digest()

    @property
    def order_id(self) -> str:
        """Return the venue's id of the order: a UUID at Alpaca, letters in groups at Kraken."""
        if self.account == "alpaca":
            return str(UUID(bytes=self.digest[:16], version=4))
        letters = "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[byte % 32] for byte in self.digest[:17])
        return f"O{letters[:5]}-{letters[5:10]}-{letters[10:16]}"


def tagged(profile_id: str, trade_id: str, action: str) -> str:
    """Return the client order id by which a made-up bot marks its orders."""
    return f"{PREFIX}-{profile_id}-{trade_id}-{action.lower()}"


def ledger_rows(executions: Iterable[Execution], spelt: dict[str, str], name: str) -> list[dict[str, object]]:
    """Return the rows that the bots wrote, in the order of time; `spelt` is how they spell a venue's symbol."""
    booked = sorted((x for x in executions if x.booked), key=lambda x: (x.time_ms, x.symbol))
    return [_ledger_row(f"{name}-{number:04d}", x, spelt) for number, x in enumerate(booked, 1)]


def _ledger_row(order_id: str, x: Execution, spelt: dict[str, str]) -> dict[str, object]:
    placed = iso(x.time_ms - 2_000)
    return {
        "order_id": order_id, "profile_id": x.profile_id, "user_id": "demo",
        "symbol": spelt.get(x.symbol, x.symbol), "type": "limit", "side": x.side, "qty": x.qty, "quantity": x.qty,
        "price": x.price, "status": "filled", "timestamp": x.time_ms, "filled_at": iso(x.time_ms),
        "trade_id": x.trade_id, "action": x.action, "source": "BOT", "sub_tag": x.sub_tag,
        "client_order_id": x.client_order_id, "exchange_order_id": x.order_id, "order_qty": x.ordered or x.qty,
        "created_at": placed, "updated_at": iso(x.time_ms),
    }  # fmt: skip


def amount(number: Decimal) -> str:
    """Return a number as venues write it in text."""
    return plain(number)
