"""A bot's week on a simulated exchange, by a seed: what happened at the venue, and what the bot wrote of it.

Some exits never reached the bot's ledger; some trades are open at both. Times are relative to the caller's now. The
bot writes what its orders executed: at Alpaca the fees of its coins leave dust, at Binance it pays them in BNB.
"""

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from functools import partial
from random import Random
from typing import Literal

from trueup.core.decimals import round_price
from trueup.core.times import iso
from trueup.sim.exchange import Exchange, FeeIn, Kind, Market, Order, OrderRequest, Side
from trueup.sim.venue import spelt

WeekKind = Literal["alpaca", "binance", "binanceusdm"]
PREFIX = "demo"
HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS
_TRADES = 28
_MISSING_EVERY = 4
_OPEN = 2
_COINS = (("BTC", "97150.5", "0.08"), ("ETH", "3120.25", "1.6"), ("SOL", "171.35", "24"))
_SHARES = (("AAPL", "241.1", "12"), ("MSFT", "428.15", "8"), ("NVDA", "139.2", "30"), ("KO", "71.32", "60"))
_PROFILES = {"alpaca": ("trend", "swing"), "binance": ("grid", "dip"), "binanceusdm": ("perp", "basis")}


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as it really went: the orders that entered and left it, and which of them the ledger knows."""

    trade_id: str
    profile_id: str
    symbol: str
    entry: Order
    exits: tuple[Order, ...] = ()
    booked: tuple[Order, ...] = ()


@dataclass(slots=True)
class Week:
    """A week on one account: the exchange at its end, the ledger's rows by native column names, and the truth.

    `key` and `secret` open the account on a wire. `missing` are the trades whose exit the ledger lacks, `still_open`
    those that are open at the venue too.
    """

    kind: WeekKind
    exchange: Exchange
    account: str
    key: str
    secret: str
    prefix: str
    profiles: tuple[str, ...]
    trades: list[Trade] = field(default_factory=list)
    rows: list[dict[str, object]] = field(default_factory=list)
    missing: tuple[str, ...] = ()
    still_open: tuple[str, ...] = ()


@dataclass(slots=True)
class _Plan:
    """One trade to be made: when it begins and ends, in milliseconds since the week began."""

    trade_id: str
    profile_id: str
    market: Market
    side: Side
    qty: Decimal
    enter_ms: int
    leave_ms: int | None
    lost: bool
    entry: Order | None = None
    exits: list[Order] = field(default_factory=list)


def a_week(kind: WeekKind, seed: int = 0, now_ms: int = 1_772_830_800_000) -> Week:
    """Return a bot's week that ends at `now_ms` (epoch milliseconds); the same arguments give the same week."""
    chance = Random(f"{kind}:{seed}")  # noqa: S311  # a made-up week, not a secret
    start = now_ms - WEEK_MS
    ids: Literal["uuid", "per_symbol"] = "uuid" if kind == "alpaca" else "per_symbol"
    exchange = Exchange(start, seed=seed, ids=ids, micros=kind == "alpaca")
    account = exchange.open_account("bot", key=f"{kind}-key", secret=f"{kind}-secret").name
    markets = _list_markets(exchange, kind)
    cash = "USD" if kind == "alpaca" else "USDT"
    exchange.deposit(account, cash, "250000", margin=kind == "binanceusdm")
    if kind == "binance":
        exchange.deposit(account, "BNB", "5")
    week = Week(kind, exchange, account, f"{kind}-key", f"{kind}-secret", PREFIX, _PROFILES[kind])
    plans = [_planned(number, kind, markets, chance) for number in range(_TRADES)]
    _live(week, plans, chance, start)
    exchange.advance_to(now_ms)
    _write(week, plans)
    return week


def _list_markets(exchange: Exchange, kind: WeekKind) -> list[Market]:
    alpaca, swaps = kind == "alpaca", kind == "binanceusdm"
    quote = "USD" if alpaca else "USDT"
    markets: list[Market] = []
    for base, price, _ in _COINS[:1] if alpaca else _COINS:
        market = Market(
            symbol=f"{base}/{quote}" if alpaca else f"{base}{quote}", base=base, quote=quote,
            kind=Kind.LINEAR if swaps else Kind.SPOT,
            lot=Decimal("0.000000001" if alpaca else "0.001" if swaps else "0.00001"),
            taker_rate=Decimal("0.0005" if swaps else "0.001"), maker_rate=Decimal("0.0002" if swaps else "0.001"),
            fee_in=FeeIn.RECEIVED, fee_places=9 if alpaca else 8, fee_asset="BNB" if kind == "binance" else None,
            fee_asset_price=Decimal(640),
        )  # fmt: skip
        markets.append(exchange.list_market(market, price))
    for base, price, _ in _SHARES if alpaca else ():
        share = Market(symbol=base, base=base, quote="USD", kind=Kind.EQUITY, lot=Decimal("0.000000001"))
        markets.insert(0, exchange.list_market(share, price))
    return markets


def _planned(number: int, kind: WeekKind, markets: list[Market], chance: Random) -> _Plan:
    market = markets[number % len(markets)]
    usual = Decimal(next(qty for base, _, qty in (*_COINS, *_SHARES) if base == market.base))
    qty = (usual * chance.randint(5, 15) / 10).quantize(max(market.lot, Decimal("0.001")), ROUND_DOWN)
    if market.kind is Kind.EQUITY:
        qty = max(Decimal(1), qty.quantize(Decimal(1), ROUND_DOWN))
    enter_ms = chance.randint(1, 150 * 60) * 60_000 + chance.randint(0, 59_999)
    leave_ms = enter_ms + chance.randint(30, 15 * 60) * 60_000 + chance.randint(0, 59_999)
    short = kind == "binanceusdm" and market.base == "ETH"
    return _Plan(
        trade_id=f"TRD-{market.base}-{number + 1:03d}", profile_id=_PROFILES[kind][number // len(markets) % 2],
        market=market, side=Side.SELL if short else Side.BUY, qty=qty, enter_ms=enter_ms,
        leave_ms=None if number < _OPEN else leave_ms, lost=number >= _OPEN and number % _MISSING_EVERY == 0,
    )  # fmt: skip


def _live(week: Week, plans: list[_Plan], chance: Random, start: int) -> None:
    """Let the week happen, in the order of time."""
    steps = [(plan.enter_ms, number, partial(_enter, week, plan)) for number, plan in enumerate(plans)]
    for number, plan in enumerate(plans):
        if plan.leave_ms is not None:
            steps.append((plan.leave_ms, number, partial(_leave, week, plan, chance)))
    if week.kind == "binanceusdm":
        steps += [(hours * HOUR_MS, len(plans), partial(_fund, week)) for hours in range(8, 168, 8)]
    for at, _, step in sorted(steps, key=lambda step: step[:2]):
        week.exchange.advance_to(start + at)
        _drift(week.exchange, chance)
        step()


def _drift(exchange: Exchange, chance: Random) -> None:
    for symbol, market in exchange.markets.items():
        price = exchange.prices[symbol] * (10_000 + chance.randint(-30, 31)) / 10_000
        exchange.set_price(symbol, price.quantize(market.tick))


def _fund(week: Week) -> None:
    for symbol in week.exchange.markets:
        week.exchange.fund(symbol, "0.0001")


def _request(week: Week, plan: _Plan, side: Side, qty: Decimal, action: str) -> OrderRequest:
    alpaca = week.kind == "alpaca"
    return OrderRequest(
        symbol=plan.market.symbol, side=side, qty=qty,
        client_order_id=f"{PREFIX}-{plan.profile_id}-{plan.trade_id}-{action}",
        subtag=f"{PREFIX}:{plan.profile_id}:{plan.trade_id}" if alpaca else None,
        time_in_force="day" if plan.market.kind is Kind.EQUITY else "gtc",
    )  # fmt: skip


def _enter(week: Week, plan: _Plan) -> None:
    plan.entry = week.exchange.submit(week.account, _request(week, plan, plan.side, plan.qty, "entry"))


def _leave(week: Week, plan: _Plan, chance: Random) -> None:
    """Close what the trade bought, less what its fee took; one in three closes in two fills."""
    assert plan.entry is not None
    paid = [fill.fee for fill in plan.entry.fills if fill.fee_asset == plan.market.base]
    left = plan.qty - sum(paid, Decimal(0))
    qty = left - left % plan.market.lot
    order = week.exchange.submit(week.account, _request(week, plan, plan.side.opposite, qty, "exit"), match=False)
    plan.exits.append(order)
    if chance.random() < 1 / 3:
        first = (qty / 2).quantize(max(plan.market.lot, Decimal("0.001")), ROUND_DOWN)
        if first:
            week.exchange.fill(order, first, maker=False)
            week.exchange.advance(chance.randint(200, 4_000))
    week.exchange.fill(order, order.remaining, maker=False)


def _write(week: Week, plans: list[_Plan]) -> None:
    """Write what the bot wrote into its ledger, and what it did not."""
    for plan in plans:
        assert plan.entry is not None
        booked = (plan.entry, *(() if plan.lost else plan.exits))
        exits = tuple(plan.exits)
        week.trades.append(Trade(plan.trade_id, plan.profile_id, spelt(plan.market), plan.entry, exits, booked))
    known = [(trade, order) for trade in week.trades for order in trade.booked]
    known.sort(key=lambda pair: pair[1].number)
    week.rows = [_row(week, number, trade, order) for number, (trade, order) in enumerate(known, 1)]
    week.missing = tuple(plan.trade_id for plan in plans if plan.lost)
    week.still_open = tuple(plan.trade_id for plan in plans if plan.leave_ms is None)


def _row(week: Week, number: int, trade: Trade, order: Order) -> dict[str, object]:
    filled = order.fills
    worth = sum((fill.qty * fill.price for fill in filled), Decimal(0))
    done = filled[-1].time_ms
    return {
        "order_id": f"{week.kind}-{number:04d}", "profile_id": trade.profile_id, "user_id": "demo",
        "symbol": trade.symbol, "type": order.request.type, "side": order.side.value, "qty": order.executed,
        "quantity": order.executed, "price": round_price(worth / order.executed), "status": "filled", "timestamp": done,
        "filled_at": iso(done), "trade_id": trade.trade_id, "action": "ENTRY" if order is trade.entry else "EXIT",
        "source": "BOT", "sub_tag": order.request.subtag, "client_order_id": order.client_order_id,
        "exchange_order_id": order.id, "order_qty": order.qty, "created_at": iso(order.created_ms),
        "updated_at": iso(done),
    }  # fmt: skip
