"""Splits and the like: trades from before them are in other units than the venue."""

from dataclasses import replace
from decimal import Decimal

from tests.core.world import COMPLETE, World, at, entry, leave, leg, order

from trueup.core.breaks import compare
from trueup.core.repair.plan import Wanted, plan_account
from trueup.core.repair.putting_back import Returning, venue_forbids
from trueup.core.snapshot import NOT_GIVEN, EventKind, Feed, VenueEvent


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


def test_which_kinds_of_events_change_quantities() -> None:
    changing = {kind for kind in EventKind if kind.changes_quantities}
    assert changing == {EventKind.SPLIT, EventKind.CORPORATE_ACTION}


def test_every_feed_has_a_coverage() -> None:
    feeds = World(coverage={"fills": COMPLETE}).snapshot.all_feeds()
    assert feeds[Feed.FILLS] == feeds[Feed.POSITIONS] == COMPLETE
    assert feeds[Feed.BALANCES] == feeds[Feed.OPEN_ORDERS] == NOT_GIVEN
    assert set(feeds) == set(Feed)


def test_a_comparison_and_putting_back_know_it_too() -> None:
    world = World(rows=[entry(minute=0)])
    split_facts = replace(world.facts, snapshot=replace(world.facts.snapshot, events=(split(5),)))
    for facts, kinds in ((world.facts, ["ghost_position"]), (split_facts, [])):
        plan = plan_account(facts, Wanted(frozenset(world.profiles)), world.policy)
        found = compare(facts, plan, world.policy, None, frozenset(world.profiles))
        assert [each.kind for each in found.breaks] == kinds
        assert bool(found.unknown) is not bool(kinds)
    back = Returning("p1", "TRD-1", "BTC/USD", Decimal(1), dust=False)
    assert venue_forbids([back], world.facts, world.policy) == {}
    why = "since the trade was opened, quantities changed: 2 for 1 at "
    assert venue_forbids([back], split_facts, world.policy)["TRD-1"].startswith(f"venue_position_unknown ({why}")


def test_an_over_exited_trade_from_before_a_split_leaves_the_excess_unknown() -> None:
    rows = [entry("OLD", "1", minute=0), leave("OLD", "2", minute=1), entry("NEW", "5", minute=8)]
    world = World(rows=rows, legs=[leg("-1")], orders=[order("X1", "5", trade_id="NEW")]).under(flatness="explained")
    assert ("NEW", "eligible") in says(world)
    assert ("NEW", "would_overshoot_venue:0") in says(world, split(5))


def test_a_trade_that_was_closed_before_a_split_makes_nothing_unknown() -> None:
    rows = [entry("OLD", "1", minute=0), leave("OLD", "1", minute=1), entry("NEW", "5", minute=8)]
    world = World(rows=rows, orders=[order("X1", "5", trade_id="NEW")]).under(flatness="explained")
    assert says(world, split(5)) == says(world) == [("NEW", "eligible")]
