"""Replaced orders of which orders alone do not say what they executed: never booked further, and told."""

from decimal import Decimal

from tests.core.reconcile.looking import buy
from tests.core.world import World, entry, fill, order

from trueup.core.reconcile.carrying import Carrying, carrying

OLD = buy("X1", "0.3", 9, status="replaced", replaced_by="X2")
NEW = buy("X2", "0.5", 10, replaces="X1", status="partially_filled", working=True)


def found(world: World) -> list[Carrying]:
    return carrying(world.snapshot, world.policy.grace_ms)


def test_what_a_successor_may_have_carried_is_more_than_is_counted() -> None:
    [each] = found(World(orders=[OLD, NEW]))
    assert (each.chain.executed, each.more) == (Decimal("0.5"), Decimal("0.3"))


def test_nothing_is_unclear_of_a_smaller_successor_with_fills_or_alone() -> None:
    assert found(World(orders=[OLD, buy("X2", "0.2", 10, replaces="X1")])) == []
    parts = [fill("F1", "X1", "0.3", 9, side="buy"), fill("F2", "X2", "0.2", 10, side="buy")]
    assert found(World(orders=[OLD, NEW], fills=parts)) == []
    assert found(World(orders=[OLD, NEW], fills=parts[1:])) == []
    assert len(found(World(orders=[OLD, NEW], fills=[fill("F1", "X1", "1", symbol="ETH/USD")]))) == 1
    assert found(World(orders=[NEW])) == []
    assert found(World(orders=[buy()])) == []


def test_it_explains_what_the_venue_holds_more_on_its_own_side() -> None:
    [bought] = found(World(orders=[OLD, NEW]))
    dust = Decimal("0.001")
    gaps = ("0.3", "0.299", "0.2989", "7", "0", "-0.3")
    assert [bought.explains(Decimal(gap), dust) for gap in gaps] == [True, True, False, True, False, False]
    [sold] = found(World(orders=[order("X1", "0.3", 9, replaced_by="X2"), order("X2", "0.5", 10, replaces="X1")]))
    assert [sold.explains(Decimal(gap), dust) for gap in ("0.3", "-0.3")] == [False, True]


def test_the_break_names_the_newest_order_and_whose_rows_are_about_it() -> None:
    rows = [
        entry("TRD-1", "0.3", exchange_order_id="X1", status="canceled", order_id="a"),
        entry("TRD-1", "0.5", exchange_order_id="X2", order_id="b"),
        entry("TRD-2", "9", exchange_order_id="X9", order_id="c"),
    ]
    world = World(rows=rows, orders=[OLD, NEW])
    said = found(world)[0].as_break("main", world.rows)
    assert (said.kind, said.exchange_order_id, said.profile_id, said.trade_id) == (
        "quantity_mismatch", "X2", "p1", "TRD-1",
    )  # fmt: skip
    assert (said.ledger, said.venue) == (Decimal("0.5"), Decimal("0.5"))
    assert said.detail == (
        "it may have executed 0.3 more: it replaced an order, the venue gives no fills, and the position is not what"
        " the orders add up to"
    )
    nobody = found(world)[0].as_break("main", rows[2:])
    assert (nobody.profile_id, nobody.trade_id, nobody.ledger) == (None, None, 0)
