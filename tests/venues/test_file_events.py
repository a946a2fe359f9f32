"""What a venue did by itself: how an export tells it, and what it does to the trades that it met."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import AS_OF_MS, document, read

from trueup.core.snapshot import EventKind, Feed, FeedState, VenueEvent

SPLIT = {"id": "e1", "kind": "split", "symbol": "TSLA", "at": "2026-01-02T00:00:00Z", "what": "3 for 1", "qty": "20"}


def test_every_field_of_an_event(tmp_path: Path) -> None:
    rows = [SPLIT, {"id": 7, "kind": "fee", "at": AS_OF_MS, "amount": "-0.001", "asset": "BTC", "order_id": "o-1"}]
    found = read(tmp_path, document(events=rows))
    assert found.malformed == ()
    assert found.events == (
        VenueEvent("e1", EventKind.SPLIT, 1_767_312_000_000, "TSLA", "3 for 1", qty=Decimal(20)),
        VenueEvent("7", EventKind.FEE, AS_OF_MS, None, "fee", amount=Decimal("-0.001"), asset="BTC", order_id="o-1"),
    )


def test_a_kind_that_is_not_known_is_other_and_keeps_its_word(tmp_path: Path) -> None:
    [event] = read(tmp_path, document(events=[{**SPLIT, "kind": "moon", "what": None}])).events
    assert (event.kind, event.what) == (EventKind.OTHER, "moon")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": None}, "id is missing"),
        ({"at": None}, "its time is missing"),
        ({"at": "soon"}, "at: 'soon' is not a time"),
        ({"qty": "NaN"}, "qty"),
        ({"symbol": "/"}, "its symbol has no letter or digit"),
    ],
)
def test_an_event_that_cannot_be_read_puts_its_symbol_in_doubt(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    found = read(tmp_path, document(positions=[], events=[{**SPLIT, **changes}]))
    [malformed] = found.malformed
    assert (malformed.feed, malformed.where.startswith("events[0]")) == ("events", True)
    assert why in malformed.why
    if changes.get("symbol"):
        assert found.feed(Feed.POSITIONS).state is FeedState.PARTIAL
    else:
        assert "TSLA" in found.unknown_symbols


def test_an_event_that_changes_no_quantity_doubts_nothing_where_it_cannot_be_read(tmp_path: Path) -> None:
    found = read(tmp_path, document(positions=[], events=[{**SPLIT, "kind": "fee", "qty": "x"}]))
    assert len(found.malformed) == 1
    assert found.unknown_symbols == {}
    assert found.feed(Feed.POSITIONS).complete


def test_events_that_are_no_list_are_named(tmp_path: Path) -> None:
    [malformed] = read(tmp_path, document(events={"id": "e1"})).malformed
    assert malformed.why == "it is an object where a list is expected"
