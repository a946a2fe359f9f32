"""Which heals may be made: on worked examples, and invariants 3, 4 and 5 on random worlds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.reconcile.looking import (
    added,
    buy,
    findings,
    fit_facts,
    fitted,
    heals,
    only,
    tag,
)
from tests.core.world import FAILED, PARTIAL, World, at, entry, fill, leave, leg, order, row, short

from trueup.core.decimals import NOTHING, exactly
from trueup.core.holdings import Holdings
from trueup.core.orders import LedgerOrder, Side, StatusClass
from trueup.core.reconcile.changes import NewRow, RowChange
from trueup.core.reconcile.fitting import Held, after_change, blocked, fit
from trueup.core.reconcile.table import Do
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.snapshot import EventKind, VenueEvent

EACH_FEED = pytest.mark.parametrize("coverage", [PARTIAL, FAILED, None])


def waiting(trade: str = "TRD-1", of: str = "X1", **columns: object) -> LedgerOrder:
    """An entry order of the bot that it takes for working."""
    said = {"status": "new", "action": "ENTRY", "order_id": f"{trade}/{of}", "exchange_order_id": of}
    return row(trade, None, 1, **said | columns)


def closing(trade: str = "TRD-1", of: str = "X1", **columns: object) -> LedgerOrder:
    return waiting(trade, of, **{"side": "sell", "action": "EXIT"} | columns)


MISSED_ENTRY = World(rows=[waiting()], orders=[buy()], legs=[leg("1")])
MISSED_EXIT = World(rows=[entry(), closing()], orders=[order()])


def test_a_fill_that_the_venues_position_shows_is_booked() -> None:
    assert heals(MISSED_ENTRY) == ["TRD-1: filled_at_venue"]
    assert heals(MISSED_EXIT) == ["TRD-1: filled_at_venue"]


def test_a_fill_that_would_pass_the_venues_position_is_held() -> None:
    assert heals(MISSED_ENTRY.having(legs=[])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(MISSED_ENTRY.having(legs=[leg("-1")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(MISSED_EXIT.having(legs=[leg("1")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(MISSED_EXIT.having(legs=[leg("0.5")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    [(_, reason, why)] = fitted(MISSED_ENTRY.having(legs=[leg("0.25")])).held
    assert (reason, why) == (Held.OVERSHOOT, "the ledger holds 0, the venue 0.25")


def test_a_move_may_pass_by_dust_exactly() -> None:
    assert heals(MISSED_ENTRY.having(legs=[leg("0.999")])) == ["TRD-1: filled_at_venue"]
    assert heals(MISSED_ENTRY.having(legs=[leg("0.9989999")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(MISSED_EXIT.having(legs=[leg("0.001")])) == ["TRD-1: filled_at_venue"]
    assert heals(MISSED_EXIT.having(legs=[leg("0.0010001")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(MISSED_ENTRY.having(legs=[leg("0.9")]).under(dust_abs="0.1")) == ["TRD-1: filled_at_venue"]


def test_dust_is_spared_at_the_venues_end_alone() -> None:
    """A doubled entry and its exit net to dust, and lead away from a venue that is nearly flat."""
    rows = [entry("TRD-1", "2"), closing(of="X2"), waiting(of="X1")]
    world = World(rows=rows, orders=[buy("X1", "2"), order("X2", "1.9995", 11)], legs=[leg("0.0005")])
    assert heals(world) == ["TRD-1: filled_at_venue held, OVERSHOOT"] * 2
    assert heals(world.having(legs=[leg("2.0005")])) == ["TRD-1: filled_at_venue"] * 2


def test_what_a_row_without_any_id_may_have_booked_is_not_added_again() -> None:
    bought = buy("X1", "2", 3, client_order_id=tag("TRD-1"), price="100")
    world = World(rows=[entry("TRD-1", "2")], orders=[bought], legs=[leg("4")])
    assert heals(world) == ["TRD-1: import held, NAMELESS"]
    another = buy("X9", "2", 3, client_order_id="c", price="100")
    [(_, _, why)] = fitted(world).held
    assert why == f"{world.rows[0].order_id} names no order of the venue, and is like what would be booked"
    for other in (
        {"qty": "1.5"}, {"price": "99"}, {"minute": -2.1}, {"minute": 8.1}, {"order_id": "IMPRT-1"},
        {"order_id": "X9"}, {"exchange_order_id": "X9"}, {"client_order_id": "c"},
    ):  # fmt: skip
        listed = world.having(rows=[entry(**{"qty": "2"} | other)], orders=[bought, another])
        assert "TRD-1: import" in heals(listed), other
    for unlisted in ({"exchange_order_id": "fill 7"}, {"client_order_id": "d"}):
        assert heals(world.having(rows=[entry(qty="2", **unlisted)])) == ["TRD-1: import held, NAMELESS"]
    sold = [entry("TRD-1", "5", exchange_order_id="E"), leave("TRD-1", "2", 3, price="100")]
    assert heals(world.having(rows=sold, legs=[leg("5")], coverage={"closed_orders": PARTIAL})) == ["TRD-1: import"]
    lost = [entry("TRD-1", "2", price=None), waiting(of="X1", timestamp=at(2))]
    said = {"orders": [buy("X1", "2", 3)], "rows": lost}
    assert heals(world.having(**said)) == ["TRD-1: filled_at_venue held, NAMELESS"]
    dead = world.having(**said | {"orders": [buy("X1", "0", 3, status="canceled")]})
    assert heals(dead) == ["TRD-1: dead_at_venue"]
    of_another = [entry("TRD-2", "2"), entry("TRD-1", "1")]
    assert heals(world.having(rows=of_another, legs=[leg("5")])) == ["TRD-1: import"]


def test_the_rest_of_an_order_that_a_row_without_any_id_began_is_not_added_whole() -> None:
    """The bot wrote a part of an order without its ids; a second row of the order has them and books nothing yet."""
    begun = leave("TRD-1", "0.3", 10, status="partially_filled", price="90", order_id="R")
    rows = [entry("TRD-1", exchange_order_id="E"), begun, closing("TRD-1", "X1", order_id="R+again")]
    world = World(rows=rows, orders=[order("X1", "0.5", 11)], legs=[leg("0.2")])
    assert heals(world) == ["TRD-1: filled_at_venue held, NAMELESS"]
    long_ago = leave("TRD-1", "0.3", -99, status="partially_filled")
    assert heals(world.having(rows=[rows[0], long_ago, rows[2]])) == ["TRD-1: filled_at_venue held, NAMELESS"]
    for fine in ({"status": "filled"}, {"qty": "0.6"}, {"exchange_order_id": "X1"}, {"minute": 16.1}):
        other = leave("TRD-1", **{"qty": "0.3", "minute": 10, "status": "partially_filled", "order_id": "R"} | fine)
        listed = world.having(rows=[rows[0], other, rows[2]], legs=[leg("0.1")])
        assert "TRD-1: filled_at_venue held, NAMELESS" not in heals(listed), fine


def test_what_an_order_had_executed_at_one_moment_may_be_booked_without_an_id() -> None:
    """A part of a chain of replaced orders, the first fills, one fill, or all of it beside what is booked by name."""
    bought = {"client_order_id": tag("TRD-1"), "price": "100"}
    parts = [fill(f"F{n}", "X1", qty, n, side="buy", price="100") for n, qty in enumerate(("0.3", "0.5", "1.2"), 1)]
    world = World(rows=[], orders=[buy("X1", "2", 3, **bought)], fills=parts, legs=[leg("9")])
    for qty, held in (("0.3", True), ("0.8", True), ("0.5", True), ("2", True), ("1.7", False), ("0.9", False)):
        said = heals(world.having(rows=[entry("TRD-1", qty)]))
        assert said == ["TRD-1: import held, NAMELESS" if held else "TRD-1: import"], qty
    chain = [
        buy("X1", "0.3", 2, status="replaced", replaced_by="X2", price="99"),
        buy("X2", "0.2", 3, replaces="X1", **bought),
    ]
    replaced = world.having(orders=chain, fills=[])
    assert heals(replaced.having(rows=[entry("TRD-1", "0.3", price="99")])) == ["TRD-1: import held, NAMELESS"]
    orders = [
        buy("X1", "0.3", status="replaced", replaced_by="X2", client_order_id=tag("TRD-1")),
        buy("X2", "0.3", 11, working=True, status="partially_filled", replaces="X1", client_order_id=tag("TRD-1")),
    ]
    carried = World(rows=[entry("TRD-1", "0.6", 11)], orders=orders, legs=[leg("1")])
    assert heals(carried) == ["TRD-1: import held, NAMELESS"], "nothing but fills says that they did not execute 0.6"
    assert heals(carried.having(rows=[entry("TRD-1", "0.7", 11)])) == ["TRD-1: import"]
    assert heals(replaced.having(rows=[entry("TRD-1", "0.3", price="100")])) == ["TRD-1: import"]
    half = entry("TRD-1", "1", exchange_order_id="X1", minute=3)
    whole = world.having(rows=[half, entry("TRD-1", "2", 3.1)])
    assert heals(whole) == ["TRD-1: difference held, NAMELESS"]


def test_a_row_without_an_id_may_be_from_any_moment_of_the_orders_life() -> None:
    """A row keeps the time at which its order was sent, and the venue tells when it was executed."""
    sent = [entry("TRD-1", exchange_order_id="E", minute=-60), closing("TRD-1", "X1")]
    for minute, held in ((-4, True), (30, True), (64, True), (-4.1, False), (65.1, False)):
        world = World(rows=[*sent, leave("TRD-1", "0.5", minute, price="110")], orders=[order("X1", "0.5", 60)])
        said = "TRD-1: filled_at_venue held, NAMELESS" if held else "TRD-1: filled_at_venue"
        assert heals(world) == [said], minute


def test_an_exit_with_the_side_of_its_position_may_be_the_booking_too() -> None:
    rows = [entry("TRD-1", "2", exchange_order_id="E"), leave("TRD-1", "1", 9, side="long", price="110")]
    world = World(rows=rows, orders=[order("X1", "1", 10, client_order_id=tag("TRD-1"))], legs=[])
    assert heals(world) == ["TRD-1: import held, NAMELESS"]


def test_a_trade_whose_entry_is_unclear_keeps_no_heal_of_another_trade_back() -> None:
    """What it holds is known by either reading: its buys less its sells."""
    unclear = [row("TRD-9", "3", order_id="a"), row("TRD-9", "2", side="sell", order_id="b")]
    world = MISSED_EXIT.having(rows=[*MISSED_EXIT.rows, *unclear], legs=[leg("1")])
    assert heals(world) == ["TRD-1: filled_at_venue"]
    assert heals(world.having(legs=[leg("1.5")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    its_own = world.having(rows=[*unclear, closing("TRD-9", "X1", action=None)])
    assert heals(its_own) == ["TRD-9: filled_at_venue held, UNREADABLE"]


def test_orders_whose_heals_were_refuted_are_named() -> None:
    assert fitted(MISSED_EXIT.having(legs=[leg("1")])).refuted == {("BTCUSD", "X1")}
    assert fitted(MISSED_EXIT.having(coverage={"positions": FAILED})).refuted == frozenset()
    assert fitted(MISSED_EXIT).refuted == frozenset()


def test_a_move_towards_the_venue_need_not_reach_it() -> None:
    assert heals(MISSED_ENTRY.having(legs=[leg("7")])) == ["TRD-1: filled_at_venue"]
    assert heals(MISSED_EXIT.having(legs=[leg("-7")])) == ["TRD-1: filled_at_venue"]


def test_shorts_are_moved_the_other_way() -> None:
    into = World(rows=[waiting(side="sell")], orders=[order()], legs=[leg("-1")])
    assert heals(into) == ["TRD-1: filled_at_venue"]
    assert heals(into.having(legs=[leg("1")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    out = World(rows=[short(), closing(side="buy")], orders=[buy()])
    assert heals(out) == ["TRD-1: filled_at_venue"]
    assert heals(out.having(legs=[leg("-1")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]


def test_a_flip_is_an_exit_and_an_entry() -> None:
    flip = World(
        rows=[entry("A"), closing("A", "X1"), waiting("B", "X2", side="sell")],
        orders=[order("X1"), order("X2", "2", 11)], legs=[leg("-2")],
    )  # fmt: skip
    assert heals(flip) == ["A: filled_at_venue", "B: filled_at_venue"]
    assert heals(flip.having(legs=[])) == ["A: filled_at_venue", "B: filled_at_venue held, OVERSHOOT"]


def test_the_heals_of_a_symbol_are_tried_together_first() -> None:
    """Neither the entry nor the exit alone ends at the venue's position."""
    pair = World(rows=[waiting("A", "X1"), entry("B"), closing("B", "X2")], orders=[buy("X1"), order("X2", "1", 11)])
    assert heals(pair.having(legs=[leg("1")])) == ["A: filled_at_venue", "B: filled_at_venue"]


def test_else_they_are_tried_one_by_one_in_time_and_again_as_long_as_one_fits() -> None:
    rows = [waiting("A", "X1"), waiting("B", "X2"), waiting("C", "X3")]
    orders = [buy("X1", "1", 10), buy("X2", "1", 11), buy("X3", "1", 12)]
    world = World(rows=rows, orders=orders, legs=[leg("2")])
    assert heals(world) == ["A: filled_at_venue", "B: filled_at_venue", "C: filled_at_venue held, OVERSHOOT"]
    later = world.having(orders=[buy("X1", "3", 10), *orders[1:]])
    assert heals(later) == ["B: filled_at_venue", "C: filled_at_venue", "A: filled_at_venue held, OVERSHOOT"]
    assert heals(later.having(rows=rows[::-1], orders=later.orders[::-1])) == heals(later)


def test_what_each_step_may_be_off_does_not_add_up() -> None:
    names = range(10, 20)
    rows = [waiting(f"T{n}", f"X{n}") for n in names]
    orders = [buy(f"X{n}", "0.001", n) for n in names]
    outcome = heals(World(rows=rows, orders=orders))
    assert outcome[0] == "T10: filled_at_venue"
    assert all(each.endswith("held, OVERSHOOT") for each in outcome[1:])


def test_a_trades_heals_are_made_whole_or_not_at_all() -> None:
    rows = [waiting("A", "X1"), waiting("A", "X2")]
    world = World(rows=rows, orders=[buy("X1"), buy("X2", "1", 11)], legs=[leg("1")])
    assert heals(world) == ["A: filled_at_venue held, OVERSHOOT"] * 2
    assert heals(world.having(legs=[leg("2")])) == ["A: filled_at_venue"] * 2


def test_symbols_are_measured_apart() -> None:
    rows = [waiting("A", "X1"), waiting("B", "X2", symbol="ETH/USD")]
    world = World(rows=rows, orders=[buy("X1"), buy("X2", symbol="ETH/USD")], legs=[leg("1", "ETH/USD")])
    assert heals(world) == ["B: filled_at_venue", "A: filled_at_venue held, OVERSHOOT"]


def test_every_profile_of_the_account_counts_towards_its_position() -> None:
    other = entry("B", "1", profile_id="p2")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), other], legs=[leg("2")])) == ["TRD-1: filled_at_venue"]
    assert heals(MISSED_ENTRY.having(rows=[waiting(), other], legs=[leg("1")])) == [
        "TRD-1: filled_at_venue held, OVERSHOOT"
    ]
    same_id = World(
        rows=[waiting("A", "X1"), waiting("A", "X2", profile_id="p2", order_id="other")],
        orders=[buy("X1"), buy("X2", "1", 11)], legs=[leg("1")],
    )  # fmt: skip
    assert heals(same_id) == ["A: filled_at_venue", "A: filled_at_venue held, OVERSHOOT"]


@EACH_FEED
def test_unknown_is_not_flat_nothing_moves_without_the_position(coverage: object) -> None:
    for world in (MISSED_ENTRY, MISSED_EXIT):
        assert heals(world.having(coverage={"positions": coverage})) == [
            "TRD-1: filled_at_venue held, POSITION_UNKNOWN"
        ]
    unread = MISSED_EXIT.having(unknown_symbols={"BTC/USD": "malformed"})
    assert heals(unread) == ["TRD-1: filled_at_venue held, POSITION_UNKNOWN"]
    [(_, _, why)] = fitted(unread).held
    assert why == "malformed"


def test_what_moves_nothing_is_healed_whatever_the_venue_holds() -> None:
    dead = World(rows=[entry(), closing()], orders=[order("X1", "0", status="canceled")])
    for world in (dead, dead.having(coverage={"positions": FAILED}), dead.having(legs=[leg("9")])):
        assert heals(world) == ["TRD-1: dead_at_venue"]
    closed = World(rows=[entry(status="partially_filled", exchange_order_id="X1")], orders=[buy()], legs=[leg("9")])
    assert heals(closed.having(coverage={"positions": FAILED})) == ["TRD-1: closed_at_venue"]


def test_an_entry_and_an_exit_of_the_same_size_move_the_trade_although_they_net_to_nothing() -> None:
    pair = World(rows=[waiting(), closing(of="X2")], orders=[buy(), order("X2", "1", 11)])
    assert heals(pair) == ["TRD-1: filled_at_venue"] * 2
    assert heals(pair.having(coverage={"positions": FAILED})) == ["TRD-1: filled_at_venue held, POSITION_UNKNOWN"] * 2


def test_a_trade_of_the_symbol_that_cannot_be_read_or_compared_holds_every_move() -> None:
    unreadable = entry("B", "1", quantity="2", order_id="other")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), unreadable])) == ["TRD-1: filled_at_venue held, POSITION_UNKNOWN"]
    newer = entry("B", "1", 606, order_id="other")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), newer], legs=[leg("2")])) == [
        "TRD-1: filled_at_venue held, POSITION_UNKNOWN"
    ]
    as_new = entry("B", "1", 605, order_id="other")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), as_new], legs=[leg("2")])) == ["TRD-1: filled_at_venue"]
    elsewhere = entry("B", "1", 606, order_id="other", symbol="ETH/USD")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), elsewhere])) == ["TRD-1: filled_at_venue"]


def test_a_row_of_the_trade_that_cannot_be_read_holds_its_heals() -> None:
    unreadable = entry("TRD-1", "1", quantity="2", order_id="other")
    assert heals(MISSED_ENTRY.having(rows=[waiting(), unreadable])) == ["TRD-1: filled_at_venue held, UNREADABLE"]
    [(_, _, why)] = fitted(MISSED_ENTRY.having(rows=[waiting(), unreadable])).held
    assert why.endswith("qty is 1 and quantity is 2")


def test_conservation_no_heal_exits_more_than_the_trade_entered() -> None:
    over = World(rows=[entry(), closing()], orders=[order("X1", "2")], legs=[leg("-1")])
    assert heals(over) == ["TRD-1: filled_at_venue held, OVER_EXIT"]
    [(_, _, why)] = fitted(over).held
    assert why == "2 would have left 1"
    exactly_all = World(rows=[entry(), closing()], orders=[order("X1", "1.00000001")])
    assert heals(exactly_all) == ["TRD-1: filled_at_venue"]
    just_over = World(rows=[entry(), closing()], orders=[order("X1", "1.000000011")])
    assert heals(just_over) == ["TRD-1: filled_at_venue held, OVER_EXIT"]


def test_a_trade_that_exited_too_much_already_may_heal_but_not_exit_more() -> None:
    bad = [entry("A"), leave("A", "2")]
    entering = World(rows=[*bad, waiting("A", "X2")], orders=[buy("X2")])
    assert heals(entering) == ["A: filled_at_venue"]
    leaving = World(rows=[*bad, closing("A", "X2")], orders=[order("X2")], legs=[leg("-2")])
    assert heals(leaving) == ["A: filled_at_venue held, OVER_EXIT"]


def test_fees_in_the_base_asset_are_not_held() -> None:
    """The venue took them out of what was bought, so that it holds less than the executions say."""
    paid = World(
        rows=[waiting()], orders=[buy("X1", "100")],
        fills=[fill("F1", "X1", "100", side="buy", fee="0.1", fee_asset="BTC")], legs=[leg("99.9")],
    )  # fmt: skip
    assert heals(paid) == ["TRD-1: filled_at_venue"]
    assert heals(paid.having(legs=[leg("99.899")])) == ["TRD-1: filled_at_venue"]
    assert heals(paid.having(legs=[leg("99.8989")])) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    held = ["TRD-1: filled_at_venue held, OVERSHOOT"]
    in_cash = paid.having(fills=[fill("F1", "X1", "100", side="buy", fee="0.1", fee_asset="USD")])
    assert heals(in_cash) == held
    assert heals(paid.having(fills=[fill("F1", "X1", "100", side="buy", fee="-0.1", fee_asset="BTC")])) == held
    assert heals(paid.having(fills=[fill("F1", "X1", "100", side="buy", fee="0.1")])) == held
    by_order = paid.having(fills=[], orders=[buy("X1", "100", fee="0.1", fee_asset="btc")])
    assert heals(by_order) == ["TRD-1: filled_at_venue"]
    other = [*paid.fills, fill("F2", "X2", "1", symbol="ETH/USD", side="buy", fee="1", fee_asset="ETH")]
    assert heals(paid.having(fills=[replace(paid.fills[0], fee=Decimal(0)), other[1]])) == held


def test_a_balance_is_a_position_too() -> None:
    spot = MISSED_ENTRY.having(legs=[], balances={"BTC": "1", "USD": "5"})
    assert heals(spot) == ["TRD-1: filled_at_venue"]
    assert heals(spot.having(balances={"USD": "5"})) == ["TRD-1: filled_at_venue held, OVERSHOOT"]
    assert heals(spot.having(unknown_assets={"BTC": "malformed"})) == ["TRD-1: filled_at_venue held, POSITION_UNKNOWN"]


def test_an_import_is_measured_as_any_other_heal() -> None:
    world = World(orders=[buy(client_order_id=tag("TRD-9"))], legs=[leg("1")])
    assert heals(world) == ["TRD-9: import"]
    assert heals(world.having(legs=[])) == ["TRD-9: import held, OVERSHOOT"]
    assert heals(world.having(coverage={"positions": FAILED})) == ["TRD-9: import held, POSITION_UNKNOWN"]
    working = World(orders=[buy("X1", "0", status="new", working=True, client_order_id=tag("TRD-9"))])
    assert heals(working.having(coverage={"positions": FAILED})) == ["TRD-9: import"]


def test_a_new_trade_from_before_a_split_is_in_other_units() -> None:
    world = World(orders=[buy(client_order_id=tag("TRD-9"))], legs=[leg("1")])
    split = VenueEvent("S", EventKind.SPLIT, at(20), "BTC/USD", "2 for 1")
    facts = fit_facts(world)
    facts = replace(facts, snapshot=replace(facts.snapshot, events=(split,)))
    [(_, reason, _)] = fit(findings(world), facts).held
    assert reason is Held.POSITION_UNKNOWN
    earlier = replace(split, time_ms=at(9))
    assert fit(findings(world), replace(facts, snapshot=replace(facts.snapshot, events=(earlier,)))).healing


def test_rows_that_name_no_trade_are_healed_and_move_none() -> None:
    world = World(rows=[waiting(trade=None, order_id="A")], orders=[buy()], coverage={"positions": FAILED})
    assert heals(world) == ["None: filled_at_venue"]
    blank = World(rows=[waiting(trade="", order_id="A"), entry("B")], orders=[buy()], legs=[leg("1")])
    assert heals(blank) == ["None: filled_at_venue"]


def test_doubles_are_taken_out_only_towards_the_venue() -> None:
    twins = [entry(qty="1", order_id=n, exchange_order_id="X1") for n in "AB"]
    world = World(rows=twins, orders=[buy(price="100")], legs=[leg("1")])
    assert heals(world) == ["TRD-1: booked_twice"]
    assert heals(world.having(legs=[leg("2")])) == ["TRD-1: booked_twice held, OVERSHOOT"]
    sold = [*twins, leave("TRD-1", "1.5")]
    assert heals(world.having(rows=sold, legs=[leg("-0.5")])) == ["TRD-1: booked_twice held, OVER_EXIT"]


# What an operator took back.


def test_a_heal_that_an_operator_took_back_is_not_made_again() -> None:
    name = MISSED_ENTRY.rows[0].order_id
    taken = frozenset({("p1", name, "filled_at_venue")})
    assert heals(MISSED_ENTRY, reverted=taken) == ["TRD-1: filled_at_venue held, REVERTED"]
    for other in (("p2", name, "filled_at_venue"), ("p1", "other", "filled_at_venue"), ("p1", name, "other")):
        assert heals(MISSED_ENTRY, reverted=frozenset({other})) == ["TRD-1: filled_at_venue"]


@pytest.mark.parametrize("prefix", ["IMPRT-", "DIFF-", "BFILL-"])
def test_what_an_operator_took_back_is_booked_by_no_other_heal(prefix: str) -> None:
    """The row of a repair that was reverted is canceled, and looks like a missed fill."""
    back = leave("TRD-1", "1", status="canceled", order_id=f"{prefix}1", exchange_order_id="X1")
    world = World(rows=[entry(), back], orders=[order("X1")])
    assert heals(world) == ["TRD-1: missed_fill"]
    taken = frozenset({("p1", "TRD-1", "X1")})
    assert heals(world, taken_back=taken) == ["TRD-1: missed_fill held, REVERTED"]
    for other in (("p2", "TRD-1", "X1"), ("p1", "TRD-2", "X1"), ("p1", "TRD-1", "X2")):
        assert heals(world, taken_back=frozenset({other})) == ["TRD-1: missed_fill"]
    partly = World(rows=[entry(), leave("TRD-1", "0.4", 2, exchange_order_id="X1"), back], orders=[order("X1")])
    assert heals(partly, taken_back=taken) == ["TRD-1: difference held, REVERTED"]


def test_what_an_operator_took_back_may_still_be_canceled() -> None:
    taken = frozenset({("p1", "TRD-1", "X1")})
    dead = World(rows=[entry(), closing()], orders=[order("X1", "0", status="canceled")])
    assert heals(dead, taken_back=taken) == ["TRD-1: dead_at_venue"]


# How a row reads after a change, and what becomes of a finding that is held.


def test_a_changed_row_reads_as_the_change_says() -> None:
    change = only(MISSED_ENTRY).changes[0]
    assert isinstance(change, RowChange)
    after = after_change(change)
    assert (after.status, after.word, after.qty, after.price) == (StatusClass.FILLED, "filled", 1, 110)
    assert (after.side, after.exchange_order_id, after.time_ms) == (Side.BUY, "X1", at(1))
    gone = after_change(replace(change, status="Canceled"))
    assert (gone.status, gone.qty, gone.word) == (StatusClass.DEAD, 0, "canceled")
    kept = after_change(replace(change, qty=None, price=None, before=entry(qty="3", price="7")))
    assert (kept.qty, kept.price) == (3, 7)
    timeless = replace(change, before=waiting(timestamp=None))
    assert after_change(timeless).time_ms == at(10)


def test_an_added_row_reads_as_it_was_added() -> None:
    world = World(orders=[buy(client_order_id=tag("TRD-9"), price=None, sub_tag=None)])
    change = added(world)
    assert isinstance(change, NewRow)
    after = after_change(change)
    assert (after.order_id, after.profile_id, after.trade_id, after.symbol) == (
        change.order_id, "p1", "TRD-9", "BTC/USD",
    )  # fmt: skip
    assert (after.status, after.side, after.action, after.qty) == (StatusClass.FILLED, Side.BUY, change.action, 1)
    assert (after.price, after.time_ms, after.exchange_order_id, after.word) == (None, at(10), "X1", "filled")
    assert (after.client_order_id, after.user_id) == (tag("TRD-9"), "u1")


def test_what_is_not_known_is_unresolved_the_rest_is_for_a_person() -> None:
    finding = only(MISSED_ENTRY)
    for reason in Held:
        held = blocked(finding, reason, "so it is")
        assert held.do is (Do.UNRESOLVED if reason is Held.POSITION_UNKNOWN else Do.QUARANTINE)
        assert (held.why, held.changes) == (f"{reason.value}: so it is", ())
    assert [reason.value for reason in Held] == [
        "venue_position_unknown", "would_overshoot_venue", "would_exit_more_than_entered", "trade_unreadable",
        "a_row_without_id_may_book_it", "row_id_not_unique", "reverted_by_operator", "refused_by_rule",
    ]  # fmt: skip


def test_findings_without_changes_are_neither_made_nor_held() -> None:
    assert heals(World(rows=[entry(exchange_order_id="X1")])) == []
    assert heals(World()) == []


# The invariants, on random worlds.

QUANTITIES = ("1", "0.5", "2", "0.0007", "0.3")
HELD_AT = ("0", "1", "-1", "0.5", "2.3", "-0.7", "0.0005")


@dataclass(frozen=True)
class Sent:
    """An order of the bot as both sides have it: what the ledger says of it, and what the venue."""

    row: LedgerOrder | None
    order: object | None


@st.composite
def sent(draw: st.DrawFn, number: int) -> Sent:
    trade, profile = draw(st.sampled_from(("TRD-A1", "TRD-B1", "TRD-C1"))), draw(st.sampled_from(("p1", "p1", "p2")))
    long = draw(st.sampled_from((True, True, False)))
    action = draw(st.sampled_from(("ENTRY", "ENTRY", "EXIT")))
    side = "buy" if long == (action == "ENTRY") else "sell"
    qty, minute = draw(st.sampled_from(QUANTITIES)), draw(st.integers(1, 9))
    status = draw(st.sampled_from(("filled", "canceled", "new", "partially_filled")))
    executed = qty if status in ("filled", "canceled") else "0" if status == "new" else str(Decimal(qty) / 2)
    name = f"X{number}"
    there = order(
        name, executed, minute, side=side, status=status, working=status in ("new", "partially_filled"), price="100",
        client_order_id=f"bytelyst-{profile}-{trade}-{action.lower()}",
    )  # fmt: skip
    booked = draw(st.sampled_from(("filled", "new", "canceled", "partially_filled", None)))
    if booked is None:
        return Sent(None, there)
    said = draw(st.sampled_from((executed, executed, qty, str(Decimal(qty) / 4))))
    here = row(
        trade, None if booked in ("new", "canceled") else said, minute, profile_id=profile, side=side, action=action,
        status=booked, order_id=f"R{number}", exchange_order_id=name,
    )  # fmt: skip
    return Sent(here, draw(st.sampled_from((there, there, there, None))))


@st.composite
def loops(draw: st.DrawFn) -> World:
    """A ledger and a venue that disagree in any way, at any position of the venue."""
    count = draw(st.integers(1, 6))
    both = [draw(sent(n)) for n in range(count)]
    rows = [each.row for each in both if each.row is not None]
    if draw(st.sampled_from((False, False, True))) and rows:
        rows.append(replace(rows[0], order_id="DOUBLE"))
    held = draw(st.sampled_from((*HELD_AT, "truth", "truth")))
    orders = [each.order for each in both if each.order is not None]
    legs = [leg(_position(orders) if held == "truth" else held)]
    return World(rows=rows, orders=orders, legs=legs)


@exactly
def _position(orders: Sequence[object]) -> str:
    return str(sum((o.qty if o.side is Side.BUY else -o.qty for o in orders), Decimal(0)))


def healed(world: World) -> World:
    """The world once the heals that may be made are made."""
    rows = {each.order_id: each for each in world.rows}
    for finding in fitted(world).healing:
        for change in finding.changes:
            rows[change.order_id] = after_change(change)
    return world.having(rows=list(rows.values()))


def slices(world: World) -> dict[tuple[str, str], Slice]:
    return {(s.profile_id, s.trade_id): s for s in slices_of(world.rows, world.fresh_symbols)}


@exactly
def held_by_ledger(world: World) -> Decimal:
    return sum((piece.signed_open for piece in slices(world).values()), Decimal(0))


@given(loops())
def test_never_past_the_truth_no_heal_moves_the_ledger_beyond_the_venue(world: World) -> None:
    before, after = held_by_ledger(world), held_by_ledger(healed(world))
    venue, dust = Holdings(world.snapshot).of("BTC/USD").signed, world.policy.dust_abs
    assert min(before, venue) - dust <= after <= max(before, venue) + dust


@given(loops())
def test_conservation_no_trade_exits_more_than_it_entered_nor_more_than_before(world: World) -> None:
    was = slices(world)
    for key, piece in slices(healed(world)).items():
        had = was[key].open_qty if key in was else Decimal(0)
        assert piece.open_qty >= min(had, Decimal(0)) - NOTHING


@given(loops())
def test_conservation_what_is_booked_of_an_order_never_exceeds_what_it_filled(world: World) -> None:
    executed = {each.id: each.qty for each in world.orders}
    was = _booked(world)
    for name, qty in _booked(healed(world)).items():
        assert qty <= max(executed.get(name, Decimal(0)), was.get(name, Decimal(0)))


@exactly
def _booked(world: World) -> dict[str, Decimal]:
    booked: dict[str, Decimal] = {}
    for each in world.rows:
        if each.status is StatusClass.FILLED and each.exchange_order_id:
            booked[each.exchange_order_id] = booked.get(each.exchange_order_id, Decimal(0)) + each.qty
    return booked


@given(loops(), st.sampled_from((PARTIAL, FAILED, None)))
def test_unknown_is_not_flat_nothing_moves_where_the_position_is_not_known(world: World, coverage: object) -> None:
    blind = world.having(coverage={"positions": coverage})
    was = {key: (piece.entry_qty, piece.exit_qty) for key, piece in slices(blind).items() if piece.entry_side}
    now = {key: (piece.entry_qty, piece.exit_qty) for key, piece in slices(healed(blind)).items()}
    assert {key: qty for key, qty in now.items() if qty != (0, 0)} == {
        key: qty for key, qty in was.items() if qty != (0, 0)
    }


@given(loops())
def test_no_op_a_second_pass_heals_nothing_where_everything_was_healed(world: World) -> None:
    """What waits for a person may be told once something else is booked; so only worlds in which nothing waits."""
    if all(finding.do is not Do.QUARANTINE for finding in findings(world)) and not fitted(world).held:
        assert fitted(healed(world)).healing == ()


@given(loops(), st.randoms(use_true_random=False))
def test_deterministic_the_order_of_rows_and_orders_changes_nothing(world: World, random: object) -> None:
    rows, orders = list(world.rows), list(world.orders)
    random.shuffle(rows)
    random.shuffle(orders)
    assert heals(world.having(rows=rows, orders=orders)) == heals(world)
