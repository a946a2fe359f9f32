"""What keeps a heal from being made: a row or an order that may be another one's, or that contradicts its twin."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.reconcile.looking import buy, findings, fitted, found, heals, only, refused, tag
from tests.core.world import PARTIAL, World, at, entry, fill, leave, leg, order, reaches, row

from trueup.core.orders import LedgerOrder
from trueup.core.reconcile.comparing import OTHERS_UNLISTED
from trueup.core.reconcile.fitting import Held
from trueup.core.reconcile.table import Do
from trueup.core.snapshot import VenueOrder

HOUR = 60
LISTED = {"closed_orders": reaches(-3 * HOUR)}
"""The venue lists the orders of the last three hours."""

# A client order id that was used again.

OLD = entry("TRD-OLD", minute=-4 * HOUR, order_id="O1", client_order_id="ord-7")
NEW = row("TRD-NEW", "2", 0, status="new", action="ENTRY", order_id="N1", client_order_id="ord-7")
AGAIN = buy("X2", "2", 1, client_order_id="ord-7", price="100")


@pytest.mark.parametrize("qty", ["1", "2"])
@pytest.mark.parametrize("rows", [(OLD, NEW), (OLD,)])
def test_a_row_from_before_what_the_venue_lists_may_be_about_another_order(
    rows: tuple[LedgerOrder, ...], qty: str
) -> None:
    """A bot that counts its orders from one again gives a client order id anew."""
    again = replace(AGAIN, qty=Decimal(qty))
    world = World(rows=rows, orders=[again], coverage=LISTED)
    assert not any(finding.changes for finding in findings(world))
    assert found(world) in ([f"{_rule(world)} -> QUARANTINE: {OTHERS_UNLISTED}"], [])
    if NEW in rows or qty == "2":
        assert found(world), "only a row that agrees says nothing"


def _rule(world: World) -> str:
    return next((finding.rule.name for finding in findings(world)), "")


def test_a_row_that_the_venue_still_reaches_is_about_its_order() -> None:
    young = replace(OLD, time_ms=at(-2), order_ms=at(-2))
    assert found(World(rows=[young], orders=[AGAIN], coverage=LISTED)) == ["difference"]
    assert found(World(rows=[young, NEW], orders=[AGAIN], coverage=LISTED)) == ["filled_at_venue"]
    told = World(rows=[young, NEW], orders=[replace(AGAIN, qty=Decimal(1))], coverage=LISTED)
    assert found(told) == ["not_found"], "the older row accounts for the order, and the newer one is asked for"
    named = replace(OLD, exchange_order_id="X2", client_order_id=None)
    assert found(World(rows=[named], orders=[AGAIN], coverage=LISTED)) == ["difference"]


def test_a_partly_filled_row_is_about_the_order_that_still_works() -> None:
    """However old it is: an order lives as long as it is not filled, and the venue lists it."""
    live = replace(OLD, word="partially_filled")
    assert found(World(rows=[live], orders=[AGAIN], coverage=LISTED)) == ["filled_at_venue"]


# Rows that contradict their order.


def test_a_row_that_trades_against_its_order_is_for_a_person() -> None:
    for action in ("ENTRY", None):
        world = World(rows=[entry(action=action, exchange_order_id="X1")], orders=[order("X1")])
        assert found(world) == ["other_side"]
        assert only(world).do is Do.QUARANTINE
    agreed = World(rows=[entry(exchange_order_id="X1")], orders=[buy("X1", price="100")])
    assert found(agreed) == []


def test_an_exit_may_have_the_side_of_its_position() -> None:
    rows = [entry(exchange_order_id="X1"), leave(side="buy", exchange_order_id="X2")]
    world = World(rows=rows, orders=[buy("X1", price="100", minute=0), order("X2", minute=1, price="100")])
    assert found(world) == []
    silent = [rows[0], leave(side="buy", action=None, exchange_order_id="X2")]
    assert found(world.having(rows=silent)) == ["other_side"], "it reads as a second entry"


def test_an_order_that_names_another_profile_is_for_a_person() -> None:
    mine = row("TRD-2", None, 1, status="new", action="ENTRY", exchange_order_id="X1", profile_id="p2")
    world = World(rows=[mine], orders=[buy(client_order_id=tag("TRD-1"))])
    assert found(world) == ["order_unclear"]
    assert only(world).why == "its tag names profile p1, and the ledger books it under another one"
    assert found(world.having(orders=[buy(client_order_id=tag("TRD-2", "p2"))])) == ["filled_at_venue"]
    assert found(world.having(orders=[buy(client_order_id=tag("TRD-1", "p9"))])) == ["filled_at_venue"]
    both = buy(client_order_id=tag("TRD-1"), sub_tag="bytelyst:p2:TRD-2")
    assert found(world.having(orders=[both])) == ["filled_at_venue"], "who is meant is not said"


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"side": "BUY_LIMIT"}, "side"),
        ({"side": None}, "side"),
        ({"timestamp": "soon"}, "time"),
        ({"action": "OPEN"}, "action"),
    ],
)
@pytest.mark.parametrize("status", ["new", "canceled"])
def test_a_row_that_could_not_be_read_once_it_is_filled_is_left_alone(
    columns: dict[str, object], what: str, status: str
) -> None:
    """And only that one: the other heals of its profile are made."""
    odd = row("TRD-1", None, 1, **{"status": status, "action": "ENTRY", "exchange_order_id": "X1"} | columns)
    well = row("TRD-2", None, 1, status="new", action="ENTRY", exchange_order_id="X2", symbol="ETH/USD")
    world = World(
        rows=[odd, well], orders=[buy("X1"), buy("X2", symbol="ETH/USD")], legs=[leg("1"), leg("1", "ETH/USD")]
    )
    assert refused(world.having(rows=[odd], orders=[buy("X1")])).startswith(f"its {what} in the ledger cannot be read")
    assert heals(world) == ["TRD-2: filled_at_venue"]


def test_a_row_whose_action_is_blank_can_be_read_as_one_without() -> None:
    blank = row("TRD-1", None, 1, status="new", action=" ", exchange_order_id="X1")
    assert heals(World(rows=[blank], orders=[buy("X1")], legs=[leg("1")])) == ["TRD-1: filled_at_venue"]


# Orders of which a part alone is known.


def test_fills_that_begin_after_the_row_do_not_say_what_an_order_executed() -> None:
    part = fill("F2", "X1", "0.7", side="buy", price="200")
    mine = entry(qty="0.3", minute=-10 * HOUR, status="partially_filled", exchange_order_id="X1")
    world = World(rows=[mine], fills=[part], coverage={"fills": reaches(-3 * HOUR)})
    assert found(world) == ["executed_unknown"]
    assert only(world).do is Do.UNRESOLVED
    assert found(world.having(coverage={"fills": PARTIAL})) == ["executed_unknown"]
    assert found(world.having(rows=[replace(mine, word="filled")])) == ["executed_unknown"]
    assert found(world.having(coverage={"fills": reaches(-10 * HOUR - 5)})) == ["partial_fill"]
    assert found(world.having(coverage={"fills": reaches(-10 * HOUR - 4.99)})) == ["executed_unknown"]
    unbooked = replace(row("TRD-1", None, -10 * HOUR, status="new", action="ENTRY", exchange_order_id="X1"))
    assert found(world.having(rows=[unbooked])) == ["partial_fill"], "so much it executed, at least"
    listed = buy("X1", "1", working=True, status="partially_filled")
    whole = world.having(orders=[listed], fills=[])
    assert found(whole) == ["partial_fill"]


def test_an_order_without_a_row_may_be_the_entry_of_a_bot_that_names_nothing() -> None:
    """Its exit's row alone looks like the entry."""
    mute = row("TRD-1", "0.15", 5, side="sell", exchange_order_id="X2")
    out = order("X2", "0.3", 5)
    why = "neither the row nor its order's tag says whether it enters or leaves its trade"
    lost = buy("X1", "0.3", 4)
    assert [f.why for f in findings(World(rows=[mute], orders=[lost, out])) if f.rule.name == "difference"] == [why]
    for other in (buy("X1", "0.3", 6), order("X1", "0.3", 4), buy("X1", "0.3", 4, symbol="ETH/USD"), buy("X1", "0", 4)):
        world = World(rows=[mute], orders=[other, out])
        assert [f.do for f in findings(world) if f.rule.name == "difference"] == [Do.BOOK_DIFFERENCE]
    booked = World(rows=[mute, entry("TRD-2", "0.3", exchange_order_id="X1")], orders=[lost, out])
    assert [f.do for f in findings(booked) if f.rule.name == "difference"] == [Do.BOOK_DIFFERENCE]


# Imports whose entry is inferred.


def bare(name: str, side: str, trade: str, minute: float = 10) -> VenueOrder:
    return order(name, "1", minute, side=side, client_order_id=tag(trade))


def test_the_first_order_of_a_trade_enters_it_only_where_the_venue_lists_all_before_it() -> None:
    world = World(orders=[bare("X1", "buy", "TRD-9")], legs=[leg("1")])
    assert found(world) == ["import"]
    for coverage in (PARTIAL, reaches(5.01)):
        unknown = world.having(coverage={"closed_orders": coverage})
        assert found(unknown) == ["import_unknown"]
        assert only(unknown).do is Do.UNRESOLVED
    assert found(world.having(coverage={"closed_orders": reaches(5)})) == ["import"]
    named = replace(world.orders[0], client_order_id=tag("TRD-9", ending="-entry"))
    assert found(world.having(orders=[named], coverage={"closed_orders": PARTIAL})) == ["import"]


def test_inferred_entries_do_not_make_up_for_each_other() -> None:
    """One of them is an exit whose entry the venue lists no more: only what leads to the venue's position is booked."""
    both = World(orders=[bare("X1", "sell", "TRD-1"), bare("X5", "buy", "TRD-5")], legs=[leg("1")])
    assert heals(both) == ["TRD-5: import", "TRD-1: import held, OVERSHOOT"]
    flat = both.having(legs=[leg("0")])
    assert heals(flat) == ["TRD-1: import held, OVERSHOOT", "TRD-5: import held, OVERSHOOT"]
    named = [replace(each, client_order_id=f"{each.client_order_id}-entry") for each in both.orders]
    assert heals(flat.having(orders=named)) == ["TRD-1: import", "TRD-5: import"]


def test_an_inferred_entry_counts_from_where_the_certain_heals_end() -> None:
    rows = [entry(minute=1), row("TRD-1", None, 2, status="new", side="sell", action="EXIT", exchange_order_id="X1")]
    world = World(rows=rows, orders=[order("X1"), bare("X5", "buy", "TRD-5")], legs=[leg("1")])
    assert heals(world) == ["TRD-1: filled_at_venue", "TRD-5: import"]


# Rows that cannot be told from each other.


def test_rows_of_one_id_are_left_alone() -> None:
    """Where a table has them, by order and symbol, a change would meet both."""
    twins = [
        row(trade, None, 1, status="new", action="ENTRY", order_id="5", client_order_id=tag(trade), symbol=symbol)
        for trade, symbol in (("TRD-1", "BTC/USD"), ("TRD-2", "ETH/USD"))
    ]
    orders = [
        buy("5", client_order_id=tag("TRD-1")), buy("5", client_order_id=tag("TRD-2"), symbol="ETH/USD")
    ]  # fmt: skip
    world = World(rows=twins, orders=orders, legs=[leg("1"), leg("1", "ETH/USD")])
    assert [(reason, why) for _, reason, why in fitted(world).held] == [
        (Held.NOT_UNIQUE, "two of its rows have the id 5")
    ] * 2
    assert not fitted(world).healing
    other = world.having(rows=[twins[0], replace(twins[1], profile_id="p2")])
    assert not any(reason is Held.NOT_UNIQUE for _, reason, _ in fitted(other).held)


def test_a_row_without_an_id_is_left_alone() -> None:
    world = World(
        rows=[row("TRD-1", None, 1, status="new", action="ENTRY", order_id="", client_order_id="c1")],
        orders=[buy(client_order_id="c1")], legs=[leg("1")],
    )  # fmt: skip
    assert [(reason, why) for _, reason, why in fitted(world).held] == [(Held.NOT_UNIQUE, "a row has no id")]


def test_fees_of_trades_that_are_over_let_nothing_pass() -> None:
    """What forty round trips cost is no part of any position."""
    old = [buy(f"B{n}", "10", n, fee="0.01", fee_asset="BTC", price="100") for n in range(40)]
    closed = [entry(f"TRD-{n}", "10", n, exchange_order_id=f"B{n}") for n in range(40)]
    closed += [leave(f"TRD-{n}", "10", n + 0.5, exchange_order_id=f"S{n}") for n in range(40)]
    sold = [order(f"S{n}", "10", n + 0.5, price="100") for n in range(40)]
    missed = row("TRD-50", None, 60, status="new", action="ENTRY", exchange_order_id="X1")
    world = World(rows=[*closed, missed], orders=[*old, *sold, buy("X1", "0.4", 60, fee="0.001", fee_asset="BTC")])
    assert heals(world.having(legs=[leg("0")])) == ["TRD-50: filled_at_venue held, OVERSHOOT"]
    assert heals(world.having(legs=[leg("0.399")])) == ["TRD-50: filled_at_venue"]
