"""Open slices: entries less exits of each trade and symbol."""

from decimal import Decimal

import pytest
from tests.core.world import World, at, entry, leave, order, row, short, working

from trueup.core.orders import LedgerOrder, Side
from trueup.core.repair.slices import FIRST_UNCLEAR, NamelessExit, Slice, average_price, fingerprint, slices_of
from trueup.core.symbols import Symbols


def slices(*rows: LedgerOrder) -> list[Slice]:
    return slices_of(rows, Symbols())


def only(*rows: LedgerOrder) -> Slice:
    [piece] = slices(*rows)
    return piece


def test_a_slice_is_entries_less_exits() -> None:
    rows = [
        entry(qty="1", minute=3, price="100"), entry(qty="3", minute=1, price="200", order_id="e2"),
        leave(qty="0.5", minute=7), leave(qty="0.25", minute=5),
    ]  # fmt: skip
    found = only(*rows)
    assert found == Slice(
        profile_id="p1", trade_id="TRD-1", symbol="BTC/USD", token="BTCUSD", user_id="u1", entry_side=Side.BUY,
        entry_qty=Decimal(4), exit_qty=Decimal("0.75"), open_qty=Decimal("3.25"), newest_ms=at(7), bot_newest_ms=at(7),
        opened_ms=at(1), entry_price=Decimal(175), working=False, defect=None, detail="", fingerprint=fingerprint(rows),
        nameless=(
            NamelessExit(Decimal("0.25"), Decimal(100), at(5)),
            NamelessExit(Decimal("0.5"), Decimal(100), at(7)),
        ),
        newest_id=rows[2].order_id,
    )  # fmt: skip
    assert (found.signed_open, found.exit_side, found.is_open) == (Decimal("3.25"), "sell", True)


def test_the_newest_row_of_the_bot_leaves_out_our_repairs() -> None:
    found = only(entry(minute=1), leave(qty="0.1", minute=5), leave(qty="0.1", minute=9, order_id="BFILL-1"))
    assert (found.bot_newest_ms, found.newest_ms) == (at(5), at(9))
    assert only(entry(order_id="BFILL-1")).bot_newest_ms == 0


def test_a_short_slice_is_negative() -> None:
    found = only(short(qty="2"))
    assert (found.entry_side, found.exit_side, found.open_qty, found.signed_open) == ("sell", "buy", 2, -2)


def test_what_exited_too_much_is_kept_and_not_open() -> None:
    found = only(entry(qty="1"), leave(qty="3"))
    assert (found.open_qty, found.is_open) == (-2, False)


@pytest.mark.parametrize(("exited", "is_open"), [("0.99999999", False), ("0.999999989", True)])
def test_a_trade_is_open_above_1e_8(exited: str, is_open: bool) -> None:
    assert only(entry(qty="1"), leave(qty=exited)).is_open is is_open


def test_quantities_up_to_1e_8_count_for_nothing() -> None:
    assert slices(entry(qty="0.00000001")) == []
    found = only(entry(qty="1"), leave(qty="0.00000001", minute=9), entry(qty="0.000000011", minute=2))
    assert (found.entry_qty, found.exit_qty, found.newest_ms) == (Decimal("1.000000011"), 0, at(2))


@pytest.mark.parametrize(
    "dropped",
    [{"trade": None}, {"trade": " "}, {"symbol": None}, {"symbol": " "}, {"status": "canceled"}, {"status": "new"}],
)
def test_rows_that_belong_to_no_slice(dropped: dict[str, str]) -> None:
    assert slices(row(**dropped)) == []


def test_trades_are_told_apart_by_profile_id_and_symbol() -> None:
    rows = [entry("B"), entry("A"), entry("A", profile_id="p0"), entry("A", symbol="ETH/USD"), entry("a")]
    assert [(s.profile_id, s.trade_id, s.token) for s in slices(*rows)] == [
        ("p0", "A", "BTCUSD"), ("p1", "A", "BTCUSD"), ("p1", "A", "ETHUSD"), ("p1", "B", "BTCUSD"),
        ("p1", "a", "BTCUSD"),
    ]  # fmt: skip


def test_spellings_of_one_symbol_are_one_slice_in_the_spelling_of_the_first_entry() -> None:
    found = only(
        leave(symbol="btc-usd", minute=-1), entry(symbol="BTC-USD", minute=2), entry(symbol="BTCUSD", minute=1)
    )
    assert (found.symbol, found.entry_qty, found.exit_qty) == ("BTCUSD", 2, 1)


@pytest.mark.parametrize(
    ("rows", "entered", "exited", "side"),
    [
        ([row(side="buy"), row(side="sell", minute=1)], 1, 1, "buy"),
        ([row(side="sell"), row(side="buy", minute=1)], 1, 1, "sell"),
        ([row(side="sell", minute=1), row(side="buy", minute=2, action="ENTRY")], 1, 1, "buy"),
        ([row(side="buy"), row(side="buy", minute=1, action="EXIT")], 0, 2, "sell"),
        ([row(side="sell", action="EXIT")], 0, 1, "buy"),
        ([row(side="sell", action="ENTRY", minute=4), row(side="buy", action="ENTRY", minute=3)], 2, 0, "buy"),
        ([row(side="sell", action="ENTRY"), row(side="sell", action="EXIT", minute=1)], 1, 1, "sell"),
    ],
)
def test_actions_are_inferred_from_the_side_against_the_entry_side(
    rows: list[LedgerOrder], entered: int, exited: int, side: str
) -> None:
    found = only(*rows)
    assert (found.entry_qty, found.exit_qty, found.entry_side) == (entered, exited, side)


def test_times_are_of_the_readable_rows() -> None:
    found = only(leave(minute=-9), entry(minute=5), leave(minute=8), entry(qty="x", minute=50))
    assert (found.opened_ms, found.newest_ms) == (at(5), at(8))
    exits_only = only(leave(minute=3), leave(minute=2))
    assert (exits_only.opened_ms, exits_only.newest_ms) == (at(2), at(3))


def test_a_working_order_of_the_trade_blocks_all_its_slices() -> None:
    found = slices(entry("A"), entry("A", symbol="ETH/USD"), entry("B"), working("A", symbol=None))
    assert [s.working for s in found] == [True, True, False]
    assert slices(working("A")) == []


def test_an_unreadable_row_makes_its_slice_a_candidate_with_a_defect() -> None:
    found = only(entry("A", "x", order_id="o1", side="sell"))
    assert (found.is_open, found.defect, found.detail) == (
        True,
        "malformed_ledger_row",
        "order o1: 'x' is not a number",
    )
    assert (found.trade_id, found.symbol, found.entry_side, found.entry_qty, found.open_qty) == (
        "A",
        "BTC/USD",
        "buy",
        0,
        0,
    )
    assert (found.newest_ms, found.opened_ms, found.entry_price) == (0, 0, None)


def test_several_defects_are_said_in_the_order_of_their_ids_and_a_disagreement_names_the_case() -> None:
    rows = [
        entry(qty="x", order_id="o2"), entry(quantity="2", order_id="o1"), entry(), leave(),
        entry("TRD-2", quantity="2", order_id="o3"),
    ]  # fmt: skip
    first, second = slices(*rows)
    assert first.defect == "quantity_columns_disagree"
    assert first.detail == "order o1: qty is 1 and quantity is 2; order o2: 'x' is not a number"
    assert (first.open_qty, first.is_open) == (0, True)
    assert second.defect == "quantity_columns_disagree"


def test_an_unreadable_row_without_symbol_counts_for_every_symbol_of_its_trade() -> None:
    found = slices(entry("A"), entry("A", symbol="ETH/USD"), entry("A", "x", symbol=None), entry("B"))
    assert [(s.trade_id, s.defect is not None) for s in found] == [("A", True), ("A", True), ("B", False)]
    assert [s.symbol for s in found] == ["BTC/USD", "ETH/USD", "BTC/USD"]


def test_an_unreadable_row_of_another_symbol_is_its_own_slice() -> None:
    found = slices(entry("A"), entry("A", "x", symbol="ETH/USD"))
    assert [(s.token, s.defect) for s in found] == [("BTCUSD", None), ("ETHUSD", "malformed_ledger_row")]


def test_the_entry_price_is_weighted_by_quantity_and_unknown_where_one_is() -> None:
    assert average_price([entry(qty="1", price="100"), entry(qty="3", price="200")]) == 175
    assert average_price([entry(price="100"), entry(price=None)]) is None
    assert average_price([]) is None
    assert only(entry(price=None), leave(price="5")).entry_price is None
    assert only(leave(price="5")).entry_price is None


def test_a_fingerprint_changes_with_every_row_that_counts() -> None:
    base = [entry(), leave(qty="0.5")]
    changed = [
        [entry(qty="2"), base[1]], [entry(price="101"), base[1]], [entry(price=None), base[1]],
        [entry(side="sell"), base[1]], [entry(action=None), base[1]], [entry(order_id="other"), base[1]],
        [entry(symbol="BTCUSD"), base[1]], [entry(symbol=None), base[1]], [entry(qty="x"), base[1]],
        [entry(status="new"), base[1]], [base[0]], [*base, working()], [*base, entry(status="odd", order_id="z")],
        [entry(minute=1, order_id=base[0].order_id), base[1]],
    ]  # fmt: skip
    marks = [fingerprint(rows) for rows in (base, *changed)]
    assert len(set(marks)) == len(marks)
    assert fingerprint(reversed(base)) == fingerprint(base)
    assert fingerprint([entry(qty="1.0", price="100.00"), base[1]]) == fingerprint(base)
    assert fingerprint([*base, entry(status="canceled", order_id="z")]) == fingerprint(base)
    assert fingerprint([*base, entry(order_id="new")], without=frozenset({"new"})) == fingerprint(base)
    assert fingerprint([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_fingerprint_of_a_slice_is_of_the_whole_trade() -> None:
    alone = only(entry("A"))
    assert slices(entry("A"), working("A"))[0].fingerprint != alone.fingerprint
    assert slices(entry("A"), entry("A", symbol="ETH/USD"))[0].fingerprint != alone.fingerprint
    assert slices(entry("A"), entry("B"))[0].fingerprint == alone.fingerprint


def test_a_readable_row_without_symbol_counts_for_no_symbol_of_its_trade() -> None:
    assert only(entry("A"), entry("A", "2", minute=1, symbol=None)).entry_qty == 1


def test_the_first_entry_is_the_first_in_time_whatever_its_id() -> None:
    found = only(entry(side="sell", minute=4, order_id="a"), entry(side="buy", minute=3, order_id="b"))
    assert found.entry_side == "buy"
    found = only(entry(symbol="BTC-USD", minute=4, order_id="a"), entry(symbol="BTCUSD", minute=3, order_id="b"))
    assert found.symbol == "BTCUSD"


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_which_side_is_the_entry_is_not_decided_by_an_order_id(names: str) -> None:
    rows = [row(order_id=names[0]), row(qty="0.4", side="sell", order_id=names[1])]
    found = only(*rows)
    assert (found.is_open, found.defect, found.detail) == (True, "malformed_ledger_row", FIRST_UNCLEAR)
    assert (found.position_known, found.signed_open) == (True, Decimal("0.6"))
    assert World(rows=rows, orders=[order(qty="0.6", trade_id="TRD-1")]).says() == ["TRD-1: NO_GO malformed_ledger_row"]
    later = row(qty="0.1", side="sell", minute=-1, order_id="z")
    assert (only(*rows, later).defect, only(*rows, later).entry_side) == (None, "sell")
    assert only(rows[0], leave(qty="0.4", minute=0)).defect is None


def test_what_a_trade_holds_is_not_known_where_more_than_its_entrys_side_is_unclear() -> None:
    both = [row(order_id="a"), row(qty="0.4", side="sell", order_id="b")]
    assert only(*both).position_known
    assert not only(*both, row(qty="x", order_id="c", minute=1)).position_known
    assert not any(s.position_known for s in slices(*both, row("TRD-1 ", order_id="d")) if s.trade_id == "TRD-1")
    assert not only(entry(qty="x")).position_known
    assert only(entry()).position_known


def test_a_trade_of_which_either_reading_leaves_nothing_is_closed() -> None:
    found = only(row(order_id="b"), row(side="sell", order_id="a"))
    assert (found.is_open, found.defect) == (False, None)


def test_a_row_of_our_repairs_is_an_exit_in_a_table_without_actions() -> None:
    found = only(row(order_id="z"), row(qty="0.4", side="sell", minute=-1, order_id="BFILL-1"))
    assert (found.entry_side, found.entry_qty, found.exit_qty, found.defect) == ("buy", 1, Decimal("0.4"), None)


def test_a_trade_whose_rows_may_be_of_one_market_in_two_spellings_is_unresolved() -> None:
    rows = [entry("A", symbol="BTC/USDT:USDT"), leave("A", symbol="BTCUSDT"), entry("B", symbol="BTCUSDT")]
    found = slices(*rows)
    assert [(s.trade_id, s.symbol, s.defect, s.detail) for s in found] == [
        ("A", "BTCUSDT", "malformed_ledger_row",
         "rows of the trade are spelt BTCUSDT and BTC/USDT:USDT, which may be one market"),
        ("A", "BTC/USDT:USDT", "malformed_ledger_row",
         "rows of the trade are spelt BTC/USDT:USDT and BTCUSDT, which may be one market"),
        ("B", "BTCUSDT", None, ""),
    ]  # fmt: skip
    spot_and_swap = slices(entry("A", symbol="BTC/USDT:USDT"), entry("A", symbol="BTC/USDT"))
    assert [s.defect for s in spot_and_swap] == [None, None]


def test_trades_whose_ids_differ_in_blanks_alone_may_be_one() -> None:
    rows = [entry("A"), leave("A "), entry("B "), entry("A", profile_id="p2", order_id="2"), entry("C")]
    why = "the profile has trades whose ids differ in blanks alone: 'A', 'A '"
    assert [(s.profile_id, s.trade_id, s.defect, s.detail) for s in slices(*rows)] == [
        ("p1", "A", "malformed_ledger_row", why), ("p1", "A ", "malformed_ledger_row", why), ("p1", "B ", None, ""),
        ("p1", "C", None, ""), ("p2", "A", None, ""),
    ]  # fmt: skip
