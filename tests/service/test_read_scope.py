"""What a run asks of a venue: the look-back, or further where an open trade is older, and the symbols it needs."""

from dataclasses import replace

from tests.ledger.bot import START, Bot, at, close, leave, row

from trueup.core.snapshot import Snapshot
from trueup.ports import EVERYTHING, OrderAnswer, ReadScope, Venue
from trueup.service.app import App
from trueup.service.gather import gather


class Recorder:
    """A venue that keeps what it was asked for."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.asked: list[ReadScope] = []

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        self.asked.append(scope)
        return self.venue.read(scope)

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        return self.venue.find_order(symbol, order_id, client_order_id)


class At:
    """A clock that stands."""

    def __init__(self, minute: float) -> None:
        self.ms = at(minute)

    def now_ms(self) -> int:
        return self.ms


def asked(app: App, minute: float) -> ReadScope:
    account = app.accounts["main"]
    recorder = Recorder(account.venue())
    app = replace(app, clock=At(minute), accounts={"main": replace(account, venue=lambda: recorder)})
    gather(app, "main")
    close(app)
    [scope] = recorder.asked
    return scope


def test_reaches_back_the_look_back_and_the_grace(bot: Bot) -> None:
    bot.profiles[0]["managed_symbols"] = ["ETH/USD", "BTC/USD"]
    app = bot.ready(row("TRD-1", minute=-10), row("TRD-2", minute=-9_000_000), leave("TRD-2", minute=-8_000_000))
    policy = app.backfill.policy
    assert asked(app, 5) == ReadScope(
        at(5) - policy.lookback_ms - policy.grace_ms, ("BTC/USD", "ETH/USD"), ("BTC/USD",)
    )


def test_reaches_back_to_the_first_entry_of_the_oldest_open_trade(bot: Bot) -> None:
    old = 40 * 24 * 60
    app = bot.ready(row("TRD-1", 2, minute=-old), leave("TRD-1", 1, minute=60 - old), row("TRD-2", symbol="SOL/USD"))
    grace = app.backfill.policy.grace_ms
    assert asked(app, 5) == ReadScope(START - old * 60_000 - grace, ("BTC/USD", "SOL/USD"), ("BTC/USD", "SOL/USD"))
