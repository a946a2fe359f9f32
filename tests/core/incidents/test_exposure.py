"""What is at risk in a stage of a canary: what is held, and what its working orders may still open."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from trueup.core.incidents.exposure import AtRisk, at_risk, covered_until
from trueup.core.incidents.incident import Stage
from trueup.core.orders import LedgerOrder, Side, read_order
from trueup.core.repair.slices import slices_of
from trueup.core.snapshot import Coverage, Feed, FeedState, Leg, Snapshot, VenueOrder
from trueup.core.symbols import Symbols

STAGE = Stage("p1", ("BTC/USD",), Decimal(500), 60_000)
COMPLETE = Coverage(FeedState.COMPLETE)


def row(status: str = "filled", qty: str = "1", price: str | None = "100", **more: Any) -> LedgerOrder:
    raw = {
        "order_id": f"o-{status}", "profile_id": "p1", "trade_id": "TRD-1", "symbol": "BTC/USD", "side": "buy",
        "action": "ENTRY", "status": status, "qty": qty, "price": price, "timestamp": 1_767_340_800_000, **more,
    }  # fmt: skip
    return read_order(raw)


def venue(*orders: VenueOrder, mark: str | None = None) -> Snapshot:
    legs = (Leg("BTC/USD", Decimal(1), Decimal(mark)),) if mark is not None else ()
    return Snapshot("main", 0, coverage=dict.fromkeys(Feed, COMPLETE), orders=orders, legs=legs)


def order(name: str, *, working: bool) -> VenueOrder:
    return VenueOrder(name, "BTC/USD", Side.BUY, "open", Decimal(1), 0, working=working)


def risk(*rows: LedgerOrder, seen: Snapshot | None = None, stage: Stage = STAGE) -> AtRisk:
    symbols = Symbols()
    return at_risk(stage, slices_of(rows, symbols), rows, symbols, seen)


WORKING = {"trade_id": "TRD-2"}
PARTLY = {"trade_id": "TRD-1", "qty": "1", "exchange_order_id": "x1"}


@pytest.mark.parametrize(
    ("rows", "seen", "worth"),
    [
        ([row()], None, "100"),
        ([row()], venue(mark="151"), "151"),
        ([row(), row("new", "2", "90", **WORKING)], None, "280"),
        ([row("new", "2", "90", **WORKING)], venue(mark="151"), "302"),
        ([row("new", "2", "90", trade_id=None)], None, "180"),
        ([row("new", "2", "90", **WORKING, action=None)], None, "180"),
        ([row("new", "2", "90", **WORKING, profile_id="p2")], None, "0"),
        ([row("new", "2", "90", **WORKING, symbol="ETH/USD")], None, "0"),
        ([row("new", "2", "90", **WORKING, symbol=None)], None, "180"),
        ([row(), row("new", "1", "120", action="EXIT", side="sell")], None, "100"),
        ([row(), row("new", "1", "120", action=None, side="sell")], None, "100"),
        ([row(), row("new", "1", "120", action=None, side="buy")], None, "220"),
        ([row("canceled", "2", "90", **WORKING)], None, "0"),
        ([row("partially_filled", **PARTLY, order_qty="4")], None, "400"),
        ([row("partially_filled", **PARTLY, order_qty="4")], venue(order("x1", working=True)), "400"),
        ([row("partially_filled", **PARTLY, order_qty="4")], venue(order("x1", working=False)), "100"),
        ([row("partially_filled", **PARTLY)], venue(order("x1", working=False)), "100"),
        ([row("partially_filled", **PARTLY)], None, "100"),
    ],
)  # fmt: skip
def test_what_is_held_and_what_may_still_fill_counts(
    rows: list[LedgerOrder], seen: Snapshot | None, worth: str
) -> None:
    assert risk(*rows, seen=seen) == AtRisk(Decimal(worth))


def test_a_stage_of_all_symbols_counts_all() -> None:
    rows = [row(), row("new", "1", "7", symbol="ETH/USD", trade_id="TRD-2")]
    assert risk(*rows, stage=replace(STAGE, symbols=None)) == AtRisk(Decimal(107))


@pytest.mark.parametrize(
    ("rows", "seen", "passing"),
    [
        ([row(price=None)], None, False),
        ([row(side="?")], None, False),
        ([row("new", "2", None, **WORKING)], None, True),
        ([row("new", "0", "100", **WORKING)], None, True),
        ([row("partially_filled", **PARTLY)], venue(order("x1", working=True)), True),
    ],
)  # fmt: skip
def test_what_cannot_be_priced_is_never_nothing(rows: list[LedgerOrder], seen: Snapshot | None, passing: bool) -> None:
    found = risk(*rows, seen=seen)
    assert (found.notional, found.passing) == (None, passing)
    assert "p1" in found.unpriced


def test_a_grant_is_covered_only_by_a_reading_that_began_when_its_order_must_have_shown() -> None:
    assert covered_until(1_000_000, 2_000_000, 5_000, 30_000, 90_000) == 875_000
    assert covered_until(2_000_000, 1_000_000, 5_000, 30_000, 90_000) == 875_000
