"""What may be done at an exchange where the account allows it: cancel, and close what is held; never more.

An order is sent once and never again by itself: whether one that was not answered went through is said to be unknown.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from trueup.core.decimals import EXACT, exactly, plain, read_decimal
from trueup.core.errors import CannotKnow
from trueup.core.orders import Side
from trueup.ports import ActionReport, ClosingAnswer, ClosingOrder
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.verdicts import REFUSALS, CallFailed
from trueup.venues.ccxt.export import Row, is_something
from trueup.venues.ccxt.feeds import FeedRead, Feeds, balances_of
from trueup.venues.ccxt.listing import Listed
from trueup.venues.ccxt.reading import Reader


class CcxtActions:
    """The actions of one account; `once` asks without trying again."""

    def __init__(self, reader: Reader, once: Caller) -> None:
        self.reader = reader
        self.once = once

    def cancel_all(self, symbols: Collection[str] | None = None) -> ActionReport:
        """Cancel the working orders of the symbols, of all without; CannotKnow where the venue cannot be asked.

        Afterwards the working orders are read again: what still works failed, whatever the venue said.
        """
        listed = self.reader.markets()
        markets = None if symbols is None else {name for symbol in symbols for name in listed.resolve(symbol).markets}
        unknown = [] if symbols is None else [symbol for symbol in symbols if not listed.resolve(symbol).markets]
        before = self._working(listed, markets)
        said: dict[str, str] = {}
        for row in before:
            try:
                self._cancel(row)
            except CallFailed as error:
                said[_name(row)] = error.why
        left = {_name(row) for row in self._working(listed, markets)}
        done = tuple(_name(row) for row in before if _name(row) not in left)
        failed = [f"{name}: {said.get(name, 'still working')}" for name in sorted(left)]
        failed += [f"{symbol}: {self.reader.exchange} lists no such market" for symbol in unknown]
        return ActionReport(done, tuple(failed))

    def close_position(self, symbol: str) -> ActionReport:
        """Close what is held of a symbol with market orders that only reduce; CannotKnow where it cannot be asked.

        On a spot market what is declared as external is not sold.
        """
        listed = self.reader.markets()
        market = listed.resolve(symbol).market
        if market is None:
            return ActionReport(failed=(f"{symbol}: it is no one market of {self.reader.exchange}",))
        if not listed.is_contract(market):
            return self._sell(market, listed)
        legs = [row for row in self._positions(market) if is_something(row.get("contracts"))]
        done, failed = [], []
        for leg in legs:
            what = f"{market} {leg.get('side')} {leg.get('contracts')} contracts"
            try:
                self._reduce(market, leg, hedged=len(legs) > 1 or leg.get("hedged") is True)
                done.append(what)
            except (CallFailed, ValueError) as error:
                failed.append(f"{what}: {_why(error)}; whether the order went through is to be seen at the venue")
        left = [row for row in self._positions(market) if is_something(row.get("contracts"))]
        failed += [f"{market}: {row.get('contracts')} contracts {row.get('side')} are left" for row in left]
        return ActionReport(tuple(done), tuple(failed))

    @property
    def names_orders(self) -> bool:
        """Say yes: an order is sent with its client order id."""
        return True

    def cancel(self, symbol: str, order_id: str) -> ActionReport:
        """Cancel one working order; one that is no longer there needs no canceling."""
        listed = self.reader.markets()
        rows = self._working(listed, set(listed.resolve(symbol).markets))
        row = next((row for row in rows if str(row.get("id")) == order_id), None)
        if row is None:
            return ActionReport(done=(f"{symbol} {order_id}: it works no more",))
        try:
            self._cancel(row)
        except CallFailed as error:
            return ActionReport(failed=(f"{_name(row)}: {error.why}",))
        return ActionReport(done=(_name(row),))

    @exactly
    def close(self, order: ClosingOrder) -> ClosingAnswer:
        """Send one market order that only reduces, for no more than is held right before; on spot markets it sells."""
        listed = self.reader.markets()
        market = listed.resolve(order.symbol).market
        if market is None:
            return ClosingAnswer(False, why=f"{order.symbol}: it is no one market of {self.reader.exchange}")
        params: dict[str, object] = {"clientOrderId": order.client_order_id}
        if listed.is_contract(market):
            legs = [row for row in self._positions(market) if is_something(row.get("contracts"))]
            leg = next((row for row in legs if _closes(row) == order.side), None)
            try:
                size = read_decimal(listed.markets[market].get("contractSize"))
                held = abs(read_decimal(leg.get("contracts"))) if leg is not None else Decimal(0)
            except ValueError as error:
                return ClosingAnswer(False, why=f"{market}: its position cannot be read: {error}")
            amount = min(EXACT.divide(order.qty, size), held)
            hedged = leg is not None and (len(legs) > 1 or leg.get("hedged") is True)
            params |= {"reduceOnly": True, **({"hedged": True} if hedged else {})}
        else:
            free, external = self._free(str(listed.markets[market].get("base")), listed)
            amount = min(order.qty, free) if order.side is Side.SELL else Decimal(0)
            if amount <= 0 and external:
                return ClosingAnswer(False, why=f"{market}: {plain(external)} are declared as external and not sold")
        if amount <= 0:
            return ClosingAnswer(False, why=f"{market}: there is nothing to {order.side}")
        return self._ask_to_close(market, order.side, plain(amount), params)

    def _ask_to_close(self, market: str, side: str, amount: str, params: Mapping[str, object]) -> ClosingAnswer:
        try:
            row = self._send(market, side, amount, params)
        except CallFailed as failed:
            return ClosingAnswer(False if failed.kind in REFUSALS else None, why=failed.why)
        name = row.get("id") if isinstance(row, Mapping) else None
        return ClosingAnswer(True, str(name)) if name is not None else ClosingAnswer(None, why="no order was named")

    def _feeds(self) -> Feeds:
        account = self.reader.account
        return Feeds(self.reader.caller, self.reader.client, account.now_ms(), account.page_limit, account.max_pages)

    def _working(self, listed: Listed, markets: Collection[str] | None) -> list[Row]:
        symbols = sorted(markets) if markets is not None else sorted(listed.markets)
        read = self._feeds().read(self.reader.rules.open_orders, symbols)
        self._require(read, "working orders")
        return [row for row in read.rows if markets is None or row.get("symbol") in markets]

    def _positions(self, market: str) -> list[Row]:
        read = self._feeds().read(self.reader.rules.positions, (market,))
        self._require(read, "positions")
        return [row for row in read.rows if row.get("symbol") == market]

    def _require(self, read: FeedRead, what: str) -> None:
        if not read.coverage.complete:
            raise self.reader.nothing(f"its {what} are not known: {read.coverage.reason}")

    def _cancel(self, row: Row) -> None:
        trigger = {"trigger": True} if row.get("triggerPrice") is not None and self._apart(row) else {}
        call = partial(self.reader.client.call, "cancel_order", row.get("id"), row.get("symbol"), trigger)
        self.once.ask(f"cancel_order {row.get('symbol')} {row.get('id')}", call, weight=0)

    def _apart(self, row: Row) -> bool:
        """Say whether an order stands in a list of conditional orders of its own (Binance's algo orders)."""
        info = row.get("info")
        return isinstance(info, Mapping) and any(name in info for name in ("algoId", "stopOrderId"))

    def _reduce(self, market: str, leg: Row, *, hedged: bool) -> None:
        side = _closes(leg)
        if side is None:
            raise ValueError("its side is not known")
        params: dict[str, object] = {"reduceOnly": True, **({"hedged": True} if hedged else {})}
        self._send(market, side, str(leg.get("contracts")), params)

    def _send(self, market: str, side: str, amount: str, params: Mapping[str, object]) -> object:
        call = partial(self.reader.client.call, "create_order", market, "market", side, amount, None, dict(params))
        return self.once.ask(f"create_order {market} {side} {amount}", call, weight=0).value

    @exactly
    def _sell(self, market: str, listed: Listed) -> ActionReport:
        base = str(listed.markets[market].get("base"))
        free, external = self._free(base, listed)
        if external:
            note = f"{plain(external)} {base} is declared as external and is not sold"
            if free <= 0:
                return ActionReport(failed=(f"{market}: nothing to sell: {note}",))
        if free <= 0:
            return ActionReport()
        what = f"{market} sell {plain(free)}"
        try:
            self._send(market, "sell", plain(free), {})
        except CallFailed as error:
            return ActionReport(failed=(f"{what}: {error.why}; whether it went through is to be seen at the venue",))
        return ActionReport((what,), (f"{market}: {note}",) if external else ())

    def _free(self, base: str, listed: Listed) -> tuple[Decimal, Decimal]:
        """Return what of a coin is free to sell, and how much of it is external."""
        rules = self.reader.rules.balances
        if not rules:
            raise self.reader.nothing("it offers no balances")
        try:
            balances: dict[str, Any] = balances_of(self.reader.caller, self.reader.client, rules[0])
            asset = listed.symbols.asset(base)
            declared = self.reader.account.external_assets.items()
            external = sum((qty for name, qty in declared if listed.symbols.asset(name) == asset), Decimal(0))
            entry = next((entry for name, entry in balances.items() if listed.symbols.asset(name) == asset), None)
            if entry is None:
                return Decimal(0), external
            total, free = read_decimal(entry.get("total")), read_decimal(entry.get("free"))
        except (CallFailed, ValueError) as error:
            raise CannotKnow(f"The balance of {base} is not known: {_why(error)}.", "Look at the venue.") from None
        return min(free, total - external), external


def _closes(leg: Row) -> str | None:
    return {"long": "sell", "short": "buy"}.get(str(leg.get("side")))


def _name(row: Row) -> str:
    return f"{row.get('symbol')} {row.get('id')}"


def _why(error: Exception) -> str:
    return error.why if isinstance(error, CallFailed) else str(error)
