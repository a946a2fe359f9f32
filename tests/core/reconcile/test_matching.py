"""Which rows of the ledger are about which order of the venue, and what of the venue's orders cannot be told."""

from decimal import Decimal

import pytest
from tests.core.reconcile.looking import buy, chain, chains, doubts, found, matched, pairs, tag
from tests.core.world import World, at, entry, fill, order, row

from trueup.core.orders import Side
from trueup.core.reconcile.matching import Chain, Standing, standing_of

TOLD = "its chain of replaced orders cannot be told"
NAMED_TWICE = "a row of it names another order of the venue as well"


def alone(world: World) -> list[str]:
    return [pair.rows[0].order_id for pair in matched(world).alone]


def test_a_row_is_about_the_order_that_its_exchange_order_id_names() -> None:
    world = World(
        rows=[entry(order_id="A", exchange_order_id="X1"), entry(order_id="B", exchange_order_id="X2")],
        orders=[buy("X1"), buy("X2"), buy("X3")],
    )
    assert pairs(world) == {"X1": ["A"], "X2": ["B"], "X3": []}
    assert alone(world) == []
    assert alone(world.having(orders=[])) == ["A", "B"]


def test_ids_are_compared_exactly() -> None:
    assert pairs(World(rows=[entry(exchange_order_id="x1")], orders=[buy("X1")])) == {"X1": []}


def test_a_row_may_have_the_venues_id_for_its_own() -> None:
    assert pairs(World(rows=[entry(order_id="X1")], orders=[buy("X1")])) == {"X1": ["X1"]}


def test_a_client_order_id_speaks_where_a_row_has_no_exchange_order_id() -> None:
    orders = [buy("X1", client_order_id="c1")]
    assert pairs(World(rows=[entry(order_id="A", client_order_id="c1")], orders=orders)) == {"X1": ["A"]}
    other = entry(order_id="A", client_order_id="c1", exchange_order_id="X9")
    assert pairs(World(rows=[other], orders=orders)) == {"X1": []}
    assert pairs(World(rows=[entry(client_order_id="")], orders=[buy("X1", client_order_id="")])) == {"X1": []}


def test_client_order_ids_of_our_grammar_are_compared_in_any_case_others_are_not() -> None:
    ours, theirs = tag("TRD-1"), tag("TRD-1").upper()
    assert pairs(World(rows=[entry(order_id="A", client_order_id=theirs)], orders=[buy(client_order_id=ours)])) == {
        "X1": ["A"]
    }
    assert pairs(World(rows=[entry(order_id="A", client_order_id="ABC")], orders=[buy(client_order_id="abc")])) == {
        "X1": []
    }


def test_a_row_may_name_any_order_of_a_chain_by_either_id() -> None:
    links = [
        buy("X1", "0", status="replaced", replaced_by="X2", client_order_id="c1"),
        buy("X2", replaces="X1", client_order_id="c2"),
    ]
    rows = [
        entry(order_id="A", exchange_order_id="X1"), entry(order_id="B", client_order_id="c1", minute=1),
        entry(order_id="C", exchange_order_id="X2", minute=2), entry(order_id="D", client_order_id="c2", minute=3),
    ]  # fmt: skip
    assert pairs(World(rows=rows, orders=links)) == {"X2": ["A", "B", "C", "D"]}
    assert doubts(World(rows=rows, orders=links)) == {}


def test_rows_stand_in_the_order_of_time_and_id_whatever_order_they_come_in() -> None:
    rows = [
        entry(order_id=name, minute=minute, exchange_order_id="X1") for name, minute in (("B", 1), ("A", 1), ("C", 0))
    ]
    assert pairs(World(rows=rows, orders=[buy("X1")])) == {"X1": ["C", "A", "B"]}
    dead = row("TRD-1", None, 5, status="canceled", order_id="0", exchange_order_id="X1")
    assert pairs(World(rows=[dead, *rows], orders=[buy("X1")])) == {"X1": ["C", "A", "B", "0"]}


def test_an_order_of_another_symbol_is_another_order() -> None:
    world = World(rows=[entry(order_id="A", exchange_order_id="X1", symbol="ETH/USD")], orders=[buy("X1")])
    assert pairs(world) == {"X1": []}
    assert alone(world) == ["A"]
    assert pairs(World(rows=[entry(order_id="A", exchange_order_id="X1", symbol="btc-usd")], orders=[buy("X1")])) == {
        "X1": ["A"]
    }


def test_a_row_whose_symbol_may_mean_the_orders_leaves_it_in_doubt() -> None:
    rows = [entry(order_id="A", exchange_order_id="X1", symbol="BTCUSDT")]
    world = World(rows=rows, orders=[buy("X1", symbol="BTC/USDT:USDT")])
    assert pairs(world) == {"X1": ["A"]}
    assert doubts(world) == {"X1": "the ledger books it under BTCUSDT, which may mean BTC/USDT:USDT"}
    assert found(world) == ["order_unclear"]


def test_a_row_without_a_symbol_leaves_its_order_in_doubt() -> None:
    rows = [entry(order_id="A", exchange_order_id="X1", symbol=None), entry(order_id="B", exchange_order_id="X1")]
    world = World(rows=rows, orders=[buy("X1"), buy("X2")])
    assert pairs(world) == {"X1": ["A", "B"], "X2": []}
    assert doubts(world) == {"X1": "a row about it has no symbol"}


def test_a_row_that_claims_two_orders_leaves_both_in_doubt() -> None:
    world = World(rows=[entry(order_id="X1", exchange_order_id="X2")], orders=[buy("X1"), buy("X2"), buy("X3")])
    assert doubts(world) == {"X1": NAMED_TWICE, "X2": NAMED_TWICE}
    assert alone(world) == []
    again = World(rows=[entry(client_order_id="c")], orders=[buy(n, client_order_id="c") for n in ("X1", "X2")])
    assert doubts(again) == {"X1": NAMED_TWICE, "X2": NAMED_TWICE}


def test_a_row_that_has_the_venues_id_for_its_own_is_not_claimed_by_its_client_order_id_too() -> None:
    """A bot may give the entry and the exit of a trade the same client order id."""
    orders = [buy("X1", client_order_id="c"), order("X2", client_order_id="c")]
    rows = [entry(order_id="X1", client_order_id="c"), entry(order_id="X2", client_order_id="c", minute=1)]
    assert pairs(World(rows=rows, orders=orders)) == {"X1": ["X1"], "X2": ["X2"]}
    assert doubts(World(rows=rows, orders=orders)) == {}
    elsewhere = [entry(order_id="X2", client_order_id="c", symbol="ETH/USD")]
    world = World(rows=elsewhere, orders=[buy("X1", client_order_id="c", symbol="ETH/USD"), buy("X2")])
    assert pairs(world) == {"X2": [], "X1": ["X2"]}


def test_a_working_row_is_not_ended_by_an_order_whose_client_order_id_it_shares() -> None:
    """The order of the working row is not listed yet, and another order of the trade has the same client order id."""
    rows = [
        entry(order_id="X1", client_order_id="c"),
        row(None, "1", 1, order_id="X2", status="new", client_order_id="c"),
    ]
    world = World(rows=rows, orders=[buy("X1", client_order_id="c")])
    assert found(world) == ["order_unclear"]
    assert "may be another order's" in doubts(world)["X1"]
    ours = [leave_of("BFILL-1"), rows[1]]
    assert doubts(world.having(rows=ours)) == {}
    filled = [rows[0], entry(order_id="X2", client_order_id="c", minute=1)]
    assert doubts(world.having(rows=filled)) == {}


def leave_of(name: str) -> object:
    return entry(order_id=name, exchange_order_id="X1", client_order_id="c")


def test_what_pairs_book_is_the_sum_of_the_rows_that_can_be_read() -> None:
    rows = [
        entry(qty="0.4", order_id="A", exchange_order_id="X1"),
        entry(qty="0.3", minute=1, order_id="B", exchange_order_id="X1", status="partially_filled"),
        entry(qty="2", quantity="3", minute=2, order_id="C", exchange_order_id="X1"),
        row("TRD-1", "9", 3, status="new", order_id="D", exchange_order_id="X1"),
        row("TRD-1", "9", 4, status="canceled", order_id="E", exchange_order_id="X1"),
    ]
    [pair] = matched(World(rows=rows, orders=[buy("X1")])).pairs
    assert pair.booked == Decimal("0.7")
    assert [r.order_id for r in pair.filled_rows] == ["A", "B"]
    assert len(pair.rows) == 5


# Chains.


def ids(world: World) -> list[tuple[str, ...]]:
    return [each.ids for each in chains(world)]


def linked(*names: str, qty: str = "0", last: str = "1") -> list[object]:
    """A chain of replaced orders, the last of which is filled."""
    orders = []
    for n, name in enumerate(names):
        end = n == len(names) - 1
        said = {"replaces": names[n - 1] if n else None, "replaced_by": None if end else names[n + 1]}
        orders.append(buy(name, last if end else qty, n, status="filled" if end else "replaced", **said))
    return orders


def test_a_chain_is_one_order_whatever_the_order_of_its_listing() -> None:
    links = linked("Z", "A", "M")
    for listed in (links, links[::-1]):
        found = chain(*listed)
        assert found.ids == ("Z", "A", "M")
        assert [each.id for each in found.orders] == ["Z", "A", "M"]
        assert (found.newest_id, found.executed, found.standing, found.doubt) == ("M", 1, Standing.FILLED, None)


def test_what_a_chain_executed_is_the_sum_over_it_less_what_is_carried_forward() -> None:
    assert chain(*linked("A", "B", qty="0.4", last="1")).executed == 1
    assert chain(*linked("A", "B", qty="0.4", last="0.3")).executed == Decimal("0.7")


def test_a_chain_whose_successor_is_not_listed_is_replaced() -> None:
    found = chain(*linked("A", "B", "C")[:2])
    assert (found.ids, found.newest_id, found.standing, found.doubt) == (("A", "B", "C"), "C", Standing.REPLACED, None)


def test_a_chain_with_a_member_in_the_middle_that_is_not_listed_holds_together() -> None:
    first, _, last = linked("A", "B", "C")
    last = buy("C", "1", 2, replaces="B")
    found = chain(first, last)
    assert (found.ids, found.executed, found.doubt) == (("A", "B", "C"), 1, None)


def test_a_chain_that_begins_with_an_order_that_is_not_listed_is_in_doubt() -> None:
    found = chain(buy("B", "0", status="canceled", replaces="A"))
    assert found.doubt == "the chain begins with an order that the venue does not list"
    assert chain(buy("B", "1", replaces="A")).doubt is not None


def test_two_heirs_leave_every_order_of_the_tangle_in_doubt_each_in_one_chain() -> None:
    orders = [
        buy("A", "0", status="replaced"), buy("B", "0", 11, replaces="A"), buy("C", "1", 12, replaces="A"),
        buy("D", "0", 13, replaces="C"), buy("E", "1", 14),
    ]  # fmt: skip
    world = World(rows=[entry(exchange_order_id="C")], orders=orders)
    listed = [name for names in ids(world) for name in names]
    assert sorted(listed) == ["A", "B", "C", "D", "E"]
    assert {n for each in chains(world) if each.doubt for n in each.ids} == {"A", "B", "C", "D"}
    assert alone(world) == []


def test_two_ancestors_leave_every_order_of_the_tangle_in_doubt() -> None:
    world = World(orders=[buy("A", "0", replaced_by="C"), buy("B", "0", 11, replaced_by="C"), buy("C", "1", 12)])
    assert {name for each in chains(world) for name in each.ids} == {"A", "B", "C"}
    assert all(each.doubt for each in chains(world))


@pytest.mark.parametrize("names", ["A", "AB", "ABC"])
def test_a_ring_is_in_doubt(names: str) -> None:
    orders = [buy(name, "1", n, replaces=names[n - 1]) for n, name in enumerate(names)]
    [ring] = chains(World(orders=orders))
    assert sorted(ring.ids) == list(names)
    assert ring.doubt == TOLD
    assert found(World(orders=orders)) == ["order_unclear"]


def test_chains_of_one_id_in_two_symbols_are_two_orders() -> None:
    world = World(orders=[buy("X1"), buy("X1", symbol="ETH/USD")])
    assert [(each.token, each.symbol) for each in chains(world)] == [("BTCUSD", "BTC/USD"), ("ETHUSD", "ETH/USD")]


def test_an_order_listed_twice_differently_is_in_doubt() -> None:
    [each] = chains(World(orders=[buy("X1", "1"), buy("X1", "2")]))
    assert each.doubt == "the venue lists this order twice, differently"
    assert chain(buy("X1", "1"), buy("X1", "1")).doubt is None


# What an order says.


def test_an_order_of_which_only_fills_are_known_is_of_unknown_standing() -> None:
    only_fills = World(fills=[fill("F1", "X1", "0.4", 10), fill("F2", "X1", "0.2", 12, price="120")])
    [each] = chains(only_fills)
    assert (each.ids, each.orders, each.standing, each.venue_status) == (("X1",), (), Standing.UNKNOWN, None)
    assert (each.executed, each.side, each.time_ms) == (Decimal("0.6"), Side.SELL, at(12))
    assert each.price == (Decimal("0.4") * 110 + Decimal("0.2") * 120) / Decimal("0.6")
    assert (each.price_source, each.symbol, each.token) == ("fills", "BTC/USD", "BTCUSD")


def test_the_price_of_a_chain_is_the_average_of_its_parts_or_none() -> None:
    links = [
        buy("A", "1", 1, status="replaced", replaced_by="B", price="100"),
        buy("B", "0.5", 2, replaces="A", price="130"),
    ]
    found = chain(*links)
    assert found.price == (100 + Decimal("0.5") * 130) / Decimal("1.5")
    assert (found.price_source, found.time_ms) == ("order", at(2))
    unknown = chain(links[0], buy("B", "0.5", 2, replaces="A", price=None))
    assert (unknown.executed, unknown.price, unknown.price_source) == (Decimal("1.5"), None, "none")
    mixed = chain(links[0], buy("B", "0.5", 2, replaces="A", price_source="limit"))
    assert (mixed.price, mixed.price_source) == ((100 + Decimal("0.5") * 110) / Decimal("1.5"), "none")
    nothing = chain(buy("A", "0", status="canceled"))
    assert (nothing.executed, nothing.price, nothing.time_ms) == (0, None, at(10))


def test_a_chain_has_a_side_only_where_its_orders_agree() -> None:
    assert chain(buy("A", "0")).side is Side.BUY
    assert chain(buy("A", "0", replaced_by="B"), order("B", side="sell", replaces="A")).side is None


def test_what_a_chain_says_of_a_tag_is_the_newest_that_says_it() -> None:
    links = [
        buy("A", "0", client_order_id="c1", sub_tag="s1", status="replaced", replaced_by="B"),
        buy("B", client_order_id="c2", replaces="A"),
    ]
    found = chain(*links)
    assert (found.said("client_order_id"), found.said("sub_tag"), found.said("trade_id")) == ("c2", "s1", None)
    assert found.venue_status == "filled"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"status": "filled"}, Standing.FILLED),
        ({"status": "Filled", "working": True}, Standing.WORKING),
        ({"status": "partially_filled"}, Standing.UNKNOWN),
        ({"status": "PARTIALLY-FILLED", "working": True}, Standing.WORKING),
        ({"status": "new"}, Standing.WORKING),
        ({"status": "pending cancel"}, Standing.WORKING),
        ({"status": "canceled"}, Standing.DEAD),
        ({"status": "Cancelled"}, Standing.DEAD),
        ({"status": "expired"}, Standing.DEAD),
        ({"status": "rejected"}, Standing.DEAD),
        ({"status": "failed"}, Standing.DEAD),
        ({"status": "replaced"}, Standing.REPLACED),
        ({"status": "canceled", "replaced_by": "Y"}, Standing.REPLACED),
        ({"status": "replaced", "working": True}, Standing.WORKING),
        ({"status": "calculated"}, Standing.UNKNOWN),
        ({"status": ""}, Standing.UNKNOWN),
    ],
)
def test_how_an_order_stands(said: dict[str, object], expected: Standing) -> None:
    assert standing_of(buy(**said)) is expected


def test_a_chain_of_nothing_says_nothing() -> None:
    empty = Chain("BTCUSD", "BTC/USD", ("X1",))
    assert (empty.executed, empty.side, empty.time_ms, empty.price, empty.venue_status) == (0, None, 0, None, None)
    assert empty.standing is Standing.UNKNOWN
