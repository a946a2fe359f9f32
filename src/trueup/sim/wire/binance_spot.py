"""Binance's spot account: orders and trades per symbol, by id upwards or in windows of a day."""

from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar

from starlette.responses import Response

from trueup.core.decimals import EXACT
from trueup.sim.exchange import Kind, Market, NotAllowed, Order, OrderRequest, Side
from trueup.sim.wire.binance import Call, Endpoint, refusal
from trueup.sim.wire.binance_rows import (
    account_row,
    canceled_row,
    coin_row,
    created_row,
    market_row,
    order_row,
    trade_row,
)
from trueup.sim.wire.desk import answer, places, seen, seen_orders

_T = TypeVar("_T")
_TYPES = ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT")


def window(call: Call, longest_ms: int, code: int = -1127) -> tuple[int | None, int | None]:
    """Return startTime and endTime, both included; an error where they are further apart than is allowed."""
    start, end = call.whole("startTime"), call.whole("endTime")
    if start is not None and end is not None:
        if end < start:
            raise refusal(-1102 if code == -1127 else -1128, "Start time is greater than end time.")
        if end - start > longest_ms:
            hours = longest_ms // 3_600_000
            raise refusal(code, f"More than {hours} hours between startTime and endTime.")
    return start, end


def paged(  # one page has this many sides
    rows: list[_T], *, from_id: int | None, number: Callable[[_T], int], time: Callable[[_T], int],
    start: int | None, end: int | None, newest: bool, limit: int,
) -> list[_T]:  # fmt: skip
    """Return a page, in ascending order: from an id on, else the first of a window or its newest."""
    rows = sorted(rows, key=number)
    if from_id is not None:
        return [row for row in rows if number(row) >= from_id][:limit]
    within = [row for row in rows if (start is None or time(row) >= start) and (end is None or time(row) <= end)]
    return within[-limit:] if newest else within[:limit]


def _ping(call: Call) -> Response:  # noqa: ARG001  # a handler's form
    return answer({})


def _time(call: Call) -> Response:
    return answer({"serverTime": call.now_ms})


def _spot(call: Call) -> list[Market]:
    return [market for market in call.exchange.markets.values() if market.kind is Kind.SPOT]


def _info(call: Call) -> Response:
    return answer(
        {
            "timezone": "UTC", "serverTime": call.now_ms,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
                 "limit": call.wire.weight_per_minute or 6000}
            ],
            "exchangeFilters": [], "symbols": [market_row(market) for market in _spot(call)],
        }
    )  # fmt: skip


def _prices(call: Call) -> Response:
    rows = [{"symbol": m.symbol, "price": places(call.exchange.prices[m.symbol], 8)} for m in _spot(call)]
    wanted = call.params.get("symbol")
    if wanted is None:
        return answer(rows)
    call.market(Kind.SPOT)
    return answer(next(row for row in rows if row["symbol"] == wanted))


def _account(call: Call) -> Response:
    return answer(account_row(call.exchange, call.account))


def find(call: Call, market: Market) -> Order:
    """Return the order that a request names by id or client order id; NotAllowed where there is none."""
    order_id, client = call.params.get("orderId"), call.params.get("origClientOrderId")
    if order_id:
        return call.exchange.order(order_id, market.symbol, call.account.name)
    if not client:
        raise refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
    return call.exchange.by_client_id(call.account.name, client, market.symbol)


def _one(call: Call) -> Response:
    order = find(call, call.market(Kind.SPOT))
    if not seen_orders([order], call.veil, call.exchange.now_ms):
        raise refusal(-2013, "Order does not exist.")
    return answer(order_row(order))


def _create(call: Call) -> Response:
    market, kind = call.market(Kind.SPOT), call.must("type")
    if kind not in _TYPES:
        raise refusal(-1116, "Invalid orderType.")
    if call.must("side") not in ("BUY", "SELL"):
        raise refusal(-1117, "Invalid side.")
    notional = call.decimal("quoteOrderQty")
    qty = call.decimal("quantity")
    if qty is None:
        if notional is None:
            call.must("quantity")
        price = call.exchange.prices[market.symbol]
        qty = EXACT.divide(notional or Decimal(0), price).quantize(market.lot, ROUND_DOWN, EXACT)
    request = OrderRequest(
        symbol=market.symbol, side=Side(call.must("side").lower()), type="limit" if "LIMIT" in kind else "market",
        qty=qty, limit_price=Decimal(call.must("price")) if "LIMIT" in kind else None, notional=notional,
        stop_price=Decimal(call.must("stopPrice")) if "STOP" in kind else None,
        client_order_id=call.client_id(),
        time_in_force=call.params.get("timeInForce", "GTC").lower(),
    )  # fmt: skip
    order = call.exchange.submit(call.account.name, request)
    form = call.params.get("newOrderRespType", "FULL" if kind in ("LIMIT", "MARKET") else "ACK")
    return answer(created_row(order, form))


def _cancel(call: Call) -> Response:
    market = call.market(Kind.SPOT)
    try:
        order = call.exchange.cancel(find(call, market))
    except NotAllowed:
        raise refusal(-2011, "Unknown order sent.") from None
    return answer(_canceled(call, order))


def _canceled(call: Call, order: Order) -> dict[str, object]:
    client = call.params.get("newClientOrderId") or call.exchange.names.uuid("cancel", order.number).hex[:22]
    return canceled_row(order, client, call.exchange.now_ms)


def _cancel_all(call: Call) -> Response:
    market = call.market(Kind.SPOT)
    working = call.exchange.working(call.account.name, market.symbol)
    if not working:
        raise refusal(-2011, "Unknown order sent.")
    return answer([_canceled(call, call.exchange.cancel(order)) for order in working])


def _open(call: Call) -> Response:
    symbol = call.market(Kind.SPOT).symbol if call.params.get("symbol") else None
    names = {market.symbol for market in _spot(call)}
    working = [order for order in call.exchange.working(call.account.name, symbol) if order.symbol in names]
    working = seen_orders(working, call.veil, call.exchange.now_ms)
    return answer([order_row(order) for order in working])


def _all_orders(call: Call) -> Response:
    market = call.market(Kind.SPOT)
    start, end = window(call, call.wire.spot_window_ms)
    rows = [order for order in call.exchange.orders_of(call.account.name) if order.symbol == market.symbol]
    page = paged(
        seen_orders(rows, call.veil, call.exchange.now_ms),
        from_id=call.whole("orderId"), number=lambda order: int(order.id), time=lambda order: order.created_ms,
        start=start, end=end,
        newest=start is None, limit=call.page(call.wire.orders_default, call.wire.orders_limit),
    )  # fmt: skip
    return answer([order_row(order) for order in page])


def _my_trades(call: Call) -> Response:
    market = call.market(Kind.SPOT)
    start, end = window(call, call.wire.spot_window_ms)
    from_id, order_id = call.whole("fromId"), call.whole("orderId")
    if from_id is not None and (start is not None or end is not None):
        raise refusal(-1128, "Combination of optional parameters invalid.")
    rows = [fill for fill in call.exchange.fills_of(call.account.name) if fill.order.symbol == market.symbol]
    if order_id is not None:
        rows = [fill for fill in rows if int(fill.order.id) == order_id]
    page = paged(
        seen(rows, call.veil, call.exchange.now_ms, lambda fill: fill.time_ms, lags=True),
        from_id=from_id, number=lambda fill: fill.number, time=lambda fill: fill.time_ms, start=start, end=end,
        newest=start is None,
        limit=call.page(call.wire.trades_default, call.wire.trades_limit),
    )  # fmt: skip
    return answer([trade_row(fill) for fill in page])


def _coins(call: Call) -> Response:
    assets = {asset for market in call.exchange.markets.values() for asset in (market.base, market.quote)}
    return answer([coin_row(asset) for asset in sorted(assets)])


def _restrictions(call: Call) -> Response:
    return answer(
        {
            "ipRestrict": False, "createTime": call.account.created_ms, "enableReading": True,
            "enableSpotAndMarginTrading": True, "enableWithdrawals": False, "enableInternalTransfer": False,
            "enableMargin": False, "enableFutures": True, "permitsUniversalTransfer": False,
            "enableVanillaOptions": False, "enableFixApiTrade": False, "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }
    )  # fmt: skip


def _none(call: Call) -> Response:  # noqa: ARG001  # a handler's form
    return answer([])


def _status(call: Call) -> Response:  # noqa: ARG001  # a handler's form
    return answer({"status": 0, "msg": "normal"})


ROUTES: Mapping[str, Mapping[str, Endpoint]] = {
    "/api/v3/ping": {"GET": Endpoint(_ping, signed=False)},
    "/api/v3/time": {"GET": Endpoint(_time, signed=False)},
    "/api/v3/exchangeInfo": {"GET": Endpoint(_info, 20, signed=False)},
    "/api/v3/ticker/price": {"GET": Endpoint(_prices, 4, signed=False)},
    "/api/v3/account": {"GET": Endpoint(_account, 20)},
    "/api/v3/order": {"GET": Endpoint(_one, 4), "POST": Endpoint(_create), "DELETE": Endpoint(_cancel)},
    "/api/v3/openOrders": {"GET": Endpoint(_open, 6), "DELETE": Endpoint(_cancel_all)},
    "/api/v3/allOrders": {"GET": Endpoint(_all_orders, 20)},
    "/api/v3/myTrades": {"GET": Endpoint(_my_trades, 20)},
    "/sapi/v1/system/status": {"GET": Endpoint(_status, signed=False)},
    "/sapi/v1/capital/config/getall": {"GET": Endpoint(_coins, 10)},
    "/sapi/v1/account/apiRestrictions": {"GET": Endpoint(_restrictions)},
    "/sapi/v1/margin/allPairs": {"GET": Endpoint(_none)},
    "/sapi/v1/margin/isolated/allPairs": {"GET": Endpoint(_none, 10)},
    "/sapi/v1/equity/market/exchangeInfo": {"GET": Endpoint(_none)},
}
