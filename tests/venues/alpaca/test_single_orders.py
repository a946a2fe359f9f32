"""Asking for one order: found, absent, or unknown with the reason."""

from decimal import Decimal

import pytest
from tests.venues.alpaca.desk import Reply, canned, exchange, order, resting, trading, venue
from tests.venues.exports import alpaca_order

from trueup.ports import OrderAnswer

MISSING = Reply({"code": 40410000, "message": "order not found for x"}, 404)


def test_an_order_is_found_by_either_id() -> None:
    world = exchange()
    made = order(world, client_order_id="bot-p-TRD-1-exit")
    open_one = resting(world)
    with trading(world) as alpaca:
        by_id = alpaca.find_order("BTCUSD", made.id)
        by_client_id = alpaca.find_order("BTC/USD", client_order_id="bot-p-TRD-1-exit")
        still = alpaca.find_order("BTC/USD", open_one.id)
        listed = {one.id: one for one in alpaca.read().orders}
    assert by_id == by_client_id == OrderAnswer(listed[made.id])
    assert still == OrderAnswer(listed[open_one.id])
    assert still.order is not None
    assert still.order.working


def test_an_order_that_alpaca_does_not_know_is_absent() -> None:
    with trading(exchange()) as alpaca:
        answer = alpaca.find_order("BTC/USD", "0c5a0f9d-0000-4000-8000-000000000000", "never")
    assert answer.absent
    assert "not found" in answer.why


def test_an_order_is_absent_only_if_none_of_its_ids_is_known() -> None:
    world = exchange()
    made = order(world, client_order_id="c-1")
    with trading(world) as alpaca:
        answer = alpaca.find_order("BTC/USD", "0c5a0f9d-0000-4000-8000-000000000000", "c-1")
    assert answer.order is not None
    assert answer.order.id == made.id


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<html>404 Not Found</html>", 404),
        Reply({"message": "endpoint not found"}, 404),
        Reply("", 404),
        Reply("<html>", 503),
        Reply("null"),
        Reply("{}"),
        Reply([]),
        Reply({"code": 40410000, "message": "order not found"}),
        Reply({"message": "unauthorized."}, 401),
        Reply({"code": 42910000, "message": "rate limit exceeded"}, 429),
        Reply({"code": 40010001, "message": "order_id is invalid"}, 422),
        Reply(alpaca_order(id="x", symbol="ETH/USD")),
        Reply(alpaca_order(id="another")),
        Reply(alpaca_order(id="x", filled_qty="much")),
        Reply(alpaca_order(id="x", side="sideways")),
    ],
    ids=lambda reply: f"{reply.status} {reply.raw()[:40]!r}",
)
def test_anything_else_is_unknown_and_never_absent(reply: Reply) -> None:
    """A page that says 404 is no word of Alpaca's on an order, and neither is another order's row."""
    with canned(lambda _: reply) as server:
        answer = venue(server.url).find_order("BTC/USD", "x")
    assert (answer.order, answer.absent) == (None, False)
    assert answer.why


def test_one_id_unknown_and_the_other_not_asked_is_not_absent() -> None:
    with canned(lambda asked: MISSING if asked.path.endswith("/x") else Reply("<html>", 503)) as server:
        answer = venue(server.url).find_order("BTC/USD", "x", "c-1")
    assert not answer.absent


def test_nothing_asked_is_unknown() -> None:
    with canned(lambda _: MISSING) as server:
        assert venue(server.url).find_order("BTC/USD") == OrderAnswer(
            why="neither an order id nor a client order id was given"
        )
        assert not server.asked


@pytest.mark.parametrize("order_id", ["a/b", "a?b=c", "a b", "%2e%2e", "é"])
def test_an_id_stays_one_part_of_the_path(order_id: str) -> None:
    with canned(lambda _: MISSING) as server:
        venue(server.url).find_order("BTC/USD", order_id)
        assert [asked.path.count("/") for asked in server.asked] == [3]
        assert not server.asked[0].query


@pytest.mark.parametrize("order_id", [".", ".."])
def test_an_id_that_would_leave_the_path_is_not_sent(order_id: str) -> None:
    with canned(lambda _: MISSING) as server:
        answer = venue(server.url).find_order("BTC/USD", order_id)
        assert not server.asked
    assert not answer.absent
    assert answer.why


def test_quantities_of_one_order_are_exact() -> None:
    body = '{"id": "x", "symbol": "BTC/USD", "side": "buy", "status": "filled", "filled_qty": 0.100000000000000001,'
    body += ' "filled_avg_price": "1", "filled_at": "2026-01-02T03:00:00Z"}'
    with canned(lambda _: Reply(body)) as server:
        answer = venue(server.url).find_order("BTC/USD", "x")
    assert answer.order is not None
    assert answer.order.qty == Decimal("0.100000000000000001")
