"""Accounts at the simulated Binance, read by the real ccxt over HTTP; and a server of canned answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.sim.worlds import KEY, NOW, SECRET

from trueup.ports import ReadScope
from trueup.sim.exchange import Exchange
from trueup.sim.faults import FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.binance import BinanceWire, binance_app
from trueup.venues.calls.account import LiveAccount
from trueup.venues.ccxt import CcxtVenue

THREE_DAYS = ReadScope(NOW - 3 * 86_400_000, ("BTC/USDT", "ETH/USDT"))
SWAP_DAYS = ReadScope(NOW - 3 * 86_400_000, ("BTC/USDT:USDT",))


def venue(url: str, exchange: str = "binance", **more: Any) -> CcxtVenue:
    """Return the account at a server; it waits between its attempts for no time, and has calls enough."""
    given = {
        "name": "main",
        "secrets": {"key": KEY, "secret": SECRET},
        "calls_per_minute": 100_000,
        "now_ms": lambda: NOW,
    }
    made = CcxtVenue(LiveAccount(**{**given, "base_url": url, **more}), exchange)
    made.caller._sleep = lambda _seconds: None
    return made


@contextmanager
def served(
    spot: Exchange, futures: Exchange | None = None, plan: FaultPlan | None = None, **wire: Any
) -> Iterator[str]:
    """Serve exchanges as Binance, with faults; timestamps of requests are not checked unless asked for."""
    app = binance_app(spot, BinanceWire(**({"check_time": False} | wire)), futures=futures)
    with running(plan.wrap(app) if plan is not None else app) as url:
        yield url


class Canned:
    """A server that answers each path by a table of (status, headers, body), and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    def of(self, path: str, body: bytes = b"") -> tuple[int, Mapping[str, str], bytes]:
        self.asked.append(path)
        bare = path.partition("?")[0]
        found = self.answers.get(bare, self.answers.get("*", (404, {}, b'{"code": -1, "msg": "no such path"}')))
        if callable(found):
            found = found(body)
        if isinstance(found, tuple):
            return found
        return 200, {}, found if isinstance(found, bytes) else json.dumps(found).encode()


@contextmanager
def canned(answers: Mapping[str, object]) -> Iterator[tuple[str, Canned]]:
    """Serve canned answers on the loopback."""
    table = Canned(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = table.of(self.path, asked)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_GET

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", table
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
