"""An exchange with a careless bot on it, for as long as somebody watches: the real clients hear it move."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random

from trueup.core.decimals import plain
from trueup.core.world import LiveWorld, Slip, Truth
from trueup.sim.careless import CarelessBot, Habits, open_by_symbol
from trueup.sim.exchange import Exchange, Kind, Market
from trueup.sim.server import running
from trueup.sim.trial import KEY, SECRET

PREFIX, PROFILE, ACCOUNT = "demo", "momo", "sim"
_KEY, _SECRET = "alpaca-key", "alpaca-secret"
_WARES = (("AAPL", "241.10", 12), ("MSFT", "428.15", 8), ("NVDA", "139.20", 30), ("KO", "71.32", 60))
_LEDGER = "ledger.db"


@dataclass(slots=True)
class LiveTrial:
    """The exchange, and the bot on it once it was started."""

    exchange: Exchange
    url: str
    folder: Path
    chance: Random
    bot: CarelessBot | None = None
    problem: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def world(self) -> LiveWorld:
        """Return what the bot's folder needs."""
        return LiveWorld(
            about="A simulated exchange that speaks Alpaca's API and streams its trade updates.",
            config=_config(self.url), orders=(), environ={KEY: _KEY, SECRET: _SECRET}, missing=(), still_open=(),
        )  # fmt: skip

    def start(self, tell: Callable[[Slip], None], habits: Habits | None = None) -> None:
        """Let the bot trade, in a thread of its own."""
        headers = {"APCA-API-KEY-ID": _KEY, "APCA-API-SECRET-KEY": _SECRET}
        wares = tuple((symbol, usual) for symbol, _, usual in _WARES)
        self.bot = CarelessBot(
            self.url, headers, self.folder / _LEDGER, PROFILE, PREFIX, wares, tell, self.chance, habits or Habits()
        )
        self._thread = threading.Thread(target=self._work, args=(self.bot,), name="bot", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the bot end its trading and write what it delayed."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def truth(self) -> Truth:
        """Compare the ledger with what really happened at the exchange."""
        held, booked = open_by_symbol(self.folder / _LEDGER)
        found: list[str] = []
        with self.exchange.lock:
            positions = self.exchange.accounts[ACCOUNT].positions
            really = {symbol: position.qty for (symbol, _), position in positions.items()}
            executed = {order.id: order.executed for order in self.exchange.orders if order.executed}
        for symbol in sorted(held.keys() | really.keys()):
            ours, theirs = held.get(symbol, Decimal(0)), really.get(symbol, Decimal(0))
            if ours != theirs:
                found.append(f"{symbol}: the ledger holds {plain(ours)}, the venue {plain(theirs)}")
        for order_id in sorted(executed.keys() | booked.keys()):
            rows = booked.get(order_id, [])
            if rows != [executed.get(order_id)]:
                found.append(f"order {order_id}: {len(rows)} rows in the ledger")
        return Truth(len(executed), len(held), tuple(found))

    def _work(self, bot: CarelessBot) -> None:
        try:
            while not self._over.wait(bot.rest()):
                self._drift()
                bot.trade()
                bot.catch_up()
            bot.catch_up(everything=True)
        except Exception as error:  # noqa: BLE001  # the bot's end is told, and whoever watches sees what is wrong
            self.problem = f"{type(error).__name__}: {error}"

    def _drift(self) -> None:
        for symbol, market in self.exchange.markets.items():
            price = self.exchange.prices[symbol] * (10_000 + self.chance.randint(-10, 10)) / 10_000
            self.exchange.set_price(symbol, price.quantize(market.tick))


@contextmanager
def running_live(folder: Path, now_ms: Callable[[], int], seed: int = 0) -> Iterator[LiveTrial]:
    """Run an exchange on the loopback, with an account that a bot may trade on; `folder` is the bot's."""
    from trueup.sim.wire.alpaca import alpaca_app

    exchange = Exchange(now_ms(), seed=seed, micros=True)
    exchange.open_account(ACCOUNT, key=_KEY, secret=_SECRET)
    for symbol, price, _ in _WARES:
        market = Market(symbol=symbol, base=symbol, quote="USD", kind=Kind.EQUITY, lot=Decimal("0.000000001"))
        exchange.list_market(market, price)
    exchange.deposit(ACCOUNT, "USD", "250000")

    app = alpaca_app(exchange, before=lambda: exchange.advance_to(now_ms()))
    with running(app) as url:
        trial = LiveTrial(exchange, url, folder, Random(seed))  # noqa: S311  # a made-up bot, not a secret
        try:
            yield trial
        finally:
            trial.stop()


def _config(url: str) -> str:
    return f"""\
# A careless bot at a simulated exchange, which answers while `trueup demo --live` runs.

[ledger]
url = "sqlite:///{_LEDGER}"

[[accounts]]
name = "{ACCOUNT}"
venue = "alpaca"
base_url = "{url}"
key_env = "{KEY}"
secret_env = "{SECRET}"
calls_per_minute = 60000               # the simulated exchange has no limit of its own

[[profiles]]
id = "{PROFILE}"
account = "{ACCOUNT}"
user_id = "demo"
allocated_capital = 250000

[backfill]
trueup_order_tag_prefix = "{PREFIX}"

[reconcile]
recon_interval_seconds = 1             # a demonstration is in a hurry: 30 would do, since events wake it
recon_settle_window_seconds = 1        # a write that comes within a second is not missing yet
"""
