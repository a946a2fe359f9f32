"""Replaced orders: what of a chain's quantities is whose, and how bookings run along a chain."""

from decimal import Decimal

from tests.core.test_booked import left
from tests.core.world import World, fill, leave, order


def quantities(**named: str) -> dict[str, Decimal]:
    return {name: Decimal(qty) for name, qty in named.items()}


def chain(a: str, b: str, **facts: object) -> World:
    """B replaced A."""
    return World(orders=[order("A", a, 10), order("B", b, 20, replaces="A")], **facts)


def test_a_replacing_order_that_executed_at_least_as_much_proves_the_excess_only() -> None:
    assert left(chain("0.4", "1")) == quantities(A="0.4", B="0.6")
    assert left(chain("0.4", "0.4")) == quantities(A="0.4")


def test_a_replacing_order_that_executed_less_started_with_none() -> None:
    assert left(chain("0.4", "0.3")) == quantities(A="0.4", B="0.3")


def test_either_order_may_name_the_other() -> None:
    assert left(World(orders=[order("A", "0.4", replaced_by="B"), order("B", "1")])) == quantities(A="0.4", B="0.6")
    both = World(orders=[order("A", "0.4", replaced_by="B"), order("B", "1", replaces="A")])
    assert left(both) == quantities(A="0.4", B="0.6")


def test_what_the_replacing_order_says_wins_over_what_the_replaced_one_says() -> None:
    orders = [order("A", "0.4", replaced_by="C"), order("B", "0.1"), order("C", "1", replaces="B")]
    assert left(World(orders=orders)) == quantities(A="0.4", B="0.1", C="0.9")


def test_fills_tell_what_an_order_executed_itself() -> None:
    assert left(chain("0.4", "1", fills=[fill("F1", "B", "1", 20)])) == quantities(A="0.4", B="1")


def test_a_predecessor_that_is_not_listed_or_of_another_symbol_takes_nothing() -> None:
    assert left(World(orders=[order("B", "1", replaces="A")])) == quantities(B="1")
    assert left(World(orders=[order("A", "0.4", symbol="ETH/USD"), order("B", "1", replaces="A")])) == quantities(B="1")
    assert left(World(orders=[order("A", "0"), order("B", "1", replaces="A")])) == quantities(B="1")


def test_a_longer_chain_carries_from_one_to_the_next() -> None:
    orders = [order("A", "0.2"), order("B", "0.5", replaces="A"), order("C", "0.9", replaces="B")]
    assert left(World(orders=orders)) == quantities(A="0.2", B="0.3", C="0.4")


def test_what_was_booked_of_the_last_order_beyond_its_own_books_its_predecessors() -> None:
    orders = [order("A", "0.2"), order("B", "0.5", replaces="A"), order("C", "0.9", replaces="B")]

    def booked(qty: str) -> dict[str, Decimal]:
        return left(World(rows=[leave(qty=qty, exchange_order_id="C")], orders=orders))

    assert booked("0.4") == quantities(A="0.2", B="0.3")
    assert booked("0.5") == quantities(A="0.2", B="0.2")
    assert booked("0.8") == quantities(A="0.1")
    assert booked("0.9") == {}


def test_what_was_booked_of_the_first_order_beyond_its_own_takes_from_no_later_one() -> None:
    assert left(chain("0.4", "1", rows=[leave(qty="0.9", exchange_order_id="A")])) == quantities(B="0.6")


def test_a_surplus_and_a_booking_of_the_predecessor_add_up() -> None:
    rows = [
        leave(qty="0.7", exchange_order_id="B", order_id="1"),
        leave(qty="0.1", exchange_order_id="A", order_id="2"),
    ]
    assert left(chain("0.4", "1", rows=rows)) == quantities(A="0.2")


def test_circles_prove_nothing_and_end() -> None:
    assert left(World(orders=[order("A", replaces="A")])) == {}
    assert left(World(orders=[order("A", replaces="B"), order("B", replaces="A")])) == {}
    fills = [fill("F1", "A"), fill("F2", "B")]
    circle = World(orders=[order("A", replaces="B"), order("B", replaces="A")], fills=fills)
    assert left(circle) == quantities(A="1", B="1")
