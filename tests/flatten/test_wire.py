"""FLATTEN over the wire: the real clients, against the simulated exchange that speaks Alpaca and Binance.

Every fill is held against the exchange's truth: no order of trueup's adds to a position or turns it round.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.flatten.world import LEASE, KeptOutbox, MemoryFlattenings, SeenModes
from tests.reconcile.memory import MemoryLeases
from tests.reconcile.places import QuickBooks, Rules
from tests.sim.worlds import BOT, KEY, SECRET, alpaca_exchange, buy, futures_exchange, sell, spot_exchange

from trueup.core.flatten.record import FlattenRules
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.ports import ModeChange, Venue
from trueup.service.app import Account, SafetyConfig
from trueup.service.flattening import Flattened, flatten_account
from trueup.service.rehearsing import rehearse
from trueup.sim.exchange import Exchange, Fill, Kind, Leg, Order
from trueup.sim.faults import Fault, FaultKind, FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.alpaca import alpaca_app
from trueup.sim.wire.binance import BinanceWire, binance_app
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.circuit import Circuit
from trueup.venues.calls.limits import RateLimit

DUST = Decimal("0.001")


class Patient(RateLimit):
    """A limit that is never reached, and that holds nobody."""

    def hold(self, seconds: float) -> None:
        return


@dataclass
class Wire:
    """One account behind its real client; the clock is the exchange's, moved by whoever waits."""

    kind: str
    exchange: Exchange
    plan: FaultPlan
    symbols: tuple[str, ...]
    bot: Callable[["Wire"], None] = lambda _: None
    external: dict[str, Decimal] = field(default_factory=dict)
    rules: FlattenRules = field(default_factory=FlattenRules)
    wrong: list[str] = field(default_factory=list)

    def set_up(self, url: str) -> None:
        account = LiveAccount(
            name="main", symbols=Symbols(), secrets={"key": KEY, "secret": SECRET}, base_url=url,
            sandbox=self.kind == "alpaca", calls_per_minute=1_000_000, timeout_s=0.3, allow_flatten=True,
            external_assets=self.external,
            now_ms=lambda: self.exchange.now_ms, sleep=lambda _: None,
        )  # fmt: skip
        self.venue = venue = self._venue(account)
        books, self.modes, self.outbox = QuickBooks(), SeenModes(), KeptOutbox()
        made = books.begin(lambda: self.exchange.now_ms, {"main": venue}, {"p1": "main"}, Rules())
        books.clock.sleep = self._sleep
        self.books, self.record = books, MemoryFlattenings()
        members = [replace(profile, managed_symbols=self.symbols) for profile in books.ledger.members]
        books.ledger.members = members
        self.app = replace(
            made, accounts={"main": Account("main", Symbols(), lambda: venue)}, modes=self.modes, outbox=self.outbox,
            flattenings=self.record, safety=SafetyConfig(flatten=self.rules), leases=MemoryLeases(),
        )  # fmt: skip
        self.exchange.listeners.append(self._hear)

    def _venue(self, account: LiveAccount) -> Venue:
        made: Any
        if self.kind == "alpaca":
            from trueup.venues.alpaca import AlpacaVenue

            made = AlpacaVenue(account)
            caller = made.connection.caller
        else:
            from trueup.venues.ccxt import CcxtVenue

            made = CcxtVenue(account, self.kind)
            made.limit = Patient(1_000_000)
            caller = made.caller
        caller.limit, caller.circuit = Patient(1_000_000), Circuit(failures=10_000, timeouts=10_000)
        return made

    def _sleep(self, seconds: float) -> None:
        self.exchange.advance(int(seconds * 1000))
        self.bot(self)

    def _hear(self, what: str, order: Order, fill: Fill | None) -> None:
        spot = self.exchange.markets[order.symbol].kind is Kind.SPOT
        if fill is None or spot or (order.client_order_id or "").startswith("bot"):
            return
        before = fill.after - (fill.qty if order.side.value == "buy" else -fill.qty)
        if before * fill.after < 0 or abs(fill.after) >= abs(before):
            self.wrong.append(f"an order moved {order.symbol} from {before} to {fill.after}")

    def demand(self, scope: str = "account:main") -> None:
        self.modes.set(
            ModeChange(scope, Mode.FLATTEN, Mode.NORMAL, "operator", "me", "test", iso(self.exchange.now_ms))
        )

    def flatten(self) -> Flattened:
        [done] = flatten_account(self.app, "main", LEASE)
        return done

    def left(self) -> list[str]:
        """Name what is held or works by the truth."""
        holder = self.exchange.accounts[BOT]
        held = []
        for market in self.exchange.markets.values():
            if market.kind is Kind.SPOT:
                own = holder.balance(market.base) - self.external.get(market.base, Decimal(0))
                held += [market.symbol] if own > DUST else []
            else:
                legs = [holder.position(market.symbol, leg).qty for leg in Leg]
                held += [market.symbol] if any(abs(qty) > DUST for qty in legs) else []
        return held + [order.id for order in self.exchange.working(BOT)]


@contextmanager
def wired(kind: str, exchange: Exchange, plan: FaultPlan | None = None, **more: Any) -> Iterator[Wire]:
    """Serve an exchange in the language of a venue, with faults, and give the account behind its client."""
    plan = plan or FaultPlan()
    names = {"alpaca": ("AAPL", "BTC/USD"), "binance": ("BTC/USDT", "ETH/USDT"), "binanceusdm": ("BTC/USDT:USDT",)}[
        kind
    ]
    made = Wire(kind, exchange, plan, names, **more)
    if kind == "alpaca":
        app = alpaca_app(exchange)
    elif kind == "binance":
        app = binance_app(exchange, BinanceWire(check_time=False))
    else:
        app = binance_app(spot_exchange(), BinanceWire(check_time=False), futures=exchange)
    with running(plan.wrap(app)) as url:
        made.set_up(url)
        yield made


def alpaca(plan: FaultPlan | None = None, **more: Any) -> Any:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "10", client_order_id="bot-1")
    buy(exchange, "BTC/USD", "0.5", client_order_id="bot-2")
    buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1), client_order_id="bot-3")
    return wired("alpaca", exchange, plan, **more)


def spot(plan: FaultPlan | None = None, **more: Any) -> Any:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "0.5", client_order_id="bot-1")
    buy(exchange, "ETHUSDT", "2", client_order_id="bot-2")
    sell(exchange, "ETHUSDT", "1", type="limit", limit_price=Decimal(9000), client_order_id="bot-3")
    return wired("binance", exchange, plan, **more)


def swap(plan: FaultPlan | None = None, *, short: bool = False, **more: Any) -> Any:
    exchange = futures_exchange()
    (sell if short else buy)(exchange, "BTCUSDT", "0.3", client_order_id="bot-1")
    buy(exchange, "BTCUSDT", "0.1", type="limit", limit_price=Decimal(9000), client_order_id="bot-2")
    return wired("binanceusdm", exchange, plan, **more)


def hedge(plan: FaultPlan | None = None, **more: Any) -> Any:
    exchange = futures_exchange(hedged=True)
    buy(exchange, "BTCUSDT", "0.3", leg=Leg.LONG, client_order_id="bot-1")
    sell(exchange, "BTCUSDT", "0.2", leg=Leg.SHORT, client_order_id="bot-2")
    return wired("binanceusdm", exchange, plan, **more)


VENUES = {"alpaca": alpaca, "spot": spot, "swap": swap, "hedge": hedge}
SENDS = {"alpaca": ("/positions/", "DELETE"), "spot": ("/api/v3/order", "POST"), "swap": ("/fapi/v1/order", "POST")}
SENDS["hedge"] = SENDS["swap"]


@pytest.mark.parametrize("name", VENUES)
def test_an_account_is_made_flat(name: str) -> None:
    with VENUES[name]() as wire:
        wire.demand()
        done = wire.flatten()
        assert (done.state, wire.left(), wire.wrong) == ("flat", [], [])


def test_a_short_position_is_bought_back_with_a_reducing_order() -> None:
    with swap(short=True) as wire:
        wire.demand()
        assert wire.flatten().state == "flat"
        ours = [o for o in wire.exchange.orders_of(BOT) if o.client_order_id.startswith("f1a7")]
        assert [(o.side, o.request.reduce_only) for o in ours] == [("buy", True)]


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER_ACCEPTANCE, FaultKind.RESET])
@pytest.mark.parametrize("name", VENUES)
def test_a_lost_answer_is_looked_for_and_not_sent_again(name: str, fault: FaultKind) -> None:
    path, method = SENDS[name]
    plan = FaultPlan(faults=[Fault(kind=fault, path=path, method=method, times=1, ms=10)])
    with VENUES[name](plan) as wire:
        wire.demand()
        done = wire.flatten()
        assert (done.state, wire.left(), wire.wrong) == ("flat", [], [])
        assert len(plan.log) == 1
        symbols = [(o.symbol, o.side) for o in wire.exchange.orders_of(BOT) if not o.client_order_id.startswith("bot")]
        assert len(symbols) == len(set(symbols)) == 2 - (name == "swap")


@pytest.mark.parametrize("fault", [FaultKind.JSON_5XX, FaultKind.HTML_5XX, FaultKind.THROTTLE_429])
@pytest.mark.parametrize("name", VENUES)
def test_an_order_that_never_arrived_is_sent_again_under_another_name(name: str, fault: FaultKind) -> None:
    path, method = SENDS[name]
    plan = FaultPlan(faults=[Fault(kind=fault, path=path, method=method, times=2)])
    with VENUES[name](plan) as wire:
        wire.demand()
        done = wire.flatten()
        assert (done.state, wire.left(), wire.wrong) == ("flat", [], [])
        assert len(plan.log) == 2


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_that_takes_no_order_ends_in_halt_with_all_that_is_left(name: str) -> None:
    path, method = SENDS[name]
    plan = FaultPlan(faults=[Fault(kind=FaultKind.JSON_5XX, path=path, method=method)])
    with VENUES[name](plan, rules=FlattenRules(attempts=2)) as wire:
        wire.demand()
        done = wire.flatten()
        assert (done.state, wire.wrong) == ("halted", [])
        assert wire.modes.current()["account:main"] is Mode.HALT
        assert all(any(part in text for text in done.left) for part in ("BTC",))


@pytest.mark.parametrize("name", ["alpaca", "spot", "swap"])
def test_positions_that_cannot_be_read_are_never_flat(name: str) -> None:
    """Invariant 5."""
    path = {"alpaca": "/v2/positions", "spot": "/api/v3/account", "swap": "/positionRisk"}[name]
    plan = FaultPlan(faults=[Fault(kind=FaultKind.NULL_200, path=path, method="GET")])
    with VENUES[name](plan, rules=FlattenRules(limit_ms=5_000)) as wire:
        wire.demand()
        done = wire.flatten()
        assert (done.state, done.known) == ("halted", False)


def test_coins_that_are_declared_as_external_are_not_sold() -> None:
    with spot(external={"BTC": Decimal("0.4")}) as wire:
        wire.demand()
        assert wire.flatten().state == "flat"
        assert Decimal("0.4") <= wire.exchange.accounts[BOT].balance("BTC") <= Decimal("0.401")


def test_a_rehearsal_sends_nothing() -> None:
    with swap() as wire:
        [found] = rehearse(wire.app, "account:main")
        document = found.as_json()
        assert [(each["symbol"], each["side"], each["qty"]) for each in document["closes"]] == [
            ("BTC/USDT:USDT", "sell", "0.3")
        ]
        assert len(document["cancels"]) == 1
        assert len(wire.left()) == 2


def goes_on(wire: Wire) -> None:
    """A bot that does not ask the gate keeps buying for a while."""
    if wire.exchange.now_ms % 3 == 0 and wire.exchange.names.count("bot") < 5:
        symbol = {"alpaca": "AAPL", "binance": "BTCUSDT", "binanceusdm": "BTCUSDT"}[wire.kind]
        qty = "1" if wire.kind == "alpaca" else "0.1"
        name = f"bot-more-{wire.exchange.names.count('bot')}"
        buy(wire.exchange, symbol, qty, client_order_id=name)


@pytest.mark.parametrize("name", ["alpaca", "spot", "swap"])
def test_a_bot_that_goes_on_is_closed_behind_or_halted(name: str) -> None:
    with VENUES[name](bot=goes_on) as wire:
        wire.demand()
        done = wire.flatten()
        assert wire.wrong == []
        assert done.state == "flat" or done.left


RATES = (
    FaultKind.TIMEOUT_AFTER_ACCEPTANCE, FaultKind.RESET, FaultKind.JSON_5XX, FaultKind.HTML_200, FaultKind.EMPTY_200,
    FaultKind.NULL_200, FaultKind.OBJECT_200, FaultKind.THROTTLE_429_SILENT, FaultKind.DUPLICATE,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", VENUES)
def test_mixtures_of_faults_end_flat_or_in_halt(name: str, seed: int) -> None:
    kinds = Random(seed).sample(RATES, 3)
    plan = FaultPlan(seed=seed, rates=dict.fromkeys(kinds, 0.1))
    with VENUES[name](plan) as wire:
        wire.demand()
        done = wire.flatten()
        assert wire.wrong == []
        if done.state == "flat":
            assert wire.left() == []
        else:
            assert done.left
