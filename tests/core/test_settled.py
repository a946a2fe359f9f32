"""Trades that trueup repaired: what was undecided while they were open stays undecided, up to that snapshot."""

import pytest
from tests.core.world import World, after_apply, at, entry, order

from trueup.core.repair.naming import SettledTrade

SEEN = 50
WEIGHED = SEEN + 5
"""Evidence up to the snapshot and the grace was there when the trade was repaired."""
AFTER = WEIGHED + 1 / 60_000


def settled(
    trade: str = "TRD-SAME-A", profile: str = "p1", token: str = "BTCUSD", minute: float = SEEN
) -> SettledTrade:
    return SettledTrade(profile, trade, token, at(minute))


def open_b(minute: float, *past: SettledTrade, **marks: str) -> World:
    """TRD-SAME-B is open, and an order with some marks executed its quantity."""
    return World(rows=[entry("TRD-SAME-B")], orders=[order(minute=minute, **marks)], settled=past)


SHORT_TAG = {"sub_tag": "bytelyst:p1:TRD-SAME"}
UNPROVEN = ["TRD-SAME-B: NO_GO missing_fill_evidence_for_large_remainder"]
BY_TAG = ["TRD-SAME-B: 1 of X1 by sub_tag"]


@pytest.mark.parametrize(("minute", "says"), [(10, UNPROVEN), (WEIGHED, UNPROVEN), (AFTER, BY_TAG)])
def test_a_short_tag_means_the_repaired_trade_too_up_to_its_snapshot(minute: float, says: list[str]) -> None:
    assert open_b(minute, settled(), **SHORT_TAG).says() == says


@pytest.mark.parametrize("past", [settled(token="ETHUSD"), settled(profile="p2"), settled("TRD-OTHER")])
def test_trades_that_the_tag_could_not_mean_change_nothing(past: SettledTrade) -> None:
    assert open_b(10, past, **SHORT_TAG).says() == BY_TAG


def test_the_last_repair_of_the_symbol_counts() -> None:
    assert open_b(60, settled(), settled("TRD-X", minute=70), **SHORT_TAG).says() == UNPROVEN
    assert open_b(60, settled(minute=70), settled("TRD-X"), **SHORT_TAG).says() == UNPROVEN


def test_two_names_stay_a_conflict_when_one_of_the_trades_is_repaired() -> None:
    marks = {"trade_id": "TRD-SAME-A", "client_order_id": "bytelyst-p1-TRD-SAME-B-exit"}
    assert open_b(10, settled(), **marks).says() == ["TRD-SAME-B: NO_GO attribution_conflict"]
    [found] = open_b(10, settled(), **marks).plan().attributions["BTCUSD"].conflicts
    assert found[1] == {("p1", "TRD-SAME-A"), ("p1", "TRD-SAME-B")}
    assert open_b(AFTER, settled(), **marks).says() == ["TRD-SAME-B: 1 of X1 by client_order_id"]


def test_evidence_of_a_repaired_trade_is_given_to_no_other() -> None:
    assert open_b(10, settled(), trade_id="TRD-SAME-A").says() == UNPROVEN


@pytest.mark.parametrize(
    ("minute", "says"),
    [(10, UNPROVEN), (WEIGHED, UNPROVEN), (AFTER, ["TRD-SAME-B: 0.5 of X1 by single_open_trade", *UNPROVEN])],
)
def test_the_one_open_trade_is_not_asked_for_what_was_there_before_the_others_were_repaired(
    minute: float, says: list[str]
) -> None:
    world = open_b(minute, settled("TRD-OTHER")).having(orders=[order(qty="0.5", minute=minute)])
    assert world.under(strong_attribution=False, heuristic_match=True).says() == says


def test_a_quantity_that_fitted_two_trades_is_not_the_second_ones_after_the_first_was_repaired() -> None:
    orders = [order("X1", "1.0007", 20), order("X2", "0.9985", 10)]
    world = World(rows=[entry("TRD-A", "1"), entry("TRD-B", "1.0015")], orders=orders)
    world = world.under(strong_attribution=False, heuristic_match=True)
    assert [row.trade_id for row in world.booked()] == ["TRD-A", "TRD-A"]
    assert after_apply(world).booked() == []
