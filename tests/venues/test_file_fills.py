"""Fill rows: which field counts and what makes a row malformed."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import (
    DROP,
    FILLED_AT_MS,
    alpaca_activity,
    ccxt_trade,
    document,
    native_fill,
    read,
    row,
)

from trueup.core.orders import Side
from trueup.core.snapshot import Coverage, Feed, FeedState, Fill


def fill_of(folder: Path, content: object) -> Fill:
    snapshot = read(folder, document(fills=[content]))
    assert snapshot.malformed == ()
    (fill,) = snapshot.fills
    return fill


def malformed_of(folder: Path, content: object) -> str:
    snapshot = read(folder, document(fills=[native_fill(id="before"), content, native_fill(id="after")]))
    assert [fill.id for fill in snapshot.fills] == ["before", "after"]
    assert snapshot.coverage == {Feed.FILLS: Coverage(FeedState.COMPLETE)}
    (malformed,) = snapshot.malformed
    assert malformed.feed == "fills"
    assert malformed.where.startswith("fills[1]")
    return malformed.why


def test_a_native_fill(tmp_path: Path) -> None:
    assert fill_of(tmp_path, native_fill(fee="0.1", fee_asset="USD")) == Fill(
        "f-1", "o-1", "BTC/USD", Side.SELL, Decimal("0.4"), Decimal(97100), FILLED_AT_MS, Decimal("0.1"), "USD"
    )


def test_an_alpaca_activity(tmp_path: Path) -> None:
    fill = fill_of(tmp_path, alpaca_activity())
    assert (fill.id[:17], fill.order_id[:8]) == ("20260102030000250", "61e69015")
    assert (fill.qty, fill.price, fill.time_ms) == (Decimal("0.4"), Decimal("97100.5"), FILLED_AT_MS)


def test_a_ccxt_trade(tmp_path: Path) -> None:
    assert fill_of(tmp_path, ccxt_trade()) == Fill(
        "t-7", "7", "BTC/USDT", Side.SELL, Decimal("0.4"), Decimal("97100.5"), FILLED_AT_MS, Decimal("38.84"), "USDT"
    )


@pytest.mark.parametrize(
    ("attribute", "names"),
    [
        ("order_id", ("order_id", "orderId", "order")),
        ("qty", ("qty", "amount", "size", "filled_qty", "filled")),
        ("price", ("price", "average", "filled_avg_price")),
    ],
)
def test_aliases_in_order(tmp_path: Path, attribute: str, names: tuple[str, ...]) -> None:
    fields: dict[str, Any] = {name: str(place) for place, name in enumerate(names, 1)}
    for place, name in enumerate(names, 1):
        assert str(getattr(fill_of(tmp_path, row(native_fill(), **fields)), attribute)) == str(place)
        fields[name] = None


def test_times_in_order(tmp_path: Path) -> None:
    names = ("filled_at", "filledAt", "transaction_time", "timestamp", "datetime", "updated_at")
    fields: dict[str, Any] = {name: f"2026-01-0{place}" for place, name in enumerate(names, 1)}
    for place, name in enumerate(names, 1):
        assert fill_of(tmp_path, row(native_fill(), **fields)).time_ms == 1767225600000 + (place - 1) * 86400000
        fields[name] = None


@pytest.mark.parametrize("price", [None, 0, "0.0", ""])
def test_no_price_is_none(tmp_path: Path, price: object) -> None:
    assert fill_of(tmp_path, native_fill(price=price)).price is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"id": DROP}, "id is missing"),
        ({"id": 1.5}, "id is 1.5, not text or a whole number"),
        ({"id": "a\0"}, "holds a control character"),
        ({"order_id": None}, "order_id or orderId or order is missing"),
        ({"order_id": True}, "order_id is true, not text or a whole number"),
        ({"symbol": None}, "symbol is missing"),
        ({"symbol": 5}, "symbol is 5, not text"),
        ({"side": None}, "side is missing"),
        ({"side": "up"}, "side 'up' is neither buy nor sell"),
        ({"qty": None}, "its quantity is missing"),
        ({"qty": "0"}, "qty is 0"),
        ({"qty": DROP, "amount": 0}, "amount is 0"),
        ({"qty": "-0.4"}, "qty '-0.4' is negative"),
        ({"qty": True}, "qty is true, not a number"),
        ({"qty": "NaN"}, "qty 'NaN' is not a finite number"),
        ({"price": "-1"}, "price '-1' is negative"),
        ({"price": "x"}, "price 'x' is not a number"),
        ({"filled_at": None}, "its time is missing"),
        ({"filled_at": "x"}, "filled_at: 'x' is not a time"),
        ({"fee": "x"}, "fee 'x' is not a number"),
        ({"activity_type": 5}, "activity_type is 5, not text"),
        ({"activity_type": None}, "activity_type is null, not text"),
    ],
)
def test_a_malformed_fill(tmp_path: Path, fields: dict[str, Any], why: str) -> None:
    assert why in malformed_of(tmp_path, native_fill(**fields))


@pytest.mark.parametrize("content", [None, 5, "x", []])
def test_a_row_that_is_no_object(tmp_path: Path, content: object) -> None:
    assert malformed_of(tmp_path, content).endswith("not an object")


def test_no_tag_is_read_from_a_fill(tmp_path: Path) -> None:
    fill = fill_of(tmp_path, native_fill(trade_id="TRD-1", client_order_id=1.5, sub_tag=[]))
    assert "TRD-1" not in repr(fill)


def test_a_fill_listed_twice_stands_twice(tmp_path: Path) -> None:
    assert len(read(tmp_path, document(fills=[native_fill()] * 2)).fills) == 2


def test_other_activities_are_ignored_and_noted(tmp_path: Path) -> None:
    rows = [alpaca_activity(activity_type=kind) for kind in ("DIV", "fill", "FEE", "DIV", "CFEE\n")]
    snapshot = read(tmp_path, document(fills=rows))
    assert len(snapshot.fills) == 1
    assert snapshot.malformed == ()
    assert snapshot.notes == ("fills: activities that are no fills are ignored: 1 × CFEE\\n, 2 × DIV, 1 × FEE.",)
