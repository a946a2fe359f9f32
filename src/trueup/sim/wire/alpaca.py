"""Alpaca's trading API (v2) and its stream of trade updates, spoken over an Exchange.

Source: Alpaca's API reference for trading, and what alpaca-py sends and reads. Bounds `after` and `until` exclude their
own moment; order pages have no token; activity pages go by the id of the last item.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from trueup.sim.exchange import Account, Exchange, NotAllowed
from trueup.sim.wire import alpaca_activities, alpaca_orders, alpaca_positions
from trueup.sim.wire.alpaca_rows import account_row, asset_class, asset_id, asset_row
from trueup.sim.wire.alpaca_stream import stream
from trueup.sim.wire.desk import Desk, Refusal, Veil, answer, veil_of

__all__ = ["AlpacaWire", "alpaca_app"]

_CODES = {"no_such_order": (404, 40410000), "not_working": (422, 42210000), "insufficient": (403, 40310000)}
_CONFIGURATION: Mapping[str, object] = {
    "fractional_trading": True, "max_margin_multiplier": "4", "no_shorting": False, "suspend_trade": False,
    "trade_confirm_email": "all", "ptp_no_exception_entry": False, "max_options_trading_level": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaWire:
    """The limits of one wire: rows of a page, and requests in a minute (None lets all through)."""

    orders_limit: int = 500
    orders_default: int = 50
    activities_limit: int = 100
    requests_per_minute: int | None = None
    market_open: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request: what it asks for, by whom, and what a fault hides from it."""

    desk: Desk
    wire: AlpacaWire
    request: Request
    account: Account
    veil: Veil
    body: Mapping[str, object]

    @property
    def exchange(self) -> Exchange:
        """Return the exchange behind the wire."""
        return self.desk.exchange

    def query(self, name: str) -> str | None:
        """Return a parameter of the query; None where it is absent or blank."""
        return self.request.query_params.get(name) or None

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])


Handler = Callable[[Call], Response]


class AlpacaDialect:
    """How Alpaca says that something is wrong."""

    rows_at = ()
    unknown_values: Mapping[str, str] = {"status": "pending_settlement", "side": "sell_undisclosed", "type": "iceberg"}

    def throttled(self, retry_after: int | None) -> Refusal:
        """Return the answer to too many requests."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        return Refusal(429, {"code": 42910000, "message": "rate limit exceeded"}, headers)

    def broken(self) -> Refusal:
        """Return the answer of a venue that failed inside."""
        return Refusal(500, {"code": 50010000, "message": "internal server error occurred"})

    def maintenance(self) -> Refusal:
        """Return the answer of a venue that is closed for maintenance."""
        return Refusal(503, {"code": 50310000, "message": "service unavailable: under maintenance"})


def alpaca_app(
    exchange: Exchange, wire: AlpacaWire | None = None, *, before: Callable[[], None] | None = None
) -> Starlette:
    """Return the ASGI application of an exchange that speaks Alpaca; `before` runs before each request."""
    desk, limits = Desk(exchange, before), wire or AlpacaWire()
    app = Starlette(
        routes=[
            *(Route(path, _endpoint(desk, limits, handlers), methods=list(handlers)) for path, handlers in _ROUTES),
            WebSocketRoute("/stream", stream(desk)),
        ],
        exception_handlers={404: _nowhere},
    )
    app.state.dialect = AlpacaDialect()
    app.state.exchange = exchange
    return app


async def _nowhere(request: Request, error: Exception) -> Response:  # noqa: ARG001  # the form of a handler
    return answer({"code": 40410000, "message": "endpoint not found."}, 404)


def _endpoint(
    desk: Desk, wire: AlpacaWire, handlers: Mapping[str, Handler]
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        raw = await request.body()
        if desk.before is not None:
            desk.before()
        headers: dict[str, str] = {}
        with desk.exchange.lock:
            try:
                call = _call(desk, wire, request, raw)
                headers = _counted(call)
                response = handlers["GET" if request.method == "HEAD" else request.method](call)
            except Refusal as refusal:
                response = answer(refusal.body, refusal.status, refusal.headers)
            except NotAllowed as error:
                status, code = _CODES.get(error.why, (422, 42210000))
                response = answer({"code": code, "message": str(error)}, status)
            except ValueError as error:
                response = answer({"code": 40010001, "message": str(error)}, 422)
        response.headers.update(headers)
        return response

    return respond


def _call(desk: Desk, wire: AlpacaWire, request: Request, raw: bytes) -> Call:
    key, secret = (request.headers.get(name) for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY"))
    veil = veil_of(request)
    if not key or not secret or desk.exchange.account_of_key(key) is None:
        raise Refusal(403, {"message": "forbidden."})
    account = desk.holder(key, veil)
    if account is None or account.secret != secret:
        raise Refusal(401, {"code": 40110000, "message": "request is not authorized"})
    body: object = {}
    if raw:
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refusal(400, {"code": 40010000, "message": "request body format is invalid"}) from None
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise Refusal(400, {"code": 40010000, "message": "request body format is invalid"})
    return Call(desk, wire, request, account, veil, body)


def _counted(call: Call) -> dict[str, str]:
    limit = call.wire.requests_per_minute
    used = call.desk.count(call.account.name)
    reset = (call.exchange.now_ms // 60_000 + 1) * 60
    if limit is not None and used > limit:
        raise AlpacaDialect().throttled(None)
    allowed = limit or 200
    return {
        "X-RateLimit-Limit": str(allowed), "X-RateLimit-Remaining": str(max(0, allowed - used)),
        "X-RateLimit-Reset": str(reset),
    }  # fmt: skip


def _account(call: Call) -> Response:
    return answer(account_row(call.exchange, call.account))


def _configurations(call: Call) -> Response:
    return answer({**_CONFIGURATION, **{name: call.body[name] for name in _CONFIGURATION if name in call.body}})


def _clock(call: Call) -> Response:
    from trueup.core.times import iso

    now = call.exchange.now_ms + call.veil.skew_ms
    opens = call.wire.market_open
    hour = 3_600_000
    return answer(
        {
            "timestamp": iso(now), "is_open": opens,
            "next_open": iso(now + (18 if opens else 1) * hour), "next_close": iso(now + (1 if opens else 8) * hour),
        }
    )  # fmt: skip


def _assets(call: Call) -> Response:
    wanted = call.query("asset_class")
    markets = call.exchange.markets.values()
    return answer([asset_row(call.exchange, m) for m in markets if wanted in (None, asset_class(m))])


def _asset(call: Call) -> Response:
    name = call.part("name")
    for market in call.exchange.markets.values():
        if name in (market.symbol, market.symbol.replace("/", ""), asset_id(call.exchange, market)):
            return answer(asset_row(call.exchange, market))
    raise Refusal(404, {"code": 40410000, "message": f"asset not found for {name}"})


_ROUTES: tuple[tuple[str, Mapping[str, Handler]], ...] = (
    ("/v2/account", {"GET": _account}),
    ("/v2/account/configurations", {"GET": _configurations, "PATCH": _configurations}),
    ("/v2/account/activities", {"GET": alpaca_activities.listed}),
    ("/v2/account/activities/{type}", {"GET": alpaca_activities.listed}),
    ("/v2/clock", {"GET": _clock}),
    ("/v2/assets", {"GET": _assets}),
    ("/v2/assets/{name:path}", {"GET": _asset}),
    ("/v2/positions", {"GET": alpaca_positions.listed, "DELETE": alpaca_positions.close_all}),
    ("/v2/positions/{name:path}", {"GET": alpaca_positions.one, "DELETE": alpaca_positions.close}),
    (
        "/v2/orders",
        {"GET": alpaca_orders.listed, "POST": alpaca_orders.create, "DELETE": alpaca_orders.cancel_all},
    ),
    ("/v2/orders:by_client_order_id", {"GET": alpaca_orders.by_client_order_id}),
    (
        "/v2/orders/{id}",
        {"GET": alpaca_orders.one, "PATCH": alpaca_orders.replace, "DELETE": alpaca_orders.cancel},
    ),
)
