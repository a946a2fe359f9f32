"""Whatever the history, the pages and the faults: what is read is the truth, or the coverage says less.

Invariant 5 (Unknown is not flat; not found is not absent).
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.venues.alpaca.desk import Stage, exchange, order, resting

from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.snapshot import Feed, Snapshot
from trueup.ports import ReadScope
from trueup.sim.exchange import Change, Exchange, Side
from trueup.sim.faults import HONEST, FaultKind, FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.alpaca import AlpacaDialect, AlpacaWire

DAY_MS = 86_400_000
ACTIONS = (
    "buy", "sell", "rest", "fill some", "fill whole", "cancel", "expire", "replace", "bracket", "burst", "split",
    "dividend", "second", "hour", "day",
)  # fmt: skip
FORGIVEN = {FaultKind.FORGETFUL, FaultKind.LATENCY, FaultKind.TIMEOUT_AFTER_ACCEPTANCE, FaultKind.REVOKED_KEY}
"""Faults that are slow, or that change what may be known at all."""


def play(world: Exchange, action: str) -> None:
    working = world.working("main")
    coins = [one for one in working if one.symbol == "BTC/USD"]
    plain: dict[str, Callable[[], Any]] = {
        "buy": lambda: order(world, qty="0.4"),
        "sell": lambda: order(world, qty="0.2", side=Side.SELL),
        "rest": lambda: resting(world),
        "bracket": lambda: order(world, "AAPL", "10", take_profit=Decimal(10**6), stop_loss=Decimal("0.01")),
        "burst": lambda: [order(world, qty="0.001", side=(Side.BUY, Side.SELL)[n % 2]) for n in range(9)],
        "split": lambda: world.split("AAPL", 2),
        "dividend": lambda: world.dividend("AAPL", "0.1"),
        "second": lambda: world.advance(1000),
        "hour": lambda: world.advance(3_600_000),
        "day": lambda: world.advance(DAY_MS),
    }
    some: dict[str, Callable[[], Any]] = {
        "fill some": lambda: world.fill(coins[0], coins[0].remaining / 2),
        "fill whole": lambda: world.fill(coins[0], coins[0].remaining),
        "cancel": lambda: world.cancel(coins[-1]),
        "expire": lambda: world.expire(coins[-1]),
        "replace": lambda: world.replace(coins[-1], Change(qty=coins[-1].qty + 1)),
    }
    if action in plain:
        plain[action]()
    elif coins:
        some[action]()


NEVER_SEEN = AlpacaDialect.unknown_values["status"]
"""A status that trueup does not know counts as one of an order that still works."""


def played(actions: list[str], **options: Any) -> Exchange:
    world = exchange(**options)
    for action in actions:
        play(world, action)
    world.advance(60_000)
    return world


def hold_against_truth(world: Exchange, snapshot: Snapshot) -> None:
    """Assert that a snapshot claims nothing that is false, and lacks nothing that it claims to hold."""
    orders = {one.id: one for one in world.orders_of("main")}
    fills = {one.id: one for one in world.fills_of("main")}
    read = {one.id: one for one in snapshot.orders}
    unread = {row.row_id for row in snapshot.malformed}
    assert len(read) == len(snapshot.orders), "an order stands twice"
    assert len({fill.id for fill in snapshot.fills}) == len(snapshot.fills), "an execution stands twice"
    for name, one in read.items():
        assert one.qty == orders[name].filled
        assert one.working == orders[name].status.working or one.status == NEVER_SEEN
    for fill in snapshot.fills:
        assert (fill.qty, fill.order_id) == (fills[fill.id].qty, fills[fill.id].order.id)
        assert fill.order_id in read.keys() | unread, "an execution without its order: nobody can tell whose it is"
    closed, filled = snapshot.feed(Feed.CLOSED_ORDERS), snapshot.feed(Feed.FILLS)
    if closed.complete:
        since = closed.since_ms or 0
        due = {name for name, one in orders.items() if one.created_ms >= since and not one.status.working}
        due |= {one.order.id for one in fills.values() if one.time_ms >= since and not one.order.status.working}
        assert due <= read.keys() | unread
    if filled.complete and closed.complete:
        since = max(filled.since_ms or 0, closed.since_ms or 0)
        by_fills = {fill.order_id for fill in snapshot.fills}
        listed = {fill.id for fill in snapshot.fills}
        for name, one in fills.items():
            if one.time_ms >= since and name not in listed:
                assert one.order.id in read.keys() | unread, "an execution is neither listed nor in its order's total"
                assert one.order.id not in by_fills, "an order's executions are listed in part"
    if snapshot.feed(Feed.OPEN_ORDERS).complete:
        working = {one.id for one in world.working("main")}
        unclear = {name for name, one in read.items() if one.status == NEVER_SEEN}
        assert working - unread - unclear == {name for name, one in read.items() if one.working} - unclear
    if snapshot.feed(Feed.POSITIONS).complete and not snapshot.unknown_symbols:
        account = world.accounts["main"]
        assert Holdings(snapshot).of("BTC/USD").signed == account.balance("BTC")
        assert Holdings(snapshot).of("AAPL").signed == account.position("AAPL").qty


HISTORIES = st.lists(st.sampled_from(ACTIONS), max_size=25)
PAGES = st.integers(1, 12)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with running(stage) as stage.url:
        yield stage


@given(
    actions=HISTORIES,
    pages=st.tuples(PAGES, PAGES, st.integers(1, 40)),
    back=st.integers(0, 4),
    kind=st.tuples(st.booleans(), st.booleans()),
)
def test_what_is_read_is_the_truth_or_the_coverage_says_less(
    stage: Stage, actions: list[str], pages: tuple[int, int, int], back: int, kind: tuple[bool, bool]
) -> None:
    (page, most, max_pages), (micros, carries) = pages, kind
    world = played(actions, micros=micros, carries=carries)
    wire = AlpacaWire(orders_limit=max(page, most), orders_default=1, activities_limit=max(page, most))
    alpaca = stage.show(world, wire, page_limit=page, max_pages=max_pages)
    scope = ReadScope(world.now_ms - back * DAY_MS if back else None)
    snapshot = alpaca.read(scope)
    hold_against_truth(world, snapshot)
    assert alpaca.read(scope) == snapshot, "a second reading of an unchanged world differs"


@given(actions=HISTORIES)
def test_with_pages_enough_everything_is_there(stage: Stage, actions: list[str]) -> None:
    world = played(actions)
    snapshot = stage.show(world).read()
    assert {one.id for one in snapshot.orders} == {one.id for one in world.orders_of("main")}
    assert {one.id for one in snapshot.fills} == {one.id for one in world.fills_of("main")}
    assert len(snapshot.events) == len(world.events_of("main"))
    for feed in Feed:
        assert snapshot.feed(feed).complete is (feed is not Feed.BALANCES)
        assert snapshot.feed(feed).since_ms is None
    hold_against_truth(world, snapshot)


@given(actions=HISTORIES, page=PAGES, seed=st.integers(0, 10**6), rate=st.sampled_from(["0.02", "0.1"]))
def test_faults_that_can_be_noticed_make_nothing_false(
    stage: Stage, actions: list[str], page: int, seed: int, rate: str
) -> None:
    world = played(actions)
    plan = FaultPlan(seed=seed, rates={kind.value: rate for kind in sorted(HONEST - FORGIVEN)})
    alpaca = stage.show(world, wrap=plan.wrap, page_limit=page, max_pages=30, attempts=4, side_by_side=1)
    try:
        hold_against_truth(world, alpaca.read())
    except CannotKnow:
        assert plan.log
