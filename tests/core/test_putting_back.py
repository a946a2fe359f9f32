"""Whether the venue lets a reverted batch be put back: the same bounds as for a new repair."""

from decimal import Decimal

import pytest
from tests.core.world import FAILED, GRACE, NOW, World, entry, leave, leg, short

from trueup.core.repair.putting_back import Returning, venue_forbids


def back(
    trade: str = "TRD-1", qty: str = "1", *, dust: bool = False, symbol: str = "BTC/USD", of: str = "p1"
) -> Returning:
    return Returning(of, trade, symbol, Decimal(qty), dust)


def forbids(world: World, *rows: Returning) -> dict[str, str]:
    return venue_forbids(rows or (back(),), world.facts, world.policy)


FLAT = World(rows=[entry()])


def test_at_a_flat_venue_it_may_be_put_back() -> None:
    for policy in ("flat", "explained", "evidence"):
        assert forbids(FLAT.under(flatness=policy)) == {}
        assert forbids(FLAT.under(flatness=policy), back(qty="0.0005", dust=True)) == {}


def test_a_symbol_that_is_held_forbids_it_under_the_flat_policy() -> None:
    held = FLAT.having(legs=[leg("2")])
    assert forbids(held.under(flatness="flat")) == {"TRD-1": "exchange_not_flat:2"}
    assert forbids(FLAT.having(legs=[leg("0.0009")]).under(flatness="flat")) == {}
    assert forbids(FLAT.having(legs=[leg("0.0011")]).under(flatness="flat")) == {"TRD-1": "exchange_not_flat:0.0011"}


def test_dust_needs_a_flat_symbol_under_every_policy() -> None:
    for policy in ("flat", "explained", "evidence"):
        held = FLAT.having(legs=[leg("0.4")]).under(flatness=policy)
        assert forbids(held, back(qty="0.0005", dust=True)) == {"TRD-1": "exchange_not_flat:0.4"}


def test_the_ledgers_excess_bounds_it_under_explained() -> None:
    rows = [entry("TRD-1", "1"), entry("TRD-2", "1", minute=5)]
    world = World(rows=rows, legs=[leg("1")]).under(flatness="explained")
    assert forbids(world, back("TRD-1")) == {}
    assert forbids(world, back("TRD-1"), back("TRD-2")) == {"TRD-2": "would_overshoot_venue:0"}
    assert forbids(world, back("TRD-2"), back("TRD-1")) == {"TRD-2": "would_overshoot_venue:0"}
    assert forbids(world.having(legs=[leg("2")]), back("TRD-1")) == {"TRD-1": "would_overshoot_venue:0"}
    assert forbids(world.having(legs=[leg("1.5")]), back("TRD-1")) == {"TRD-1": "would_overshoot_venue:0.5"}
    assert forbids(world.having(legs=[leg("1.5")]), back("TRD-1", "0.5")) == {}


def test_several_rows_of_a_trade_count_together() -> None:
    world = World(rows=[entry(qty="2")], legs=[leg("1")]).under(flatness="explained")
    assert forbids(world, back(qty="0.5"), back(qty="0.5")) == {}
    assert forbids(world, back(qty="0.6"), back(qty="0.5")) == {"TRD-1": "would_overshoot_venue:1"}


def test_a_short_takes_from_an_excess_of_shorts() -> None:
    world = World(rows=[short(qty="1")]).under(flatness="explained")
    assert forbids(world) == {}
    assert forbids(world.having(legs=[leg("-1")])) == {"TRD-1": "would_overshoot_venue:0"}


def test_dust_may_leave_what_a_flat_venue_may_hold() -> None:
    world = World(rows=[entry(qty="0.0005")], legs=[leg("0.0002")]).under(flatness="explained")
    assert forbids(world, back(qty="0.0005", dust=True)) == {}
    assert forbids(world, back(qty="0.0005")) == {"TRD-1": "would_overshoot_venue:0.0003"}


def test_evidence_trusts_executions_over_the_position() -> None:
    held = FLAT.having(legs=[leg("5")]).under(flatness="evidence")
    assert forbids(held) == {}
    assert forbids(held.having(coverage={"positions": FAILED})) == {}


@pytest.mark.parametrize("policy", ["flat", "explained"])
def test_an_unknown_position_forbids_it(policy: str) -> None:
    lost = FLAT.having(coverage={"positions": FAILED}).under(flatness=policy)
    assert forbids(lost)["TRD-1"] == "venue_position_unknown (the position feed is failed: timeout)"
    doubted = FLAT.having(unknown_symbols={"BTC/USD": "a row cannot be read"}).under(flatness=policy)
    assert forbids(doubted) == {"TRD-1": "venue_position_unknown (a row cannot be read)"}


@pytest.mark.parametrize("policy", ["flat", "explained"])
def test_a_venue_that_was_read_before_the_trades_newest_row_says_nothing(policy: str) -> None:
    for minute, forbidden in ((NOW + GRACE, False), (NOW + GRACE + 0.1, True)):
        late = World(rows=[entry(minute=minute)]).under(flatness=policy)
        assert bool(forbids(late)) is forbidden
        if forbidden:
            assert forbids(late)["TRD-1"].startswith("venue_position_unknown (the venue was read before")


def test_only_the_trade_of_the_row_is_meant() -> None:
    rows = [entry(), entry(profile_id="p2"), entry(symbol="ETH/USD", order_id="e"), leave("TRD-9", "1")]
    world = World(rows=rows, legs=[leg("5", "ETH/USD")]).under(flatness="flat")
    assert forbids(world, back()) == {}
    assert forbids(world, back(symbol="ETH/USD")) == {"TRD-1": "exchange_not_flat:5"}
    assert forbids(world, back("TRD-7")) == {}
    assert forbids(world, back(of="p2")) == {}
