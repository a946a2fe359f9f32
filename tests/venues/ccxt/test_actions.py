"""What may be done at an exchange: only where it is allowed, never more than to reduce, and what is left is said."""

from decimal import Decimal

import pytest
from tests.sim.worlds import BOT, NOW, buy, futures_exchange, sell, spot_exchange
from tests.venues.ccxt.accounts import canned, served, venue
from tests.venues.ccxt.test_envelopes import EMPTY, WELL

from trueup.core.errors import CannotKnow
from trueup.ports import VenueActions
from trueup.sim.exchange import Leg
from trueup.sim.faults import Fault, FaultKind, FaultPlan
from trueup.venues.ccxt import CcxtVenue


def allowed(account: CcxtVenue) -> VenueActions:
    found = account.actions
    assert found is not None
    return found


def test_nothing_may_be_done_unless_it_is_allowed() -> None:
    assert venue("http://127.0.0.1:9").actions is None


def test_orders_of_the_named_symbols_are_canceled_and_no_others() -> None:
    exchange = spot_exchange()
    btc = buy(exchange, "BTCUSDT", "0.5", type="limit", limit_price=Decimal(10))
    eth = buy(exchange, "ETHUSDT", "0.5", type="limit", limit_price=Decimal(10))
    with served(exchange) as url:
        actions = allowed(venue(url, allow_flatten=True))
        report = actions.cancel_all(["BTCUSDT", "NOPE/USDT"])
        assert report.done == (f"BTC/USDT {btc.id}",)
        assert "NOPE/USDT" in report.failed[0]
        assert [order.symbol for order in exchange.working(BOT)] == ["ETHUSDT"]
        assert actions.cancel_all().done == (f"ETH/USDT {eth.id}",)
        assert actions.cancel_all() == type(report)()


def test_what_still_works_is_said_whatever_the_venue_answered() -> None:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "0.5", type="limit", limit_price=Decimal(10))
    plan = FaultPlan(faults=[Fault(kind=FaultKind.JSON_5XX, path="/api/v3/order", method="DELETE")])
    with served(exchange, plan=plan) as url:
        report = allowed(venue(url, allow_flatten=True)).cancel_all()
    assert report.done == ()
    assert len(report.failed) == 1


@pytest.mark.parametrize("shape", EMPTY)
def test_working_orders_that_cannot_be_read_are_not_taken_for_none(shape: str) -> None:
    with canned({**WELL, "/api/v3/openOrders": EMPTY[shape]}) as (url, _), pytest.raises(CannotKnow):
        allowed(venue(url, allow_flatten=True)).cancel_all()


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_position_is_closed_and_never_turned(side: str) -> None:
    futures = futures_exchange()
    (buy if side == "long" else sell)(futures, "BTCUSDT", "0.3")
    with served(spot_exchange(), futures) as url:
        actions = allowed(venue(url, "binanceusdm", allow_flatten=True))
        report = actions.close_position("BTCUSDT")
        assert (len(report.done), report.failed) == (1, ())
        assert futures.accounts[BOT].position("BTCUSDT").qty == 0
        assert actions.close_position("BTCUSDT") == type(report)()
    assert all(order.request.reduce_only for order in futures.orders_of(BOT)[1:])


def test_both_legs_of_a_hedge_are_closed() -> None:
    futures = futures_exchange(hedged=True)
    buy(futures, "BTCUSDT", "0.3", leg=Leg.LONG)
    sell(futures, "BTCUSDT", "0.2", leg=Leg.SHORT)
    with served(spot_exchange(), futures) as url:
        report = allowed(venue(url, "binanceusdm", allow_flatten=True)).close_position("BTC/USDT:USDT")
    assert (len(report.done), report.failed) == (2, ())
    assert futures.accounts[BOT].position("BTCUSDT", Leg.LONG).qty == 0
    assert futures.accounts[BOT].position("BTCUSDT", Leg.SHORT).qty == 0


def test_an_order_is_sent_once_even_where_it_was_not_answered() -> None:
    """The trap: a timeout after acceptance, tried again, sells twice."""
    futures = futures_exchange()
    buy(futures, "BTCUSDT", "0.3")
    plan = FaultPlan(faults=[Fault(kind=FaultKind.JSON_5XX, path="/fapi/v1/order", method="POST")])
    with served(spot_exchange(), futures, plan=plan) as url:
        report = allowed(venue(url, "binanceusdm", allow_flatten=True)).close_position("BTC/USDT:USDT")
    assert sum(entry.method == "POST" for entry in plan.log) == 1
    assert "to be seen at the venue" in report.failed[0]
    assert "are left" in report.failed[1]


def test_what_is_external_is_not_sold() -> None:
    exchange = spot_exchange()
    exchange.deposit(BOT, "BTC", "2")
    with served(exchange) as url:
        actions = allowed(venue(url, allow_flatten=True, external_assets={"BTC": Decimal("1.5")}))
        report = actions.close_position("BTC/USDT")
        assert report.done == ("BTC/USDT sell 0.5",)
        assert "1.5 BTC is declared as external and is not sold" in report.failed[0]
        assert exchange.accounts[BOT].balance("BTC") == Decimal("1.5")
        again = actions.close_position("BTC/USDT")
        assert again.done == ()
        assert "nothing to sell" in again.failed[0]


def test_a_balance_that_cannot_be_read_sells_nothing() -> None:
    with canned({**WELL, "/api/v3/account": EMPTY["null"]}) as (url, server):
        with pytest.raises(CannotKnow):
            allowed(venue(url, allow_flatten=True)).close_position("BTC/USDT")
        assert not [path for path in server.asked if path.startswith("/api/v3/order")]


def test_a_symbol_that_is_no_one_market_is_not_touched() -> None:
    with canned(WELL) as (url, _):
        report = allowed(venue(url, allow_flatten=True, now_ms=lambda: NOW)).close_position("NOPE/USDT")
    assert report.done == ()
    assert "no one market" in report.failed[0]


def test_conditional_orders_work_and_are_canceled_too() -> None:
    """The trap: Binance's futures list conditional orders apart, and one that works would look as if it were gone."""
    futures = futures_exchange()
    buy(futures, "BTCUSDT", "0.3")
    sell(futures, "BTCUSDT", "0.3", type="stop_market", stop_price=Decimal(90_000))
    with served(spot_exchange(), futures) as url:
        account = venue(url, "binanceusdm", allow_flatten=True)
        working = [order for order in account.read().orders if order.working]
        assert [(order.symbol, order.qty) for order in working] == [("BTC/USDT:USDT", 0)]
        assert account.find_order("BTC/USDT:USDT", working[0].id).order is not None
        report = allowed(account).cancel_all()
    assert (len(report.done), report.failed) == (1, ())
    assert futures.working(BOT) == []
