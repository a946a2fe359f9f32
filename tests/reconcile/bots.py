"""A bot as bots are: what it does at the exchange is right, what it writes of it is not always.

Each event of an order is one write: the whole row, as the bot knows it then. A write may be lost, late (so that it
comes after newer ones), doubled into a second row, or wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

from tests.reconcile.places import PREFIX

from trueup.core.decimals import round_price
from trueup.core.times import iso
from trueup.sim.exchange import Change, Exchange, Fill, Market, NotAllowed, Order, OrderRequest, Side, Status
from trueup.sim.venue import spelt


class Slip(StrEnum):
    """What goes wrong with one write."""

    LOST = "lost"
    LATE = "late"
    DOUBLED = "doubled"
    CALLED_DEAD = "called dead"
    HALF = "half the quantity"
    MORE = "more than was executed"
    ODD_WORD = "a status that nobody knows"
    OTHER_CASE = "a status in other letters"
    NAMELESS = "no order id at all"


HEALABLE = (Slip.LOST, Slip.LATE, Slip.DOUBLED, Slip.CALLED_DEAD, Slip.HALF, Slip.OTHER_CASE)
"""What proof can heal wherever nothing else is unclear."""


@dataclass(frozen=True)
class Habits:
    """How a bot names and writes its orders.

    `tags`: full (client order id with -entry or -exit), bare (without), sub (a sub-tag), both, or none. `ids`: by which
    id its rows name the venue's order (exchange, own or client). `chains`: one row for a chain of replaced orders, or
    one each. `long_exits` writes the position's side into exits; `silent` leaves the action out.
    """

    tags: str = "full"
    ids: str = "exchange"
    chains: str = "one"
    long_exits: bool = False
    silent: bool = False


@dataclass(eq=False)
class Intent:
    """One order that a bot wants, with all the orders of its chain: `row_id` is what it writes it under."""

    row_id: str
    trade: "Trade"
    action: str
    side: Side
    client_id: str | None
    sub_tag: str | None
    orders: list[Order] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)

    @property
    def executed(self) -> Decimal:
        return sum((order.executed for order in self.orders), Decimal(0))

    @property
    def over(self) -> bool:
        return bool(self.orders) and not self.orders[-1].status.working

    @property
    def price(self) -> Decimal:
        return sum((order.spent for order in self.orders), Decimal(0)) / self.executed


@dataclass(eq=False)
class Trade:
    """One trade as it really goes."""

    trade_id: str
    profile: str
    account: str
    market: Market
    side: Side
    intents: list[Intent] = field(default_factory=list)

    def executed(self, action: str) -> Decimal:
        return sum((each.executed for each in self.intents if each.action == action), Decimal(0))

    @property
    def fees(self) -> Decimal:
        """What fees took of the base asset."""
        fills = [fill for each in self.intents for order in each.orders for fill in order.fills]
        return sum((fill.fee for fill in fills if fill.fee_asset == self.market.base), Decimal(0))

    @property
    def held(self) -> Decimal:
        taken = self.fees if not self.market.is_swap else Decimal(0)
        return self.executed("ENTRY") - self.executed("EXIT") - taken

    @property
    def free(self) -> Decimal:
        """What may still be sold: held, and not asked for by a working exit."""
        asked = (i.orders[-1].remaining for i in self.intents if i.action == "EXIT" and i.orders and not i.over)
        return self.held - sum(asked, Decimal(0))


class Bot:
    """One profile's bot."""

    def __init__(
        self, exchange: Exchange, account: str, profile: str, habits: Habits, chance: Random,
        write: Callable[[dict[str, Any]], None],
    ) -> None:  # fmt: skip
        self.exchange, self.account, self.profile = exchange, account, profile
        self.habits, self.chance, self._write = habits, chance, write
        self.slips: tuple[Slip, ...] = ()
        self.rate = 0.0
        self.cycle = 0
        self.trades: list[Trade] = []
        self.intents: list[Intent] = []
        self._by_number: dict[int, Intent] = {}
        self._placing: Intent | None = None
        self._late: list[tuple[int, int, dict[str, Any]]] = []
        exchange.listeners.append(self._hear)

    # At the exchange

    def enter(self, market: Market, side: Side, qty: Decimal, limit: Decimal | None = None) -> Intent | None:
        """Open a trade."""
        trade = Trade(self._name(market), self.profile, self.account, market, side)
        self.trades.append(trade)
        return self._place(trade, "ENTRY", side, qty, limit)

    def add(self, trade: Trade, qty: Decimal, limit: Decimal | None = None) -> Intent | None:
        """Enter more of a trade."""
        return self._place(trade, "ENTRY", trade.side, qty, limit)

    def leave(self, trade: Trade, qty: Decimal, limit: Decimal | None = None) -> Intent | None:
        """Leave a part of a trade."""
        return self._place(trade, "EXIT", trade.side.opposite, qty, limit)

    def cancel(self, intent: Intent) -> None:
        """Cancel what remains."""
        self.exchange.cancel(intent.orders[-1])

    def replace(self, intent: Intent, qty: Decimal, limit: Decimal | None) -> None:
        """Ask for another quantity or price; the new order has a tag of its own, as Alpaca's."""
        tagged = intent.client_id if intent.orders[-1].client_order_id == intent.client_id else None
        self.exchange.replace(intent.orders[-1], Change(qty=qty, limit_price=limit, client_order_id=tagged))

    def _place(self, trade: Trade, action: str, side: Side, qty: Decimal, limit: Decimal | None) -> Intent | None:
        client, sub = self._tags(trade, action)
        intent = Intent(f"R-{self.profile}-{len(self.intents) + 1}", trade, action, side, client, sub)
        request = OrderRequest(
            symbol=trade.market.symbol, side=side, qty=qty, type="limit" if limit else "market", limit_price=limit,
            client_order_id=client, subtag=sub,
        )  # fmt: skip
        self._placing = intent
        self.intents.append(intent)
        trade.intents.append(intent)
        try:
            self.exchange.submit(self.account, request)
        except NotAllowed:
            self.intents.remove(intent)
            trade.intents.remove(intent)
            return None
        finally:
            self._placing = None
        return intent

    def _tags(self, trade: Trade, action: str) -> tuple[str | None, str | None]:
        kind = self.habits.tags
        client = f"{PREFIX}-{self.profile}-{trade.trade_id}"
        if kind in ("full", "both"):
            client += f"-{action.lower()}"
        sub = f"{PREFIX}:{self.profile}:{trade.trade_id if kind == 'both' else trade.trade_id[:8]}"
        return (client if kind in ("full", "bare", "both") else None), (sub if kind in ("sub", "both") else None)

    def ask_in_vain(self, market: Market, side: Side, qty: Decimal) -> None:
        """Write an order that never reaches the exchange: the request timed out, and the bot cannot tell."""
        trade = Trade(self._name(market), self.profile, self.account, market, side)
        self.trades.append(trade)
        client, sub = self._tags(trade, "ENTRY")
        intent = Intent(f"R-{self.profile}-{len(self.intents) + 1}", trade, "ENTRY", side, client, sub)
        self.intents.append(intent)
        trade.intents.append(intent)
        now = self.exchange.now_ms
        self._write(
            {
                "order_id": intent.row_id, "profile_id": self.profile, "user_id": "somebody", "symbol": spelt(market),
                "type": "market", "side": side.value, "qty": qty, "quantity": qty, "price": None,
                "status": self.chance.choice(("new", "pending_new", "submitted")), "timestamp": now,
                "trade_id": trade.trade_id, "action": "ENTRY", "source": "BOT", "sub_tag": sub,
                "client_order_id": client, "order_qty": qty, "created_at": iso(now), "updated_at": iso(now),
            }
        )  # fmt: skip

    def _name(self, market: Market) -> str:
        return f"TRD-{self.profile[-1]}{len(self.trades) + 1:02d}{self.chance.randrange(16**3):03x}-{market.base}"

    # In the ledger

    def _hear(self, what: str, order: Order, fill: Fill | None) -> None:
        intent = self._by_number.get(order.number)
        if intent is None and order.replaces is not None and order.account == self.account:
            old = self.exchange.order(order.replaces, order.symbol, order.account)
            intent = self._by_number.get(old.number)
        if intent is None and order.account == self.account:
            intent = self._placing
        if intent is None:
            return
        if order.number not in self._by_number:
            self._by_number[order.number] = intent
            intent.orders.append(order)
        self._note(intent, order)

    def _note(self, intent: Intent, order: Order) -> None:
        """Write what became of an order, or not quite."""
        row = self._row(intent, order)
        slip = self.chance.choice(self.slips) if self.slips and self.chance.random() < self.rate else None
        if slip is None:
            self._write(row)
            return
        intent.slips.append(slip)
        if slip is Slip.LATE:
            self._late.append((self.cycle + self.chance.randint(1, 4), len(self._late), row))
        elif slip is Slip.DOUBLED:
            self._write(row)
            later = row["timestamp"] + self.chance.choice((0, 1500))
            self._write({**row, "order_id": row["order_id"] + "+again", "timestamp": later})
        elif slip is not Slip.LOST:
            self._write(self._wrong(row, slip))

    def _wrong(self, row: dict[str, Any], slip: Slip) -> dict[str, Any]:
        filled = row["status"] in ("filled", "partially_filled")
        changed: dict[str, Any] = {}
        if slip is Slip.CALLED_DEAD:
            changed = {"status": self.chance.choice(("rejected", "canceled", "failed"))}
        elif slip in (Slip.HALF, Slip.MORE) and filled:
            qty = row["qty"] * (Decimal("0.5") if slip is Slip.HALF else 2)
            changed = {"qty": qty, "quantity": qty}
        elif slip is Slip.ODD_WORD:
            changed = {"status": self.chance.choice(("closed", "done", "weird"))}
        elif slip is Slip.OTHER_CASE:
            changed = {"status": row["status"].replace("_", self.chance.choice("- _")).upper()}
        elif slip is Slip.NAMELESS:
            changed = {"exchange_order_id": None, "client_order_id": None}
        return row | changed

    def tick(self, cycle: int) -> None:
        """Come to a cycle: what is late enough is written now."""
        self.cycle = cycle
        due = [item for item in self._late if item[0] <= cycle]
        self._late = [item for item in self._late if item[0] > cycle]
        for _, _, row in due:
            self._write(row)

    def _row(self, intent: Intent, order: Order) -> dict[str, Any]:
        """Return the row as the bot knows it: of the whole chain, or of this order."""
        habits, one = self.habits, self.habits.chains == "one"
        orders = intent.orders if one else [order]
        newest = orders[-1]
        executed = sum((each.executed for each in orders), Decimal(0))
        spent = sum((each.spent for each in orders), Decimal(0))
        ordered = executed + (newest.remaining if newest.status.working else Decimal(0))
        filled = executed > 0
        fills = [fill for each in orders for fill in each.fills]
        at = fills[-1].time_ms if fills else newest.created_ms
        row_id = intent.row_id if one or order is intent.orders[0] else f"{intent.row_id}/{order.number}"
        if habits.ids == "own":
            row_id = order.id
        exit_side = "long" if intent.trade.side is Side.BUY else "short"
        said = exit_side if habits.long_exits and intent.action == "EXIT" else intent.side.value
        return {
            "order_id": row_id, "profile_id": self.profile, "user_id": "somebody",
            "symbol": spelt(intent.trade.market), "type": newest.request.type, "side": said,
            "qty": executed if filled else newest.qty, "quantity": executed if filled else newest.qty,
            "price": round_price(spent / executed) if filled else newest.request.limit_price,
            "status": _status(newest, filled=filled), "timestamp": at, "filled_at": iso(at) if filled else None,
            "trade_id": intent.trade.trade_id, "action": None if habits.silent else intent.action, "source": "BOT",
            "sub_tag": intent.sub_tag, "client_order_id": order.client_order_id,
            "exchange_order_id": newest.id if habits.ids == "exchange" else None, "order_qty": ordered or newest.qty,
            "created_at": iso(orders[0].created_ms), "updated_at": iso(self.exchange.now_ms),
        }  # fmt: skip


def _status(newest: Order, *, filled: bool) -> str:
    if newest.status.working:
        return "partially_filled" if filled else "new"
    return "filled" if filled else "replaced" if newest.status is Status.REPLACED else newest.status.value
