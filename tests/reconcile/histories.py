"""A made-up history: some bots, some people and a venue over some minutes, all from one seed."""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from random import Random

from tests.reconcile.bots import HEALABLE, Bot, Habits, Intent, Slip, Trade
from tests.reconcile.feeds import Fault, Unsteady
from tests.reconcile.places import Books, Rules

from trueup.core.repair.policy import Flatness
from trueup.service.app import App
from trueup.sim.exchange import Exchange, FeeIn, Kind, Market, NotAllowed, Order, OrderRequest, Side
from trueup.sim.venue import SimVenue

START = 1_772_000_000_000
LOT = Decimal("0.001")
SIZES = tuple(map(Decimal, ("0.4", "0.5", "1", "1.5", "2")))


@dataclass
class History:
    """A world in motion: `murky` are the markets, by account, in which a person or the venue interfered."""

    seed: int
    chance: Random
    exchange: Exchange
    bots: list[Bot]
    venues: dict[str, Unsteady]
    app: App
    books: Books
    venue_faults: tuple[Fault, ...]
    steps: int
    murky: set[tuple[str, str]] = field(default_factory=set)
    manual: list[Order] = field(default_factory=list)
    cycle: int = 0

    @property
    def intents(self) -> list[Intent]:
        return [intent for bot in self.bots for intent in bot.intents if intent.orders]

    def step(self) -> None:
        """Let some things happen, and the clock move on."""
        self.cycle += 1
        for _ in range(self.chance.choice((0, 1, 2, 3, 4))):
            self._happen()
            self.exchange.advance(self.chance.choice((0, 200, 5_000, 12_000)))
        for bot in self.bots:
            bot.tick(self.cycle)
        self.exchange.advance(self.chance.choice((1_000, 20_000, 60_000)))
        for venue in self.venues.values():
            hit = self.venue_faults and self.chance.random() < 0.35
            venue.fault = self.chance.choice(self.venue_faults) if hit else None

    def calm(self) -> None:
        """Let every fault stop: what was late has come, and the feeds are whole."""
        for bot in self.bots:
            bot.slips = ()
            bot.tick(10**6)
        for venue in self.venues.values():
            venue.fault = None

    def wait(self, ms: int = 60_000) -> None:
        """Let time pass and nothing happen."""
        self.cycle += 1
        self.exchange.advance(ms)

    def _happen(self) -> None:
        bot = self.chance.choice(self.bots)
        market = self.chance.choice(list(self.exchange.markets.values()))
        clear = (bot.account, market.symbol) not in self.murky
        trades = [t for t in bot.trades if t.market is market]
        working = [i for i in bot.intents if i.trade.market is market and i.orders and not i.over]
        deed = self.chance.random()
        if (deed < 0.34 and clear) or (deed < 0.62 and not trades and clear):
            self._enter(bot, market)
        elif deed < 0.62 and clear:
            self._leave(bot, self.chance.choice(trades))
        elif deed < 0.68 and trades and clear:
            bot.add(self.chance.choice(trades), self.chance.choice(SIZES), self._limit(market, Side.BUY))
        elif deed < 0.76 and working:
            bot.cancel(self.chance.choice(working))
        elif deed < 0.84 and working:
            self._replace(bot, self.chance.choice(working))
        elif deed < 0.90 and working:
            self._fill(self.chance.choice(working))
        elif deed < 0.94:
            self._move(market)
        elif deed < 0.97 and clear:
            bot.ask_in_vain(market, Side.BUY, self.chance.choice(SIZES))
        elif self.chance.random() < 0.4:
            self._interfere(bot.account, market)

    def _limit(self, market: Market, side: Side) -> Decimal | None:
        """A market order, or a limit one at the market or away from it."""
        kind = self.chance.random()
        if kind < 0.5:
            return None
        away = Decimal(self.chance.choice((0, 2, 3)))
        price = self.exchange.prices[market.symbol]
        return price - away if side is Side.BUY else price + away

    def _enter(self, bot: Bot, market: Market) -> None:
        short = market.is_swap and self.chance.random() < 0.5
        side = Side.SELL if short else Side.BUY
        bot.enter(market, side, self.chance.choice(SIZES), self._limit(market, side))

    def _leave(self, bot: Bot, trade: Trade) -> None:
        free = (trade.free * self.chance.choice((1, 1, 1, Decimal("0.5")))).quantize(LOT, ROUND_DOWN)
        if free > 0:
            bot.leave(trade, free, self._limit(trade.market, trade.side.opposite))

    def _replace(self, bot: Bot, intent: Intent) -> None:
        order = intent.orders[-1]
        if intent.action == "EXIT" or order.request.limit_price is None:
            return
        total = order.filled + (order.remaining * self.chance.choice((1, Decimal("0.5")))).quantize(LOT, ROUND_DOWN)
        try:
            bot.replace(intent, total, self._limit(intent.trade.market, intent.side) or order.request.limit_price)
        except NotAllowed:
            return

    def _fill(self, intent: Intent) -> None:
        order = intent.orders[-1]
        part = (order.remaining * self.chance.choice((1, Decimal("0.5"), Decimal("0.25")))).quantize(LOT, ROUND_DOWN)
        if part > 0:
            self.exchange.fill(order, part)

    def _move(self, market: Market) -> None:
        price = self.exchange.prices[market.symbol] + self.chance.choice((-3, -1, 1, 3))
        self.exchange.set_price(market.symbol, price)

    def _interfere(self, account: str, market: Market) -> None:
        """Let a person trade by hand, or the venue liquidate: from then on the bots leave the market alone."""
        self.murky.add((account, market.symbol))
        held = self.exchange.accounts[account].position(market.symbol).qty
        if market.is_swap and held and self.chance.random() < 0.5:
            self.manual.append(self.exchange.close_by_force(account, market.symbol))
            return
        side = Side.SELL if held > 0 else Side.BUY
        part = self.chance.choice((Decimal(1), Decimal("0.5"), None))
        qty = (abs(held) * part).quantize(LOT, ROUND_DOWN) if part is not None else Decimal("0.7")
        client = self.chance.choice((None, "by-hand-1", "BOT"))
        try:
            request = OrderRequest(symbol=market.symbol, side=side, qty=qty, client_order_id=client)
            self.manual.append(self.exchange.submit(account, request))
        except NotAllowed:
            return


def a_history(seed: int, books: Books) -> History:
    """Return the history of a seed at its beginning."""
    chance = Random(f"history {seed}")
    exchange = Exchange(START, seed=seed, ids=chance.choice(("uuid", "uuid", "per_symbol")))
    _list_markets(exchange, chance)
    accounts = ("main",) if chance.random() < 0.75 else ("main", "other")
    profiles = dict(zip(("p1", "p2", "p3"), (accounts[0], accounts[-1], accounts[0]), strict=True))
    if chance.random() < 0.4:
        profiles = {"p1": accounts[0], "p2": accounts[-1]}
    for name in accounts:
        exchange.open_account(name)
        for asset in ("USD", "USDT"):
            exchange.deposit(name, asset, "100000000")
            exchange.deposit(name, asset, "100000000", margin=True)
    fills = chance.random() < 0.75
    given = chance.choice((None, True))
    venues = {
        name: Unsteady(SimVenue(exchange, name, coins_are_positions=given), seed, fills=fills) for name in accounts
    }
    app = books.begin(
        lambda: exchange.now_ms, venues, profiles,
        Rules(
            chance.choice((Flatness.FLAT, Flatness.EXPLAINED)), chance.random() < 0.7,
            capital=chance.choice(("1000000", "50")),
        ),
    )  # fmt: skip
    faulty = chance.random()
    kinds = HEALABLE if faulty < 0.6 else tuple(Slip)
    bots = [Bot(exchange, account, name, _habits(chance), chance, books.write) for name, account in profiles.items()]
    for bot in bots:
        bot.slips, bot.rate = kinds, chance.choice((0.0, 0.2, 0.4))
    faults = tuple(Fault) if chance.random() < 0.5 else ()
    return History(seed, chance, exchange, bots, venues, app, books, faults, chance.randint(2, 5))


def _habits(chance: Random) -> Habits:
    return Habits(
        tags=chance.choice(("full", "full", "full", "bare", "sub", "both", "none")),
        ids=chance.choice(("exchange", "exchange", "exchange", "own", "client")),
        chains=chance.choice(("one", "each")),
        **{chance.choice(("long_exits", "silent", "silent")): chance.random() < 0.2},
    )  # fmt: skip


def _list_markets(exchange: Exchange, chance: Random) -> None:
    spot = Market(
        symbol="BTC/USD", base="BTC", quote="USD", lot=LOT, taker_rate=Decimal("0.0002"),
        maker_rate=Decimal("0.0001"), fee_in=chance.choice((FeeIn.QUOTE, FeeIn.RECEIVED)),
        depth=chance.choice((None, Decimal("0.3"))),
    )  # fmt: skip
    swap = Market(
        symbol="ETHUSDT", base="ETH", quote="USDT", kind=Kind.LINEAR, lot=LOT, taker_rate=Decimal("0.0005"),
        depth=chance.choice((None, Decimal("0.3"))),
    )  # fmt: skip
    which = chance.random()
    if which < 0.65:
        exchange.list_market(spot, "100")
    if which > 0.4:
        exchange.list_market(swap, "50")
