"""Pages of orders and activities: all rows, once, or a coverage that says how far back they reach."""

from decimal import Decimal

import pytest
from tests.venues.alpaca.desk import (
    NOW_MS,
    Asked,
    Reply,
    all_well,
    canned,
    exchange,
    forwarding,
    order,
    resting,
    trading,
    venue,
)
from tests.venues.exports import alpaca_order

from trueup.core.snapshot import Coverage, Feed, FeedState, Snapshot
from trueup.core.times import iso
from trueup.ports import ReadScope
from trueup.sim.exchange import Exchange, Side
from trueup.sim.faults import Fault, FaultKind, FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.alpaca import AlpacaWire, alpaca_app
from trueup.venues.alpaca.orders import submitted

SECOND = 1000


def burst(world: Exchange, count: int) -> None:
    """Send orders in one instant, both ways."""
    for number in range(count):
        order(world, qty="0.001", side=Side.BUY if number % 2 else Side.SELL)


def at_instants(world: Exchange, *counts: int) -> list[int]:
    """Send so many orders each second; return the instants."""
    instants = []
    for count in counts:
        world.advance(SECOND)
        instants.append(world.now_ms)
        burst(world, count)
    world.advance(60 * SECOND)
    return instants


def ids(snapshot: Snapshot) -> list[str]:
    return sorted(one.id for one in snapshot.orders)


def truth(world: Exchange, since_ms: int = 0) -> list[str]:
    return sorted(one.id for one in world.orders_of("main") if one.created_ms >= since_ms)


def wire(page: int) -> AlpacaWire:
    """Return a venue that gives no more than so many orders at once."""
    return AlpacaWire(orders_limit=page, orders_default=page)


@pytest.mark.parametrize("page", [3, 7, 50, 100, 299, 300, 301, 500])
def test_burst_of_300_in_one_instant_is_complete_where_the_venue_gives_larger_pages(page: int) -> None:
    """Exclusive bounds on an instant that is shared: paging by `until` alone loses all but one page of it."""
    world = exchange()
    at_instants(world, 4, 300, 5)
    with trading(world, page_limit=page, max_pages=400) as alpaca:
        snapshot = alpaca.read()
    assert ids(snapshot) == truth(world)
    assert snapshot.feed(Feed.CLOSED_ORDERS).complete
    assert snapshot.feed(Feed.CLOSED_ORDERS).since_ms is None


@pytest.mark.parametrize("page", [3, 7, 40, 99, 149])
def test_burst_larger_than_the_venues_largest_page_by_side_begins_the_feed_after_it(page: int) -> None:
    world = exchange()
    _, instant, _ = at_instants(world, 4, 300, 2)
    with trading(world, wire(page), page_limit=page, max_pages=400) as alpaca:
        snapshot = alpaca.read()
    coverage = snapshot.feed(Feed.CLOSED_ORDERS)
    assert coverage.complete
    assert coverage.since_ms == instant + 1
    assert "more orders were submitted at" in coverage.reason
    assert [one for one in truth(world, instant + 1) if one not in ids(snapshot)] == []
    assert len(ids(snapshot)) == len(set(ids(snapshot)))


def test_burst_larger_than_a_page_is_split_by_side() -> None:
    world = exchange()
    at_instants(world, 4, 700, 2)
    with trading(world, page_limit=500, max_pages=8) as alpaca:
        snapshot = alpaca.read()
    assert ids(snapshot) == truth(world)
    assert snapshot.feed(Feed.CLOSED_ORDERS).since_ms is None


def test_burst_larger_than_a_page_of_each_side_begins_the_feed_after_it() -> None:
    world = exchange()
    _, instant, _ = at_instants(world, 4, 1100, 2)
    with trading(world, page_limit=500, max_pages=30) as alpaca:
        snapshot = alpaca.read()
    coverage = snapshot.feed(Feed.CLOSED_ORDERS)
    assert (coverage.state, coverage.since_ms) == (FeedState.COMPLETE, instant + 1)
    assert set(truth(world, instant + 1)) <= set(ids(snapshot))


@pytest.mark.parametrize("page", [1, 2, 3, 5, 500])
def test_legs_that_share_submitted_at_are_neither_lost_nor_doubled(page: int) -> None:
    world = exchange()
    for _ in range(6):
        order(world, "AAPL", "10", take_profit=Decimal(250), stop_loss=Decimal(150))
        world.advance(SECOND)
    with trading(world, page_limit=page, max_pages=100) as alpaca:
        snapshot = alpaca.read()
    assert ids(snapshot) == truth(world)
    assert len(ids(snapshot)) == 18


@pytest.mark.parametrize("page", [3, 10])
def test_orders_microseconds_apart_are_all_there(page: int) -> None:
    """A step of a millisecond back would take all of them for one instant, or jump over some."""
    world = exchange(micros=True)
    burst(world, 90)
    world.advance(60 * SECOND)
    with trading(world, wire(page), page_limit=page, max_pages=200) as alpaca:
        snapshot = alpaca.read()
    assert len({one.micros for one in world.orders}) == 90
    assert ids(snapshot) == truth(world)
    assert snapshot.feed(Feed.CLOSED_ORDERS).since_ms is None


def test_when_max_pages_is_used_up_the_feed_begins_where_the_reading_stopped() -> None:
    world = exchange()
    instants = at_instants(world, *[2] * 20)
    with trading(world, page_limit=4, max_pages=3) as alpaca:
        snapshot = alpaca.read()
    coverage = snapshot.feed(Feed.CLOSED_ORDERS)
    assert coverage.complete
    assert "max_fetch_pages is 3" in coverage.reason
    assert coverage.since_ms is not None
    assert instants[0] < coverage.since_ms <= instants[-1] + 1
    assert set(truth(world, coverage.since_ms)) <= set(ids(snapshot))
    assert set(ids(snapshot)) < set(truth(world))


def test_the_window_begins_at_since_and_holds_its_own_instant() -> None:
    world = exchange()
    instants = at_instants(world, 1, 1, 1)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(instants[1]))
    assert ids(snapshot) == truth(world, instants[1])
    assert snapshot.feed(Feed.CLOSED_ORDERS) == Coverage(FeedState.COMPLETE, since_ms=instants[1])


def test_an_order_that_was_canceled_at_once_at_the_beginning_of_the_window_is_in_it() -> None:
    """Bounds exclude their own moment, and no execution names this order."""
    world = exchange()
    made = resting(world)
    world.cancel(made)
    world.advance(60 * SECOND)
    with trading(world) as alpaca:
        assert ids(alpaca.read(ReadScope(made.created_ms))) == [made.id]


def listed(rows: list[dict[str, object]], asked: Asked, most: int = 500) -> list[dict[str, object]]:
    """Return a page of a list of orders, newest first, as the request asks for it."""
    until = submitted({"submitted_at": asked.query["until"]}) if "until" in asked.query else None
    left = [row for row in rows if until is None or (submitted(row) or 0) < until]
    return left[: min(most, int(asked.query["limit"]))]


@pytest.mark.parametrize("good", [1, 2, 3])
def test_a_later_page_that_fails_leaves_what_was_read_and_says_since_when(good: int) -> None:
    rows = [alpaca_order(id=f"o-{n}", submitted_at=iso(NOW_MS - 60_000 - n * 1000)) for n in range(50)]
    pages = 0

    def answers(asked: Asked) -> Reply:
        nonlocal pages
        if asked.path != "/v2/orders" or asked.query["status"] == "open":
            return all_well()(asked)
        pages += 1
        return Reply(listed(rows, asked)) if pages <= good else Reply("<html>", 503)

    with canned(answers) as server:
        snapshot = venue(server.url, page_limit=10).read()
    read = 10 + (good - 1) * 9  # each further page begins with the last row of the one before
    assert ids(snapshot) == sorted(f"o-{n}" for n in range(read))
    coverage = snapshot.feed(Feed.CLOSED_ORDERS)
    assert coverage.complete
    assert coverage.since_ms == NOW_MS - 60_000 - (read - 1) * 1000 + 1
    assert "503" in coverage.reason


def test_open_orders_from_before_the_window_are_there() -> None:
    """`since` filters by creation: an order that rests for a week is in no window of orders."""
    world = exchange()
    old = resting(world)
    world.fill(old, "0.1")
    world.advance(8 * 86_400_000)
    new = order(world)
    world.advance(60 * SECOND)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(world.now_ms - 86_400_000))
    assert {one.id: one.working for one in snapshot.orders} == {old.id: True, new.id: False}


def test_an_order_from_before_the_window_that_filled_within_it_is_asked_for_by_id_once() -> None:
    """`since` filters by creation: the order is in no list, but its execution names it."""
    world = exchange()
    old = resting(world, client_order_id="bot-p-TRD-1-exit", subtag="bot:p:TRD-1")
    world.advance(8 * 86_400_000)
    world.fill(old, "0.4")
    world.advance(60 * SECOND)
    scope = ReadScope(world.now_ms - 86_400_000)
    with trading(world) as alpaca:
        snapshot = alpaca.read(scope)
        calls = alpaca.connection.caller.calls
        again = alpaca.read(scope)
        assert (calls, alpaca.connection.caller.calls - calls) == (7, 6)
    (found,) = snapshot.orders
    assert (found.id, found.sub_tag, found.qty) == (old.id, "bot:p:TRD-1", Decimal("0.4"))
    assert snapshot.feed(Feed.CLOSED_ORDERS) == Coverage(FeedState.COMPLETE, since_ms=scope.since_ms)
    assert again == snapshot


def test_an_execution_of_an_order_that_cannot_be_read_is_left_out_and_the_feeds_begin_after_it() -> None:
    world = exchange()
    old = resting(world)
    world.advance(8 * 86_400_000)
    world.fill(old, "0.4")
    filled_ms = world.now_ms
    world.advance(60 * SECOND)
    late = order(world)
    world.advance(60 * SECOND)
    plan = FaultPlan(faults=[Fault(kind=FaultKind.HTML_5XX, path=old.id)])
    with trading(world, wrap=plan.wrap) as alpaca:
        snapshot = alpaca.read(ReadScope(world.now_ms - 86_400_000))
    assert ids(snapshot) == [late.id]
    assert [fill.order_id for fill in snapshot.fills] == [late.id]
    for feed in (Feed.CLOSED_ORDERS, Feed.FILLS):
        assert snapshot.feed(feed).since_ms == filled_ms + 1
        assert old.id in snapshot.feed(feed).reason


def test_an_answer_about_another_order_is_no_answer() -> None:
    world = exchange()
    old = resting(world)
    world.advance(8 * 86_400_000)
    world.fill(old, "0.4")
    world.advance(60 * SECOND)
    with running(alpaca_app(world)) as behind:
        forward = forwarding(behind)

        def answers(asked: Asked) -> Reply:
            return Reply(alpaca_order(id="another")) if asked.path.endswith(old.id) else forward(asked)

        with canned(answers) as server:
            snapshot = venue(server.url, lambda: world.now_ms).read(ReadScope(world.now_ms - 86_400_000))
    assert (ids(snapshot), snapshot.fills) == ([], ())
    assert snapshot.feed(Feed.CLOSED_ORDERS).since_ms == world.now_ms - 60 * SECOND + 1
    assert any("answered with another" in note for note in snapshot.notes)


def test_without_executions_orders_from_before_the_window_may_be_missing() -> None:
    """Only an execution names an order from before the window that filled within it."""
    world = exchange()
    order(world)
    world.advance(60 * SECOND)
    plan = FaultPlan(faults=[Fault(kind=FaultKind.HTML_5XX, path="activities")])
    with trading(world, wrap=plan.wrap) as alpaca:
        whole = alpaca.read()
        window = alpaca.read(ReadScope(NOW_MS))
    assert whole.feed(Feed.CLOSED_ORDERS).complete
    assert window.feed(Feed.CLOSED_ORDERS).state is FeedState.PARTIAL
    assert window.feed(Feed.FILLS).state is whole.feed(Feed.FILLS).state is FeedState.FAILED


def test_executions_older_than_their_orders_cost_no_call_and_prove_nothing() -> None:
    """The first page of activities reaches back for months; what is out of reach is not asked for one by one."""
    world = exchange()
    burst(world, 60)
    world.advance(30 * 86_400_000)
    late = order(world)
    world.advance(60 * SECOND)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(world.now_ms - 86_400_000))
        assert alpaca.connection.caller.calls == 6
    assert [fill.order_id for fill in snapshot.fills] == [late.id]


def test_an_order_whose_older_executions_were_not_read_stands_by_its_own_total() -> None:
    """Half of its executions would read as half of what it executed."""
    world = exchange()
    old = resting(world)
    world.fill(old, "0.1")
    world.advance(86_400_000)
    burst(world, 90)
    world.advance(7 * 86_400_000)
    for _ in range(120):
        order(world, qty="0.001")
        world.advance(SECOND)
    world.fill(old, "0.2")
    world.advance(60 * SECOND)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(world.now_ms - 86_400_000))
    (found,) = (one for one in snapshot.orders if one.id == old.id)
    assert found.qty == Decimal("0.3")
    assert not any(fill.order_id == old.id for fill in snapshot.fills)
    assert snapshot.feed(Feed.FILLS).complete


def test_executions_that_lag_behind_their_orders_make_the_feed_partial() -> None:
    world = exchange()
    order(world)
    world.advance(60 * SECOND)
    plan = FaultPlan(faults=[Fault(kind=FaultKind.FILLS_LAG, path="activities", ms=3_600_000)])
    with trading(world, wrap=plan.wrap) as alpaca:
        snapshot = alpaca.read()
    assert snapshot.feed(Feed.FILLS).state is FeedState.PARTIAL
    assert "executions are missing of 1 orders" in snapshot.feed(Feed.FILLS).reason


def test_executions_that_lag_behind_an_order_of_this_second_let_its_own_total_stand() -> None:
    world = exchange()
    made = order(world)
    world.advance(SECOND)
    plan = FaultPlan(faults=[Fault(kind=FaultKind.FILLS_LAG, path="activities", ms=3_600_000)])
    with trading(world, wrap=plan.wrap) as alpaca:
        snapshot = alpaca.read()
    assert [(one.id, one.qty) for one in snapshot.orders] == [(made.id, Decimal("0.4"))]
    assert snapshot.feed(Feed.FILLS).complete


@pytest.mark.parametrize("named_by", ["an execution", "the open orders"])
def test_a_list_that_leaves_out_an_order_which_the_venue_has_is_partial(named_by: str) -> None:
    """A page that is too short looks like the last one: only what else the venue says shows that it is not."""
    world = exchange()
    made = order(world) if named_by == "an execution" else resting(world)
    world.advance(60 * SECOND)

    def answers(asked: Asked) -> Reply:
        return Reply([]) if asked.query.get("status") == "all" else forward(asked)

    with running(alpaca_app(world)) as behind, canned(answers) as server:
        forward = forwarding(behind)
        snapshot = venue(server.url).read()
    assert ids(snapshot) == [made.id]
    assert snapshot.feed(Feed.CLOSED_ORDERS).state is FeedState.PARTIAL
    assert f"leaves out order {made.id}" in snapshot.feed(Feed.CLOSED_ORDERS).reason


def test_25000_executions_are_there_once_by_page_token() -> None:
    """Pages by time would lose or double those that share an instant at a page's edge."""
    rows = [
        {
            "id": f"20260102030{number // 5000:03d}000::{number:08d}", "activity_type": "FILL", "qty": "0.001",
            "transaction_time": iso(NOW_MS - 60_000 + number // 5000), "type": "fill", "price": "97000",
            "side": "buy", "symbol": "BTC/USD", "order_id": "o-1", "order_status": "filled",
        }
        for number in range(25_000)
    ]  # fmt: skip
    rows.sort(key=lambda row: row["id"], reverse=True)
    place = {row["id"]: index for index, row in enumerate(rows)}
    one = alpaca_order(id="o-1", filled_qty="25", submitted_at=iso(NOW_MS - 70_000), updated_at=iso(NOW_MS - 50_000))

    def answers(asked: Asked) -> Reply:
        if asked.path == "/v2/account/activities":
            if asked.query.get("category") == "non_trade_activity":
                return Reply([])
            start = place[asked.query["page_token"]] + 1 if "page_token" in asked.query else 0
            return Reply(rows[start : start + int(asked.query["page_size"])])
        return all_well(orders=Reply([one]))(asked)

    with canned(answers) as server:
        snapshot = venue(server.url, max_pages=300).read()
        assert server.count("/v2/account/activities") == 251
    assert len(snapshot.fills) == len({fill.id for fill in snapshot.fills}) == 25_000
    assert snapshot.feed(Feed.FILLS) == Coverage(FeedState.COMPLETE)


def test_pages_that_repeat_end_the_reading_and_claim_no_more() -> None:
    """A venue that knows no page token gives the same full page for ever."""
    rows = [
        {
            "id": f"x::{n}", "activity_type": "FILL", "transaction_time": iso(NOW_MS - 10_000 - n), "order_id": "o-1",
            "symbol": "BTC/USD", "side": "buy", "qty": "1", "price": "1",
        }
        for n in range(100)
    ]  # fmt: skip
    one = alpaca_order(id="o-1", filled_qty="100", submitted_at=iso(NOW_MS - 70_000), updated_at=iso(NOW_MS - 10_000))

    def answers(asked: Asked) -> Reply:
        return Reply([]) if "category" in asked.query else all_well(activities=Reply(rows), orders=Reply([one]))(asked)

    with canned(answers) as server:
        snapshot = venue(server.url).read()
        assert server.count("/v2/account/activities") == 3
    coverage = snapshot.feed(Feed.FILLS)
    assert (coverage.state, coverage.since_ms) == (FeedState.COMPLETE, NOW_MS - 10_000 - 99 + 1)
    assert "repeat" in coverage.reason


def test_orders_that_do_not_come_newest_first_are_no_proof() -> None:
    rows = [alpaca_order(id=f"o-{n}", submitted_at=iso(NOW_MS - 86_400_000 + n * 3_600_000)) for n in range(4)]
    with canned(all_well(orders=Reply(rows))) as server:
        snapshot = venue(server.url, page_limit=4).read()
    coverage = snapshot.feed(Feed.CLOSED_ORDERS)
    assert "newest first" in coverage.reason
    assert coverage.since_ms is not None
    assert coverage.since_ms > NOW_MS - 86_400_000 + 3 * 3_600_000


def test_a_venue_that_gives_fewer_rows_than_asked_for_is_asked_for_more() -> None:
    """Asked for 500 it gives 50: a page that is shorter than asked for, and still not the last."""
    rows = [alpaca_order(id=f"o-{n}", submitted_at=iso(NOW_MS - 60_000 - n * 1000)) for n in range(120)]

    def answers(asked: Asked) -> Reply:
        if asked.path != "/v2/orders" or asked.query["status"] == "open":
            return all_well()(asked)
        return Reply(listed(rows, asked, most=50))

    with canned(answers) as server:
        snapshot = venue(server.url).read()
    assert len(snapshot.orders) == 120
    assert snapshot.feed(Feed.CLOSED_ORDERS).since_ms is None


@pytest.mark.parametrize("page_limit", [2, 500])
def test_a_page_that_answers_another_question_is_no_page(page_limit: int) -> None:
    """A cache gives the first page for ever, or a venue more than was asked for."""
    rows = [alpaca_order(id=f"o-{n}", submitted_at=iso(NOW_MS - 60_000 - n * 1000)) for n in range(3)]
    scope = ReadScope(NOW_MS - 61_500) if page_limit == 500 else ReadScope()
    with canned(all_well(orders=Reply(rows))) as server:
        snapshot = venue(server.url, page_limit=page_limit).read(scope)
    assert snapshot.feed(Feed.CLOSED_ORDERS).state is FeedState.FAILED
    assert "asked for" in snapshot.feed(Feed.CLOSED_ORDERS).reason


def test_a_reading_of_twenty_symbols_costs_six_calls() -> None:
    world = exchange()
    at_instants(world, 10)
    with trading(world, always_read=tuple(f"COIN{n}/USD" for n in range(20))) as alpaca:
        alpaca.read(ReadScope(NOW_MS, tuple(f"COIN{n}/USD" for n in range(20))))
        assert alpaca.connection.caller.calls == 6
