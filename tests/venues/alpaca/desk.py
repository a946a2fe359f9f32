"""Alpaca for the tests: a simulated exchange that speaks its wire, or answers from a list, and the venue that asks."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from trueup.ports.secrets import Secrets
from trueup.sim.exchange import Exchange, FeeIn, Kind, Market, Order, OrderRequest, Side
from trueup.sim.server import running
from trueup.sim.wire.alpaca import AlpacaWire, alpaca_app
from trueup.venues.alpaca import AlpacaVenue
from trueup.venues.alpaca.errors import judge_with
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller, Patience
from trueup.venues.calls.circuit import Circuit
from trueup.venues.calls.limits import RateLimit

NOW_MS = 1_767_323_045_000
KEY = "PKTESTKEY0123456789"
SECRET = "s3cr3t/with+signs=and0123456789"


def exchange(**options: Any) -> Exchange:
    """Return an exchange with coins and shares, and one account."""
    world = Exchange(NOW_MS, seed=1, **options)
    world.open_account("main", key=KEY, secret=SECRET)
    world.list_market(market("BTC/USD"), "97000")
    world.list_market(market("ETH/USD"), "3000")
    world.list_market(Market(symbol="AAPL", base="AAPL", quote="USD", kind=Kind.EQUITY, lot=Decimal(1)), "200")
    world.deposit("main", "USD", "1e12")
    world.deposit("main", "BTC", "1000")
    return world


def market(symbol: str, **options: Any) -> Market:
    return Market(symbol=symbol, base=symbol[:3], quote="USD", fee_in=FeeIn.RECEIVED, **options)


def order(world: Exchange, symbol: str = "BTC/USD", qty: str = "0.4", side: Side = Side.BUY, **fields: Any) -> Order:
    """Send an order: a market order, that fills at once, unless its fields say otherwise."""
    return world.submit("main", OrderRequest(symbol=symbol, side=side, qty=Decimal(qty), **fields))


def resting(world: Exchange, qty: str = "0.4", **fields: Any) -> Order:
    """Send an order to buy coins that waits far below the price."""
    return order(world, qty=qty, type="limit", limit_price=Decimal(1000), **fields)


def venue(
    url: str, now_ms: Callable[[], int] = lambda: NOW_MS, attempts: int = 2, side_by_side: int = 4, **fields: Any
) -> AlpacaVenue:
    """Return the venue at an address; it waits for nobody."""
    options: dict[str, Any] = {"base_url": url, "sandbox": True, "now_ms": now_ms, **fields}
    account = LiveAccount("main", secrets={"key": KEY, "secret": SECRET}, **options)
    return AlpacaVenue(account, impatient(now_ms, attempts, side_by_side))


def impatient(now_ms: Callable[[], int], attempts: int, side_by_side: int) -> Caller:
    return Caller(
        judge_with(now_ms),
        RateLimit(1e9, now=count(0, 1000).__next__, sleep=lambda _: None),
        Secrets([KEY, SECRET]),
        patience=Patience(attempts=attempts, side_by_side=side_by_side),
        circuit=Circuit(failures=1000),
        sleep=lambda _: None,
    )


@contextmanager
def trading(world: Exchange, wire: AlpacaWire | None = None, wrap: Any = None, **fields: Any) -> Iterator[AlpacaVenue]:
    """Serve an exchange, and give the venue that asks it."""
    app = alpaca_app(world, wire)
    with running(wrap(app) if wrap is not None else app) as url:
        yield venue(url, lambda: world.now_ms, **fields)


class Stage:
    """One server for many exchanges, one after the other: starting one for each costs more than the reading."""

    def __init__(self) -> None:
        self.app: Any = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def show(self, world: Exchange, wire: AlpacaWire | None = None, wrap: Any = None, **fields: Any) -> AlpacaVenue:
        """Serve another exchange, and return the venue that asks it."""
        app = alpaca_app(world, wire)
        self.app = wrap(app) if wrap is not None else app
        return venue(self.url, lambda: world.now_ms, **fields)


@dataclass
class Reply:
    """What the canned server answers."""

    body: bytes | str | list[Any] | dict[str, Any] | None = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    wait_s: float = 0

    def raw(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass(frozen=True)
class Asked:
    """One request that the canned server got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


CLOCK = Reply({"timestamp": "2026-01-02T03:04:05.000000001Z", "is_open": True})
Answers = Callable[[Asked], Reply]


def all_well(**paths: Reply) -> Answers:
    """Answer like an account without orders or positions, but for the named paths (`positions`, `orders`, …)."""

    def reply(asked: Asked) -> Reply:
        name = asked.path.rsplit("/", 1)[-1]
        return paths.get(name) or (CLOCK if name == "clock" else Reply([]))

    return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class Canned:
    """A server on the loopback that answers what it is told to, and remembers what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = Asked(self.command, url.path, dict(parse_qsl(url.query)), dict(self.headers))
                canned.asked.append(asked)
                reply = canned.answers(asked)
                if reply.wait_s:
                    canned.stopped.wait(reply.wait_s)
                raw = reply.raw()
                self.send_response_only(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw[: len(raw) // 2] if reply.cut else raw)
                self.close_connection = reply.cut

            do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.stopped = threading.Event()
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def count(self, path: str) -> int:
        return sum(1 for asked in self.asked if asked.path == path)


@contextmanager
def canned(answers: Answers) -> Iterator[Canned]:
    """Serve canned answers."""
    server = Canned(answers)
    thread = threading.Thread(target=server.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def forwarding(url: str) -> Answers:
    """Answer what the server at an address answers."""

    def reply(asked: Asked) -> Reply:
        keys = {name: value for name, value in asked.headers.items() if name.startswith("APCA-")}
        answer = requests.request(
            asked.method, url + asked.path, params=asked.query, headers={**keys, "Connection": "close"}, timeout=10
        )
        return Reply(answer.content, answer.status_code)

    return reply
