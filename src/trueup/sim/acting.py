"""What may be done at the simulated exchange, in process: cancel, and close what is held."""

from collections.abc import Collection
from decimal import ROUND_DOWN, Decimal

from trueup.core.decimals import EXACT, exactly
from trueup.core.orders import Side
from trueup.core.symbols import Symbols
from trueup.ports import ActionReport, ClosingAnswer, ClosingOrder
from trueup.sim.exchange import Account, Exchange, Kind, Leg, Market, NotAllowed, Order, OrderRequest

LEGS = {Side.SELL: Leg.LONG, Side.BUY: Leg.SHORT}
"""Which leg of a hedged contract an order of a side closes."""


def spelt(market: Market) -> str:
    """Return a market's symbol as bots spell it: AAPL, BTC/USD, or BTC/USDT:USDT for a contract."""
    if market.kind is Kind.EQUITY:
        return market.symbol
    pair = f"{market.base}/{market.quote}"
    return f"{pair}:{market.settles_in}" if market.is_swap else pair


class SimActions:
    """The actions of one account: contracts with reduce-only orders, coins and shares for what is held and free."""

    def __init__(self, exchange: Exchange, account: str, symbols: Symbols) -> None:
        self.exchange = exchange
        self.account = account
        self.symbols = symbols

    @property
    def names_orders(self) -> bool:
        """Say yes: an order carries its client order id."""
        return True

    def cancel(self, symbol: str, order_id: str) -> ActionReport:
        """Cancel one working order; one that is no longer there needs no canceling."""
        for order in self.exchange.working(self.account, self._market(symbol).symbol):
            if order.id == order_id and order.status.working:
                self.exchange.cancel(order)
        return ActionReport(done=(f"canceled {order_id}",))

    def cancel_all(self, symbols: Collection[str] | None = None) -> ActionReport:
        """Cancel the working orders of the symbols, of all without."""
        done = []
        for order in self.exchange.working(self.account):
            if order.status.working and (symbols is None or self._is_of(order, symbols)):
                self.exchange.cancel(order)
                done.append(f"canceled {order.id}")
        return ActionReport(tuple(done))

    def _is_of(self, order: Order, symbols: Collection[str]) -> bool:
        market = self.exchange.markets[order.symbol]
        return any(self._market(symbol) is market for symbol in symbols)

    def close_position(self, symbol: str) -> ActionReport:
        """Close what is held of a symbol."""
        done, failed = [], []
        for side in Side:
            answer = self.close(ClosingOrder(symbol, side, Decimal("1e18"), ""))
            if answer.taken:
                done.append(f"{side} {symbol}, order {answer.order_id}")
            elif "nothing" not in answer.why:
                failed.append(answer.why)
        return ActionReport(tuple(done), tuple(failed))

    @exactly
    def close(self, order: ClosingOrder) -> ClosingAnswer:
        """Send one closing order, for no more than is held."""
        request = self.request(order)
        if request is None:
            return ClosingAnswer(False, why=f"{order.symbol}: there is nothing to {order.side}")
        try:
            return ClosingAnswer(True, self.exchange.submit(self.account, request).id)
        except NotAllowed as error:
            return ClosingAnswer(False, why=str(error))

    def request(self, order: ClosingOrder) -> OrderRequest | None:
        """Return what is asked of the exchange, None where nothing of that side is held."""
        market, holder = self._market(order.symbol), self.exchange.accounts[self.account]
        leg = LEGS[order.side] if market.is_swap and holder.hedged else Leg.BOTH
        size = market.contract_size if market.kind is Kind.LINEAR else Decimal(1)
        held = _held(holder, market, leg) * (1 if order.side is Side.SELL else -1)
        qty = min(EXACT.divide(order.qty, size), held).quantize(market.lot, ROUND_DOWN, EXACT)
        if qty <= 0:
            return None
        return OrderRequest(
            symbol=market.symbol, side=order.side, qty=qty, client_order_id=order.client_order_id or None, leg=leg,
            reduce_only=market.is_swap,
        )  # fmt: skip

    def _market(self, symbol: str) -> Market:
        token = self.symbols.token(symbol)
        return next(
            market
            for market in self.exchange.markets.values()
            if token in (self.symbols.token(market.symbol), self.symbols.token(spelt(market)))
        )


def _held(holder: Account, market: Market, leg: Leg) -> Decimal:
    return holder.balance(market.base) if market.kind is Kind.SPOT else holder.position(market.symbol, leg).qty
