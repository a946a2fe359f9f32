"""Worlds in which an earlier reading of the rules repaired wrongly or answered by the order of arrival."""

from decimal import Context, Decimal, localcontext
from itertools import permutations

import pytest
from tests.core.world import FAILED, GRACE, NOW, World, after_apply, entry, fill, leave, leg, order, short

from trueup.core.decimals import EXACT
from trueup.core.orders import LedgerOrder
from trueup.core.repair.decisions import SAME_ID_WHY, TAKEN_BACK
from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols
from trueup.core.times import read_time


def guessing(**facts: object) -> World:
    return World(**facts).under(strong_attribution=False, heuristic_match=True)


NAMES_A_AND_B = {"trade_id": "TRD-A", "client_order_id": "bytelyst-p1-TRD-B-exit"}


def test_a_conflict_stays_a_conflict_when_one_of_its_trades_closes() -> None:
    orders = [order("X1", **NAMES_A_AND_B), order("X2", minute=11, trade_id="TRD-B")]
    world = World(rows=[entry("TRD-A"), entry("TRD-B")], orders=orders)
    assert after_apply(world).booked() == []


def test_a_conflict_still_blocks_dust_after_newer_evidence_is_booked() -> None:
    orders = [order("X1", "0.0005", 2, **NAMES_A_AND_B), order("X2", minute=30, trade_id="TRD-A")]
    world = World(rows=[entry("TRD-A", "1.0005"), entry("TRD-B", "3")], orders=orders)
    assert after_apply(world).booked() == []


def test_evidence_is_not_guessed_for_the_last_trade_after_the_others_were_repaired() -> None:
    orders = [order("X1", "0.5"), order("X2", trade_id="TRD-A")]
    assert after_apply(guessing(rows=[entry("TRD-A"), entry("TRD-B", "2")], orders=orders)).booked() == []


def test_a_sub_tag_of_two_trades_is_not_the_second_ones_after_the_first_was_repaired() -> None:
    orders = [order("X1", "0.5", sub_tag="bytelyst:p1:TRD-SAME"), order("X2", trade_id="TRD-SAME-A")]
    assert after_apply(World(rows=[entry("TRD-SAME-A"), entry("TRD-SAME-B", "2")], orders=orders)).booked() == []


def test_the_rest_of_a_partly_booked_order_is_not_given_to_another_trade_by_a_short_sub_tag() -> None:
    rows = [entry("TRD-SAME-A"), entry("TRD-SAME-B", "5")]
    world = guessing(rows=rows, orders=[order(qty="1.0005", sub_tag="bytelyst:p1:TRD-SAME")])
    assert after_apply(world).booked() == []


def test_each_trade_is_decided_by_its_own_spelling_of_the_symbol() -> None:
    rows = [entry("TRD-A", symbol="BTCUSDT"), entry("TRD-B", symbol="BTC/USDT")]
    orders = [order("X1", symbol="BTC/USDT", trade_id="TRD-A")]
    world = World(rows=rows, orders=orders, legs=[leg("1", "BTC/USDT:USDT")])
    assert world.says()[0] == "TRD-A: NO_GO venue_position_unknown"


@pytest.mark.parametrize("symbol", ["DOTUSD", "BATUSD", "USDTUSD"])
def test_a_joined_symbol_that_two_quotes_split_has_no_base_asset(symbol: str) -> None:
    assert Symbols().base_asset(symbol) in (None, symbol.removesuffix("USD"))


def test_a_balance_behind_a_joined_symbol_is_not_read_as_flat() -> None:
    world = World(rows=[entry(symbol="DOTUSD", qty="0.0005")], balances={"DOT": "5"})
    assert world.booked() == []


def test_nothing_is_guessed_while_the_order_feed_is_not_complete() -> None:
    tagged = guessing(rows=[entry()], orders=[order(sub_tag="bytelyst:p2:TRD-9")], fills=[fill()])
    assert tagged.booked() == []
    assert tagged.having(orders=[], coverage={"closed_orders": FAILED}).booked() == []


def test_fills_of_an_order_that_is_set_aside_are_not_guessed() -> None:
    later = order(minute=NOW + 6, sub_tag="bytelyst:p2:TRD-9")
    assert guessing(rows=[entry()], orders=[later], fills=[fill()]).booked() == []


def test_fills_on_the_other_side_than_their_order_prove_nothing() -> None:
    assert World(rows=[entry()], orders=[order(side="buy", trade_id="TRD-1")], fills=[fill()]).booked() == []


def test_an_unreadable_row_that_books_by_client_order_id_makes_its_order_unknown() -> None:
    rows = [entry(), leave("TRD-2", "x", client_order_id="c-1")]
    assert World(rows=rows, orders=[order(trade_id="TRD-1", client_order_id="c-1")]).booked() == []


@pytest.mark.parametrize(
    "links", [({}, {"replaces": "A"}, {"replaces": "A"}), ({"replaced_by": "C"}, {"replaced_by": "C"}, {})]
)
def test_chains_with_two_heirs_or_two_ancestors_read_the_same_in_any_order(links: tuple[dict[str, str], ...]) -> None:
    orders = [
        order(name, qty, minute, trade_id="TRD-1", **link)
        for (name, qty, minute), link in zip((("A", "0.5", 5), ("B", "0.7", 10), ("C", "1", 12)), links, strict=True)
    ]
    rows = [entry(qty="10"), leave(qty="0.7", exchange_order_id="C")]
    answers = {tuple(World(rows=rows, orders=listed).says()) for listed in permutations(orders)}
    assert len(answers) == 1


def test_quantity_columns_that_disagree_come_before_other_unreadable_rows() -> None:
    assert World(rows=[entry(qty="1", quantity="2"), entry(qty="x", minute=1)]).says() == [
        "TRD-1: NO_GO quantity_columns_disagree"
    ]


def test_rows_without_an_order_id_are_not_one_row() -> None:
    rows = [
        entry(qty="2"),
        leave(qty="0.3", order_id=None, exchange_order_id="X1"),
        leave(qty="0.2", order_id=None, exchange_order_id="X1"),
    ]
    [row] = World(rows=rows, orders=[order(trade_id="TRD-1")]).booked()
    assert row.qty == Decimal("0.5")


def test_seconds_are_read_exactly_whatever_the_callers_context() -> None:
    with localcontext(Context(prec=3)):
        assert read_time("1700000000.123") == 1_700_000_000_123


def test_what_is_open_is_exact_whatever_the_callers_context() -> None:
    long = "12345678901234567890.123456789012345678"
    with localcontext(Context(prec=3)):
        [piece] = slices_of([entry(qty=long), leave(qty="0.100000000000000001")], Symbols())
    assert piece.open_qty == EXACT.subtract(Decimal(long), Decimal("0.100000000000000001"))


def test_dust_of_a_trade_that_opened_after_the_venue_was_read_is_not_written_off() -> None:
    late = World(rows=[entry(qty="0.0005", minute=NOW + GRACE + 0.001)])
    assert late.says() == ["TRD-1: NO_GO venue_position_unknown"]
    assert World(rows=[entry(qty="0.0005", minute=NOW + GRACE)]).booked()


def test_dust_is_not_written_off_past_the_excess_under_the_explained_policy() -> None:
    rows = [entry("TRD-1", "1000"), short("TRD-2", "2")]
    world = World(rows=rows, orders=[order("X1", "998", trade_id="TRD-1")]).under(flatness="explained")
    assert [row.qty for row in world.booked()] == [998]
    assert "TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:998" in world.says()


def test_dust_is_not_written_off_while_the_trades_evidence_is_taken_back() -> None:
    world = World(rows=[entry()], orders=[order(qty="0.9995", trade_id="TRD-1")])
    assert len(world.booked()) == 2
    assert world.having(reverted=frozenset({("p1", "TRD-1", "X1")})).booked() == []


def test_evidence_is_not_guessed_while_another_profiles_unmanaged_trade_may_be_meant() -> None:
    rows = [entry("TRD-1"), entry("TRD-2", profile_id="p2")]
    world = guessing(rows=rows, orders=[order()], managed={"p2": frozenset({"ETHUSD"})})
    assert world.booked() == []


def test_a_position_under_the_venues_old_name_of_the_quote_asset_is_found() -> None:
    world = World(rows=[entry(symbol="ETH/BTC")], orders=[order(symbol="ETH/BTC", trade_id="TRD-1")])
    assert world.booked()
    assert world.having(legs=[leg("1", "ETHXBT")]).booked() == []


def test_a_trade_id_of_two_symbols_books_no_row_id_twice() -> None:
    rows = [entry(), entry(symbol="ETH/USD", order_id="o2")]
    orders = [order("X1", trade_id="TRD-1"), order("X1", trade_id="TRD-1", symbol="ETH/USD")]
    assert World(rows=rows, orders=orders).says() == ["TRD-1: 1 of X1 by trade_id", "TRD-1: NO_GO row_id_not_unique X1"]


def test_dust_of_two_symbols_under_one_trade_id_is_booked_once() -> None:
    rows = [entry(qty="0.0005"), entry(qty="0.0005", symbol="ETH/USD", order_id="o2")]
    dust = "DUST-REMAINDER-TRD-1"
    assert World(rows=rows).says() == [f"TRD-1: 0.0005 of {dust} by dust", f"TRD-1: NO_GO row_id_not_unique {dust}"]


def test_a_row_that_cannot_be_booked_beside_its_twin_says_what_was_weighed() -> None:
    rows = [entry("TRD-1"), entry("TRD-1", symbol="ETH/USD", minute=0.5)]
    orders = [order("X1", trade_id="TRD-1"), order("X1", trade_id="TRD-1", symbol="ETH/USD")]
    booked, refused = World(rows=rows, orders=orders).decisions()
    assert (booked.used, booked.remaining) == (1, 0)
    assert (refused.why, refused.used, refused.remaining) == (SAME_ID_WHY, 0, 1)
    assert refused.metadata["evidenceRowsUsed"] == 0
    assert refused.metadata["remaining"] == "1"
    assert refused.metadata["openQty"] == "1"


def test_a_row_that_was_taken_back_says_why_it_stays_out() -> None:
    world = World(rows=[entry()], orders=[order(trade_id="TRD-1")], reverted=frozenset({("p1", "TRD-1", "X1")}))
    [refused] = world.decisions()
    assert (refused.why, refused.used, refused.remaining) == (TAKEN_BACK, 0, 1)


def test_a_sub_tag_that_shortens_the_open_trade_which_the_client_id_spells_out_is_the_stronger_proof() -> None:
    rows = [entry("TRD-1234567")]
    marks = {"sub_tag": "bytelyst:p1:TRD-1234", "client_order_id": "bytelyst-p1-TRD-1234567-exit"}
    assert World(rows=rows, orders=[order(**marks)]).says() == ["TRD-1234567: 1 of X1 by sub_tag"]


@pytest.mark.parametrize(
    "newer",
    [
        [entry("TRD-B", minute=NOW + 30)],
        [entry("TRD-B"), entry("TRD-B", minute=NOW + 30, order_id="scaled-in")],
        [short("TRD-B"), leave("TRD-B", side="buy", minute=NOW + 30)],
    ],
)
def test_trades_that_moved_after_the_venue_was_read_make_no_excess(newer: list[LedgerOrder]) -> None:
    world = World(rows=[entry("TRD-A"), *newer], orders=[order(trade_id="TRD-A")], legs=[leg("0.5"), leg("-0.5")])
    explained = world.under(flatness="explained")
    assert "TRD-A: SKIP_ACTIVE_POSITION would_overshoot_venue:0" in explained.says()
    assert explained.having(rows=explained.rows[:1]).booked()


@pytest.mark.parametrize("minute", [5, 15])
@pytest.mark.parametrize("policy", ["flat", "explained"])
def test_evidence_that_was_taken_back_does_not_hide_other_evidence(minute: int, policy: str) -> None:
    taken_back = order("X1", "1", minute, trade_id="TRD-1")
    world = World(rows=[entry()], orders=[taken_back], reverted=frozenset({("p1", "TRD-1", "X1")})).under(
        flatness=policy
    )
    assert world.says() == ["TRD-1: NO_GO reverted_by_operator X1"]
    more = world.having(orders=[taken_back, order("X2", "0.4", 10, trade_id="TRD-1")])
    assert sorted(more.says()) == ["TRD-1: 0.4 of X2 by trade_id", "TRD-1: NO_GO reverted_by_operator X1"]
    whole = world.having(orders=[taken_back, order("X2", "1", 10, sub_tag="bytelyst:p1:TRD-1")])
    assert whole.says() == ["TRD-1: 1 of X2 by sub_tag"]


def test_a_sub_tag_that_is_the_whole_id_of_a_closed_trade_is_not_short_for_an_open_one() -> None:
    world = World(rows=[entry("TRD-BTC-10")], orders=[order(sub_tag="bytelyst:p1:TRD-BTC-1")])
    assert world.says() == ["TRD-BTC-10: 1 of X1 by sub_tag"]
    assert world.having(spelt=frozenset({("p1", "trd-btc-1")})).booked() == []
    assert world.having(spelt=frozenset({("p2", "trd-btc-1")})).booked()


def test_what_an_operator_took_back_takes_nothing_from_the_excess() -> None:
    rows, orders = [entry(qty="3")], [order("X1", "1", trade_id="TRD-1"), order("X2", "2", minute=11, trade_id="TRD-1")]
    world = World(rows=rows, orders=orders, legs=[leg("1")]).under(flatness="explained")
    assert world.says() == ["TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:2"]
    back = world.having(reverted=frozenset({("p1", "TRD-1", "X1")}))
    assert back.says() == ["TRD-1: NO_GO reverted_by_operator X1", "TRD-1: 2 of X2 by trade_id"]
    both = world.having(reverted=frozenset({("p1", "TRD-1", "X1"), ("p1", "TRD-1", "X2")}))
    assert both.says() == ["TRD-1: SKIP_ACTIVE_POSITION would_overshoot_venue:2"]
