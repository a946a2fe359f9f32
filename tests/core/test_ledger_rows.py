"""A row of the ledger, read strictly: statuses, sides, quantities, times, and what is wrong with it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from tests.core.world import START, row

from trueup.core import orders
from trueup.core.orders import Action, LedgerOrder, Said, Side, StatusClass, read_order, read_side, status_class, word

RAW = {
    "order_id": "o1", "profile_id": "p1", "trade_id": "TRD-1", "symbol": "BTC/USD", "side": "buy", "qty": "1",
    "status": "filled", "timestamp": START,
}  # fmt: skip


def read(**columns: object) -> LedgerOrder:
    return read_order(RAW | columns)


FILLED = [
    "filled",
    "partially_filled",
    "Filled",
    "FILLED",
    " partially-filled ",
    "Partially Filled",
    "PARTIALLY__FILLED",
]
WORKING = [
    "new", "pending", "pending_new", "Pending New", "PENDING-NEW", "submitted", "accepted", "accepted_for_bidding",
    "Accepted-For_Bidding", "open", "held", "pending_cancel", "pending_replace", "pending_review",
]  # fmt: skip
DEAD = ["canceled", "cancelled", "CANCELED", "Cancelled", "expired", "rejected", "replaced", "failed"]
UNKNOWN = [None, "", "  ", "done", "part filled", "partiallyfilled", 7, "filled!"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (FILLED, StatusClass.FILLED),
        (WORKING, StatusClass.WORKING),
        (DEAD, StatusClass.DEAD),
        (UNKNOWN, StatusClass.UNKNOWN),
    ],
)
def test_statuses_in_any_case_and_with_any_separator(statuses: list[object], expected: StatusClass) -> None:
    assert {status: status_class(status) for status in statuses} == dict.fromkeys(statuses, expected)


def test_a_status_that_is_not_known_is_a_defect() -> None:
    found = read(status="settling")
    assert (found.defect, found.detail) == (
        "malformed_ledger_row",
        "order o1: status 'settling' is not known; filled rows are filled or partially_filled",
    )
    assert found.status is StatusClass.UNKNOWN


@pytest.mark.parametrize(
    ("status", "near"),
    [("closed", "filled, canceled"), ("DONE", "filled, canceled"), ("part filled", "partially_filled"),
     ("cancelld", "cancelled, canceled"), ("opened", "open")],
)  # fmt: skip
def test_of_an_unknown_status_the_nearest_known_words_are_named(status: str, near: str) -> None:
    assert near in read(status=status).detail.partition("; nearest known: ")[2]


@pytest.mark.parametrize("status", ["new", "canceled"])
def test_rows_that_are_not_filled_are_read_by_their_identity_alone(status: str) -> None:
    found = read(status=status, qty="x", side="?", timestamp=None)
    assert found.defect is None
    assert (found.qty, found.side, found.time_ms, found.trade_id, found.symbol) == (0, None, None, "TRD-1", "BTC/USD")


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("buy", Side.BUY), ("BUY", Side.BUY), ("long", Side.BUY), ("buy_to_cover", Side.BUY), ("Buy To Open", Side.BUY),
        ("buy-to-close", Side.BUY), ("sell", Side.SELL), (" Sell ", Side.SELL), ("short", Side.SELL),
        ("sell_short", Side.SELL), ("sell_to_close", Side.SELL), ("sell_to_open", Side.SELL),
    ],
)  # fmt: skip
def test_sides(text: str, side: Side) -> None:
    assert read_side(text) is side
    assert side.opposite is not side
    assert side.opposite.opposite is side


@pytest.mark.parametrize("side", [None, "", "none", "b"])
def test_a_side_that_is_neither_is_a_defect(side: object) -> None:
    found = read(side=side)
    assert (found.defect, found.detail) == (
        "malformed_ledger_row", f"order o1: side {side!r} is neither buy nor sell",
    )  # fmt: skip


def test_a_whole_row() -> None:
    found = read(
        user_id="u1",
        action="entry",
        price="100.5",
        exchange_order_id=" x ",
        client_order_id="c",
        sub_tag="s",
        source="BOT",
    )
    assert found == LedgerOrder(
        order_id="o1", profile_id="p1", trade_id="TRD-1", symbol="BTC/USD", status=StatusClass.FILLED, user_id="u1",
        side=Side.BUY, action=Action.ENTRY, qty=Decimal(1), price=Decimal("100.5"), time_ms=START,
        exchange_order_id="x", client_order_id="c", sub_tag="s", source="BOT", defect=None, detail="",
        word="filled", order_side=Side.BUY, order_action=Action.ENTRY, order_ms=START,
    )  # fmt: skip


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_blank_texts_are_none(blank: object) -> None:
    names = ("trade_id", "symbol", "user_id", "exchange_order_id", "client_order_id", "sub_tag", "source", "action")
    found = read(**dict.fromkeys(names, blank))
    assert found.defect is None
    assert [getattr(found, name) for name in names] == [None] * len(names)


def test_ids_that_are_numbers_are_text_and_a_trade_id_keeps_its_blanks() -> None:
    assert read(order_id=" o1\t").order_id == "o1"
    assert read(order_id=" ").order_id == ""
    found = read(order_id=7, profile_id=8, exchange_order_id=9, trade_id=" TRD-1 ")
    assert (found.order_id, found.profile_id, found.exchange_order_id, found.trade_id) == ("7", "8", "9", " TRD-1 ")


@pytest.mark.parametrize(
    ("qty", "quantity", "read_as"),
    [
        ("1", None, "1"), (None, "2", "2"), ("1.50", "1.5", "1.5"), (1, 1.0, "1"), (0.1, None, "0.1"),
        (0.1 + 0.2, None, "0.30000000000000004"), (1e-7, None, "0.0000001"), (Decimal("0.10"), 0.1, "0.1"),
        (" 3 ", None, "3"), ("0", None, "0"), ("1e3", None, "1000"),
        ("12345678901234567890.123456789012345678", None, "12345678901234567890.123456789012345678"),
    ],
)  # fmt: skip
def test_the_two_quantity_columns(qty: object, quantity: object, read_as: str) -> None:
    found = read(qty=qty, quantity=quantity)
    assert (found.defect, found.qty) == (None, Decimal(read_as))


def test_quantity_columns_that_differ_disagree() -> None:
    found = read(qty="1", quantity="1.0000000000001")
    assert (found.defect, found.detail) == (
        "quantity_columns_disagree", "order o1: qty is 1 and quantity is 1.0000000000001",
    )  # fmt: skip
    assert found.qty == 0


@pytest.mark.parametrize(
    ("columns", "detail"),
    [
        ({"qty": None}, "qty and quantity are both empty on a filled row"),
        ({"qty": ""}, "'' is not a number"),
        ({"qty": "-1"}, "'-1' is negative"),
        ({"qty": "NaN"}, "'NaN' is not a finite number"),
        ({"qty": float("inf")}, "inf is not a finite number"),
        ({"qty": True}, "True is not a number"),
        ({"qty": b"1"}, "b'1' is not a number"),
        ({"qty": "1", "quantity": "one"}, "'one' is not a number"),
        ({"action": "OPEN"}, "action 'OPEN' is neither ENTRY nor EXIT"),
        ({"timestamp": None}, "timestamp, filled_at and created_at are all empty"),
        ({"timestamp": "noon"}, "'noon' is not a time (ISO 8601 or a number since 1970)"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(columns: dict[str, object], detail: str) -> None:
    found = read(**columns)
    assert (found.defect, found.detail) == ("malformed_ledger_row", f"order o1: {detail}")
    assert (found.trade_id, found.symbol, found.status) == ("TRD-1", "BTC/USD", StatusClass.FILLED)


@pytest.mark.parametrize(
    ("price", "read_as"), [("1", 1), (2.5, Decimal("2.5")), (None, None), ("x", None), (0, None), (-1, None)]
)
def test_a_price_is_informative_only(price: object, read_as: object) -> None:
    found = read(price=price)
    assert (found.defect, found.price) == (None, read_as)


@pytest.mark.parametrize("action", ["ENTRY", "Exit", " exit "])
def test_actions_in_any_case(action: str) -> None:
    assert read(action=action).action is Action(action.strip().upper())


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp": START}, {"timestamp": START // 1000}, {"timestamp": str(START)}, {"timestamp": START / 1000},
        {"timestamp": "2026-01-02T03:00:00Z"}, {"timestamp": "2026-01-02 03:00:00"},
        {"timestamp": "2026-01-02T04:00:00+01:00"}, {"timestamp": datetime(2026, 1, 2, 3, tzinfo=UTC)},
        {"timestamp": None, "filled_at": "2026-01-02T03:00:00Z", "created_at": "2020-01-01T00:00:00Z"},
        {"timestamp": " ", "filled_at": "", "created_at": "2026-01-02T03:00:00Z"},
        {"timestamp": START, "filled_at": "2020-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_times_from_the_first_column_that_is_set(columns: dict[str, object]) -> None:
    assert read(**columns).time_ms == START


def test_an_empty_row_does_not_raise() -> None:
    assert read_order({}).defect == "malformed_ledger_row"


def test_words_are_compared_without_case_and_separators() -> None:
    assert word("  Pending-New__Order ") == "pending_new_order"
    assert row(status="Filled").status is StatusClass.FILLED


SAYS = {"side": " SELL ", "action": "exit", "qty": "2", "price": "101.5", "order_qty": "5"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"status": "canceled"}, Said("canceled", Side.SELL, Action.EXIT, Decimal(2), Decimal("101.5"), START)),
        ({"status": " New "}, Said("New", Side.SELL, Action.EXIT, Decimal(5), Decimal("101.5"), START)),
        (
            {"status": "new", "order_qty": None},
            Said("new", Side.SELL, Action.EXIT, Decimal(2), Decimal("101.5"), START),
        ),
        ({"status": "new", "order_qty": "x"}, Said("new", Side.SELL, Action.EXIT, Decimal(2), Decimal("101.5"), START)),
        ({"status": "gone"}, Said("gone", Side.SELL, Action.EXIT, Decimal(2), Decimal("101.5"), START)),
        ({"status": None}, Said("(empty)", Side.SELL, Action.EXIT, Decimal(2), Decimal("101.5"), START)),
        ({"qty": "x"}, Said("filled", Side.SELL, Action.EXIT, None, Decimal("101.5"), START)),
        ({"qty": "2", "quantity": "3"}, Said("filled", Side.SELL, Action.EXIT, None, Decimal("101.5"), START)),
        (
            {"status": "dead", "side": "up", "action": "out", "price": "0", "timestamp": "soon"},
            Said("dead", None, None, Decimal(2), None, None),
        ),
    ],
)
def test_a_row_that_books_nothing_keeps_what_it_says(columns: dict[str, object], said: Said) -> None:
    assert read(**{**SAYS, **columns}).said == said


def test_a_filled_row_says_nothing_beside_its_columns() -> None:
    assert read().said is None


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("fild", "nearest known: filled"), ("closed", "nearest known: filled"), ("Cancled", "nearest known: canceled,"),
        ("xyz", "filled rows are filled or partially_filled"), (None, "filled rows are filled or partially_filled"),
        ("expird", "nearest known: expired"), ("submited", "nearest known: submitted"),
    ],
)  # fmt: skip
def test_an_unknown_status_is_told_with_the_nearest_known_ones(status: object, hint: str) -> None:
    orders._near.cache_clear()
    detail = read(status=status).detail
    assert detail.startswith(f"order o1: status {status!r} is not known; {hint}")


@pytest.mark.parametrize(
    ("status", "name"),
    [("Partially-Filled", "partially_filled"), (" NEW ", "new"), ("", ""), (None, ""), ("Gone  away", "gone_away")],
)
def test_a_row_of_any_status_keeps_the_word_of_it(status: object, name: str) -> None:
    assert read(status=status).word == name


@pytest.mark.parametrize(
    ("columns", "ordered"),
    [
        ({"status": "new"}, 5), ({"status": "new", "order_qty": None}, 2), ({"status": "new", "order_qty": "0"}, 2),
        ({"status": "new", "order_qty": "x"}, None), ({"status": "new", "order_qty": None, "quantity": "3"}, None),
        ({"status": "new", "order_qty": None, "qty": "0"}, None), ({"status": "canceled"}, 5),
        ({"status": "canceled", "order_qty": None}, None), ({"status": "partially_filled"}, 5),
        ({"status": "filled", "order_qty": None}, None), ({"status": "filled", "qty": "x"}, 5),
    ],
)  # fmt: skip
def test_what_was_ordered_is_read_of_every_row_and_of_a_working_one_also_from_its_quantity(
    columns: dict[str, object], ordered: int | None
) -> None:
    assert read(**{**SAYS, **columns}).order_qty == ordered


@pytest.mark.parametrize("status", ["new", "canceled"])
def test_a_row_that_books_nothing_says_in_its_own_fields_what_it_asks_for(status: str) -> None:
    found = read(**{**SAYS, "status": status})
    asked = (found.order_side, found.order_action, found.order_price, found.order_ms)
    assert asked == (Side.SELL, Action.EXIT, Decimal("101.5"), START)
    assert (found.side, found.action, found.qty, found.price, found.time_ms) == (None, None, 0, None, None)
    odd = read(**{**SAYS, "status": status, "side": "up", "action": "out", "price": "x", "timestamp": "soon"})
    assert (odd.order_side, odd.order_action, odd.order_price, odd.order_ms) == (None, None, None, None)


def test_a_filled_row_has_paid_its_price_and_does_not_ask_for_it() -> None:
    found = read(**SAYS)
    asked = (found.order_side, found.order_action, found.order_price, found.order_ms)
    assert asked == (Side.SELL, Action.EXIT, None, START)
    bad = read(**{**SAYS, "qty": "x"})
    assert (bad.order_side, bad.order_action, bad.order_price, bad.order_ms) == asked


@pytest.mark.parametrize(("written", "profile"), [("p1", "p1"), (0, "0"), (7, "7"), (None, ""), ("None", "None")])
def test_a_row_of_no_profile_is_of_no_profile_called_none(written: object, profile: str) -> None:
    assert read(profile_id=written).profile_id == profile
