"""Worlds in which the loop once booked what nothing proved: each ends with the ledger as the bot wrote it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.reconcile.stage import MINUTE, START, Stage, a_row, an_order, tag

from trueup.core.snapshot import NOT_GIVEN, Coverage, Feed, FeedState

DAY = 24 * 60
ENTRY = tag("TRD-1", "ENTRY")
BOUGHT = an_order("x1", "buy", "filled", "1", minute=-90, client_order_id=ENTRY)
HELD = a_row("r1", "buy", "filled", "1", minute=-90, exchange_order_id="x1")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def since(days: float) -> dict[Feed, Coverage]:
    return {Feed.CLOSED_ORDERS: Coverage(FeedState.COMPLETE, since_ms=START - round(days * DAY * MINUTE))}


def spot(days: float = 3) -> dict[Feed, Coverage]:
    return {**since(days), Feed.POSITIONS: NOT_GIVEN, Feed.BALANCES: Coverage(FeedState.COMPLETE)}


@pytest.mark.parametrize("named", ["bot-p1-TRD-1-exit-2", "bot-p1-TRD-1-tp1", "bot-p1-TRD-1-sl"])
def test_a_second_exit_opens_no_trade_the_other_way_round(stage: Stage, named: str) -> None:
    """The venue is flat, and two open trades would add up to that."""
    stage.ledger(HELD)
    stage.venue(BOUGHT, an_order("x2", "sell", "filled", "1", minute=-50, client_order_id=named))
    assert stage.cycles(4).status == "MISMATCH"
    assert stage.rows == {"r1": "filled 1"}
    assert stage.breaks == {"missing_in_db": "quarantined", "ghost_position": "waiting"}


def test_the_legs_of_a_bracket_are_no_entries(stage: Stage) -> None:
    stage.ledger(HELD)
    legs = [an_order(f"x{n}", "sell", "new", client_order_id=f"bot-p1-TRD-1-{n}") for n in ("tp", "sl")]
    stage.venue(BOUGHT, *legs, held="1")
    stage.cycles(2)
    assert stage.rows == {"r1": "filled 1"}


def test_what_the_venue_gave_when_asked_is_held_against_the_rows_that_book_it(stage: Stage) -> None:
    """A client order id that was used again, and the older order is beyond what the venue lists."""
    stage.ledger(
        a_row(
            "o1", "buy", "filled", minute=-20 * DAY, exchange_order_id="f1", client_order_id="ord-7", trade_id="TRD-0"
        ),
        a_row(
            "o2", "sell", "filled", minute=-19 * DAY, exchange_order_id="f2", client_order_id="ord-8", trade_id="TRD-0"
        ),
        a_row("n1", "buy", "new", client_order_id="ord-7", trade_id="TRD-2"),
    )
    stage.venue(balances={"BTC": Decimal(5), "USD": Decimal(9)}, coverage=spot())
    old = an_order("f1", "buy", "filled", "1", minute=-20 * DAY, client_order_id="ord-7")
    stage.venues["main"].forgotten = (old,)
    assert stage.cycles(4).status == "MISMATCH"
    assert stage.rows == {"o1": "filled 1", "o2": "filled 1", "n1": "new 1"}


def test_orders_are_asked_for_by_symbol_and_id(stage: Stage) -> None:
    """Ids are unique per symbol on some venues: ETH's order 5 is not the one that BTC's row is about."""
    stage.ledger(a_row("r1", "buy", "new"))
    other = an_order("5", "buy", "filled", "1", minute=-30, symbol="ETH/USD", client_order_id="other")
    stage.venue(other, held="1")
    stage.venues["main"].forgotten = (an_order("5", "buy", "filled", "1", minute=1, client_order_id=ENTRY),)
    stage.cycles()
    assert stage.rows == {"r1": "filled 1"}


def test_a_coin_that_paid_for_another_is_no_ghost(stage: Stage) -> None:
    paid = {"symbol": "ETH/BTC", "price": Decimal("0.05")}
    second = a_row("r2", "buy", "filled", "20", minute=-50, trade_id="TRD-2", exchange_order_id="x2", **paid)
    stage.ledger(HELD, second)
    bought = an_order("x2", "buy", "filled", "20", minute=-50, client_order_id=tag("TRD-2", "ENTRY"), **paid)
    spent = {"ETH": Decimal(20), "BTC": Decimal(0), "USD": Decimal(9)}
    stage.venue(BOUGHT, bought, balances=spent, coverage=spot())
    report = stage.cycles(4)
    assert report.status == "INCONCLUSIVE"
    [(_, why)] = report.runs[0].unclear
    assert why == "the venue gives balances alone, and BTC may have been spent on ETH/BTC"
    assert stage.rows == {"r1": "filled 1", "r2": "filled 20"}
    # Bought before the trade was opened, it was paid with other coins.
    stage.venue(BOUGHT, replace(bought, time_ms=BOUGHT.time_ms - 1), balances=spent, coverage=spot())
    stage.ledger(second | {"timestamp": BOUGHT.time_ms - 1})
    stage.cycles(3)
    assert stage.rows.keys() - {"r1", "r2"}, "a ghost, and closed"


def test_two_symbols_of_one_trade_are_two_positions(stage: Stage) -> None:
    """Their synthetic exits would have one id; the second one is for a person, and never told as booked."""
    eth = {"symbol": "ETH/USD", "exchange_order_id": "x2"}
    stage.ledger(HELD, a_row("r2", "buy", "filled", "1", minute=-90, **eth))
    stage.venue(BOUGHT, replace(BOUGHT, id="x2", symbol="ETH/USD"))
    report = stage.cycles(3)
    assert report.status == "MISMATCH"
    [record] = [each for run in report.runs for each in run.breaks if each.state.remains]
    assert record.reason.startswith("row_id_not_unique: the exit of another symbol of the trade is PRTY-")
    assert len(stage.rows) == 3
    assert stage.cycles(2).status == "MISMATCH"
    assert stage.breaks == {"ghost_position": "quarantined"}
    [again] = [each for each in stage.books.breaks() if each["kind"] == "ghost_position"]
    assert again["reason"].startswith("already_exists: the ledger has PRTY-")
    assert len(stage.rows) == 3


def test_an_order_that_waits_for_a_person_is_told_where_the_position_is_apart(stage: Stage) -> None:
    stage.venue(an_order("x9", "buy", "filled", "1", minute=-30), held="1")
    stage.cycles()
    reasons = {each["kind"]: each["reason"] for each in stage.books.breaks()}
    assert reasons["unbooked_position"] == (
        "what is not settled of its orders may explain it: orphan_order of x9; a person decides"
    )
    stage.venue(held="1")
    stage.cycles()
    reasons = {each["kind"]: each["reason"] for each in stage.books.breaks()}
    assert reasons["unbooked_position"] == "no order of the venue explains it; a person decides"
