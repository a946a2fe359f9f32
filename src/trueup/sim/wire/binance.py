"""Binance on the wire: one server for spot (/api, /sapi) and for futures (/fapi, /dapi) over one Exchange.

Source: Binance's API documentation for spot and derivatives, and what ccxt sends and reads.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trueup.sim.exchange import Account, Exchange, Kind, Leg, Market, NotAllowed
from trueup.sim.wire.desk import Desk, Refusal, Veil, answer, number, veil_of

DAY_MS = 86_400_000
_CLIENT_ID = re.compile(r"[a-zA-Z0-9_.:/-]{1,36}")
_MESSAGES: Mapping[str, tuple[int, str]] = {
    "no_such_order": (-2013, "Order does not exist."),
    "not_working": (-2011, "Unknown order sent."),
    "insufficient": (-2010, "Account has insufficient balance for requested action."),
    "duplicate_client_id": (-2010, "Duplicate order sent."),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "position_side": (-4061, "Order's position side does not match user's setting."),
    "lot": (-1013, "Filter failure: LOT_SIZE"),
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceWire:
    """The limits of one wire: rows of a page, what it remembers, and the weight of requests in a minute.

    `check_time` holds the timestamps of signed requests against the exchange's clock (-1021); turn it off where the
    client goes by the system's clock and the exchange does not. `weight_per_minute` None lets all through.
    """

    orders_limit: int = 1000
    orders_default: int = 500
    trades_limit: int = 1000
    trades_default: int = 500
    check_time: bool = True
    weight_per_minute: int | None = None
    spot_window_ms: int = DAY_MS
    futures_window_ms: int = 7 * DAY_MS
    futures_memory_ms: int = 90 * DAY_MS
    cancels_memory_ms: int = 3 * DAY_MS


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its parameters from query and body, and, where it is signed, whose it is."""

    desk: Desk
    wire: BinanceWire
    params: Mapping[str, str]
    veil: Veil
    holder: Account | None

    @property
    def exchange(self) -> Exchange:
        """Return the exchange behind the wire."""
        return self.desk.exchange

    @property
    def account(self) -> Account:
        """Return the account of a signed request."""
        assert self.holder is not None
        return self.holder

    @property
    def now_ms(self) -> int:
        """Return what the venue's clock says."""
        return self.exchange.now_ms + self.veil.skew_ms

    def whole(self, name: str) -> int | None:
        """Return a parameter that is a whole number."""
        given = self.params.get(name)
        if given is None:
            return None
        if not given.lstrip("-").isascii() or not given.lstrip("-").isdigit():
            raise refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(given)

    def decimal(self, name: str) -> Decimal | None:
        """Return a parameter that is a number."""
        given = self.params.get(name)
        return number(given) if given else None

    def must(self, name: str) -> str:
        """Return a parameter that may not be missing."""
        given = self.params.get(name)
        if not given:
            raise refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return given

    def page(self, default: int, limit: int) -> int:
        """Return the length of a page; Binance cuts what is too long."""
        given = self.whole("limit")
        if given is not None and given < 1:
            raise refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(default if given is None else given, limit)

    def leg(self) -> Leg:
        """Return the position side of a new order."""
        try:
            return Leg(self.params.get("positionSide", "BOTH").lower())
        except ValueError:
            raise refusal(-1116, "Invalid positionSide.") from None

    def client_id(self, name: str = "newClientOrderId") -> str | None:
        """Return the client order id of a new order, of at most 36 characters."""
        given = self.params.get(name)
        if given is not None and not _CLIENT_ID.fullmatch(given):
            legal = "legal range is '^[a-zA-Z0-9-_.:/]{1,36}$'."
            raise refusal(-1100, f"Illegal characters found in parameter '{name}'; {legal}")
        return given

    def market(self, *kinds: Kind) -> Market:
        """Return the market of the mandatory parameter `symbol`."""
        market = self.exchange.markets.get(self.must("symbol"))
        if market is None or market.kind not in kinds:
            raise refusal(-1121, "Invalid symbol.")
        return market


Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler, the weight of its requests, and whether they must be signed."""

    handler: Handler
    weight: int = 1
    signed: bool = True


def refusal(code: int, message: str, status: int = 400) -> Refusal:
    """Return an error in Binance's form."""
    return Refusal(status, {"code": code, "msg": message})


class BinanceDialect:
    """How Binance says that something is wrong."""

    rows_at = ("balances", "assets", "positions")
    unknown_values: Mapping[str, str] = {"status": "PENDING_SETTLE", "side": "BOTH", "type": "ICEBERG_X"}

    def throttled(self, retry_after: int | None) -> Refusal:
        """Return the answer to too many requests."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        text = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
        return Refusal(429, {"code": -1003, "msg": text}, headers)

    def broken(self) -> Refusal:
        """Return the answer of a venue that failed inside, and does not know whether it did what was asked."""
        text = "Internal error; unable to process your request. Please try again."
        return Refusal(503, {"code": -1001, "msg": text})

    def maintenance(self) -> Refusal:
        """Return the answer of a venue that is closed for maintenance."""
        return Refusal(503, {"code": -1016, "msg": "This service is no longer available."})


def binance_app(
    exchange: Exchange, wire: BinanceWire | None = None, *, futures: Exchange | None = None,
    before: Callable[[], None] | None = None,
) -> Starlette:  # fmt: skip
    """Return the ASGI application of an exchange that speaks Binance, made with ids="per_symbol".

    Spot and contracts come from the same exchange, or contracts from `futures`, where both have a BTCUSDT. `before`
    runs before each request.
    """
    from trueup.sim.wire import binance_futures, binance_spot

    limits, contracts = wire or BinanceWire(), futures or exchange
    assert exchange.names.ids == contracts.names.ids == "per_symbol"
    desks = (
        (Desk(exchange, before), binance_spot.ROUTES),
        (Desk(contracts, before), {**binance_futures.routes("/fapi"), **binance_futures.routes("/dapi")}),
    )
    app = Starlette(
        routes=[
            Route(path, _route(desk, limits, ends), methods=list(ends))
            for desk, routes in desks
            for path, ends in routes.items()
        ]
    )
    app.state.dialect = BinanceDialect()
    app.state.exchange = exchange
    return app


def _route(
    desk: Desk, wire: BinanceWire, endpoints: Mapping[str, Endpoint]
) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        raw = (await request.body()).decode()
        if desk.before is not None:
            desk.before()
        endpoint = endpoints["GET" if request.method == "HEAD" else request.method]
        with desk.exchange.lock:
            used = desk.count(request.client.host if request.client else "", endpoint.weight)
            headers = {"X-MBX-USED-WEIGHT-1M": str(used), "X-MBX-USED-WEIGHT": str(used)}
            try:
                if wire.weight_per_minute is not None and used > wire.weight_per_minute:
                    raise BinanceDialect().throttled(60 - desk.exchange.now_ms // 1000 % 60)
                response = endpoint.handler(_call(desk, wire, request, raw, endpoint))
            except Refusal as error:
                response = answer(error.body, error.status, error.headers)
            except NotAllowed as error:
                code, message = _MESSAGES.get(error.why, (-1013, str(error)))
                response = answer({"code": code, "msg": message}, 400)
            except ValueError as error:
                response = answer({"code": -1100, "msg": str(error)}, 400)
        response.headers.update(headers)
        return response

    return respond


def _call(desk: Desk, wire: BinanceWire, request: Request, raw: str, endpoint: Endpoint) -> Call:
    query = request.url.query
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(raw, keep_blank_values=True))
    veil = veil_of(request)
    if not endpoint.signed:
        return Call(desk, wire, params, veil, None)
    key = request.headers.get("X-MBX-APIKEY")
    if not key:
        raise refusal(-2014, "API-key format invalid.", 401)
    account = desk.holder(key, veil)
    if account is None:
        raise refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    call = Call(desk, wire, params, veil, account)
    _signature(account, query, raw, call)
    _timestamp(call)
    return call


def _signature(account: Account, query: str, raw: str, call: Call) -> None:
    given = call.must("signature")
    signed = "".join(part.rpartition("signature=")[0].removesuffix("&") or part for part in (query, raw) if part)
    right = hmac(account.secret.encode(), signed.encode(), sha256).hexdigest()
    if not compare_digest(right, given):
        raise refusal(-1022, "Signature for this request is not valid.")


def _timestamp(call: Call) -> None:
    sent = call.whole("timestamp")
    if sent is None:
        call.must("timestamp")
        return
    window = call.decimal("recvWindow")
    if window is not None and not 0 < window <= 60_000:
        raise refusal(-1131, "recvWindow must be less than 60000.")
    if not call.wire.check_time and not call.veil.skew_ms:
        return
    now = call.now_ms if call.wire.check_time else sent + call.veil.skew_ms
    if sent > now + 1000:
        raise refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - sent > (window or 5000):
        raise refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
