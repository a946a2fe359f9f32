"""Whatever the bytes are, the file venue answers with a snapshot or with CannotKnow, and unknown is never flat."""

import json
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.venues.exports import (
    SWAP,
    alpaca_activity,
    alpaca_order,
    alpaca_position,
    ccxt_order,
    ccxt_position,
    ccxt_trade,
    document,
    native_fill,
    native_order,
)

from trueup.core.decimals import LIMIT
from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.times import iso
from trueup.venues.file import FileVenue

NAMES = ["export", "orders", "open_orders", "closed_orders", "positions", "fills", "balances", "markets", "snapshot"]
ROWS: list[Callable[..., dict[str, Any]]] = [
    native_order, alpaca_order, ccxt_order, native_fill, alpaca_activity, ccxt_trade, alpaca_position, ccxt_position
]  # fmt: skip
ODD = [
    None, True, False, 0, -1, -0.0, 1e300, 10**400, "", " ", "\0", "\ud800", "x" * 600, "NaN", "-1", "1e999", "٣",
    "0.4", [], {}, [[]], {"a": {}}, "closed", "filled", "partially_filled", "buy", "short", "BTC/USD", SWAP, "FILL",
    "BTC/USD:BTC", 1_767_322_800_250, "2026-01-02", "9999-12-31T23:59:59-14:00", {"cost": 1, "currency": "\0"},
    [{"cost": []}], {"message": "denied"}, {"BTC": {"total": None}}, {"info": {}}, {"state": "complete"}, "complete",
]  # fmt: skip
KEYS = sorted(
    {key for make in ROWS for key in make()}
    | {"trade_id", "sub_tag", "subtag", "position_qty", "filledQty", "size", "fees", "message", "contract_sizes"}
    | {"as_of", "coverage", "markets", *Feed}
)

odd_values = st.sampled_from(ODD)
anything = st.recursive(
    odd_values | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=25,
)
odd_rows = st.builds(
    lambda make, changes, dropped: {key: value for key, value in make(**changes).items() if key not in dropped},
    st.sampled_from(ROWS),
    st.dictionaries(st.sampled_from(KEYS), odd_values, max_size=3),
    st.sets(st.sampled_from(KEYS), max_size=3),
)
rows = st.lists(odd_rows | odd_values, max_size=5)
balances = st.dictionaries(st.sampled_from(["BTC", "XBT", "USD", "info", "total", "free", "\0", "code"]), odd_values)
documents = st.fixed_dictionaries(
    {},
    optional={
        "as_of": st.just("2026-01-02T03:04:05Z") | odd_values,
        "positions": rows | odd_values,
        "balances": balances | odd_values,
        "open_orders": rows | odd_values,
        "closed_orders": rows | odd_values,
        "fills": rows | odd_values,
        "coverage": st.dictionaries(st.sampled_from(list(Feed)), st.sampled_from(["complete", "partial", "failed"])),
        "contract_sizes": st.just({SWAP: "0.001"}) | odd_values,
        "markets": st.just({SWAP: {"contractSize": 0.001}}) | odd_values,
    },
)


def read_bytes(raw: bytes, name: str = "export") -> Snapshot | None:
    """Return what the file venue makes of some bytes; None where it says that it cannot know."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_bytes(raw)
        try:
            snapshot = FileVenue("main", path).read()
        except CannotKnow as error:
            refusal = error
        else:
            check(snapshot)
            return snapshot
    assert str(path) in refusal.what
    assert refusal.do
    str(refusal).encode()
    return None


def read_value(value: object, name: str = "export") -> Snapshot | None:
    return read_bytes(json.dumps(value).encode(), name)


def check(snapshot: Snapshot) -> None:
    """Say what must hold of every snapshot, whatever it was made from."""
    iso(snapshot.as_of_ms)
    for order in snapshot.orders:
        assert 0 <= order.qty < LIMIT
        assert (order.price is None) == (order.price_source == "none")
        iso(order.time_ms)
    for fill in snapshot.fills:
        assert 0 < fill.qty < LIMIT
        iso(fill.time_ms)
    prices = [row.price for row in (*snapshot.orders, *snapshot.fills)] + [leg.mark_price for leg in snapshot.legs]
    for price in prices:
        assert price is None or 0 < price < LIMIT
    for coverage in snapshot.coverage.values():
        assert coverage.given
    texts = [repr(snapshot.coverage), *snapshot.notes, *snapshot.unknown_symbols.values()]
    for row in (*snapshot.orders, *snapshot.fills, *snapshot.legs):
        texts += [value for value in (getattr(row, name) for name in row.__slots__) if isinstance(value, str)]
    texts += [text for malformed in snapshot.malformed for text in (malformed.feed, malformed.where, malformed.why)]
    for text in texts:
        assert "\0" not in text
        text.encode()
    assert not {type(number) for row in snapshot.orders for number in (row.qty, row.price)} - {Decimal, type(None)}
    Holdings(snapshot).of("BTC/USD")


@given(st.binary(max_size=200), st.sampled_from(NAMES))
def test_any_bytes(raw: bytes, name: str) -> None:
    read_bytes(raw, name)


@given(anything, st.sampled_from(NAMES))
def test_any_json(value: object, name: str) -> None:
    read_value(value, name)


@given(documents)
def test_any_document(content: dict[str, Any]) -> None:
    read_value(content)


@given(rows, st.sampled_from(NAMES))
def test_any_list(content: list[Any], name: str) -> None:
    read_value(content, name)


@pytest.mark.parametrize("depth", range(100, 1000, 50))
@pytest.mark.parametrize(("opening", "closing"), ["[]", ('{"id":', "}")])
def test_any_depth(depth: int, opening: str, closing: str) -> None:
    deep = opening * depth + "1" + closing * depth
    for make, feed in ((native_order, "closed_orders"), (native_fill, "fills"), (ccxt_position, "positions")):
        for key in ("id", "symbol", "side", "qty", "filled_qty", "status", "filled_at", "fee", "legs", "contracts"):
            content = json.dumps({feed: [make(**{key: "HERE"})], "balances": {"BTC": "HERE"}})
            read_bytes(content.replace('"HERE"', deep).encode())


@given(documents, st.data())
def test_any_document_with_some_bytes_changed(content: dict[str, Any], data: st.DataObject) -> None:
    raw = bytearray(json.dumps(content).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        assume(raw)
    read_bytes(bytes(raw))


@given(documents)
def test_any_document_cut_short_is_no_document(content: dict[str, Any]) -> None:
    raw = json.dumps(content).encode()
    for length in {0, 1, len(raw) // 2, len(raw) - 1}:
        assert read_bytes(raw[:length]) is None


@pytest.mark.parametrize("feed", list(Feed))
@given(documents, st.booleans())
def test_invariant_5_a_dropped_or_null_section_is_never_complete(
    feed: Feed, content: dict[str, Any], null: bool
) -> None:
    content = {key: value for key, value in content.items() if key != feed} | ({feed: None} if null else {})
    snapshot = read_value(content)
    if snapshot is not None:
        assert not snapshot.feed(feed).complete
        assert snapshot.feed(feed).given == (null or feed in (content.get("coverage") or {}))


@given(st.lists(st.builds(native_order, filled_qty=odd_values, symbol=odd_values) | odd_values, max_size=5))
def test_every_order_is_read_or_named(content: list[Any]) -> None:
    snapshot = read_value(document(closed_orders=content))
    assert snapshot is not None
    assert len(snapshot.orders) + len(snapshot.malformed) == len(content)


@given(st.lists(odd_rows | odd_values, max_size=5))
def test_every_fill_is_read_or_named_or_of_another_kind(content: list[Any]) -> None:
    kinds = [row.get("activity_type", "FILL") for row in content if isinstance(row, dict)]
    assume(not any(isinstance(kind, str) and kind != "FILL" for kind in kinds))
    snapshot = read_value(document(fills=content))
    assert snapshot is not None
    assert len(snapshot.fills) + len(snapshot.malformed) == len(content)


READABLE = ("BTC/USD", "btc-usd", SWAP)
UNREADABLE = (None, "", "/", "\0", "\ud800", "x" * 600, 7, True, [], {})
positions = st.builds(
    alpaca_position,
    symbol=st.sampled_from(READABLE + UNREADABLE),
    qty=odd_values,
    side=odd_values,
    mark_price=odd_values,
)


@given(st.lists(positions | st.sampled_from([None, 7, "BTC/USD", []]), max_size=5))
def test_invariant_5_a_position_that_cannot_be_read_is_unknown_and_never_flat(content: list[Any]) -> None:
    snapshot = read_value(document(positions=content))
    assert snapshot is not None
    holdings = Holdings(snapshot)
    assert len(snapshot.legs) + len(snapshot.malformed) == len(content)
    for malformed in snapshot.malformed:
        row = content[int(malformed.where.split("[")[1].split("]")[0])]
        symbol = row["symbol"] if isinstance(row, dict) else None
        readable = isinstance(symbol, str) and symbol in READABLE
        assert holdings.of(symbol if readable else "ETH/USD").unknown is not None


@given(balances)
def test_invariant_5_a_balance_that_cannot_be_read_is_unknown_and_never_flat(content: dict[str, Any]) -> None:
    snapshot = read_value(document(balances=content))
    assert snapshot is not None
    if snapshot.malformed and snapshot.feed(Feed.BALANCES).complete:
        assert snapshot.unknown_assets
        assert not snapshot.unknown_assets.keys() & (snapshot.balances or {}).keys()


@given(st.decimals(min_value=0, max_value=10**12, places=12, allow_nan=False), st.sampled_from(["text", "number"]))
def test_invariant_11_numbers_are_exact(number: Decimal, written: str) -> None:
    value = f'"{number}"' if written == "text" else format(number, "f")
    row = '{"id": 1, "symbol": "A/B", "side": "buy", "timestamp": 1767322800, "filled_qty": '
    snapshot = read_bytes(f'{{"as_of": 1767323045, "closed_orders": [{row}{value}}}]}}'.encode())
    assert snapshot is not None
    assert snapshot.orders[0].qty == number
    assert snapshot.orders[0].id == "1"


@given(documents)
def test_invariant_9_the_same_file_gives_the_same_snapshot(content: dict[str, Any]) -> None:
    raw = json.dumps({**content, "as_of": "2026-01-02T03:04:05Z"}).encode()
    first, second = read_bytes(raw), read_bytes(raw)
    assert first is None or second is None or first.orders == second.orders
    assert (first is None) == (second is None)
