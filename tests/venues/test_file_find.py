"""One order asked of an export: the order as it stands there, absent only where the export has all orders."""

from pathlib import Path

import pytest
from tests.venues.exports import document, native_order, write

from trueup.core.times import read_time
from trueup.ports import OrderAnswer
from trueup.venues.file import FileVenue


@pytest.fixture
def venue(tmp_path: Path) -> FileVenue:
    orders = [
        native_order(id="o-1", client_order_id="c-1"),
        native_order(id="o-1", client_order_id="c-2", symbol="ETH/USD"),
        native_order(id="c-1", client_order_id="c-3"),
    ]
    return FileVenue("main", write(tmp_path, document(closed_orders=orders)))


def found(answer: OrderAnswer) -> tuple[str, str | None, str]:
    assert answer.order is not None
    assert (answer.absent, answer.why) == (False, "")
    return answer.order.id, answer.order.client_order_id, answer.order.symbol


def test_by_its_exchange_order_id_within_its_symbol(venue: FileVenue) -> None:
    assert found(venue.find_order("BTC/USD", order_id="o-1")) == ("o-1", "c-1", "BTC/USD")
    assert found(venue.find_order("ETHUSD", order_id="o-1")) == ("o-1", "c-2", "ETH/USD")


def test_by_its_client_order_id(venue: FileVenue) -> None:
    assert found(venue.find_order("BTCUSD", client_order_id="c-1")) == ("o-1", "c-1", "BTC/USD")
    assert found(venue.find_order("BTC/USD", order_id="c-1")) == ("c-1", "c-3", "BTC/USD")


@pytest.mark.parametrize("ids", [{"order_id": "o-2"}, {"client_order_id": "c-2"}, {"order_id": "c-3"}])
def test_one_that_is_not_there_is_unknown_where_orders_may_be_left_out(venue: FileVenue, ids: dict[str, str]) -> None:
    answer = venue.find_order("BTC/USD", **ids)
    assert (answer.order, answer.absent) == (None, False)
    assert "export.json has no such order of BTC/USD" in answer.why


def at(time: str) -> int:
    return read_time(f"2026-01-01T{time}Z")


def test_it_is_absent_where_open_and_closed_orders_are_complete_and_reach_back_to_it(tmp_path: Path) -> None:
    whole = document(closed_orders=[native_order()], open_orders=[])
    assert FileVenue("main", write(tmp_path, whole)).find_order("BTC/USD", "o-9").absent
    since = {"coverage": {"closed_orders": {"state": "complete", "since": "2026-01-01T00:00:00Z"}}}
    venue = FileVenue("main", write(tmp_path, {**whole, **since}))
    asked = [
        venue.find_order("BTC/USD", "o-9", placed_ms=ms).absent for ms in (None, at("00:00:00"), at("00:00:00") - 1)
    ]
    assert asked == [False, True, False]
    for state in ("partial", "failed"):
        for feed in ("closed_orders", "open_orders"):
            cut = {**whole, "coverage": {feed: {"state": state, "reason": "cut"}}}
            assert not FileVenue("main", write(tmp_path, cut)).find_order("BTC/USD", "o-9").absent


def test_an_export_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    answer = FileVenue("main", write(tmp_path, "<html>")).find_order("BTC/USD", order_id="o-1")
    assert (answer.order, answer.absent) == (None, False)
    assert "export.json" in answer.why
