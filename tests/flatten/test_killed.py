"""A worker that flattens is killed at any moment: the next one goes on from the record, and nothing is closed twice."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.incidents.wire import ENVIRON
from tests.sim.worlds import BOT, alpaca_exchange, buy, futures_exchange, spot_exchange

from trueup.bootstrap import build
from trueup.service.modes import set_mode
from trueup.service.setup import initialise
from trueup.sim.exchange import Exchange, Fill, Leg, Order
from trueup.sim.server import running, system_clock
from trueup.sim.wire.alpaca import alpaca_app
from trueup.sim.wire.binance import BinanceWire, binance_app

CONFIG = """
[ledger]
url = "sqlite:///ledger.db"
[[accounts]]
name = "main"
venue = "{venue}"
base_url = "{url}"
key_env = "SIM_KEY"
secret_env = "SIM_SECRET"
calls_per_minute = 60000
timeout_seconds = 2
allow_flatten = true
[[profiles]]
id = "p1"
account = "main"
allocated_capital = "10000"
"""
VENUES = {"alpaca": ("alpaca", "AAPL"), "futures": ("ccxt:binanceusdm", "BTCUSDT")}
CLOSES = {"alpaca": ("DELETE", "/v2/positions/"), "futures": ("POST", "/fapi/v1/order")}


@dataclass
class Deadly:
    """What stands before the exchange: it kills the child at a closing order, which is `lost`, taken, or comes late."""

    app: Any
    kind: str
    folder: Path
    how: str = ""
    asked: int = 0
    late: list[asyncio.Task[None]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        method, path = CLOSES[self.kind]
        closes = scope["type"] == "http" and scope["method"] == method and scope["path"].startswith(path)
        self.asked += closes
        if not (closes and self.how and self.asked == 1):
            await self.app(scope, receive, send)
            return
        heard = await receive()

        async def said() -> Any:
            return heard

        async def nothing(_: Any) -> None:
            return

        if self.how == "taken":
            await self.app(scope, said, nothing)
        os.kill(int((self.folder / "child").read_text()), signal.SIGKILL)
        if self.how == "late":
            self.late.append(asyncio.create_task(self._later(scope, said, nothing)))

    async def _later(self, scope: Any, said: Any, nothing: Any) -> None:
        await asyncio.sleep(0.8)
        await self.app(scope, said, nothing)


@dataclass
class Place:
    """The exchange that knows the truth, and the process that flattens there and dies."""

    kind: str
    exchange: Exchange
    deadly: Deadly
    config: Path
    wrong: list[str] = field(default_factory=list)

    def hear(self, what: str, order: Order, fill: Fill | None) -> None:
        if (order.client_order_id or "").startswith("bot"):
            return
        held = self.exchange.accounts[BOT].position(order.symbol, Leg.BOTH).qty
        others = [o for o in self.exchange.working(BOT, order.symbol) if o is not order]
        if fill is None and order.executed == 0 and order.status.working and sum(
            (o.remaining for o in others if not o.client_order_id.startswith("bot")), order.qty
        ) > abs(held):  # fmt: skip
            self.wrong.append(f"{order.qty} was sent where {held} is held")
        if fill is not None:
            before = fill.after - (fill.qty if order.side.value == "buy" else -fill.qty)
            if before * fill.after < 0 or abs(fill.after) >= abs(before):
                self.wrong.append(f"from {before} to {fill.after}")

    @property
    def left(self) -> list[str]:
        holder = self.exchange.accounts[BOT]
        held = [name for name in self.exchange.markets if abs(holder.position(name, Leg.BOTH).qty) > Decimal("0.001")]
        return held + [order.id for order in self.exchange.working(BOT)]

    @property
    def ours(self) -> list[Order]:
        return [o for o in self.exchange.orders if not (o.client_order_id or "").startswith("bot")]


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    made = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.flatten.killed"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    with made:
        yield made
        assert made.stdin is not None
        made.stdin.close()


@contextlib.contextmanager
def a_place(folder: Path, kind: str) -> Iterator[Place]:
    exchange = alpaca_exchange() if kind == "alpaca" else futures_exchange()
    exchange.accounts[BOT].key, exchange.accounts[BOT].secret = ENVIRON["SIM_KEY"], ENVIRON["SIM_SECRET"]
    venue, symbol = VENUES[kind]
    buy(exchange, symbol, "0.3", client_order_id="bot-1")
    price = Decimal(1) if kind == "alpaca" else Decimal(9000)
    buy(exchange, symbol, "0.1", type="limit", limit_price=price, client_order_id="bot-2")
    before = system_clock(exchange)
    wire: Any = alpaca_app(exchange, before=before)
    if kind == "futures":
        wire = binance_app(spot_exchange(), BinanceWire(check_time=False), futures=exchange, before=before)
    deadly = Deadly(wire, kind, folder)
    with running(deadly) as url:
        config = folder / "trueup.toml"
        config.write_text(CONFIG.format(venue=venue, url=url))
        with contextlib.closing(build(config, ENVIRON)) as app:
            initialise(app)
            set_mode(app, "FLATTEN", "account:main", "a test")
        made = Place(kind, exchange, deadly, config)
        exchange.listeners.append(made.hear)
        yield made


RECORD = ("after canceling", "after closing", "after taken", "before flat")
WIRE = ("lost", "taken", "late")


@pytest.mark.parametrize(
    ("kind", "moment"),
    [*(("futures", moment) for moment in (*RECORD, "taken", "late")), *(("alpaca", moment) for moment in WIRE)],
)  # fmt: skip
def test_the_next_worker_ends_what_a_killed_one_began(
    tmp_path: Path, process: subprocess.Popen[str], kind: str, moment: str
) -> None:
    with a_place(tmp_path, kind) as place:
        place.deadly.how = moment if moment in WIRE else ""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"config": str(place.config), "moment": moment}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"killed": True, "code": None}
        process.stdin.write(json.dumps({"config": str(place.config), "moment": ""}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"killed": False, "code": 0}
        done = json.loads((tmp_path / "done.json").read_text())
        assert place.wrong == []
        assert (done["state"], place.left, done["mode"]) == ("flat", [], "FLATTEN"), done
        assert sum((order.executed for order in place.ours), Decimal(0)) == Decimal("0.3")
        assert place.deadly.asked == (2 if moment == "lost" else 1), "an order that may have arrived is not sent again"
