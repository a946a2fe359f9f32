"""The cases are tried from the top: where two neighbours both hold, the upper one is given."""

from dataclasses import replace

import pytest
from tests.core.world import FAILED, PARTIAL, World, applied, entry, in_words, leave, leg, order, row, short, working

from trueup.core.repair.plan import Wanted, plan_account

CONFLICT = order("C", qty="0.2", trade_id="TRD-1", client_order_id="bytelyst-p1-TRD-2-exit")
OTHER = entry("TRD-2", "5", symbol="BTC/USD")


def first(world: World) -> str:
    return next(line for line in world.says() if line.startswith("TRD-1:")).removeprefix("TRD-1: ")


def test_a_working_order_comes_before_unreadable_rows() -> None:
    both = World(rows=[entry(), entry(qty="x", minute=1), working()])
    assert first(both) == "SKIP_PENDING_ORDER pending_order_blocker"


def test_unreadable_rows_come_before_an_unknown_position() -> None:
    both = World(rows=[entry(), entry(qty="x", minute=1)], coverage={"positions": FAILED})
    assert first(both) == "NO_GO malformed_ledger_row"


def test_an_unknown_position_comes_before_incomplete_evidence() -> None:
    both = World(rows=[entry()], coverage={"positions": FAILED, "closed_orders": FAILED})
    assert first(both) == "NO_GO venue_position_unknown"


def test_incomplete_evidence_comes_before_flatness() -> None:
    both = World(rows=[entry()], legs=[leg("1")], coverage={"closed_orders": PARTIAL})
    assert first(both) == "NO_GO venue_evidence_incomplete"
    assert first(both.having(coverage={})) == "SKIP_ACTIVE_POSITION exchange_not_flat:1"


def test_incomplete_evidence_comes_before_overshooting() -> None:
    both = World(
        rows=[entry(qty="2")], orders=[order(trade_id="TRD-1")], legs=[leg("2")], coverage={"closed_orders": PARTIAL}
    ).under(flatness="explained")
    assert first(both) == "NO_GO venue_evidence_incomplete"
    assert first(both.having(coverage={})) == "SKIP_ACTIVE_POSITION would_overshoot_venue:0"


def test_overshooting_comes_before_a_conflict_and_before_the_evidence() -> None:
    both = World(rows=[entry(qty="2"), OTHER], orders=[order(trade_id="TRD-1"), CONFLICT], legs=[leg("7")])
    assert first(both.under(flatness="explained")) == "SKIP_ACTIVE_POSITION would_overshoot_venue:0"


def test_a_conflict_comes_before_dust_and_after_what_is_proven() -> None:
    both = World(rows=[entry(qty="1.001"), OTHER], orders=[order(trade_id="TRD-1"), CONFLICT])
    assert both.says()[:2] == ["TRD-1: 1 of X1 by trade_id", "TRD-1: NO_GO attribution_conflict"]
    assert both.having(orders=[order(trade_id="TRD-1")]).says()[1] == "TRD-1: 0.001 of DUST-REMAINDER-TRD-1 by dust"


@pytest.mark.parametrize("flatness", ["explained", "evidence"])
def test_a_conflict_comes_before_a_symbol_that_is_not_flat(flatness: str) -> None:
    both = World(rows=[entry(), OTHER], orders=[CONFLICT], legs=[leg("2")]).under(flatness=flatness)
    assert first(both) == "NO_GO attribution_conflict"
    assert first(both.having(orders=[])) == "SKIP_ACTIVE_POSITION exchange_not_flat:2"


def test_a_conflict_without_a_remainder_is_no_reason() -> None:
    covered = World(rows=[entry(), OTHER], orders=[order(trade_id="TRD-1"), CONFLICT])
    assert [line for line in covered.says() if line.startswith("TRD-1")] == ["TRD-1: 1 of X1 by trade_id"]


def test_without_evidence_used_not_flat_comes_before_dust_that_is_blocked() -> None:
    both = World(rows=[entry(qty="0.0005")], legs=[leg("1")]).under(flatness="evidence")
    assert first(both) == "SKIP_ACTIVE_POSITION exchange_not_flat:1"


def test_dust_that_is_blocked_comes_before_missing_evidence() -> None:
    both = World(rows=[entry(qty="1.001")], orders=[order(trade_id="TRD-1")], legs=[leg("1")]).under(
        flatness="evidence"
    )
    assert both.says()[1] == "TRD-1: SKIP_ACTIVE_POSITION dust_remainder_blocked_exchange_not_flat"


BOTH = [order("X1", trade_id="TRD-1"), order("X2", minute=11, trade_id="TRD-2")]


def explained(**facts: object) -> World:
    return World(**facts).under(flatness="explained")


def test_other_open_trades_do_not_block_a_proven_exit_under_explained() -> None:
    world = explained(rows=[entry("TRD-1"), entry("TRD-2", minute=1)], orders=BOTH[:1], legs=[leg("1")])
    assert world.says() == ["TRD-1: 1 of X1 by trade_id", "TRD-2: SKIP_ACTIVE_POSITION exchange_not_flat:1"]


def test_trades_take_from_the_excess_in_the_order_of_their_newest_rows() -> None:
    rows = [entry("TRD-1", "2", minute=0), leave("TRD-1", "1", minute=3), entry("TRD-2", minute=2)]
    assert explained(rows=rows, orders=BOTH, legs=[leg("1")]).says() == [
        "TRD-2: 1 of X2 by trade_id",
        "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0",
    ]


def test_a_trade_takes_its_whole_quantity_or_nothing_and_the_next_one_may_still() -> None:
    rows = [entry("TRD-1", "2", minute=0), entry("TRD-2", "1", minute=1)]
    orders = [order("X1", "2", trade_id="TRD-1"), order("X2", trade_id="TRD-2")]
    assert explained(rows=rows, orders=orders, legs=[leg("1.5")]).says() == [
        "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:1.5",
        "TRD-2: 1 of X2 by trade_id",
    ]


def test_an_exit_of_exactly_the_excess_does_not_overshoot() -> None:
    rows = [entry("TRD-1", "2")]
    assert (
        explained(rows=rows, orders=[order(trade_id="TRD-1")], legs=[leg("1")]).says()[0]
        == "TRD-1: 1 of X1 by trade_id"
    )
    assert explained(rows=rows, orders=[order(trade_id="TRD-1")], legs=[leg("1.00000001")]).says() == [
        "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0.99999999"
    ]


def test_shorts_take_from_a_negative_excess_only() -> None:
    shorts = explained(rows=[short()], orders=[order(side="buy", trade_id="TRD-1")])
    assert shorts.says() == ["TRD-1: 1 of X1 by trade_id"]
    assert shorts.having(legs=[leg("-1")]).says() == ["TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0"]
    hedged = shorts.having(rows=[short(), entry("TRD-2", "3", minute=1)], legs=[leg("1")])
    assert hedged.says()[0] == "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:1"


def test_shorts_and_longs_of_a_symbol_share_one_excess() -> None:
    rows = [short("TRD-1", "2"), entry("TRD-2", "1", minute=1)]
    orders = [order("X1", "1", side="buy", trade_id="TRD-1"), order("X2", trade_id="TRD-2")]
    assert explained(rows=rows, orders=orders).says() == [
        "TRD-1: 1 of X1 by trade_id",
        "TRD-1: NO_GO missing_fill_evidence_for_large_remainder",
        "TRD-2: SKIP_ACTIVE_POSITION would_overshoot_venue:0",
    ]


def test_the_excess_is_over_every_profile_of_the_account() -> None:
    rows = [entry("TRD-1", minute=1), entry("TRD-2", profile_id="p2")]
    world = explained(rows=rows, orders=BOTH, legs=[leg("1")])
    assert world.says() == [
        "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0",
        "TRD-2: 1 of X2 by trade_id",
    ]


def test_trades_that_exited_too_much_count_in_the_excess() -> None:
    rows = [entry("TRD-1"), entry("TRD-9", "1"), leave("TRD-9", "1.5")]
    world = explained(rows=rows, orders=BOTH[:1])
    assert world.says() == ["TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0.5"]


def test_an_unreadable_trade_leaves_no_excess_to_the_others_of_its_symbol() -> None:
    rows = [entry("TRD-1"), entry("TRD-9", "x"), entry("TRD-3", symbol="ETH/USD")]
    orders = [*BOTH[:1], order("X3", symbol="ETH/USD", trade_id="TRD-3")]
    assert explained(rows=rows, orders=orders).says() == [
        "TRD-9: NO_GO malformed_ledger_row",
        "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0",
        "TRD-3: 1 of X3 by trade_id",
    ]


def test_a_trade_whose_entry_is_unclear_counts_with_what_it_holds_by_either_reading() -> None:
    unclear = [row("TRD-9", "3", order_id="a"), row("TRD-9", "2", side="sell", order_id="b")]
    world = explained(rows=[entry("TRD-1"), *unclear], orders=BOTH[:1], legs=[leg("1")])
    assert world.says() == ["TRD-1: 1 of X1 by trade_id", "TRD-9: NO_GO malformed_ledger_row"]
    assert world.having(legs=[leg("1.5")]).says()[0] == "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:0.5"


def test_nothing_is_booked_of_an_order_that_is_withheld() -> None:
    world = explained(rows=[entry("TRD-1"), entry("TRD-2", minute=1)], orders=BOTH)
    facts = replace(world.facts, withheld=frozenset({("BTCUSD", "X1"), ("ETHUSD", "X2")}))
    plan = plan_account(facts, Wanted(frozenset({"p1"})), world.policy)
    assert [in_words(each) for each in plan.profiles["p1"].decisions] == [
        "TRD-1: NO_GO missing_fill_evidence_for_large_remainder",
        "TRD-2: 1 of X2 by trade_id",
    ]


def test_dust_and_booked_rows_are_taken_from_the_excess_but_refused_rows_are_not() -> None:
    rows = [entry("TRD-1", "1.001"), entry("TRD-2", minute=1)]
    world = explained(rows=rows, orders=BOTH)
    assert world.says()[1:] == ["TRD-1: 0.001 of DUST-REMAINDER-TRD-1 by dust", "TRD-2: 1 of X2 by trade_id"]
    assert world.having(legs=[leg("0.0005")]).says()[2] == "TRD-2: SKIP_ACTIVE_POSITION would_overshoot_venue:0.9995"
    reverted = frozenset({("p1", "TRD-1", "X1")})
    world = explained(rows=[entry("TRD-1"), entry("TRD-2", minute=1)], orders=BOTH, legs=[leg("1")], reverted=reverted)
    assert world.says() == ["TRD-1: NO_GO reverted_by_operator X1", "TRD-2: 1 of X2 by trade_id"]


def test_what_was_booked_before_does_not_count_twice_in_the_excess() -> None:
    world = explained(rows=[entry("TRD-1", "2")], orders=[order(qty="2", trade_id="TRD-1")], legs=[leg("1")])
    world = world.having(applied=[applied(qty="1")])
    assert world.says() == ["TRD-1: 1 of X1 by trade_id", "TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]
