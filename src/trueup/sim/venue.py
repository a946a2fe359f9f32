"""The simulated exchange as a venue, in process: its own truth, with no wire between."""

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext

from trueup.core.decimals import EXACT, plain
from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, FeedState, Leg, Snapshot, VenueOrder
from trueup.core.snapshot import Fill as VenueFill
from trueup.core.symbols import Symbols
from trueup.ports import EVERYTHING, Check, OnUpdate, OrderAnswer, ReadScope, VenueActions, VenueStream
from trueup.sim.acting import SimActions, spelt
from trueup.sim.documents import document_of
from trueup.sim.exchange import Account, Exchange, Fill, Kind, Market, NotAllowed, Order

__all__ = ["SimVenue", "spelt"]


class SimVenue:
    """One account of an Exchange; `memory_ms` is how far back it remembers orders and fills (None is all).

    `coins_are_positions` lists coins among the positions, as Alpaca does; otherwise they are balances alone, unless
    there are positions of something else: beside these nobody looks at a balance. `allow_flatten` lets it be acted on.
    """

    def __init__(
        self,
        exchange: Exchange,
        account: str,
        *,
        memory_ms: int | None = None,
        coins_are_positions: bool | None = None,
        allow_flatten: bool = False,
    ) -> None:
        self.exchange = exchange
        self.account = account
        self.memory_ms = memory_ms
        uuids = exchange.names.ids == "uuid"
        self.coins_are_positions = uuids if coins_are_positions is None else coins_are_positions
        self.allow_flatten = allow_flatten
        self.symbols = Symbols()

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:  # noqa: ARG002  # the truth is at hand, all of it
        """Read the account's orders, fills, positions and balances as they are."""
        with self.exchange.lock, localcontext(EXACT):
            holder = self.exchange.accounts[self.account]
            legs, unknown = self._legs(holder)
            return Snapshot(
                account=self.account, as_of_ms=self.exchange.now_ms, coverage=self._coverage(),
                orders=tuple(self._order(order) for order in self._orders()),
                fills=tuple(self._fill(fill) for fill in self._fills()), legs=tuple(legs),
                balances=_sum(holder), unknown_symbols=unknown, symbols=self.symbols,
            )  # fmt: skip

    @property
    def actions(self) -> VenueActions | None:
        """Return what may be done, None where it is not allowed."""
        return SimActions(self.exchange, self.account, self.symbols) if self.allow_flatten else None

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        """Return what `read` says, as one document in the file format."""
        return document_of(self.read(scope))

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:  # noqa: ARG002  # there is nothing to ask
        """Return nothing: the truth needs no proof."""
        return []

    def stream(self, on_update: OnUpdate, on_gap: Callable[[], None]) -> VenueStream | None:  # noqa: ARG002  # the signature is the port's
        """Return None: whoever holds the exchange sees it move."""
        return None

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        """Look for one order; one that the venue may have forgotten is unknown, not absent."""
        token = self.symbols.token(symbol)
        with self.exchange.lock, localcontext(EXACT):
            for market in self.exchange.markets.values():
                if token not in (self.symbols.token(market.symbol), self.symbols.token(spelt(market))):
                    continue
                try:
                    if order_id is not None:
                        order = self.exchange.order(order_id, market.symbol, self.account)
                    else:
                        order = self.exchange.by_client_id(self.account, client_order_id or "", market.symbol)
                except NotAllowed:
                    continue
                if self._remembers(order):
                    return OrderAnswer(self._order(order))
        since = self._since()
        if since is not None and (placed_ms is None or placed_ms < since):
            return OrderAnswer(why=f"the venue remembers {self.memory_ms} ms only")
        return OrderAnswer(absent=True, why="the venue has no such order")

    def _since(self) -> int | None:
        return None if self.memory_ms is None else self.exchange.now_ms - self.memory_ms

    def _remembers(self, order: Order) -> bool:
        since = self._since()
        return since is None or order.status.working or order.created_ms >= since

    def _orders(self) -> list[Order]:
        return [order for order in self.exchange.orders_of(self.account) if self._remembers(order)]

    def _fills(self) -> list[Fill]:
        since = self._since()
        return [fill for fill in self.exchange.fills_of(self.account) if since is None or fill.time_ms >= since]

    def _coverage(self) -> dict[Feed, Coverage]:
        whole, past = Coverage(FeedState.COMPLETE), Coverage(FeedState.COMPLETE, since_ms=self._since())
        return {
            Feed.POSITIONS: whole if self._lists_coins else NOT_GIVEN, Feed.BALANCES: whole, Feed.OPEN_ORDERS: whole,
            Feed.CLOSED_ORDERS: past, Feed.FILLS: past,
        }  # fmt: skip

    @property
    def _lists_coins(self) -> bool:
        """Say whether the venue gives positions, and coins among them."""
        return self.coins_are_positions or any(m.kind is not Kind.SPOT for m in self.exchange.markets.values())

    def _base(self, market: Market, qty: Decimal) -> Decimal:
        return qty * market.contract_size if market.kind is Kind.LINEAR else qty

    def _order(self, order: Order) -> VenueOrder:
        market = self.exchange.markets[order.symbol]
        fills = order.fills
        price = EXACT.divide(order.spent, order.executed) if order.executed else None
        return VenueOrder(
            id=order.id, symbol=spelt(market), side=order.side, status=order.status.value,
            qty=self._base(market, order.executed), time_ms=fills[-1].time_ms if fills else order.updated_ms,
            price=price, price_source="order" if price is not None else "none", client_order_id=order.client_order_id,
            sub_tag=order.request.subtag, fee=sum((fill.fee for fill in fills), Decimal(0)) if fills else None,
            fee_asset=fills[-1].fee_asset if fills else None, replaces=order.replaces,
            replaced_by=order.replaced_by, working=order.status.working, where=f"order {order.number}",
        )  # fmt: skip

    def _fill(self, fill: Fill) -> VenueFill:
        market = self.exchange.markets[fill.order.symbol]
        name = fill.id if self.exchange.names.ids == "uuid" else str(fill.number)
        return VenueFill(
            id=name, order_id=fill.order.id, symbol=spelt(market), side=fill.order.side,
            qty=self._base(market, fill.qty), price=fill.price, time_ms=fill.time_ms, fee=fill.fee,
            fee_asset=fill.fee_asset, where=f"fill {fill.sequence}",
        )  # fmt: skip

    def _legs(self, holder: Account) -> tuple[list[Leg], dict[str, str]]:
        """Return the legs that are held, and the symbols whose base quantity is not known."""
        legs: list[Leg] = []
        unknown: dict[str, str] = {}
        for market in self.exchange.markets.values():
            symbol, price = spelt(market), self.exchange.prices[market.symbol]
            if market.kind is Kind.SPOT:
                qty = holder.balance(market.base)
                if self._lists_coins and qty:
                    legs.append(Leg(symbol, qty, price))
                continue
            for (name, _), position in sorted(holder.positions.items()):
                if name != market.symbol or not position.qty:
                    continue
                if market.kind is Kind.INVERSE:
                    worth = f"{plain(position.qty)} contracts of {plain(market.contract_size)} {market.quote}"
                    unknown[symbol] = f"{symbol} is held in {worth}"
                else:
                    legs.append(Leg(symbol, self._base(market, position.qty), price))
        return legs, unknown


def _sum(holder: Account) -> dict[str, Decimal]:
    assets = {**holder.balances}
    for asset, amount in holder.wallet.items():
        assets[asset] = assets.get(asset, Decimal(0)) + amount
    return dict(sorted(assets.items()))
