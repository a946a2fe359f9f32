"""What a venue did by itself: how an export tells it, and what it does to the trades that it met."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.core.world import World, at, entry, leave, leg, order
from tests.venues.exports import AS_OF_MS, document, read

from trueup.core.repair.plan import Wanted, plan_account
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


def says(world: World, *events: VenueEvent) -> list[tuple[str, str]]:
    facts = world.facts
    facts = replace(facts, snapshot=replace(facts.snapshot, events=events))
    plan = plan_account(facts, Wanted(frozenset(world.profiles)), world.policy)
    return [(d.trade.trade_id, d.reason) for each in plan.profiles.values() for d in each.decisions]


def split(minute: float, symbol: str = "BTC/USD", kind: EventKind = EventKind.SPLIT) -> VenueEvent:
    return VenueEvent(f"e{minute}", kind, at(minute), symbol, "2 for 1")


SOLD = World(rows=[entry(minute=0)], orders=[order(trade_id="TRD-1")])


def test_a_trade_from_before_a_split_is_not_held_against_the_venue() -> None:
    assert says(SOLD) == [("TRD-1", "eligible")]
    for event in (split(0), split(5), split(5, "btcusd"), split(5, kind=EventKind.CORPORATE_ACTION)):
        assert says(SOLD, event) == [("TRD-1", "venue_position_unknown")]
    for event in (split(-0.1), split(5, "ETH/USD"), split(5, kind=EventKind.FEE)):
        assert says(SOLD, event) == [("TRD-1", "eligible")]


def test_a_trade_opened_before_a_split_stays_unknown_when_a_part_was_booked_after_it() -> None:
    rows = [entry(qty="2", minute=0), leave(qty="1", minute=8)]
    world = World(rows=rows, orders=[order(trade_id="TRD-1")])
    assert says(world, split(5)) == [("TRD-1", "venue_position_unknown")]


def test_the_last_of_several_splits_counts() -> None:
    for events in ((split(-5), split(5)), (split(5), split(-5))):
        assert says(SOLD, *events) == [("TRD-1", "venue_position_unknown")]


def test_an_excess_in_mixed_units_is_no_excess() -> None:
    rows = [entry("OLD", "10", minute=0), entry("NEW", "5", minute=8)]
    world = World(rows=rows, legs=[leg("5")], orders=[order("X1", "5", trade_id="NEW")]).under(flatness="explained")
    assert ("NEW", "eligible") in says(world)
    assert ("NEW", "would_overshoot_venue:0") in says(world, split(5))
