"""Alpaca's orders: asking for them, page by page, and giving, replacing and canceling them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from starlette.responses import Response

from trueup.core.decimals import EXACT
from trueup.core.times import read_time
from trueup.sim.exchange import Change, Exchange, Market, NotAllowed, Order, OrderRequest, Side
from trueup.sim.wire.alpaca_rows import order_row
from trueup.sim.wire.desk import Refusal, answer, number, seen_orders

if TYPE_CHECKING:
    from trueup.sim.wire.alpaca import Call

_TYPES = ("market", "limit", "stop", "stop_limit")


def micros_of(text: str) -> int:
    """Read a time of a request to the microsecond; ValueError where it is none."""
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ValueError(f"invalid time format: {text}") from None
    return read_time(moment) * 1000 + moment.microsecond % 1000


def whole(text: str | None, name: str, default: int, limit: int) -> int:
    """Read a page's length; ValueError where it is not in 1 to the limit."""
    if text is None:
        return min(default, limit)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= limit:
        raise ValueError(f"{name} must be between 1 and {limit}")
    return int(text)


def market_of(exchange: Exchange, symbol: str) -> Market:
    """Return the market of a symbol in either spelling; an answer of 422 where there is none."""
    for market in exchange.markets.values():
        if symbol in (market.symbol, market.symbol.replace("/", "")):
            return market
    raise Refusal(422, {"code": 42210000, "message": f'asset "{symbol}" not found'})


def listed(call: "Call") -> Response:
    """GET /v2/orders."""
    status, direction = call.query("status") or "open", call.query("direction") or "desc"
    if status not in ("open", "closed", "all"):
        raise ValueError(f"invalid order status: {status}")
    if direction not in ("asc", "desc"):
        raise ValueError(f"invalid direction: {direction}")
    limit = whole(call.query("limit"), "limit", call.wire.orders_default, call.wire.orders_limit)
    nested = call.query("nested") in ("true", "True", "1")
    rows = list(filter(_wanted(call, status, nested=nested), call.exchange.orders_of(call.account.name)))
    rows = seen_orders(rows, call.veil, call.exchange.now_ms)
    rows.sort(key=submitted, reverse=direction == "desc")
    return answer([order_row(call.exchange, order, nested=nested) for order in rows[:limit]])


def submitted(order: Order) -> int:
    """Return when an order was submitted, in microseconds; the legs of an order share its moment."""
    return order.created_ms * 1000 + order.micros


def bounds(call: "Call") -> tuple[int | None, int | None]:
    """Return `after` and `until` in microseconds; both leave their own moment out."""
    after, until = call.query("after"), call.query("until")
    return micros_of(after) if after is not None else None, micros_of(until) if until is not None else None


def _wanted(call: "Call", status: str, *, nested: bool) -> Callable[[Order], bool]:
    """Return what a listing asks of an order."""
    (after, until), given, side = bounds(call), call.query("symbols"), call.query("side")
    symbols = None if given is None else {market_of(call.exchange, name).symbol for name in given.split(",")}

    def wanted(order: Order) -> bool:
        at = submitted(order)
        return (
            (status == "all" or order.status.working is (status == "open"))
            and (after is None or at > after)
            and (until is None or at < until)
            and (symbols is None or order.symbol in symbols)
            and side in (None, order.side.value)
            and not (nested and order.parent is not None)
        )

    return wanted


def one(call: "Call") -> Response:
    """GET /v2/orders/{id}."""
    nested = call.query("nested") in ("true", "True", "1")
    return answer(order_row(call.exchange, _order(call), nested=nested))


def by_client_order_id(call: "Call") -> Response:
    """GET /v2/orders:by_client_order_id."""
    name = call.query("client_order_id")
    if name is None:
        raise ValueError("client_order_id is required")
    try:
        order = call.exchange.by_client_id(call.account.name, name)
    except NotAllowed:
        raise _missing(name) from None
    if not seen_orders([order], call.veil, call.exchange.now_ms):
        raise _missing(name)
    return answer(order_row(call.exchange, order))


def _missing(name: str) -> Refusal:
    return Refusal(404, {"code": 40410000, "message": f"order not found for {name}"})


def _order(call: "Call") -> Order:
    name = call.part("id")
    try:
        order = call.exchange.order(name, account=call.account.name)
    except NotAllowed:
        raise _missing(name) from None
    if not seen_orders([order], call.veil, call.exchange.now_ms):
        raise _missing(name)
    return order


def create(call: "Call") -> Response:
    """POST /v2/orders."""
    request = _request(call.exchange, call.body)
    known = {order.client_order_id for order in call.exchange.orders_of(call.account.name)}
    if request.client_order_id in known:
        raise Refusal(422, {"code": 40010001, "message": "client_order_id must be unique"})
    order = call.exchange.submit(call.account.name, request)
    return answer(order_row(call.exchange, order, nested=True))


def _request(exchange: Exchange, body: Mapping[str, object]) -> OrderRequest:
    for name in ("symbol", "side", "type", "time_in_force"):
        if not body.get(name) and not (name == "type" and body.get("order_type")):
            raise Refusal(422, {"code": 40010001, "message": f"{name} is required"})
    market = market_of(exchange, str(body["symbol"]))
    kind = str(body.get("type") or body.get("order_type"))
    if kind not in _TYPES:
        raise Refusal(422, {"code": 40010001, "message": f"invalid order type: {kind}"})
    if body.get("side") not in ("buy", "sell"):
        raise Refusal(422, {"code": 40010001, "message": f"invalid side: {body.get('side')}"})
    prices = {name: _decimal(body, name) for name in ("limit_price", "stop_price", "notional")}
    if ("limit" in kind and prices["limit_price"] is None) or ("stop" in kind and prices["stop_price"] is None):
        raise Refusal(422, {"code": 40010001, "message": f"{kind} orders require their prices"})
    return OrderRequest(
        symbol=market.symbol, side=Side(str(body["side"])), type=kind, qty=_qty(exchange, market, body, prices),
        client_order_id=str(body["client_order_id"]) if body.get("client_order_id") else None,
        subtag=str(body["subtag"]) if body.get("subtag") else None, time_in_force=str(body["time_in_force"]),
        take_profit=_leg(body, "take_profit", "limit_price"), stop_loss=_leg(body, "stop_loss", "stop_price"),
        limit_price=prices["limit_price"], stop_price=prices["stop_price"], notional=prices["notional"],
    )  # fmt: skip


def _decimal(body: Mapping[str, object], name: str) -> Decimal | None:
    return None if body.get(name) is None else number(body[name])


def _leg(body: Mapping[str, object], name: str, price: str) -> Decimal | None:
    leg = body.get(name)
    return _decimal(leg, price) if isinstance(leg, dict) else None


def _qty(
    exchange: Exchange, market: Market, body: Mapping[str, object], prices: Mapping[str, Decimal | None]
) -> Decimal:
    qty, notional = _decimal(body, "qty"), prices["notional"]
    if (qty is None) is (notional is None):
        raise Refusal(422, {"code": 40010001, "message": "qty or notional is required, and not both"})
    if notional is not None:
        whole_qty = EXACT.divide(notional, prices["limit_price"] or exchange.prices[market.symbol])
        return whole_qty.quantize(market.lot, ROUND_DOWN, EXACT)
    assert qty is not None
    return qty


def replace(call: "Call") -> Response:
    """PATCH /v2/orders/{id}: the answer is the new order, under an id of its own."""
    order = _order(call)
    change = Change(
        qty=_decimal(call.body, "qty"), limit_price=_decimal(call.body, "limit_price"),
        stop_price=_decimal(call.body, "stop_price"),
        client_order_id=str(call.body["client_order_id"]) if call.body.get("client_order_id") else None,
        time_in_force=str(call.body["time_in_force"]) if call.body.get("time_in_force") else None,
    )  # fmt: skip
    return answer(order_row(call.exchange, call.exchange.replace(order, change)))


def cancel(call: "Call") -> Response:
    """DELETE /v2/orders/{id}."""
    order = _order(call)
    if not order.status.working:
        text = f'order is already in "{order.status}" state'
        raise Refusal(422, {"code": 42210000, "message": text})
    call.exchange.cancel(order)
    return answer(None, 204)


def cancel_all(call: "Call") -> Response:
    """DELETE /v2/orders: a list with a status for each order, as 207."""
    done = [call.exchange.cancel(o) for o in call.exchange.working(call.account.name) if o.status.working]
    return answer([{"id": order.id, "status": 200} for order in done], 207)
