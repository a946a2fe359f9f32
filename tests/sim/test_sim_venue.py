"""The exchange as a venue in process, and the made-up weeks: the truth, and a ledger that lacks some of it."""

from decimal import Decimal

import pytest
from tests.sim.worlds import BOT, alpaca_exchange, buy, futures_exchange, sell, spot_exchange

from trueup.core.orders import Action, StatusClass, read_order
from trueup.core.snapshot import Feed
from trueup.core.tags import TagReader
from trueup.sim.exchange import Leg, Side
from trueup.sim.venue import SimVenue
from trueup.sim.weeks import WEEK_MS, WeekKind, a_week

KINDS: tuple[WeekKind, ...] = ("alpaca", "binance", "binanceusdm")


def test_a_snapshot_holds_orders_fills_positions_and_balances() -> None:
    exchange = alpaca_exchange()
    order = buy(exchange, "BTC/USD", "0.5", client_order_id="mine", subtag="a:b:c")
    waiting = buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1))
    snapshot = SimVenue(exchange, BOT).read()
    assert all(coverage.complete for coverage in snapshot.all_feeds().values())
    assert [(leg.symbol, leg.qty, leg.mark_price) for leg in snapshot.legs] == [
        ("BTC/USD", Decimal("0.49875"), 100_000)
    ]
    (first, second), (fill,) = snapshot.orders, snapshot.fills
    assert (first.id, first.qty, first.price, first.sub_tag, first.working) == (
        order.id,
        Decimal("0.5"),
        100_000,
        "a:b:c",
        False,
    )
    assert (second.id, second.qty, second.working) == (waiting.id, 0, True)
    assert (fill.order_id, fill.fee, fill.fee_asset) == (order.id, Decimal("0.00125"), "BTC")
    assert snapshot.balances == {"BTC": Decimal("0.49875"), "USD": Decimal(950_000)}


def test_a_spot_venue_gives_balances_and_no_positions() -> None:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "1")
    snapshot = SimVenue(exchange, BOT).read()
    assert (snapshot.feed(Feed.POSITIONS).given, snapshot.legs) == (False, ())
    assert snapshot.balances is not None
    assert snapshot.balances["BTC"] == Decimal("0.999")


def test_contracts_are_legs_in_base_units_and_inverse_ones_are_unknown() -> None:
    exchange = futures_exchange(hedged=True)
    buy(exchange, "BTCUSDT", "0.3", leg=Leg.LONG)
    sell(exchange, "BTCUSDT", "0.2", leg=Leg.SHORT)
    buy(exchange, "BTCUSD_PERP", "3", leg=Leg.LONG)
    snapshot = SimVenue(exchange, BOT).read()
    assert sorted(leg.qty for leg in snapshot.legs) == [Decimal("-0.2"), Decimal("0.3")]
    assert {leg.symbol for leg in snapshot.legs} == {"BTC/USDT:USDT"}
    assert list(snapshot.unknown_symbols.values()) == ["BTC/USD:BTC is held in 3 contracts of 100 USD"]


def test_one_order_is_found_absent_or_perhaps_forgotten() -> None:
    exchange = spot_exchange()
    order = buy(exchange, "BTCUSDT", "1", client_order_id="mine")
    venue = SimVenue(exchange, BOT)
    assert venue.find_order("BTC/USDT", order_id=order.id).order == venue.read().orders[0]
    found = venue.find_order("BTCUSDT", client_order_id="mine").order
    assert found is not None
    assert found.id == order.id
    assert venue.find_order("ETH/USDT", order_id=order.id).absent
    exchange.advance(10_000)
    forgetful = SimVenue(exchange, BOT, memory_ms=5_000)
    answer = forgetful.find_order("BTC/USDT", order_id=order.id)
    assert (answer.order, answer.absent) == (None, False)
    assert forgetful.read().feed(Feed.FILLS).since_ms == exchange.now_ms - 5_000
    assert forgetful.read().orders == forgetful.read().fills == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_week_s_ledger_lacks_the_exits_that_it_says_and_no_others(kind: WeekKind, seed: int) -> None:
    week = a_week(kind, seed)
    rows = [read_order(row) for row in week.rows]
    assert {row.status for row in rows} == {StatusClass.FILLED}
    assert not [row.defect for row in rows if row.defect]
    left = {row.trade_id for row in rows if row.action is Action.EXIT}
    trades = {trade.trade_id for trade in week.trades}
    assert trades - left == {*week.missing, *week.still_open}
    assert len(week.missing) >= 3
    done = {order.id for trade in week.trades for order in (trade.entry, *trade.exits)}
    assert done == {order.id for order in week.exchange.orders}


@pytest.mark.parametrize("kind", KINDS)
def test_a_week_s_orders_carry_tags_that_name_their_trade(kind: WeekKind) -> None:
    week = a_week(kind, 4)
    tags = TagReader(week.prefix, week.profiles)
    for trade in week.trades:
        for order in trade.exits:
            tag = tags.client_order_id(order.client_order_id)
            assert tag is not None
            assert (tag.profile_id, tag.trades[0]) == (trade.profile_id, trade.trade_id.lower())
            assert len(order.client_order_id) <= 36
            if kind == "alpaca":
                assert tags.sub_tag(order.request.subtag) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_week_ends_now_and_holds_only_what_is_still_open(kind: WeekKind) -> None:
    now = 1_900_000_000_000
    week = a_week(kind, 3, now)
    assert week.exchange.now_ms == now
    assert all(now - WEEK_MS <= order.created_ms <= now for order in week.exchange.orders)
    account = week.exchange.accounts[week.account]
    for symbol, market in week.exchange.markets.items():
        entries = [trade.entry for trade in week.trades if trade.trade_id in week.still_open]
        sizes = [e.executed if e.side is Side.BUY else -e.executed for e in entries if e.symbol == symbol]
        open_qty = sum(sizes, Decimal(0))
        assert abs(account.position(symbol).qty - open_qty) <= abs(open_qty) * Decimal("0.002") + market.lot * 20


def test_the_same_seed_gives_the_same_week() -> None:
    assert a_week("alpaca", 9).rows == a_week("alpaca", 9).rows
    assert a_week("alpaca", 9).rows != a_week("alpaca", 10).rows
