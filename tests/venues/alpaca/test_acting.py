"""What trueup does at Alpaca where it may: never more than to reduce, and every item is reported."""

from decimal import Decimal

import pytest
from tests.venues.alpaca.desk import Asked, Reply, canned, exchange, order, resting, trading, venue
from tests.venues.exports import alpaca_order, alpaca_position

from trueup.core.errors import CannotKnow
from trueup.ports import VenueActions
from trueup.sim.exchange import Side
from trueup.sim.faults import Fault, FaultKind, FaultPlan
from trueup.venues.alpaca import AlpacaVenue


def acting(alpaca: AlpacaVenue) -> VenueActions:
    assert alpaca.actions is not None
    return alpaca.actions


def test_without_leave_nothing_can_be_done() -> None:
    with trading(exchange()) as alpaca:
        assert alpaca.actions is None


def test_orders_of_some_symbols_are_canceled_and_others_left() -> None:
    world = exchange()
    mine = [resting(world), resting(world)]
    other = order(world, "ETH/USD", "1", type="limit", limit_price=Decimal(10))
    with trading(world, allow_flatten=True) as alpaca:
        report = acting(alpaca).cancel_all(["BTCUSD"])
    assert len(report.done) == 2
    assert not report.failed
    assert [one.status.working for one in (*mine, other)] == [False, False, True]


def test_all_orders_are_canceled_in_one_call() -> None:
    world = exchange()
    made = [resting(world) for _ in range(3)]
    with trading(world, allow_flatten=True) as alpaca:
        report = acting(alpaca).cancel_all()
        assert alpaca.connection.caller.calls == 1
    assert sorted(report.done) == sorted(f"canceled order {one.id}" for one in made)
    assert not world.working("main")


def test_each_item_of_a_207_is_reported_for_itself() -> None:
    items = [
        {"id": "o-1", "status": 200},
        {"id": "o-2", "status": 500, "body": {"code": 50010000, "message": "failed to cancel order"}},
        {"id": "o-3"},
        None,
    ]
    with canned(lambda _: Reply(items, 207)) as server:
        report = acting(venue(server.url, allow_flatten=True)).cancel_all()
    assert report.done == ("canceled order o-1",)
    assert len(report.failed) == 3
    assert "o-2 HTTP 500 failed to cancel order" in report.failed[0]


def test_an_order_that_cannot_be_canceled_is_a_failure_and_one_that_is_gone_is_none() -> None:
    rows = [alpaca_order(id="o-1", status="new"), alpaca_order(id="o-2", status="new")]

    def answers(asked: Asked) -> Reply:
        if asked.method == "GET":
            return Reply(rows)
        if asked.path.endswith("o-1"):
            return Reply({"code": 42210000, "message": 'order is already in "filled" state'}, 422)
        return Reply({"code": 40410000, "message": "order not found"}, 404)

    with canned(answers) as server:
        report = acting(venue(server.url, allow_flatten=True)).cancel_all(["BTC/USD"])
    assert [("o-2" in text) for text in report.done] == [True]
    assert ["already in" in text for text in report.failed] == [True]


def test_a_position_is_closed_and_not_turned() -> None:
    world = exchange()
    order(world, "AAPL", "10")
    with trading(world, allow_flatten=True) as alpaca:
        first = acting(alpaca).close_position("AAPL")
        second = acting(alpaca).close_position("AAPL")
    assert "sell 10 AAPL" in first.done[0]
    assert second.done == ("AAPL: nothing is held",)
    assert world.accounts["main"].position("AAPL").qty == 0


def test_a_short_position_is_bought_back() -> None:
    world = exchange()
    order(world, "AAPL", "10", Side.SELL)
    with trading(world, allow_flatten=True) as alpaca:
        report = acting(alpaca).close_position("AAPL")
    assert "buy 10 AAPL" in report.done[0]
    assert world.accounts["main"].position("AAPL").qty == 0


def test_a_lost_answer_to_a_closing_never_opens_the_opposite() -> None:
    """The order was taken, the answer was not heard: asked again, Alpaca finds nothing to close."""
    world = exchange()
    order(world, "AAPL", "10")
    lost = Fault(kind=FaultKind.TIMEOUT_AFTER_ACCEPTANCE, method="DELETE", times=1, ms=10)
    with trading(world, wrap=FaultPlan(faults=[lost]).wrap, allow_flatten=True) as alpaca:
        report = acting(alpaca).close_position("AAPL")
    assert report.done == ("AAPL: nothing is held any more",)
    assert world.accounts["main"].position("AAPL").qty == 0


def test_an_order_that_does_not_reduce_is_reported_as_a_failure() -> None:
    def answers(asked: Asked) -> Reply:
        return Reply([alpaca_position()]) if asked.method == "GET" else Reply(alpaca_order(side="buy"))

    with canned(answers) as server:
        report = acting(venue(server.url, allow_flatten=True)).close_position("BTC/USD")
    assert not report.done
    assert "does not reduce" in report.failed[0]


@pytest.mark.parametrize(
    "reply", [Reply(""), Reply("null"), Reply("{}"), Reply([]), Reply({"code": 1, "message": "x"})]
)
def test_an_answer_that_names_no_order_is_a_failure(reply: Reply) -> None:
    with canned(lambda asked: Reply([alpaca_position()]) if asked.method == "GET" else reply) as server:
        report = acting(venue(server.url, allow_flatten=True)).close_position("BTC/USD")
    assert not report.done
    assert report.failed


def test_where_positions_or_orders_cannot_be_read_nothing_is_claimed() -> None:
    with canned(lambda _: Reply("<html>", 503)) as server:
        actions = acting(venue(server.url, allow_flatten=True))
        with pytest.raises(CannotKnow):
            actions.close_position("BTC/USD")
        with pytest.raises(CannotKnow):
            actions.cancel_all(["BTC/USD"])
        with pytest.raises(CannotKnow):
            actions.cancel_all()
