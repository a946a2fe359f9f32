"""Replaced orders: what of a chain's quantities is whose, and how bookings run along a chain."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.test_booked import left
from tests.core.world import World, entry, fill, leave, order

from trueup.core.repair.booked import UNREADABLE, BookedIndex
from trueup.core.repair.chains import Chains
from trueup.core.repair.evidence import evidence_of
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.snapshot import VenueOrder
from trueup.core.symbols import Symbols


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


UNCLEAR = "its chain of replaced orders cannot be told"


def unclear(world: World) -> list[str]:
    """The orders that are set aside because of their chain."""
    book = world.plan().evidence
    assert {conflict.symbol for conflict in book.conflicts} <= {"BTC/USD"}
    assert {conflict.why for conflict in book.conflicts} <= {UNCLEAR}
    return [conflict.exchange_order_id for conflict in book.conflicts]


@pytest.mark.parametrize(
    "links",
    [
        {"A": {"replaced_by": "C"}, "B": {}, "C": {"replaces": "B"}},
        {"A": {"replaced_by": "C"}, "B": {"replaced_by": "C"}, "C": {}},
        {"A": {}, "B": {"replaces": "A"}, "C": {"replaces": "A"}},
        {"A": {"replaced_by": "B"}, "B": {}, "C": {"replaces": "A"}},
    ],
)
def test_two_heirs_and_two_ancestors_set_all_of_them_aside(links: dict[str, dict[str, str]]) -> None:
    world = World(orders=[order(name, "0.4", **link) for name, link in links.items()])
    assert (left(world), unclear(world)) == ({}, ["A", "B", "C"])


def test_what_hangs_on_an_unclear_order_is_set_aside_and_what_it_hangs_on_is_not() -> None:
    heirs = [order("A", "0.1"), order("B", "0.2", replaces="A"), order("C", "0.4", replaces="B")]
    heirs += [order("D", "0.4", replaces="B"), order("E", "0.5", replaces="D"), order("Z", "0.7")]
    world = World(orders=heirs)
    assert (left(world), unclear(world)) == (quantities(A="0.1", Z="0.7"), ["B", "C", "D", "E"])


def test_an_order_that_hangs_on_one_that_is_set_aside_is_set_aside_too() -> None:
    twice = [order("A", "0.1"), order("A", "0.2"), order("B", "0.5", replaces="A"), order("C", "1", replaces="B")]
    book = World(orders=twice).plan().evidence
    assert (book.rows, [(c.exchange_order_id, c.why) for c in book.conflicts]) == (
        {},
        [("A", "the venue lists this order twice, differently"), ("B", UNCLEAR), ("C", UNCLEAR)],
    )


def test_fills_prove_what_an_order_executed_whatever_its_chain() -> None:
    orders = [order("A", "0.4"), order("B", "0.4", replaces="A"), order("C", "0.4", replaces="A")]
    world = World(orders=orders, fills=[fill("F1", "B", "0.4", 20)])
    assert (left(world), unclear(world)) == (quantities(B="0.4"), ["A", "C"])


def test_the_same_link_said_twice_is_one_link_and_links_are_of_one_symbol() -> None:
    listed_twice = [order("A", "0.4", replaced_by="B"), order("B", "1", replaces="A"), order("B", "1", replaces="A")]
    assert unclear(World(orders=listed_twice)) == []
    others = [order("A", "0", symbol="ETH/USD"), order("C", "1", replaces="A", symbol="ETH/USD")]
    world = World(orders=[*listed_twice, *others])
    assert (unclear(world), left(world), left(world, "ETHUSD")) == ([], quantities(A="0.4", B="0.6"), quantities(C="1"))


def test_links_of_every_listing_count() -> None:
    orders = [order("A", "0.4"), order("B", "1", replaces="A"), order("B", "1", replaces="X")]
    book = World(orders=orders).plan().evidence
    assert [c.exchange_order_id for c in book.conflicts] == ["A", "B"]


def test_chains() -> None:
    orders = [order("A", replaced_by="B"), order("B"), order("C", replaces="B"), order("D", symbol="ETH/USD")]
    chains = Chains(orders, Symbols())
    a, b, c = (("BTCUSD", name) for name in "ABC")
    assert (chains.before, chains.after, chains.unclear) == ({b: a, c: b}, {a: b, b: c}, set())
    assert chains.depending_on([a]) == {b, c}
    assert chains.depending_on([b, a]) == {b, c}
    assert chains.depending_on([c, ("BTCUSD", "D")]) == set()
    circle = Chains([order("A", replaces="B"), order("B", replaces="A")], Symbols())
    assert circle.depending_on([a]) == {a, b}


def test_the_link_of_several_that_counts_is_the_first_by_name() -> None:
    links = Chains([order("A", replaced_by="C"), order("A", replaced_by="B"), order("X", replaced_by="C")], Symbols())
    assert links.after["BTCUSD", "A"] == ("BTCUSD", "B")
    assert links.before["BTCUSD", "C"] == ("BTCUSD", "A")


def test_fills_tell_what_an_order_executed_itself() -> None:
    assert left(chain("0.4", "1", fills=[fill("F1", "B", "1", 20)])) == quantities(A="0.4", B="1")


def test_a_predecessor_that_executed_nothing_takes_nothing() -> None:
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


def test_an_order_that_replaced_one_which_is_not_listed_may_carry_forward_what_nobody_knows() -> None:
    forgotten = World(orders=[order("B", "1", 20, replaces="A"), order("C", "1.5", 30, replaces="B"), order("Z")])
    assert (left(forgotten), unclear(forgotten)) == (quantities(Z="1"), ["B", "C"])
    elsewhere = World(orders=[order("A", "0.4", symbol="ETH/USD"), order("B", "1", replaces="A")])
    assert (left(elsewhere), unclear(elsewhere)) == ({}, ["B"])
    executed_nothing = World(orders=[order("B", "0", replaces="A")])
    assert (left(executed_nothing), unclear(executed_nothing)) == ({}, [])
    assert left(forgotten.having(fills=[fill("F1", "B", "0.3", 20)])) == quantities(B="0.3", Z="1")


@pytest.mark.parametrize("depth", ["X3", "X2", "X1"])
def test_a_chain_whose_beginning_the_venue_has_forgotten_is_not_booked_again(depth: str) -> None:
    rows = [entry(qty="2"), *(leave(qty="0.3", minute=n, exchange_order_id=f"X{n}") for n in (1, 2, 3))]
    world = World(rows=rows, orders=[order("X3", "0.9", trade_id="TRD-1", replaces="X2")])
    assert world.booked() == []
    assert world.having(rows=[rows[0], *(row for row in rows if row.exchange_order_id == depth)]).booked() == []


HEIRLESS = order("X1", "0.4", 10, trade_id="TRD-1", replaced_by="X2", status="replaced")


@pytest.mark.parametrize(
    "heirs", [(), (order("X2", "1", 12, replaces="X1"), order("X2", "0.9", 12, replaces="X1")), (order("X2", "0"),)]
)
def test_what_was_booked_under_an_heir_that_shows_no_execution_books_its_predecessor(
    heirs: Sequence[VenueOrder],
) -> None:
    world = World(rows=[entry(qty="2"), leave(exchange_order_id="X2")], orders=[HEIRLESS, *heirs])
    assert left(world) == {}
    assert left(world.having(rows=[leave(qty="0.1", exchange_order_id="X2")])) == quantities(X1="0.3")
    by_client = [leave(client_order_id="c-2")]
    named = [replace(heir, client_order_id="c-2") for heir in heirs]
    assert left(world.having(rows=by_client, orders=[HEIRLESS, *named])) == ({} if heirs else quantities(X1="0.4"))


def test_a_chain_runs_through_an_order_that_the_venue_does_not_list() -> None:
    world = World(orders=[HEIRLESS, order("X3", "1", 20, replaces="X2")])
    assert (left(world), unclear(world)) == (quantities(X1="0.4", X3="0.6"), [])
    assert left(world.having(rows=[leave(qty="0.3", exchange_order_id="X2")])) == quantities(X1="0.1", X3="0.3")
    assert left(world.having(rows=[leave(qty="0.7", exchange_order_id="X3")])) == quantities(X1="0.3")
    assert left(world.having(rows=[leave(qty="1.1", exchange_order_id="X3")])) == {}


@pytest.mark.parametrize("named", ["X2", "X3"])
def test_a_booking_that_cannot_be_read_leaves_the_orders_before_it_unknown(named: str) -> None:
    world = World(rows=[leave(qty="abc", exchange_order_id=named)])
    orders = [HEIRLESS, order("X3", "1", 20, replaces="X2"), order("X4", "1.2", 30, replaces="X3")]
    for listed in (orders, [*orders, order("X2", "0.4", 15)]):
        book = world.having(orders=listed).plan().evidence
        assert [(c.exchange_order_id, c.why) for c in book.conflicts if c.exchange_order_id == "X1"] == [
            ("X1", UNREADABLE)
        ]
        assert [found.exchange_order_id for found in book.rows["BTCUSD"]] == (
            ["X4"] if len(listed) == 3 or named == "X3" else ["X3", "X4"]
        )


def test_what_a_replacing_order_filled_is_its_own_executions() -> None:
    found = evidence_of(chain("0.4", "1").snapshot, BookedIndex(), BackfillPolicy()).rows["BTCUSD"]
    assert [(row.filled, row.qty) for row in found] == [(Decimal("0.4"),) * 2, (Decimal("0.6"),) * 2]


def test_an_heir_that_is_listed_twice_under_two_client_ids_reads_the_same_in_any_order() -> None:
    twice = [order("X2", "1", client_order_id=name) for name in ("c-1", "c-2")]
    world = World(rows=[leave(client_order_id="c-1")])
    assert left(world.having(orders=[HEIRLESS, *twice])) == left(world.having(orders=[HEIRLESS, *reversed(twice)]))
