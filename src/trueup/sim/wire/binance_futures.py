"""Binance's perpetual contracts: settled in the quote asset (/fapi) and in the base asset (/dapi).

Orders and trades come in windows of seven days; what is older than the venue's memory is gone: 90 days, and 3 days for
an order that was canceled or expired without a fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from starlette.responses import Response

from trueup.sim.exchange import Fill, Kind, Market, NotAllowed, Order, OrderRequest, Origin, Side, Status
from trueup.sim.wire import binance_algo
from trueup.sim.wire.binance import Call, Endpoint, refusal
from trueup.sim.wire.binance_algo import waits
from trueup.sim.wire.binance_futures_rows import (
    INCOME,
    account_row,
    balance_row,
    income_row,
    legs_of,
    market_row,
    order_row,
    placed_ms,
    position_row,
    trade_row,
)
from trueup.sim.wire.binance_spot import find, paged, window
from trueup.sim.wire.desk import answer, places, seen, seen_orders

_TYPES = ("LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_FORCED_LIMIT = 100
_INTERVAL = -4165


@dataclass(frozen=True, slots=True)
class Futures:
    """The endpoints of one kind of contract."""

    kind: Kind

    def markets(self, call: Call) -> list[Market]:
        """Return the contracts of this kind."""
        return [market for market in call.exchange.markets.values() if market.kind is self.kind]

    def _rows(self, call: Call, orders: list[Order]) -> list[dict[str, object]]:
        return [order_row(call.exchange.markets[order.symbol], order) for order in orders]

    def _wanted(self, call: Call) -> Market | None:
        return call.market(self.kind) if call.params.get("symbol") else None

    def _orders(self, call: Call, market: Market | None) -> list[Order]:
        """Return the orders that the venue still remembers."""
        names = {m.symbol for m in self.markets(call)} if market is None else {market.symbol}
        kept = [
            order
            for order in call.exchange.orders_of(call.account.name)
            if order.symbol in names and not waits(order) and _remembered(call, order)
        ]
        return seen_orders(kept, call.veil, call.exchange.now_ms)

    def ping(self, call: Call) -> Response:  # noqa: ARG002  # a handler's form
        """GET ping."""
        return answer({})

    def time(self, call: Call) -> Response:
        """GET time."""
        return answer({"serverTime": call.now_ms})

    def info(self, call: Call) -> Response:
        """GET exchangeInfo."""
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
        assets = sorted({market.settles_in for market in self.markets(call)})
        return answer(
            {
                "timezone": "UTC", "serverTime": call.now_ms, "futuresType": "U_MARGINED", "rateLimits": [limit],
                "exchangeFilters": [], "assets": [{"asset": a, "marginAvailable": True} for a in assets],
                "symbols": [market_row(market) for market in self.markets(call)],
            }
        )  # fmt: skip

    def premium(self, call: Call) -> Response:
        """GET premiumIndex."""
        wanted = self._wanted(call)
        rows = [
            {"symbol": m.symbol, "markPrice": places(call.exchange.prices[m.symbol], 8), "time": call.now_ms}
            for m in self.markets(call)
            if wanted in (None, m)
        ]
        return answer(rows if wanted is None else rows[0])

    def prices(self, call: Call) -> Response:
        """GET ticker/price."""
        wanted = self._wanted(call)
        rows = [
            {"symbol": m.symbol, "price": places(call.exchange.prices[m.symbol], 8), "time": call.now_ms}
            for m in self.markets(call)
            if wanted in (None, m)
        ]
        return answer(rows if wanted is None else rows[0])

    def one(self, call: Call) -> Response:
        """GET order."""
        market = call.market(self.kind)
        order = find(call, market)
        if order not in self._orders(call, market):
            raise refusal(-2013, "Order does not exist.")
        return answer(order_row(market, order))

    def create(self, call: Call) -> Response:
        """POST order."""
        market, kind = call.market(self.kind), call.must("type")
        if kind not in _TYPES:
            raise refusal(-1116, "Invalid orderType.")
        if call.must("side") not in ("BUY", "SELL"):
            raise refusal(-1117, "Invalid side.")
        limited = kind in ("LIMIT", "STOP", "TAKE_PROFIT")
        request = OrderRequest(
            symbol=market.symbol, side=Side(call.must("side").lower()), qty=Decimal(call.must("quantity")),
            type="limit" if limited else "market", limit_price=Decimal(call.must("price")) if limited else None,
            stop_price=Decimal(call.must("stopPrice")) if kind not in ("LIMIT", "MARKET") else None,
            take=kind.startswith("TAKE_PROFIT"),
            client_order_id=call.client_id(), leg=call.leg(),
            reduce_only=call.params.get("reduceOnly") == "true",
            time_in_force=call.params.get("timeInForce", "GTC").lower(),
        )  # fmt: skip
        return answer(order_row(market, call.exchange.submit(call.account.name, request)))

    def cancel(self, call: Call) -> Response:
        """DELETE order."""
        market = call.market(self.kind)
        try:
            order = call.exchange.cancel(find(call, market))
        except NotAllowed:
            raise refusal(-2011, "Unknown order sent.") from None
        return answer(order_row(market, order))

    def cancel_all(self, call: Call) -> Response:
        """DELETE allOpenOrders; conditional orders stay."""
        for order in call.exchange.working(call.account.name, call.market(self.kind).symbol):
            if not waits(order):
                call.exchange.cancel(order)
        return answer({"code": 200, "msg": "The operation of cancel all open order is done."})

    def open(self, call: Call) -> Response:
        """GET openOrders."""
        rows = [order for order in self._orders(call, self._wanted(call)) if order.status.working]
        return answer(self._rows(call, rows))

    def all(self, call: Call) -> Response:
        """GET allOrders: from an id on, or a window of at most seven days, by default the last seven."""
        market = self._wanted(call)
        start, end = self._window(call)
        page = paged(
            self._orders(call, market), from_id=call.whole("orderId") if market else None,
            number=lambda order: int(order.id) if market else order.number,
            time=placed_ms, start=start, end=end,
        newest="startTime" not in call.params,
            limit=call.page(call.wire.orders_default, call.wire.orders_limit),
        )  # fmt: skip
        return answer(self._rows(call, page))

    def _window(self, call: Call) -> tuple[int | None, int | None]:
        """Return the window of a request; without one it is the last seven days, and one bound sets the other."""
        longest, now = call.wire.futures_window_ms, call.exchange.now_ms
        start, end = window(call, longest, _INTERVAL)
        if start is not None:
            return start, end if end is not None else start + longest
        if end is not None:
            return end - longest, end
        return None if call.params.get("orderId") or call.params.get("fromId") else now - longest, None

    def trades(self, call: Call) -> Response:
        """GET userTrades: from an id on, or a window of at most seven days, by default the last seven."""
        market = call.market(self.kind)
        start, end = self._window(call)
        from_id, order_id = call.whole("fromId"), call.whole("orderId")
        if from_id is not None and (call.params.get("startTime") or call.params.get("endTime")):
            raise refusal(-1128, "Combination of optional parameters invalid.")
        oldest = call.exchange.now_ms - call.wire.futures_memory_ms
        rows = [
            fill
            for fill in call.exchange.fills_of(call.account.name)
            if fill.order.symbol == market.symbol and fill.time_ms >= oldest
        ]
        if order_id is not None:
            rows = [fill for fill in rows if int(fill.order.id) == order_id]
        page: list[Fill] = paged(
            seen(rows, call.veil, call.exchange.now_ms, lambda fill: fill.time_ms, lags=True),
            from_id=from_id, number=lambda fill: fill.number, time=lambda fill: fill.time_ms, start=start, end=end,
        newest="startTime" not in call.params,
            limit=call.page(call.wire.trades_default, call.wire.trades_limit),
        )  # fmt: skip
        return answer([trade_row(market, fill) for fill in page])

    def forced(self, call: Call) -> Response:
        """GET forceOrders: liquidations and deleveraging, newest first."""
        kind = call.params.get("autoCloseType")
        origins = {"LIQUIDATION": {Origin.LIQUIDATION}, "ADL": {Origin.ADL}, None: {Origin.LIQUIDATION, Origin.ADL}}
        if kind not in origins:
            raise refusal(-4056, "Invalid autoCloseType.")
        start, end = self._window(call)
        rows = [
            order
            for order in self._orders(call, self._wanted(call))
            if order.origin in origins[kind]
            and (start is None or order.created_ms >= start)
            and (end is None or order.created_ms <= end)
        ]
        rows.sort(key=lambda order: order.number, reverse=True)
        return answer(self._rows(call, rows[: call.page(50, _FORCED_LIMIT)]))

    def income(self, call: Call) -> Response:
        """GET income: fees, funding, profit and transfers, oldest first."""
        start, end = self._window(call)
        wanted, market = call.params.get("incomeType"), self._wanted(call)
        names = {m.symbol for m in self.markets(call)} | {""}
        rows = [
            event
            for event in call.exchange.events_of(call.account.name)
            if event.kind in INCOME
            and event.symbol in names
            and (event.symbol or event.text == "margin")
            and wanted in (None, INCOME[event.kind])
            and (market is None or event.symbol == market.symbol)
        ]
        page = paged(
            seen(rows, call.veil, call.exchange.now_ms, lambda event: event.time_ms), from_id=None,
            number=lambda event: event.number, time=lambda event: event.time_ms, start=start, end=end,
        newest="startTime" not in call.params,
            limit=call.page(100, 1000),
        )  # fmt: skip
        return answer([income_row(event) for event in page])

    def dual(self, call: Call) -> Response:
        """GET positionSide/dual."""
        return answer({"dualSidePosition": call.account.hedged})

    def set_dual(self, call: Call) -> Response:
        """POST positionSide/dual; not while there are positions or orders."""
        if any(position.qty for position in call.account.positions.values()):
            raise refusal(-4068, "Position side cannot be changed if there exists position.")
        call.account.hedged = call.must("dualSidePosition") == "true"
        return answer({"code": 200, "msg": "success"})

    def account(self, call: Call) -> Response:
        """GET account, version 3: the contracts that are held."""
        return answer(account_row(call.exchange, call.account, self.kind, whole=False))

    def account_whole(self, call: Call) -> Response:
        """GET account, version 2: every contract."""
        return answer(account_row(call.exchange, call.account, self.kind, whole=True))

    def balance(self, call: Call) -> Response:
        """GET balance."""
        assets = sorted({market.settles_in for market in self.markets(call)})
        return answer([balance_row(call.exchange, call.account, asset) for asset in assets])

    def _risk(self, call: Call, version: int) -> Response:
        wanted = self._wanted(call)
        rows = [
            position_row(call.exchange, market, leg, position, version)
            for market in self.markets(call)
            if wanted in (None, market)
            for leg, position in legs_of(call.account, market)
            if version == 2 or position.qty
        ]
        return answer(rows)

    def risk(self, call: Call) -> Response:
        """GET positionRisk, version 3: the contracts that are held."""
        return self._risk(call, 3)

    def risk_whole(self, call: Call) -> Response:
        """GET positionRisk, version 2: every contract."""
        return self._risk(call, 2)

    def brackets(self, call: Call) -> Response:
        """GET leverageBracket."""
        bracket = {
            "bracket": 1, "initialLeverage": 100, "notionalCap": 20_000_000, "notionalFloor": 0,
            "maintMarginRatio": 0.005, "cum": 0,
        }  # fmt: skip
        return answer([{"symbol": market.symbol, "brackets": [bracket]} for market in self.markets(call)])

    def leverage(self, call: Call) -> Response:
        """POST leverage."""
        symbol = call.market(self.kind).symbol
        return answer({"leverage": call.whole("leverage"), "maxNotionalValue": "20000000", "symbol": symbol})


def _remembered(call: Call, order: Order) -> bool:
    if order.status.working:
        return True
    idle = order.status in (Status.CANCELED, Status.EXPIRED) and not order.executed
    memory = call.wire.cancels_memory_ms if idle else call.wire.futures_memory_ms
    return placed_ms(order) >= call.exchange.now_ms - memory


def routes(prefix: str) -> Mapping[str, Mapping[str, Endpoint]]:
    """Return the endpoints below /fapi or /dapi."""
    of = Futures(Kind.INVERSE if prefix == "/dapi" else Kind.LINEAR)
    dual = {"GET": Endpoint(of.dual, 30), "POST": Endpoint(of.set_dual)}
    paths: dict[str, Mapping[str, Endpoint]] = {
        "/v1/ping": {"GET": Endpoint(of.ping, signed=False)},
        "/v1/time": {"GET": Endpoint(of.time, signed=False)},
        "/v1/exchangeInfo": {"GET": Endpoint(of.info, signed=False)},
        "/v1/premiumIndex": {"GET": Endpoint(of.premium, signed=False)},
        "/v1/ticker/price": {"GET": Endpoint(of.prices, signed=False)},
        "/v1/order": {"GET": Endpoint(of.one), "POST": Endpoint(of.create, 0), "DELETE": Endpoint(of.cancel)},
        "/v1/openOrders": {"GET": Endpoint(of.open)},
        "/v1/allOpenOrders": {"DELETE": Endpoint(of.cancel_all)},
        "/v1/allOrders": {"GET": Endpoint(of.all, 5)},
        "/v1/userTrades": {"GET": Endpoint(of.trades, 5)},
        "/v1/forceOrders": {"GET": Endpoint(of.forced, 20)},
        "/v1/income": {"GET": Endpoint(of.income, 30)},
        "/v1/positionSide/dual": dual,
        "/v1/leverageBracket": {"GET": Endpoint(of.brackets)},
        "/v2/leverageBracket": {"GET": Endpoint(of.brackets)},
        "/v1/leverage": {"POST": Endpoint(of.leverage)},
        "/v1/account": {"GET": Endpoint(of.account_whole, 5)},
        "/v2/account": {"GET": Endpoint(of.account_whole, 5)},
        "/v3/account": {"GET": Endpoint(of.account, 5)},
        "/v1/balance": {"GET": Endpoint(of.balance, 5)},
        "/v2/balance": {"GET": Endpoint(of.balance, 5)},
        "/v3/balance": {"GET": Endpoint(of.balance, 5)},
        "/v1/positionRisk": {"GET": Endpoint(of.risk_whole, 5)},
        "/v2/positionRisk": {"GET": Endpoint(of.risk_whole, 5)},
        "/v3/positionRisk": {"GET": Endpoint(of.risk, 5)},
    }
    return {prefix + path: endpoints for path, endpoints in {**paths, **binance_algo.routes(of)}.items()}
