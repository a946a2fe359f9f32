"""Alpaca's positions: shares and coins alike, and closing them."""

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from starlette.responses import Response

from trueup.sim.exchange import Market, NotAllowed, Order, OrderRequest, Side
from trueup.sim.exchange.matching import locked
from trueup.sim.wire.alpaca_rows import asset_id, held, joined, order_row, position_row
from trueup.sim.wire.desk import Refusal, answer, number

if TYPE_CHECKING:
    from trueup.sim.wire.alpaca import Call


def _open(call: "Call") -> list[Market]:
    return [market for market in call.exchange.markets.values() if held(call.account, market)]


def _row(call: "Call", market: Market) -> dict[str, object]:
    kept = locked(call.exchange, call.account.name).get(market.base, Decimal(0))
    return position_row(call.exchange, call.account, market, kept)


def _market(call: "Call") -> Market:
    name = call.part("name")
    for market in _open(call):
        if name in (market.symbol, joined(market.symbol), asset_id(call.exchange, market)):
            return market
    raise Refusal(404, {"code": 40410000, "message": "position does not exist"})


def listed(call: "Call") -> Response:
    """GET /v2/positions."""
    return answer([_row(call, market) for market in _open(call)])


def one(call: "Call") -> Response:
    """GET /v2/positions/{symbol or asset id}."""
    return answer(_row(call, _market(call)))


def close(call: "Call") -> Response:
    """DELETE /v2/positions/{symbol or asset id}: a market order for all, a quantity or a percentage of it."""
    return answer(order_row(call.exchange, _close(call, _market(call))))


def _close(call: "Call", market: Market) -> Order:
    qty = held(call.account, market)
    part = abs(qty)
    if call.query("qty"):
        part = number(call.query("qty"))
    elif call.query("percentage"):
        part = (part * number(call.query("percentage")) / 100).quantize(market.lot, ROUND_DOWN)
    if part > abs(qty):
        raise Refusal(403, {"code": 40310000, "message": "insufficient qty available for order"})
    side = Side.SELL if qty > 0 else Side.BUY
    request = OrderRequest(
        symbol=market.symbol, side=side, qty=part, time_in_force="gtc" if "/" in market.symbol else "day"
    )
    return call.exchange.submit(call.account.name, request)


def close_all(call: "Call") -> Response:
    """DELETE /v2/positions: a list with a status and the order of each, as 207."""
    if call.query("cancel_orders") in ("true", "True"):
        for order in call.exchange.working(call.account.name):
            if order.status.working:
                call.exchange.cancel(order)
    done: list[dict[str, object]] = []
    for market in _open(call):
        name = joined(market.symbol)
        try:
            body: dict[str, object] = order_row(call.exchange, _close(call, market))
            done.append({"symbol": name, "status": 200, "body": body})
        except NotAllowed as error:
            done.append({"symbol": name, "status": 403, "body": {"code": 40310000, "message": str(error)}})
    return answer(done, 207)
