"""Each pass of the attribution, its eligibility and order."""

from decimal import Decimal

import pytest
from tests.core.world import GRACE, World, entry, leave, leg, order, reaches, short

MISSING = "NO_GO missing_fill_evidence_for_large_remainder"
TWO = [entry("TRD-AAAAAAA1"), entry("TRD-AAAAAAA2")]


def guessing(**facts: object) -> World:
    return World(**facts).under(strong_attribution=False, heuristic_match=True)


def by(world: World) -> list[str]:
    """The booked rows in words."""
    return [line for line in world.says() if " by " in line]


@pytest.mark.parametrize(
    ("marks", "method"),
    [
        ({"trade_id": "TRD-AAAAAAA1"}, "trade_id"),
        ({"sub_tag": "bytelyst:p1:TRD-AAAAAAA1"}, "sub_tag"),
        ({"sub_tag": "bytelyst:P1:trd-aaaaaaa1"}, "sub_tag"),
        ({"client_order_id": "bytelyst-p1-TRD-AAAAAAA1"}, "client_order_id"),
        ({"client_order_id": "bytelyst-p1-trd-aaaaaaa1-EXIT"}, "client_order_id"),
        ({"trade_id": "TRD-AAAAAAA1", "sub_tag": "bytelyst:p1:TRD-AAAAAAA1"}, "trade_id"),
        ({"sub_tag": "bytelyst:p1:TRD-AAAAAAA1", "client_order_id": "bytelyst-p1-TRD-AAAAAAA1"}, "sub_tag"),
        ({"sub_tag": "bytelyst:p1:TRD-AAAA", "client_order_id": "bytelyst-p1-TRD-AAAAAAA1"}, "client_order_id"),
    ],
)
def test_evidence_goes_to_the_trade_that_it_names(marks: dict[str, str], method: str) -> None:
    assert by(World(rows=TWO, orders=[order(**marks)])) == [f"TRD-AAAAAAA1: 1 of X1 by {method}"]


@pytest.mark.parametrize(
    "marks",
    [
        {"trade_id": "trd-aaaaaaa1"},
        {"trade_id": "TRD-GONE"},
        {"sub_tag": "bytelyst:p1:TRD-AAAA"},
        {"sub_tag": "bytelyst:p1:TRD-AAA"},
        {"sub_tag": "bytelyst:p1:TRD-AAAAAAA11"},
        {"client_order_id": "bytelyst-p1-TRD-AAAA-exit"},
        {"client_order_id": "bytelyst-p1-TRD-AAAAAAA1-entry"},
        {"client_order_id": "bytelyst-p1-TRD-AAAAAAA1-entry", "trade_id": "TRD-AAAAAAA1"},
    ],
)
def test_evidence_that_names_no_open_trade_proves_nothing(marks: dict[str, str]) -> None:
    assert by(World(rows=TWO, orders=[order(**marks)])) == []


def test_a_sub_tag_names_a_trade_by_at_least_eight_characters() -> None:
    one = World(rows=[entry("TRD-12345"), entry("TRD-9")])
    assert by(one.having(orders=[order(sub_tag="bytelyst:p1:TRD-1234")])) == ["TRD-12345: 1 of X1 by sub_tag"]
    assert by(one.having(orders=[order(sub_tag="bytelyst:p1:TRD-123")])) == []
    assert by(one.having(orders=[order(sub_tag="bytelyst:p1:TRD-9")])) == ["TRD-9: 1 of X1 by sub_tag"]


def test_a_sub_tag_that_spells_out_one_trade_and_begins_another_matches_both() -> None:
    world = World(rows=[entry("TRD-12345"), entry("TRD-123456")], orders=[order(sub_tag="bytelyst:p1:TRD-12345")])
    assert by(world) == []
    assert by(world.having(rows=world.rows[1:])) == ["TRD-123456: 1 of X1 by sub_tag"]


def test_a_sub_tag_short_for_a_trade_that_is_not_open_names_no_other() -> None:
    gone = {"sub_tag": "bytelyst:p1:TRD-AAAA", "client_order_id": "bytelyst-p1-TRD-AAAA-GONE-exit"}
    assert by(World(rows=TWO[:1], orders=[order(**gone)])) == []
    assert by(World(rows=TWO[:1], orders=[order(sub_tag=gone["sub_tag"], trade_id="TRD-AAAA-GONE")])) == []
    assert by(World(rows=TWO[:1], orders=[order(sub_tag=gone["sub_tag"])])) == ["TRD-AAAAAAA1: 1 of X1 by sub_tag"]
    another = order(sub_tag=gone["sub_tag"], trade_id="TRD-BBBB")
    assert by(World(rows=TWO[:1], orders=[another])) == ["TRD-AAAAAAA1: 1 of X1 by sub_tag"]


def test_names_are_looked_up_among_the_trades_of_the_owner() -> None:
    rows = [entry("TRD-SAME", profile_id="p1"), entry("TRD-SAME", profile_id="p2")]
    assert by(World(rows=rows, orders=[order(trade_id="TRD-SAME", sub_tag="bytelyst:p2:zzz")])) == [
        "TRD-SAME: 1 of X1 by trade_id"
    ]
    assert World(rows=rows, orders=[order(trade_id="TRD-SAME")]).says() == ["TRD-SAME: NO_GO attribution_conflict"] * 2
    assert [row.profile_id for row in World(rows=rows, orders=[order(sub_tag="bytelyst:p2:TRD-SAME")]).booked()] == [
        "p2"
    ]


CONFLICTS = [
    {"trade_id": "TRD-AAAAAAA1", "client_order_id": "bytelyst-p1-TRD-AAAAAAA2"},
    {"trade_id": "TRD-AAAAAAA1", "sub_tag": "bytelyst:p1:TRD-AAAAAAA2"},
    {"sub_tag": "bytelyst:p1:TRD-AAAAAAA1", "client_order_id": "bytelyst-p1-TRD-AAAAAAA2"},
]


@pytest.mark.parametrize("marks", CONFLICTS)
def test_evidence_that_names_two_open_trades_is_a_conflict_of_both(marks: dict[str, str]) -> None:
    world = World(rows=TWO, orders=[order(**marks)])
    assert world.says() == ["TRD-AAAAAAA1: NO_GO attribution_conflict", "TRD-AAAAAAA2: NO_GO attribution_conflict"]
    [(row, trades)] = world.plan().attributions["BTCUSD"].conflicts
    assert row.exchange_order_id == "X1"
    assert trades == {("p1", "TRD-AAAAAAA1"), ("p1", "TRD-AAAAAAA2")}
    assert world.plan().profiles["p1"].unmatched == 0


def test_a_sub_tag_of_several_trades_conflicts_with_a_name_outside_them() -> None:
    rows = [*TWO, entry("TRD-B")]
    outside = order(sub_tag="bytelyst:p1:TRD-AAAA", trade_id="TRD-B")
    assert "TRD-B: NO_GO attribution_conflict" in World(rows=rows, orders=[outside]).says()
    inside = order(sub_tag="bytelyst:p1:TRD-AAAA", trade_id="TRD-AAAAAAA2")
    assert by(World(rows=rows, orders=[inside])) == ["TRD-AAAAAAA2: 1 of X1 by trade_id"]


def test_a_conflict_blocks_only_trades_that_the_evidence_could_have_proven() -> None:
    buying = World(rows=TWO, orders=[order(side="buy", **CONFLICTS[0])])
    assert buying.says() == [f"TRD-AAAAAAA1: {MISSING}", f"TRD-AAAAAAA2: {MISSING}"]
    old = World(rows=[TWO[0], entry("TRD-AAAAAAA2", minute=16)], orders=[order(**CONFLICTS[0])])
    assert old.says() == ["TRD-AAAAAAA1: NO_GO attribution_conflict", f"TRD-AAAAAAA2: {MISSING}"]


def test_a_client_order_id_whose_ending_belongs_to_the_name_is_a_conflict_where_both_are_open() -> None:
    rows = [entry("TRD-1"), entry("TRD-1-exit")]
    named = order(client_order_id="bytelyst-p1-TRD-1-exit")
    assert World(rows=rows, orders=[named]).says()[0] == "TRD-1: NO_GO attribution_conflict"
    assert by(World(rows=rows[1:], orders=[named])) == ["TRD-1-exit: 1 of X1 by client_order_id"]


@pytest.mark.parametrize("method", ["trade_id", "heuristic"])
def test_evidence_is_not_older_than_the_newest_row_less_the_grace(method: str) -> None:
    marks = {"trade_id": "TRD-1"} if method == "trade_id" else {}
    rows = [entry(qty="2", minute=0), leave(minute=20)]
    assert len(by(guessing(rows=rows, orders=[order(minute=20 - GRACE, **marks)]))) == 1
    assert by(guessing(rows=rows, orders=[order(minute=20 - GRACE - 1 / 60_000, **marks)])) == []


@pytest.mark.parametrize("marks", [{"trade_id": "TRD-1"}, {}])
def test_evidence_has_the_exit_side(marks: dict[str, str]) -> None:
    assert by(guessing(rows=[entry()], orders=[order(side="buy", **marks)])) == []
    assert by(guessing(rows=[short()], orders=[order(side="sell", **marks)])) == []
    assert len(by(guessing(rows=[short()], orders=[order(side="buy", **marks)]))) == 1


def test_evidence_is_assigned_newest_first_and_booked_oldest_first() -> None:
    orders = [order(name, "0.6", minute, trade_id="TRD-1") for name, minute in (("new", 30), ("mid", 20), ("old", 10))]
    assert World(rows=[entry()], orders=orders).says() == [
        "TRD-1: 0.6 of mid by trade_id",
        "TRD-1: 0.4 of new by trade_id",
    ]


def test_of_equal_times_the_greater_exchange_order_id_is_the_newer() -> None:
    orders = [order(name, "0.6", trade_id="TRD-1") for name in ("B", "A", "C")]
    assert World(rows=[entry()], orders=orders).says() == ["TRD-1: 0.6 of B by trade_id", "TRD-1: 0.4 of C by trade_id"]


def test_a_trade_with_nothing_left_takes_no_more() -> None:
    orders = [order("new", "1", 20, trade_id="TRD-1"), order("old", "1", 10, trade_id="TRD-1")]
    plan = World(rows=[entry()], orders=orders).plan()
    assert [row.exchange_order_id for row in plan.profiles["p1"].rows] == ["new"]
    assert plan.profiles["p1"].unmatched == 1
    for qty, rows in (("0.99999999", 1), ("0.99999998", 2)):
        nearly = World(rows=[entry()], orders=[order("new", qty, 20, trade_id="TRD-1"), orders[1]])
        assert len(nearly.plan().attributions["BTCUSD"].assigned["p1", "TRD-1"]) == rows


def test_an_earlier_pass_takes_before_newer_evidence_of_a_later_pass() -> None:
    orders = [order("old", minute=10, trade_id="TRD-1"), order("new", minute=30, client_order_id="bytelyst-p1-TRD-1")]
    assert by(World(rows=[entry()], orders=orders)) == ["TRD-1: 1 of old by trade_id"]


def test_heuristics_are_off_unless_told() -> None:
    world = World(rows=[entry()], orders=[order()]).under(strong_attribution=False)
    assert world.says() == [f"TRD-1: {MISSING}"]
    assert world.plan().profiles["p1"].unmatched == 1
    assert by(world.under(heuristic_match=True)) == ["TRD-1: 1 of X1 by qty_unique"]


def test_quantity_matches_one_eligible_trade_within_the_dust_threshold_of_its_remainder() -> None:
    rows = [entry("TRD-1", "100"), entry("TRD-2", "7")]
    for qty, found in (("99.8", 1), ("99.7999", 0), ("100.2", 1), ("100.2001", 0)):
        assert str(by(guessing(rows=rows, orders=[order(qty=qty)]))).count("qty_unique") == found, qty
    small = [entry("TRD-1", "0.4"), entry("TRD-2", "7")]
    for qty, found in (("0.399", 1), ("0.3989", 0), ("0.401", 1), ("0.40101", 0)):
        assert str(by(guessing(rows=small, orders=[order(qty=qty)]))).count("qty_unique") == found, qty


def test_a_quantity_that_matches_two_trades_matches_none() -> None:
    rows = [entry("TRD-1"), entry("TRD-2", "1.001")]
    assert by(guessing(rows=rows, orders=[order()])) == []
    late = [entry("TRD-1"), entry("TRD-2", "1.001", minute=50)]
    assert by(guessing(rows=late, orders=[order()])) == ["TRD-1: 1 of X1 by qty_unique"]
    other_side = [entry("TRD-1"), short("TRD-2")]
    assert by(guessing(rows=other_side, orders=[order()])) == ["TRD-1: 1 of X1 by qty_unique"]
    other_profile = [entry("TRD-1"), entry("TRD-2", profile_id="p2")]
    assert by(guessing(rows=other_profile, orders=[order()])) == []
    owned = [order(sub_tag="bytelyst:p2:")]
    assert by(guessing(rows=other_profile, orders=owned)) == ["TRD-2: 1 of X1 by qty_unique"]


def test_quantity_is_compared_with_what_is_left_after_earlier_rows() -> None:
    rows = [entry("TRD-1", "1"), entry("TRD-2", "5")]
    orders = [
        order("X1", "0.4", 10, trade_id="TRD-1"),
        order("X2", "0.6", 12),
        order("X3", "5", 13),
        order("X4", "5", 11),
    ]
    assert by(guessing(rows=rows, orders=orders)) == [
        "TRD-1: 0.4 of X1 by trade_id",
        "TRD-1: 0.6 of X2 by qty_unique",
        "TRD-2: 5 of X3 by qty_unique",
    ]


def test_a_remainder_of_a_matched_trade_is_matched_again() -> None:
    rows = [entry("TRD-1", "1"), entry("TRD-2", "50")]
    orders = [order("X1", "0.9", 12), order("X2", "0.1", 11)]
    wide = guessing(rows=rows, orders=orders).under(dust_rel="0.1")
    assert by(wide) == ["TRD-1: 0.1 of X2 by qty_unique", "TRD-1: 0.9 of X1 by qty_unique"]


def test_a_dust_ratio_of_one_or_more_matches_any_quantity() -> None:
    rows = [entry("TRD-1", "10")]
    for ratio in ("1", "1.5"):
        world = guessing(rows=[*rows, short("TRD-2")], orders=[order(qty="3")]).under(dust_rel=ratio)
        assert by(world)[0] == "TRD-1: 3 of X1 by qty_unique"


def test_the_single_open_trade_of_a_symbol_takes_what_no_quantity_decides() -> None:
    single = guessing(rows=[entry(qty="5")], orders=[order()])
    assert by(single) == ["TRD-1: 1 of X1 by single_open_trade"]
    assert by(guessing(rows=[entry(qty="5"), entry("TRD-2", "7")], orders=[order()])) == []
    assert by(guessing(rows=[entry(qty="5"), entry("TRD-2", "7", symbol="ETH/USD")], orders=[order()])) == by(single)
    closed = [entry("TRD-2"), leave("TRD-2")]
    assert by(guessing(rows=[entry(qty="5"), *closed], orders=[order()])) == by(single)


@pytest.mark.parametrize("qty", ["1", "5"])
@pytest.mark.parametrize(
    "marks",
    [
        {"trade_id": "TRD-GONE"},
        {"sub_tag": "bytelyst:p1:TRD-GONE"},
        {"client_order_id": "bytelyst-p1-TRD-GONE-exit"},
        {"trade_id": "TRD-GONE", "sub_tag": "bytelyst:p1:"},
    ],
)
def test_heuristics_give_nothing_that_names_a_trade_which_is_not_open(qty: str, marks: dict[str, str]) -> None:
    assert by(guessing(rows=[entry(qty=qty)], orders=[order(**marks)])) == []


def test_heuristics_choose_among_the_trades_that_a_sub_tag_begins() -> None:
    rows = [entry("TRD-AAAAAAA1", "1"), entry("TRD-AAAAAAA2", "3"), entry("TRD-B", "7")]
    begun = {"sub_tag": "bytelyst:p1:TRD-AAAA"}
    assert by(guessing(rows=rows, orders=[order(qty="3", **begun)])) == ["TRD-AAAAAAA2: 3 of X1 by qty_unique"]
    assert by(guessing(rows=rows, orders=[order(qty="7", **begun)])) == []


def test_the_rest_of_a_partly_booked_order_is_guessed_only_for_its_own_trade() -> None:
    other = [entry("TRD-0", "1"), leave("TRD-0", "1", exchange_order_id="X1")]
    assert by(guessing(rows=[*other, entry("TRD-1", "1")], orders=[order(qty="2")])) == []
    own = [entry("TRD-1", "2"), leave("TRD-1", "1", exchange_order_id="X1")]
    assert by(guessing(rows=own, orders=[order(qty="2")])) == ["TRD-1: 1 of X1 by qty_unique"]


def test_a_trade_that_cannot_be_read_turns_guessing_off_for_its_symbol() -> None:
    rows = [entry("TRD-1"), entry("TRD-2", "x")]
    assert by(guessing(rows=rows, orders=[order()])) == []
    rows = [entry("TRD-1"), entry("TRD-2", "x", symbol="ETH/USD")]
    assert by(guessing(rows=rows, orders=[order()])) == ["TRD-1: 1 of X1 by qty_unique"]


def test_a_trade_that_cannot_be_read_keeps_the_evidence_that_names_it() -> None:
    rows = [entry("TRD-1", "x"), entry("TRD-1", "1", minute=1), leave("TRD-1", "1", minute=2)]
    world = World(rows=rows, orders=[order(trade_id="TRD-1")])
    assert world.plan().profiles["p1"].unmatched == 0
    assert world.decisions()[0].metadata["evidenceRows"] == 1


def test_unmatched_evidence_is_counted_for_the_profiles_that_may_use_it() -> None:
    rows = [entry(), entry("TRD-2", profile_id="p2")]
    orders = [order("A", trade_id="GONE"), order("B", sub_tag="bytelyst:p2:GONE"), order("C", symbol="ETH/USD")]
    plans = World(rows=rows, orders=orders).plan()
    assert {name: plan.unmatched for name, plan in plans.profiles.items()} == {"p1": 1, "p2": 2}
    assert [d.metadata["unmatchedEvidenceCount"] for d in World(rows=rows, orders=orders).decisions()] == [1, 2]
    assert [e.exchange_order_id for e, _ in plans.attributions["BTCUSD"].unassigned] == ["A", "B"]


def test_trades_of_other_symbols_are_not_given_the_evidence() -> None:
    rows = [entry("TRD-1", symbol="ETH/USD"), entry("TRD-1", symbol="BTC/USD")]
    assert by(World(rows=rows, orders=[order(trade_id="TRD-1")], legs=[leg("0", "ETH/USD")])) == [
        "TRD-1: 1 of X1 by trade_id"
    ]


def test_a_tag_that_names_a_profile_and_no_trade_is_guessed_for_no_other_profile() -> None:
    world = World(rows=[entry("TRD-A", "3")], orders=[order(sub_tag="bytelyst:p2:")])
    world = world.under(strong_attribution=False, heuristic_match=True)
    assert world.booked() == []
    own = world.having(orders=[order(sub_tag="bytelyst:p1:")])
    assert [row.matched_by for row in own.booked()] == ["single_open_trade"]


def test_what_is_left_of_a_partly_booked_order_follows_a_tag_that_spells_a_trade_out() -> None:
    rows = [entry("TRD-SAME-A"), entry("TRD-SAME-B"), leave("TRD-SAME-B", "0.5", exchange_order_id="X1")]
    world = World(rows=rows, orders=[order(sub_tag="bytelyst:p1:TRD-SAME-A")])
    assert [(row.trade_id, row.qty, row.matched_by) for row in world.booked()] == [
        ("TRD-SAME-A", Decimal("0.5"), "sub_tag")
    ]


def test_a_trade_that_opened_after_a_row_is_no_candidate_for_its_quantity_whatever_its_name() -> None:
    for late, early in (("TRD-A", "TRD-B"), ("TRD-B", "TRD-A")):
        world = World(rows=[entry(late, minute=30), entry(early)], orders=[order()])
        found = world.under(strong_attribution=False, heuristic_match=True).booked()
        assert [(row.trade_id, row.matched_by) for row in found] == [(early, "qty_unique")]


def test_what_is_left_of_a_partly_booked_order_is_not_given_by_a_short_tag() -> None:
    booked = leave("TRD-SAME-B", "0.5", exchange_order_id="X1")
    world = World(rows=[entry("TRD-SAME-A"), booked], orders=[order(sub_tag="bytelyst:p1:TRD-SAME")])
    assert world.booked() == []
    own = world.having(rows=[entry("TRD-SAME-A"), leave("TRD-SAME-A", "0.5", exchange_order_id="X1")])
    assert [row.qty for row in own.booked()] == [Decimal("0.5")]


@pytest.mark.parametrize(("since", "booked"), [(10 - GRACE, 1), (10 - GRACE + 1, 0), (10 + GRACE, 0)])
def test_nothing_is_guessed_for_a_trade_that_the_order_feed_does_not_reach(since: float, booked: int) -> None:
    world = World(rows=[entry(minute=10)], orders=[order(minute=12)], coverage={"closed_orders": reaches(since)})
    assert len(world.under(strong_attribution=False, heuristic_match=True).booked()) == booked
