"""The decision table, row by row, under each flatness policy."""

from decimal import Decimal

import pytest
from tests.core.world import (
    FAILED,
    PARTIAL,
    POLICIES,
    World,
    after_apply,
    entry,
    leave,
    leg,
    order,
    reaches,
    short,
    working,
)  # fmt: skip

from trueup.core.repair.decisions import ALREADY_EXISTS, REMAINDER_CASES, TRADE_CASES
from trueup.core.repair.plan import mark_existing

EACH_POLICY = pytest.mark.parametrize("flatness", POLICIES)
PROVEN = World(rows=[entry()], orders=[order(trade_id="TRD-1")])
GHOST = World(rows=[entry()])


@EACH_POLICY
def test_a_working_order_blocks_its_trade_even_of_another_symbol(flatness: str) -> None:
    blocked = PROVEN.under(flatness=flatness).having(rows=[entry(), working(symbol="ETH/USD")])
    assert blocked.says() == ["TRD-1: SKIP_PENDING_ORDER pending_order_blocker"]


@EACH_POLICY
def test_rows_that_cannot_be_read_leave_the_trade_undecided(flatness: str) -> None:
    broken = PROVEN.under(flatness=flatness).having(rows=[entry(), entry(qty="1", minute=1, quantity="2")])
    assert broken.says() == ["TRD-1: NO_GO quantity_columns_disagree"]
    broken = broken.having(rows=[entry(), entry(qty="much", minute=1)])
    assert broken.says() == ["TRD-1: NO_GO malformed_ledger_row"]


@EACH_POLICY
@pytest.mark.parametrize("coverage", [PARTIAL, FAILED, None])
def test_an_unknown_position_decides_nothing(flatness: str, coverage: object) -> None:
    unknown = PROVEN.under(flatness=flatness).having(coverage={"positions": coverage})
    assert unknown.says() == ["TRD-1: NO_GO venue_position_unknown"]


@EACH_POLICY
@pytest.mark.parametrize("coverage", [PARTIAL, FAILED, None, reaches(-4.99)])
def test_a_remainder_waits_for_the_whole_order_feed(flatness: str, coverage: object) -> None:
    partly = World(rows=[entry(qty="2")], orders=[order(trade_id="TRD-1")], coverage={"closed_orders": coverage})
    assert partly.under(flatness=flatness).says() == ["TRD-1: NO_GO venue_evidence_incomplete"]


@EACH_POLICY
def test_what_evidence_covers_whole_is_booked_although_the_order_feed_is_incomplete(flatness: str) -> None:
    assert PROVEN.under(flatness=flatness).having(coverage={"closed_orders": PARTIAL}).says() == [
        "TRD-1: 1 of X1 by trade_id"
    ]


@pytest.mark.parametrize("feed", ["open_orders", "fills"])
@pytest.mark.parametrize("coverage", [PARTIAL, FAILED])
def test_open_orders_and_fills_complete_the_order_feed_where_they_are_given(feed: str, coverage: object) -> None:
    assert GHOST.having(coverage={feed: coverage}).says() == ["TRD-1: NO_GO venue_evidence_incomplete"]
    assert GHOST.having(coverage={feed: None}).says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]


def test_the_order_feed_is_complete_from_exactly_the_newest_row_less_the_grace() -> None:
    rows = [entry(qty="2"), leave(qty="1", minute=30)]
    exactly = World(rows=rows, coverage={"closed_orders": reaches(25)})
    assert exactly.says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]
    later = World(rows=rows, coverage={"closed_orders": reaches(25 + 1 / 60_000)})
    assert later.says() == ["TRD-1: NO_GO venue_evidence_incomplete"]


def test_a_remainder_of_exactly_1e_8_is_none() -> None:
    assert World(rows=[entry(qty="1.00000001")], orders=[order(trade_id="TRD-1")]).under(dust_abs="0").says() == [
        "TRD-1: 1 of X1 by trade_id"
    ]
    more = World(rows=[entry(qty="1.000000011")], orders=[order(trade_id="TRD-1")], legs=[leg("1")])
    assert more.under(flatness="evidence").says() == [
        "TRD-1: 1 of X1 by trade_id",
        "TRD-1: SKIP_ACTIVE_POSITION dust_remainder_blocked_exchange_not_flat",
    ]


HELD = [leg("0.25")]


def test_flat_policy_books_nothing_while_the_venue_holds_the_symbol() -> None:
    assert PROVEN.having(legs=HELD).says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:0.25"]


@pytest.mark.parametrize("held", ["0.001", "-0.001"])
def test_flat_is_up_to_the_absolute_dust_exactly(held: str) -> None:
    assert PROVEN.having(legs=[leg(held)]).says() == ["TRD-1: 1 of X1 by trade_id"]
    over = leg(f"{held}0001")
    assert PROVEN.having(legs=[over]).says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:0.0010001"]


def test_the_dust_ratio_does_not_make_a_symbol_flat() -> None:
    large = World(rows=[entry(qty="1000")], orders=[order(qty="1000", trade_id="TRD-1")], legs=[leg("0.0011")])
    assert large.says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:0.0011"]


def test_hedged_legs_are_flat_only_if_both_are_and_add_up() -> None:
    hedged = PROVEN.having(legs=[leg("0.5"), leg("-0.5")])
    assert hedged.says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:1"]
    assert PROVEN.having(legs=[leg("0.001"), leg("-0.001")]).says() == ["TRD-1: 1 of X1 by trade_id"]


def test_balances_stand_in_for_positions() -> None:
    assert PROVEN.having(balances={"BTC": "0.001", "USD": "9"}).says() == ["TRD-1: 1 of X1 by trade_id"]
    assert PROVEN.having(balances={"BTC": "0.30"}).says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:0.3"]
    assert PROVEN.having(balances={}).says() == ["TRD-1: 1 of X1 by trade_id"]


def test_evidence_policy_books_what_is_proven_whatever_the_venue_holds() -> None:
    assert PROVEN.under(flatness="evidence").having(legs=[leg("7")]).says() == ["TRD-1: 1 of X1 by trade_id"]


@EACH_POLICY
@pytest.mark.parametrize("open_row", [entry, short])
def test_evidence_closes_long_and_short_trades_at_a_flat_venue(flatness: str, open_row: object) -> None:
    side = {entry: "sell", short: "buy"}[open_row]
    world = World(rows=[open_row()], orders=[order(side=side, trade_id="TRD-1")]).under(flatness=flatness)
    assert world.says() == ["TRD-1: 1 of X1 by trade_id"]
    assert [(row.side.value, row.qty) for row in world.booked()] == [(side, 1)]


@EACH_POLICY
def test_evidence_of_the_entry_side_proves_no_exit(flatness: str) -> None:
    world = World(rows=[entry()], orders=[order(side="buy", trade_id="TRD-1")]).under(flatness=flatness)
    assert world.says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]


@EACH_POLICY
def test_what_is_proven_is_booked_although_a_remainder_is_not(flatness: str) -> None:
    world = World(rows=[entry(qty="3")], orders=[order(trade_id="TRD-1")]).under(flatness=flatness)
    assert world.says() == [
        "TRD-1: 1 of X1 by trade_id",
        "TRD-1: NO_GO missing_fill_evidence_for_large_remainder",
    ]


@EACH_POLICY
@pytest.mark.parametrize(("open_qty", "left"), [("0.4", "0.001"), ("10", "0.02")])
def test_a_remainder_of_exactly_the_threshold_is_dust_at_a_flat_venue(flatness: str, open_qty: str, left: str) -> None:
    filled = Decimal(open_qty) - Decimal(left)
    world = World(rows=[entry(qty=open_qty)], orders=[order(qty=str(filled), trade_id="TRD-1")]).under(
        flatness=flatness
    )
    assert world.says() == [f"TRD-1: {filled} of X1 by trade_id", f"TRD-1: {left} of DUST-REMAINDER-TRD-1 by dust"]
    less = world.having(orders=[order(qty=str(filled - Decimal("1e-9")), trade_id="TRD-1")])
    assert less.says()[1] == "TRD-1: NO_GO missing_fill_evidence_for_large_remainder"


def test_dust_that_nothing_was_booked_of_is_written_off_too() -> None:
    assert World(rows=[entry(qty="0.0009")]).says() == ["TRD-1: 0.0009 of DUST-REMAINDER-TRD-1 by dust"]


@pytest.mark.parametrize("flatness", ["explained", "evidence"])
@pytest.mark.parametrize("qty", ["1", "0.0005"])
def test_nothing_is_said_of_a_ghost_while_the_venue_holds_the_symbol(flatness: str, qty: str) -> None:
    world = World(rows=[entry(qty=qty)], legs=HELD).under(flatness=flatness)
    assert world.says() == ["TRD-1: SKIP_ACTIVE_POSITION exchange_not_flat:0.25"]


def test_dust_is_not_written_off_while_the_venue_holds_the_symbol() -> None:
    world = World(rows=[entry(qty="1.001")], orders=[order(trade_id="TRD-1")], legs=HELD)
    assert world.under(flatness="evidence").says() == [
        "TRD-1: 1 of X1 by trade_id",
        "TRD-1: SKIP_ACTIVE_POSITION dust_remainder_blocked_exchange_not_flat",
    ]
    wide = world.having(rows=[entry(qty="2")]).under(flatness="explained")
    assert wide.says() == ["TRD-1: 1 of X1 by trade_id", "TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]


def test_an_order_that_an_operator_took_back_is_not_booked_again() -> None:
    world = World(
        rows=[entry(qty="2")], orders=[order("X1", trade_id="TRD-1"), order("X2", minute=11, trade_id="TRD-1")]
    )
    assert world.having(reverted=frozenset({("p1", "TRD-1", "X1")})).says() == [
        "TRD-1: NO_GO reverted_by_operator X1",
        "TRD-1: 1 of X2 by trade_id",
    ]
    assert [row.exchange_order_id for row in world.having(reverted=frozenset({("p1", "TRD-1", "X1")})).booked()] == [
        "X2"
    ]
    assert world.having(reverted=frozenset({("p2", "TRD-1", "X1"), ("p1", "TRD-1", "Y")})).says() == [
        "TRD-1: 1 of X1 by trade_id",
        "TRD-1: 1 of X2 by trade_id",
    ]


def test_dust_that_an_operator_took_back_is_not_written_off_again() -> None:
    dust = World(rows=[entry(qty="0.0009")], reverted=frozenset({("p1", "TRD-1", "DUST-REMAINDER-TRD-1")}))
    assert dust.says() == ["TRD-1: NO_GO reverted_by_operator DUST-REMAINDER-TRD-1"]


def test_a_row_that_the_ledger_has_already_keeps_its_place_with_the_reason() -> None:
    world = World(rows=[entry(qty="2")], orders=[order("X1", trade_id="TRD-1"), order("X2", trade_id="TRD-1")])
    plan = world.plan().profiles["p1"]
    marked = mark_existing(plan, frozenset({plan.rows[0].order_id}))
    assert [decision.reason for decision in marked.decisions] == [ALREADY_EXISTS, "eligible"]
    assert marked.rows == plan.rows
    assert marked.plan_hash == plan.plan_hash
    refused = World(rows=[entry()]).plan().profiles["p1"]
    assert mark_existing(refused, frozenset({""})) == refused
    taken_back = world.having(reverted=frozenset({("p1", "TRD-1", "X1")})).plan().profiles["p1"]
    assert mark_existing(taken_back, frozenset({plan.rows[0].order_id})) == taken_back


def test_the_words_of_the_table() -> None:
    assert [case.when for case in (*TRADE_CASES, *REMAINDER_CASES)] == [
        "the trade has a working order",
        "rows of the trade cannot be read, or their quantity columns disagree",
        "the position feed is not complete",
        "a remainder, and the order feed is not complete",
        "`flat` policy, symbol not flat",
        "`explained` policy, would overshoot",
        "evidence names this trade and another one",
        "an exit of the trade that names no order is like an execution that would prove this one",
        "a whole trade within the dust threshold, and the venue holds more than half of it",
        "`explained` policy, remainder within the dust threshold, would overshoot",
        "remainder within the dust threshold, symbol flat",
        "a remainder, symbol not flat, no evidence used",
        "remainder within the dust threshold, symbol not flat",
        "any other remainder",
    ]
    assert all(case.why.endswith(".") for case in (*TRADE_CASES, *REMAINDER_CASES))


def test_a_repaired_trade_is_no_candidate_any_more() -> None:
    assert after_apply(PROVEN).says() == []
    assert after_apply(World(rows=[entry(qty="1.001")], orders=[order(trade_id="TRD-1")])).says() == []


def test_a_decision_says_why_as_its_case_does() -> None:
    why = {case.name: case.why for case in (*TRADE_CASES, *REMAINDER_CASES)}
    [refused] = World(rows=[entry()]).decisions()
    assert refused.why == why["missing_fill_evidence_for_large_remainder"]
    [blocked] = World(rows=[entry(), working()]).decisions()
    assert blocked.why == why["pending_order_blocker"]
    [dust] = World(rows=[entry(qty="0.0005")]).decisions()
    assert dust.why == why["eligible"]
    [proven] = World(rows=[entry()], orders=[order(trade_id="TRD-1")]).decisions()
    assert proven.why == "The venue's evidence proves it."
