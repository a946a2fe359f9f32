"""The exchange: it takes orders, matches them with the price, and keeps the ground truth.

What always holds: the sum of an order's fills is what it executed; a position is the signed sum of its fills (less
fees in the base asset, of coins); a balance is what was put in, moved by fills, fees and events. Nothing but the
caller moves the clock.
"""

import threading
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from trueup.core.decimals import EXACT
from trueup.sim.exchange import booking, matching
from trueup.sim.exchange.accounts import Account
from trueup.sim.exchange.markets import Market
from trueup.sim.exchange.naming import Ids, Names
from trueup.sim.exchange.records import Change, Event, EventKind, Fill, Leg, Order, OrderRequest, Origin, Status
from trueup.sim.exchange.refusals import NoSuchOrder, NotAllowed

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _whole(method: "Callable[Concatenate[Exchange, _P], _T]") -> "Callable[Concatenate[Exchange, _P], _T]":
    """Run a method alone, and in exact decimals."""

    @wraps(method)
    def inside(self: "Exchange", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with self.lock, localcontext(EXACT):
            return method(self, *args, **kwargs)

    return inside


class Exchange:
    """A venue with accounts, markets and prices; times in epoch milliseconds, moved by the caller alone.

    `ids` are UUIDs, or numbers that are unique per symbol only. `micros` gives orders and fills times finer than a
    millisecond. `carries` makes a replacing order report the fills of the one that it replaces as its own.
    """

    def __init__(
        self, now_ms: int, *, seed: int = 0, ids: Ids = "uuid", micros: bool = False, carries: bool = False
    ) -> None:
        self.now_ms = now_ms
        self.seed = seed
        self.micros = micros
        self.carries = carries
        self.lock = threading.RLock()
        self.names = Names(seed, ids)
        self.accounts: dict[str, Account] = {}
        self.markets: dict[str, Market] = {}
        self.prices: dict[str, Decimal] = {}
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.events: list[Event] = []
        self.listeners: list[Callable[[str, Order, Fill | None], None]] = []
        self._by_id: dict[tuple[str, str], Order] = {}
        self._working: dict[int, Order] = {}

    # What there is

    def open_account(self, name: str, key: str = "", secret: str = "secret", *, hedged: bool = False) -> Account:  # noqa: S107  # a made-up venue's made-up secret
        """Open an account; its key is its name if none is given."""
        account = Account(name, key or name, secret, hedged=hedged, created_ms=self.now_ms)
        self.accounts[name] = account
        return account

    def list_market(self, market: Market, price: Decimal | str) -> Market:
        """Offer a market at a price."""
        self.markets[market.symbol] = market
        self.prices[market.symbol] = Decimal(price)
        return market

    def account_of_key(self, key: str) -> Account | None:
        """Return the account to which an API key belongs."""
        return next((account for account in self.accounts.values() if account.key == key), None)

    def orders_of(self, account: str) -> list[Order]:
        """Return an account's orders, oldest first."""
        return [order for order in self.orders if order.account == account]

    def fills_of(self, account: str) -> list[Fill]:
        """Return an account's fills, oldest first."""
        return [fill for fill in self.fills if fill.account == account]

    def events_of(self, account: str) -> list[Event]:
        """Return an account's events, oldest first."""
        return [event for event in self.events if event.account == account]

    def order(self, order_id: str, symbol: str | None = None, account: str | None = None) -> Order:
        """Return an order by its id; where ids are unique per symbol only, the symbol must be given."""
        known = self._by_id.get((symbol or "", order_id))
        if known is None or (account is not None and known.account != account):
            raise NoSuchOrder(order_id)
        return known

    def by_client_id(self, account: str, client_order_id: str, symbol: str | None = None) -> Order:
        """Return the newest order with a client order id."""
        for order in reversed(self.orders):
            if order.account == account and order.client_order_id == client_order_id and symbol in (None, order.symbol):
                return order
        raise NoSuchOrder(client_order_id)

    def working(self, account: str | None = None, symbol: str | None = None) -> list[Order]:
        """Return the orders that may still fill, oldest first."""
        return [
            order
            for order in self._working.values()
            if account in (None, order.account) and symbol in (None, order.symbol)
        ]

    # Time and prices

    @_whole
    def advance(self, ms: int) -> None:
        """Move the clock on, and let orders expire that were good until then."""
        assert ms >= 0
        target = self.now_ms + ms
        due = [order for order in self.working() if order.request.expires_ms is not None]
        for order in sorted(due, key=lambda order: (order.request.expires_ms or 0, order.number)):
            at = order.request.expires_ms
            if at is not None and at <= target and order.status.working:
                self.now_ms = max(self.now_ms, at)
                self.end(order, Status.EXPIRED)
        self.now_ms = target

    def advance_to(self, now_ms: int) -> None:
        """Move the clock to a time; one that is past moves nothing."""
        self.advance(max(0, now_ms - self.now_ms))

    @_whole
    def set_price(self, symbol: str, price: Decimal | str) -> None:
        """Move a market's price, and match what it reaches."""
        self.prices[symbol] = Decimal(price)
        matching.match_market(self, symbol)

    def walk(self, symbol: str, path: Iterator[tuple[int, Decimal]]) -> None:
        """Follow a price path: milliseconds to wait and the price then."""
        for wait_ms, price in path:
            self.advance(wait_ms)
            self.set_price(symbol, price)

    # Orders

    @_whole
    def submit(self, account: str, request: OrderRequest, *, match: bool = True) -> Order:
        """Take an order and match it with the price; NotAllowed where a rule or the funds forbid it."""
        matching.check(self, self.accounts[account], request)
        order = self.enter(account, request)
        if request.take_profit is not None or request.stop_loss is not None:
            matching.add_legs(self, order)
        self.tell("new", order)
        if match:
            matching.match(self, order, taking=True)
        return order

    def enter(self, account: str, request: OrderRequest, **more: object) -> Order:
        """Write an order into the books, without checks."""
        number = self.names.count("order")
        qty = request.qty
        order = Order(
            number=number, id=self.names.order(request.symbol, number), account=account, request=request,
            created_ms=self.now_ms, updated_ms=self.now_ms, micros=number % 1000 if self.micros else 0,
            client_order_id=request.client_order_id or str(self.names.uuid("client", number)), qty=qty,
            **more,  # type: ignore[arg-type]  # fields of an order, by name
        )  # fmt: skip
        self.orders.append(order)
        self._working[number] = order
        self._by_id[order.symbol, order.id] = order
        if self.names.ids == "uuid":
            self._by_id["", order.id] = order
        return order

    @_whole
    def fill(self, order: Order, qty: Decimal | str, price: Decimal | str | None = None, *, maker: bool = True) -> Fill:
        """Let an order execute a quantity now, at a price or at its own limit or the market's price."""
        quantity = Decimal(qty)
        assert order.status.working
        assert 0 < quantity <= order.remaining
        at = Decimal(price) if price is not None else order.request.limit_price or self.prices[order.symbol]
        fill = booking.book(self, order, quantity, at, maker=maker)
        self.tell("fill" if order.status is Status.FILLED else "partial_fill", order, fill)
        matching.after_fill(self, order)
        return fill

    @_whole
    def cancel(self, order: Order) -> Order:
        """Cancel what remains of a working order; NotAllowed where it is at its end already."""
        if not order.status.working:
            raise NotAllowed("not_working", f"order {order.id} is {order.status}")
        return self.end(order, Status.CANCELED)

    @_whole
    def expire(self, order: Order) -> Order:
        """Let a working order expire now."""
        return self.end(order, Status.EXPIRED)

    @_whole
    def reject(self, order: Order) -> Order:
        """Reject an order that was taken, as a venue does after its own checks."""
        return self.end(order, Status.REJECTED)

    def end(self, order: Order, status: Status) -> Order:
        """Bring an order to an end without a fill."""
        order.status, order.ended_ms, order.updated_ms = status, self.now_ms, self.now_ms
        self._working.pop(order.number, None)
        self.tell(status.value, order)
        for leg in order.legs:
            if leg.status.working and not order.executed:
                self.end(leg, Status.CANCELED)
        return order

    def forget_working(self, order: Order) -> None:
        """Take an order that has filled off the working ones."""
        self._working.pop(order.number, None)

    @_whole
    def replace(self, order: Order, change: Change) -> Order:
        """Replace a working order by one with another quantity or price; the quantity counts what has filled.

        The new order asks for what remains, or, where fills are carried, for the whole with those fills as its own.
        """
        return matching.replace_order(self, order, change)

    # What the exchange does by itself

    @_whole
    def close_by_force(
        self, account: str, symbol: str, *, leg: Leg = Leg.BOTH, qty: Decimal | None = None,
        price: Decimal | str | None = None, origin: Origin = Origin.LIQUIDATION,
    ) -> Order:  # fmt: skip
        """Liquidate, deleverage or settle a position, or a part of it, by an order of the exchange's own."""
        return booking.close_by_force(
            self, account, symbol, leg, qty, price=Decimal(price) if price else None, origin=origin
        )

    @_whole
    def fund(self, symbol: str, rate: Decimal | str) -> list[Event]:
        """Let longs pay shorts a rate of their contracts' worth, and say what each account paid or got."""
        return booking.fund(self, symbol, Decimal(rate))

    @_whole
    def split(self, symbol: str, new: int, old: int = 1) -> list[Event]:
        """Give `new` shares for every `old`: quantities, entry prices, working orders and the price follow."""
        return booking.split(self, symbol, new, old)

    @_whole
    def dividend(self, symbol: str, per_share: Decimal | str) -> list[Event]:
        """Pay a dividend on every long share, and take it for every short one."""
        return booking.dividend(self, symbol, Decimal(per_share))

    @_whole
    def deposit(self, account: str, asset: str, amount: Decimal | str, *, margin: bool = False) -> Event:
        """Put an asset into an account from outside (out of it where negative), or into its wallet for contracts."""
        holder, moved = self.accounts[account], Decimal(amount)
        (holder.pay if margin else holder.add)(asset, moved)
        return self.record(account, EventKind.DEPOSIT, asset=asset, amount=moved, text="margin" if margin else "")

    def record(self, account: str, kind: EventKind, **more: object) -> Event:
        """Write an event into the books."""
        number = self.names.count("event")
        event = Event(
            number=number, id=self.names.activity(self.now_ms, "event", number), account=account, kind=kind,
            time_ms=self.now_ms, **more,  # type: ignore[arg-type]  # fields of an event, by name
        )  # fmt: skip
        self.events.append(event)
        return event

    def tell(self, what: str, order: Order, fill: Fill | None = None) -> None:
        """Tell those who listen what became of an order."""
        for listener in list(self.listeners):
            listener(what, order, fill)
