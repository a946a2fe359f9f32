"""The exchange keeps the truth: positions are sums of fills, balances add up, and only the caller moves the clock."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.worlds import BOT, NOW, alpaca_exchange, buy, futures_exchange, sell, spot_exchange

from trueup.sim.exchange import (
    Change,
    EventKind,
    Exchange,
    Leg,
    NoSuchOrder,
    NotAllowed,
    OrderRequest,
    Origin,
    Side,
    Status,
)

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "limit", "price", "cancel", "part", "fund", "wait", "force"]),
        st.integers(1, 400),
        st.integers(900, 1100),
    ),
    max_size=30,
)


def play(exchange: Exchange, symbol: str, actions: list[tuple[str, int, int]], leg: Leg = Leg.BOTH) -> None:
    """Do what the actions say, in so far as the exchange allows it."""
    lot, tick = exchange.markets[symbol].lot, exchange.markets[symbol].tick
    for action, size, level in actions:
        price = (Decimal(100) * level).quantize(tick)
        working = exchange.working(BOT, symbol)
        held = exchange.accounts[BOT].position(symbol, leg).qty
        side = Side.BUY if action == "buy" or (action == "limit" and size % 2) else Side.SELL
        try:
            if action in ("buy", "sell", "limit"):
                limit = {"limit_price": price, "type": "limit"} if action == "limit" else {}
                exchange.submit(BOT, OrderRequest(symbol=symbol, side=side, qty=size * lot, leg=leg, **limit))
            elif action == "price":
                exchange.set_price(symbol, price)
            elif action == "cancel" and working:
                exchange.cancel(working[0])
            elif action == "part" and working:
                exchange.fill(working[0], min(working[0].remaining, size * lot))
            elif action == "fund" and exchange.markets[symbol].is_swap:
                exchange.fund(symbol, Decimal(level - 1000) / 10_000)
            elif action == "force" and held and exchange.markets[symbol].is_swap:
                exchange.close_by_force(BOT, symbol, leg=leg, qty=min(abs(held), size * lot))
            elif action == "wait":
                exchange.advance(size)
        except NotAllowed:
            continue


def signed(exchange: Exchange, symbol: str) -> Decimal:
    fills = [fill for fill in exchange.fills if fill.order.symbol == symbol]
    return sum((fill.qty if fill.order.side is Side.BUY else -fill.qty for fill in fills), Decimal(0))


@given(ACTIONS)
def test_orders_executed_what_their_fills_add_up_to(actions: list[tuple[str, int, int]]) -> None:
    exchange = futures_exchange()
    play(exchange, "BTCUSDT", actions)
    for order in exchange.orders:
        fills = [fill for fill in exchange.fills if fill.order is order]
        assert order.executed == sum((fill.qty for fill in fills), Decimal(0))
        assert (order.status is Status.FILLED) is (order.remaining == 0)
        assert [fill.cumulative + fill.leaves for fill in fills] == [order.qty] * len(fills)


@given(ACTIONS, st.sampled_from(["BTCUSDT", "BTCUSD_PERP"]))
def test_a_contract_s_position_and_wallet_are_sums_of_fills_and_events(
    actions: list[tuple[str, int, int]], symbol: str
) -> None:
    exchange = futures_exchange()
    play(exchange, symbol, actions)
    account, market = exchange.accounts[BOT], exchange.markets[symbol]
    assert account.position(symbol).qty == signed(exchange, symbol)
    moved = [event.amount for event in exchange.events if event.asset == market.settles_in]
    assert account.wallet[market.settles_in] == sum(moved)
    assert account.position(symbol).entry_price > 0 or account.position(symbol).qty == 0


@given(ACTIONS)
def test_a_coin_s_balance_is_what_came_in_and_its_fills_less_fees(actions: list[tuple[str, int, int]]) -> None:
    exchange = spot_exchange()
    exchange.deposit(BOT, "BTC", "0.5")
    play(exchange, "BTCUSDT", actions)
    account = exchange.accounts[BOT]
    paid = {asset: sum(f.fee for f in exchange.fills if f.fee_asset == asset) for asset in ("BTC", "USDT")}
    spent = sum((f.qty * f.price * (1 if f.order.side is Side.BUY else -1) for f in exchange.fills), Decimal(0))
    assert account.balance("BTC") == Decimal("0.5") + signed(exchange, "BTCUSDT") - paid["BTC"]
    assert account.balance("USDT") == 1_000_000 - spent - paid["USDT"]
    assert account.position("BTCUSDT").qty == account.balance("BTC") - Decimal("0.5")
    assert min(account.balance("BTC"), account.balance("USDT")) >= 0


@given(ACTIONS)
def test_the_same_calls_give_the_same_world(actions: list[tuple[str, int, int]]) -> None:
    def world() -> list[Any]:
        exchange = alpaca_exchange(seed=7)
        play(exchange, "BTC/USD", actions)
        orders = [(order.id, order.client_order_id, order.status, order.updated_ms) for order in exchange.orders]
        return [orders, [(fill.id, fill.qty, fill.price) for fill in exchange.fills], exchange.accounts[BOT].balances]

    assert world() == world()


def test_the_seed_changes_the_ids() -> None:
    assert buy(alpaca_exchange(seed=1), "AAPL", "1").id != buy(alpaca_exchange(seed=2), "AAPL", "1").id


def test_a_limit_order_waits_for_its_price_and_fills_at_it_or_better() -> None:
    exchange = alpaca_exchange()
    order = buy(exchange, "AAPL", "3", type="limit", limit_price=Decimal(190))
    assert order.status is Status.NEW
    exchange.set_price("AAPL", "189")
    assert (order.status, exchange.fills[-1].price) == (Status.FILLED, Decimal(190))
    assert exchange.fills[-1].maker
    at_once = buy(exchange, "AAPL", "3", type="limit", limit_price=Decimal(195))
    assert (at_once.status, exchange.fills[-1].price) == (Status.FILLED, Decimal(189))


def test_a_stop_order_waits_until_the_price_touches_it() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "3")
    order = sell(exchange, "AAPL", "3", type="stop", stop_price=Decimal(180))
    exchange.set_price("AAPL", "181")
    assert order.status is Status.NEW
    exchange.set_price("AAPL", "179")
    assert (order.status, exchange.fills[-1].price) == (Status.FILLED, Decimal(179))


def test_a_shallow_market_fills_in_parts() -> None:
    exchange = spot_exchange(depth="0.2")
    at_market = buy(exchange, "BTCUSDT", "0.5")
    assert [fill.qty for fill in exchange.fills] == [Decimal("0.2"), Decimal("0.2"), Decimal("0.1")]
    assert [fill.status for fill in exchange.fills][-2:] == [Status.PARTIALLY_FILLED, Status.FILLED]
    assert at_market.status is Status.FILLED
    resting = sell(exchange, "BTCUSDT", "0.3", type="limit", limit_price=Decimal(101_000))
    exchange.set_price("BTCUSDT", "101000")
    assert (resting.status, resting.remaining) == (Status.PARTIALLY_FILLED, Decimal("0.1"))


def test_an_order_that_is_good_until_a_time_expires_then() -> None:
    exchange = alpaca_exchange()
    order = buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1), expires_ms=NOW + 500)
    exchange.advance(499)
    assert order.status is Status.NEW
    exchange.advance(1_000)
    assert (order.status, order.ended_ms, exchange.now_ms) == (Status.EXPIRED, NOW + 500, NOW + 1_499)


@pytest.mark.parametrize("carries", [False, True])
def test_a_replacement_asks_for_what_remains_or_carries_what_filled(carries: bool) -> None:
    exchange = alpaca_exchange(carries=carries)
    old = buy(exchange, "AAPL", "10", type="limit", limit_price=Decimal(150))
    exchange.fill(old, "4", "150")
    new = exchange.replace(old, Change(qty=Decimal(12), limit_price=Decimal(160)))
    assert (old.status, old.replaced_by, new.replaces) == (Status.REPLACED, new.id, old.id)
    assert new.remaining == 8
    assert (new.qty, new.filled, new.executed) == ((12, 4, 0) if carries else (8, 0, 0))
    exchange.set_price("AAPL", "155")
    assert exchange.accounts[BOT].position("AAPL").qty == 12


def test_a_bracket_s_legs_wait_for_it_and_end_each_other() -> None:
    exchange = alpaca_exchange()
    entry = buy(
        exchange, "AAPL", "2", type="limit", limit_price=Decimal(190), take_profit=Decimal(220), stop_loss=Decimal(180)
    )
    profit, loss = entry.legs
    assert (profit.status, loss.created_ms, loss.micros) == (Status.HELD, entry.created_ms, entry.micros)
    exchange.set_price("AAPL", "190")
    assert (profit.status, loss.status) == (Status.NEW, Status.NEW)
    exchange.set_price("AAPL", "221")
    assert (profit.status, loss.status, exchange.accounts[BOT].position("AAPL").qty) == (
        Status.FILLED,
        Status.CANCELED,
        0,
    )


def test_what_cannot_be_paid_or_stepped_is_refused() -> None:
    exchange = spot_exchange()
    for order in (
        {"qty": Decimal(11)},
        {"qty": Decimal("0.000001")},
        {"qty": Decimal(1), "limit_price": Decimal("1.001")},
        {"qty": Decimal(1), "side": Side.SELL},
    ):
        with pytest.raises(NotAllowed):
            exchange.submit(BOT, OrderRequest(**({"symbol": "BTCUSDT", "side": Side.BUY} | order)))
    assert exchange.orders == []


def test_what_works_holds_back_what_it_needs() -> None:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "6", type="limit", limit_price=Decimal(90_000))
    with pytest.raises(NotAllowed, match="insufficient"):
        buy(exchange, "BTCUSDT", "6", type="limit", limit_price=Decimal(90_000))


def test_the_two_legs_of_hedge_mode_are_apart() -> None:
    exchange = futures_exchange(hedged=True)
    buy(exchange, "BTCUSDT", "0.3", leg=Leg.LONG)
    sell(exchange, "BTCUSDT", "0.2", leg=Leg.SHORT)
    account = exchange.accounts[BOT]
    assert account.position("BTCUSDT", Leg.LONG).qty == Decimal("0.3")
    assert account.position("BTCUSDT", Leg.SHORT).qty == Decimal("-0.2")
    with pytest.raises(NotAllowed, match="position side"):
        buy(exchange, "BTCUSDT", "0.1")
    with pytest.raises(NotAllowed, match="exceeds the leg"):
        sell(exchange, "BTCUSDT", "0.4", leg=Leg.LONG)


@pytest.mark.parametrize(
    ("origin", "client"),
    [
        (Origin.LIQUIDATION, f"autoclose-{NOW}000001"),
        (Origin.ADL, "adl_autoclose"),
        (Origin.SETTLEMENT, f"settlement_autoclose-{NOW}000001"),
    ],
)
def test_the_exchange_closes_positions_by_orders_of_its_own(origin: Origin, client: str) -> None:
    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    order = exchange.close_by_force(BOT, "BTCUSDT", qty=Decimal("0.2"), price="90000", origin=origin)
    assert (order.client_order_id, order.side, order.status) == (client, Side.SELL, Status.FILLED)
    assert exchange.accounts[BOT].position("BTCUSDT").qty == Decimal("0.3")
    assert exchange.fills[-1].realized == -2_000


def test_funding_goes_from_longs_to_shorts() -> None:
    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    before = exchange.accounts[BOT].wallet["USDT"]
    (event,) = exchange.fund("BTCUSDT", "0.0001")
    assert (event.kind, event.amount) == (EventKind.FUNDING, Decimal(-5))
    assert exchange.accounts[BOT].wallet["USDT"] == before - 5


def test_a_split_multiplies_shares_and_divides_prices() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "3")
    waiting = buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(100))
    (event,) = exchange.split("AAPL", 4)
    position = exchange.accounts[BOT].position("AAPL")
    assert (position.qty, position.entry_price, exchange.prices["AAPL"]) == (12, 50, 50)
    assert (event.qty, waiting.status) == (9, Status.CANCELED)


def test_a_third_asset_pays_the_fees_while_there_is_enough_of_it() -> None:
    exchange = spot_exchange()
    market = replace(exchange.markets["BTCUSDT"], fee_asset="BNB", fee_asset_price=Decimal(500))
    exchange.list_market(market, "100000")
    exchange.deposit(BOT, "BNB", "0.03")
    for _ in range(2):
        buy(exchange, "BTCUSDT", "0.1")
    fees = [(fill.fee, fill.fee_asset) for fill in exchange.fills]
    assert fees == [(Decimal("0.02"), "BNB"), (Decimal("0.0001"), "BTC")]
    assert exchange.accounts[BOT].balances["BNB"] == Decimal("0.01")
    assert exchange.accounts[BOT].balances["BTC"] == exchange.accounts[BOT].position("BTCUSDT").qty == Decimal("0.1999")


def test_ids_are_unique_per_symbol_only_where_the_venue_s_are() -> None:
    exchange = spot_exchange()
    bitcoin, ether = buy(exchange, "BTCUSDT", "0.1"), buy(exchange, "ETHUSDT", "1")
    assert bitcoin.id == ether.id
    assert exchange.order(ether.id, "ETHUSDT") is ether
    with pytest.raises(NoSuchOrder):
        exchange.order(ether.id, "BTCUSDT", "somebody else")


def test_what_happens_is_told_to_those_who_listen() -> None:
    exchange, heard = alpaca_exchange(), list[str]()
    exchange.listeners.append(lambda what, order, fill: heard.append(f"{what} {order.filled} {fill is not None}"))
    order = buy(exchange, "AAPL", "3", type="limit", limit_price=Decimal(100))
    exchange.fill(order, "1")
    exchange.cancel(order)
    assert heard == ["new 0 False", "partial_fill 1 True", "canceled 1 False"]
    with pytest.raises(NotAllowed, match="canceled"):
        exchange.cancel(order)
