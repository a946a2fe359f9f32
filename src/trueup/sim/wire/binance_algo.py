"""Binance's conditional orders for contracts: apart from the others, under ids of their own, until they trigger.

What waits for its price stands in no order feed but this one; once it triggers it is an order like any other.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from starlette.responses import Response

from trueup.sim.exchange import Market, NotAllowed, Order, OrderRequest, Side, Status
from trueup.sim.wire.binance import Call, Endpoint, refusal
from trueup.sim.wire.binance_futures_rows import order_type, steps
from trueup.sim.wire.binance_spot import paged
from trueup.sim.wire.desk import answer, places, seen_orders

if TYPE_CHECKING:
    from trueup.sim.wire.binance_futures import Futures

FIRST_ALGO = 2_000_000_000
_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
_STATUSES = {Status.CANCELED: "CANCELED", Status.EXPIRED: "EXPIRED", Status.REJECTED: "REJECTED"}


def waits(order: Order) -> bool:
    """Say whether an order is a conditional one that has not triggered, and so stands in no other feed."""
    return order.request.conditional and order.triggered_ms is None


def algo_row(market: Market, order: Order) -> dict[str, object]:
    """Return a conditional order as GET algoOrder gives it."""
    request, tick = order.request, steps(market.tick)
    status = _STATUSES.get(order.status, "NEW") if waits(order) else "FINISHED"
    return {
        "algoId": FIRST_ALGO + order.number, "clientAlgoId": order.client_order_id, "algoType": "CONDITIONAL",
        "orderType": order_type(order), "symbol": order.symbol, "side": order.side.value.upper(),
        "positionSide": request.leg.value.upper(), "timeInForce": request.time_in_force.upper(),
        "quantity": places(order.qty, steps(market.lot)), "algoStatus": status,
        "actualOrderId": "" if waits(order) else order.id, "actualPrice": "0.00000",
        "triggerPrice": places(request.stop_price or Decimal(0), tick),
        "price": places(request.limit_price or Decimal(0), tick), "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER", "workingType": "CONTRACT_PRICE", "priceMatch": "NONE",
        "closePosition": False, "priceProtect": False, "reduceOnly": request.reduce_only,
        "createTime": order.created_ms, "updateTime": order.updated_ms, "triggerTime": order.triggered_ms or 0,
        "goodTillDate": 0,
    }  # fmt: skip


def _orders(of: "Futures", call: Call) -> list[Order]:
    names = {market.symbol for market in of.markets(call)}
    if call.params.get("symbol"):
        names = {call.market(of.kind).symbol}
    rows = [
        order
        for order in call.exchange.orders_of(call.account.name)
        if order.request.conditional and order.symbol in names
    ]
    return seen_orders(rows, call.veil, call.exchange.now_ms)


def _find(of: "Futures", call: Call) -> Order:
    number, client = call.whole("algoId"), call.params.get("clientAlgoId")
    for order in reversed(_orders(of, call)):
        if FIRST_ALGO + order.number == number or (client and order.client_order_id == client):
            return order
    raise refusal(-2013, "Order does not exist.")


def _create(of: "Futures", call: Call) -> Response:
    market, kind = call.market(of.kind), call.must("type")
    if call.must("algoType") != "CONDITIONAL" or kind not in _TYPES:
        raise refusal(-1116, "Invalid orderType.")
    limited = not kind.endswith("_MARKET")
    request = OrderRequest(
        symbol=market.symbol, side=Side(call.must("side").lower()), qty=Decimal(call.must("quantity")),
        conditional=True,
        type="limit" if limited else "market", limit_price=Decimal(call.must("price")) if limited else None,
        stop_price=Decimal(call.must("triggerPrice")), take=kind.startswith("TAKE_PROFIT"), leg=call.leg(),
        client_order_id=call.client_id("clientAlgoId"), reduce_only=call.params.get("reduceOnly") == "true",
        time_in_force=call.params.get("timeInForce", "GTC").lower(),
    )  # fmt: skip
    return answer(algo_row(market, call.exchange.submit(call.account.name, request)))


def _cancel(of: "Futures", call: Call) -> Response:
    order = _find(of, call)
    if not waits(order):
        raise refusal(-2011, "Unknown order sent.")
    try:
        call.exchange.cancel(order)
    except NotAllowed:
        raise refusal(-2011, "Unknown order sent.") from None
    done = {"code": "200", "msg": "success"}
    return answer({"algoId": FIRST_ALGO + order.number, "clientAlgoId": order.client_order_id, **done})


def _cancel_all(of: "Futures", call: Call) -> Response:
    call.must("symbol")
    for order in _orders(of, call):
        if waits(order) and order.status.working:
            call.exchange.cancel(order)
    return answer({"code": 200, "msg": "The operation of cancel all open order is done."})


def _rows(call: Call, orders: list[Order]) -> Response:
    return answer([algo_row(call.exchange.markets[order.symbol], order) for order in orders])


def _one(of: "Futures", call: Call) -> Response:
    order = _find(of, call)
    return answer(algo_row(call.exchange.markets[order.symbol], order))


def _open(of: "Futures", call: Call) -> Response:
    return _rows(call, [order for order in _orders(of, call) if waits(order) and order.status.working])


def _all(of: "Futures", call: Call) -> Response:
    call.must("symbol")
    page = paged(
        _orders(of, call), from_id=call.whole("algoId"), number=lambda order: FIRST_ALGO + order.number,
        time=lambda order: order.created_ms, start=call.whole("startTime"), end=call.whole("endTime"),
        newest="startTime" not in call.params, limit=call.page(call.wire.orders_default, call.wire.orders_limit),
    )  # fmt: skip
    return _rows(call, page)


def routes(of: "Futures") -> Mapping[str, Mapping[str, Endpoint]]:
    """Return the endpoints of conditional orders, below /fapi or /dapi."""
    return {
        "/v1/algoOrder": {
            "GET": Endpoint(lambda call: _one(of, call)),
            "POST": Endpoint(lambda call: _create(of, call)),
            "DELETE": Endpoint(lambda call: _cancel(of, call)),
        },
        "/v1/openAlgoOrders": {"GET": Endpoint(lambda call: _open(of, call))},
        "/v1/allAlgoOrders": {"GET": Endpoint(lambda call: _all(of, call), 5)},
        "/v1/algoOpenOrders": {"DELETE": Endpoint(lambda call: _cancel_all(of, call))},
    }
