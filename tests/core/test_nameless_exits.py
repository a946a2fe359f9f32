"""An exit that the bot booked without the order's id: an execution that is like it proves nothing more."""

import pytest
from tests.core.world import GRACE, World, entry, fill, leave, order, short

MAYBE = "TRD-1: NO_GO evidence_may_be_booked"
BOOKED = "TRD-1: 5 of X2 by trade_id"


def world(**exit_: object) -> World:
    """Ten were bought and sold in two orders of five at 110; the bot booked the first without its id."""
    facts = {"qty": "5", "minute": 10, "price": "110", **exit_}
    rows = [entry(qty="10"), leave("TRD-1", **facts)]
    orders = [order("X1", "5", 10, trade_id="TRD-1"), order("X2", "5", 12, price="150", trade_id="TRD-1")]
    return World(rows=rows, orders=orders)


def test_the_execution_that_is_like_it_is_not_booked_again_and_the_other_is() -> None:
    assert world().says() == [BOOKED]


def test_where_nothing_else_proves_the_rest_the_trade_waits_for_a_person() -> None:
    alone = world()
    assert alone.having(orders=alone.orders[:1]).says() == [MAYBE]
    assert alone.having(orders=alone.orders[1:]).says() == [BOOKED]


@pytest.mark.parametrize("minute", [10 - GRACE, 10.5, 10 + GRACE])
@pytest.mark.parametrize("price", ["110", None, "0", "110.01", "109.99"])
def test_it_is_like_it_within_the_grace_at_about_the_price_or_at_an_unknown_one(minute: float, price: str) -> None:
    facts = world(minute=minute, price=price)
    assert facts.having(orders=facts.orders[:1]).says() == [MAYBE]


@pytest.mark.parametrize(
    "exit_",
    [
        {"qty": "4.9"}, {"qty": "5.1"}, {"minute": 10 - GRACE - 0.1}, {"price": "110.02"}, {"price": "109.98"},
        {"exchange_order_id": "OLD"}, {"client_order_id": "mine"},
    ],
)  # fmt: skip
def test_an_exit_that_differs_or_has_an_id_leaves_the_execution_as_it_is(exit_: dict[str, object]) -> None:
    facts = world(**exit_)
    assert facts.having(orders=facts.orders[:1]).says()[0].endswith("of X1 by trade_id")


@pytest.mark.parametrize("exit_", [{"qty": "0.1"}, {"price": "1"}, {"minute": -300}, {"qty": "5"}])
def test_a_row_of_an_order_filled_in_part_may_be_the_beginning_of_any_later_execution(exit_: dict[str, object]) -> None:
    facts = world(**{"qty": "2", "status": "partially_filled"} | exit_)
    assert facts.having(orders=facts.orders[:1]).says() == [MAYBE]


@pytest.mark.parametrize("exit_", [{"qty": "5.1"}, {"exchange_order_id": "OLD"}, {"client_order_id": "mine"}])
def test_but_of_no_smaller_one_and_an_id_leaves_no_doubt(exit_: dict[str, object]) -> None:
    facts = world(**{"qty": "2", "status": "partially_filled"} | exit_)
    assert facts.having(orders=facts.orders[:1]).says()[0].endswith("of X1 by trade_id")


def test_an_execution_without_a_price_is_like_it_at_any() -> None:
    unpriced = [order("X1", "5", 10, trade_id="TRD-1", price=None)]
    assert world().having(orders=unpriced).says() == [MAYBE]


def test_entries_without_ids_say_nothing_about_exits() -> None:
    rows = [short(qty="5", minute=9), entry("TRD-2", "5", 10, price="110")]
    bought = order("X1", "5", 10, side="buy", trade_id="TRD-1")
    assert World(rows=rows, orders=[bought]).says()[0] == "TRD-1: 5 of X1 by trade_id"


def test_the_whole_execution_is_held_against_the_exit_not_what_is_left_of_the_trade() -> None:
    rows = [entry(qty="8"), leave(qty="5", minute=10, price="101")]
    sales = [order("X1", "5", 10, price="101", trade_id="TRD-1"), order("X2", "3", 12, price="150", trade_id="TRD-1")]
    assert World(rows=rows, orders=sales).says() == ["TRD-1: 3 of X2 by trade_id"]
    assert World(rows=rows, orders=sales[:1]).says() == [MAYBE]


def test_fills_without_their_order_are_held_against_it_too() -> None:
    rows = [entry(qty="10"), leave(qty="5", minute=10, price="110")]
    parts = [fill("F1", "X1", "2", 9.9), fill("F2", "X1", "3", 10)]
    assert World(rows=rows, fills=parts, orders=[order("X1", "5", 10, trade_id="TRD-1")]).says() == [MAYBE]


@pytest.mark.parametrize("price", ["110", "111"])
def test_it_is_not_guessed_either(price: str) -> None:
    rows = [entry(qty="10"), leave(qty="5", minute=10, price=price)]
    guessing = World(rows=rows, orders=[order("X1", "5", 10)]).under(strong_attribution=False, heuristic_match=True)
    if price == "110":
        assert guessing.says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]
    else:
        assert guessing.says() == ["TRD-1: 5 of X1 by qty_unique"]


def test_a_doubt_comes_after_a_conflict_and_before_dust() -> None:
    rows = [entry(qty="5.001"), leave(qty="5", minute=10, price="110"), entry("TRD-2", "5")]
    sale = order("X1", "5", 10, trade_id="TRD-1")
    assert MAYBE in World(rows=rows, orders=[sale]).says()
    both = order("X2", "1", 12, trade_id="TRD-1", client_order_id="bytelyst-p1-TRD-2-exit")
    assert "TRD-1: NO_GO attribution_conflict" in World(rows=rows, orders=[sale, both]).says()
    other = World(rows=rows, orders=[order("X1", "5", 10, price="120", trade_id="TRD-1")])
    assert "TRD-1: 0.001 of X1 by trade_id" in other.says()
