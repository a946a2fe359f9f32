"""The traps of DESIGN §11 that concern Alpaca, each as a reading that a naive adapter gets wrong."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.alpaca.desk import (
    NOW_MS,
    Asked,
    Reply,
    all_well,
    canned,
    exchange,
    market,
    order,
    resting,
    trading,
    venue,
)
from tests.venues.exports import alpaca_activity, alpaca_order, alpaca_position

from trueup.core.holdings import Holdings
from trueup.core.snapshot import EventKind, Feed, FeedState, Snapshot, VenueEvent
from trueup.core.symbols import Symbols
from trueup.core.times import iso, read_time
from trueup.ports import ReadScope
from trueup.sim.exchange import Change, Side
from trueup.sim.faults import Fault, FaultKind, FaultPlan
from trueup.venues.alpaca.activities import end_of_day
from trueup.venues.alpaca.events import event_of, kind_of
from trueup.venues.file import FileVenue

HOUR_MS = 3_600_000


def read(**answers: list[dict[str, Any]]) -> Snapshot:
    """Read an account whose named lists hold these rows; orders stand in the list of all orders."""
    replies = {name: Reply(rows) for name, rows in answers.items()}
    with canned(all_well(**replies)) as server:
        return venue(server.url).read()


def test_positions_are_spelt_otherwise_than_orders() -> None:
    snapshot = read(positions=[alpaca_position()], orders=[alpaca_order()])
    assert (snapshot.legs[0].symbol, snapshot.orders[0].symbol) == ("BTCUSD", "BTC/USD")
    assert Holdings(snapshot).of("BTC/USD").signed == Decimal("0.5")


def test_one_unknown_value_fails_no_list() -> None:
    """alpaca-py's typed lists fail as a whole for one enum that they do not know."""
    rows = [
        alpaca_order(id="o-1"),
        alpaca_order(id="o-2", status="pending_settlement", type="iceberg", order_class="octopus", colour="blue"),
    ]
    snapshot = read(
        orders=rows, positions=[alpaca_position(exchange="MOON", asset_class="tulips")],
        activities=[alpaca_activity(order_id="o-1", type="reversal", venue="new")],
    )  # fmt: skip
    assert {one.id: one.working for one in snapshot.orders} == {"o-1": False, "o-2": True}
    assert len(snapshot.legs) == len(snapshot.fills) == 1
    assert not snapshot.malformed


@pytest.mark.parametrize("status", ["pending_settlement", "done_for_day", "calculated", "stopped", "suspended", "held"])
def test_an_order_whose_status_is_no_end_may_still_fill(status: str) -> None:
    (found,) = read(orders=[alpaca_order(status=status, filled_qty="0", filled_avg_price=None)]).orders
    assert found.working


@pytest.mark.parametrize("status", ["canceled", "expired", "rejected", "replaced"])
def test_executions_of_orders_that_did_not_fill_whole_count(status: str) -> None:
    """A list of filled orders is no list of all executions."""
    (found,) = read(orders=[alpaca_order(status=status, filled_qty="0.1")]).orders
    assert (found.qty, found.working) == (Decimal("0.1"), False)


@pytest.mark.parametrize("newer", ["open", "all"])
def test_an_order_in_two_lists_counts_once_as_it_is_now(newer: str) -> None:
    """The lists are read one after the other; differing rows of one order would be a conflict."""
    then = alpaca_order(status="partially_filled", filled_qty="0.1", updated_at="2026-01-02T02:59:01Z")
    now = alpaca_order(updated_at="2026-01-02T02:59:02Z")

    def answers(asked: Any) -> Reply:
        if asked.path == "/v2/orders":
            return Reply([now] if asked.query["status"] == newer else [then])
        return all_well()(asked)

    with canned(answers) as server:
        (found,) = venue(server.url).read().orders
    assert (found.status, found.qty, found.working) == ("filled", Decimal("0.4"), False)


def test_client_order_ids_and_sub_tags_come_through() -> None:
    (found,) = read(orders=[alpaca_order(subtag="bytelyst:bot:TRD-1")]).orders
    assert (found.client_order_id, found.sub_tag) == ("bytelyst-bot-TRD-1-exit", "bytelyst:bot:TRD-1")


def test_a_short_sale_is_a_sale() -> None:
    """Alpaca's executions say sell_short where its orders say sell."""
    snapshot = read(orders=[alpaca_order()], activities=[alpaca_activity(side="sell_short")])
    assert [fill.side for fill in snapshot.fills] == [Side.SELL]
    assert not snapshot.malformed


def test_a_replaced_chain_keeps_its_links_and_its_first_order_though_older_than_the_window() -> None:
    world = exchange()
    first = resting(world, client_order_id="c-1")
    world.fill(first, "0.1")
    world.advance(8 * 24 * HOUR_MS)
    second = world.replace(first, Change(qty=Decimal("0.5"), client_order_id="c-2"))
    world.fill(second, "0.4")
    world.advance(60_000)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(world.now_ms - 24 * HOUR_MS))
    links = {one.id: (one.replaces, one.replaced_by) for one in snapshot.orders}
    assert links == {first.id: (None, second.id), second.id: (first.id, None)}
    assert snapshot.feed(Feed.FILLS).complete


@pytest.mark.parametrize("carries", [False, True])
def test_a_replacing_order_that_carries_executions_over_is_not_taken_for_missing_ones(carries: bool) -> None:
    world = exchange(carries=carries)
    first = resting(world)
    world.fill(first, "0.1")
    second = world.replace(first, Change(qty=Decimal("0.5")))
    world.fill(second, "0.4")
    world.advance(60_000)
    with trading(world) as alpaca:
        snapshot = alpaca.read()
    assert snapshot.feed(Feed.FILLS).state is FeedState.COMPLETE
    assert len(snapshot.fills) == 2


def test_fees_in_coins_leave_dust_and_are_told() -> None:
    world = exchange()
    world.list_market(market("BTC/USD", taker_rate=Decimal("0.0025")), "97000")
    world.deposit("main", "BTC", "-1000")
    order(world, qty="0.4")
    world.advance(60_000)
    with trading(world) as alpaca:
        snapshot = alpaca.read()
    (fee,) = (event for event in snapshot.events if event.kind is EventKind.FEE)
    assert (fee.qty, fee.symbol) == (Decimal("-0.001"), "BTCUSD")
    assert Holdings(snapshot).of("BTC/USD").signed == Decimal("0.399")
    assert [fill.qty for fill in snapshot.fills] == [Decimal("0.4")]


def test_a_split_overnight_is_an_event_that_counts_to_the_end_of_its_day() -> None:
    world = exchange()
    order(world, "AAPL", "10")
    world.advance(HOUR_MS)
    world.split("AAPL", 4)
    split_ms = world.now_ms
    world.advance(24 * HOUR_MS)
    with trading(world) as alpaca:
        snapshot = alpaca.read()
    (split,) = (event for event in snapshot.events if event.kind is EventKind.SPLIT)
    assert split.symbol == "AAPL"
    assert split.kind.changes_quantities
    assert split.time_ms >= split_ms
    assert iso(split.time_ms) == "2026-01-03T04:59:59.999Z"
    assert Holdings(snapshot).of("AAPL").signed == 40


def test_a_split_of_the_day_on_which_the_executions_end_is_read_though_it_stands_behind_them() -> None:
    """Activities with a date stand at the beginning of their day, behind all executions of it."""
    world = exchange()
    order(world, "AAPL", "10")
    world.split("AAPL", 2)
    world.advance(HOUR_MS)
    since_ms = world.now_ms
    for _ in range(250):
        world.advance(1000)
        order(world, qty="0.001")
    world.advance(60_000)
    with trading(world) as alpaca:
        snapshot = alpaca.read(ReadScope(since_ms))
        few = trading(world, max_pages=1)
    assert [event.symbol for event in snapshot.events if event.kind is EventKind.SPLIT] == ["AAPL"]
    with few as alpaca:
        snapshot = alpaca.read(ReadScope(since_ms))
    assert snapshot.feed(Feed.FILLS).since_ms is not None
    assert snapshot.feed(Feed.FILLS).since_ms > since_ms  # type: ignore[operator]  # it is asked for above
    assert [event.symbol for event in snapshot.events if event.kind is EventKind.SPLIT] == ["AAPL"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("SPLIT", None), EventKind.SPLIT),
        (("SSP", None), EventKind.SPLIT),
        (("FSPLIT", None), EventKind.SPLIT),
        (("REORG", "RSPLIT"), EventKind.SPLIT),
        (("NEW_SPLIT_OF_2027", None), EventKind.SPLIT),
        (("MA", None), EventKind.CORPORATE_ACTION),
        (("NC", None), EventKind.CORPORATE_ACTION),
        (("SPIN", None), EventKind.CORPORATE_ACTION),
        (("REORG", None), EventKind.CORPORATE_ACTION),
        (("DIV", "SDIV"), EventKind.CORPORATE_ACTION),
        (("DIV", "CDIV"), EventKind.OTHER),
        (("OPASN", None), EventKind.SETTLEMENT),
        (("CFEE", None), EventKind.FEE),
        (("FEE", "REG"), EventKind.FEE),
        (("JNLS", None), EventKind.TRANSFER),
        (("CSD", None), EventKind.TRANSFER),
        (("DIVNRA", None), EventKind.OTHER),
        (("WHATEVER", None), EventKind.OTHER),
    ],
)
def test_what_an_activity_means(words: tuple[str, str | None], kind: EventKind) -> None:
    row = {"id": "e-1", "activity_type": words[0], "activity_sub_type": words[1], "date": "2026-01-01", "qty": "2"}
    assert kind_of(row) is kind
    assert event_of(row)["kind"] == kind.value


def nta(**fields: Any) -> dict[str, Any]:
    return {"id": "20260101000000000::e-1", "activity_type": "DIV", "date": "2026-01-01", "symbol": "AAPL", **fields}


def only_event(**fields: Any) -> VenueEvent:
    snapshot = read(activities=[nta(**fields)])
    assert not snapshot.malformed
    (event,) = snapshot.events
    return event


def test_a_dividends_shares_are_no_change_of_quantity() -> None:
    event = only_event(qty="100", net_amount="24.00", per_share_amount="0.24")
    assert (event.qty, event.amount, event.asset, event.kind) == (None, Decimal("24.00"), "USD", EventKind.OTHER)


def test_a_type_that_nobody_knows_is_an_event_and_is_said() -> None:
    snapshot = read(activities=[nta(activity_type="AIRDROP", qty="5", net_amount="0")])
    assert [event.kind for event in snapshot.events] == [EventKind.OTHER]
    assert any("AIRDROP" in note for note in snapshot.notes)
    assert snapshot.feed(Feed.FILLS).complete


def test_a_split_that_cannot_be_read_makes_its_symbol_unknown() -> None:
    snapshot = read(activities=[nta(activity_type="SPLIT", date=None)], positions=[alpaca_position(symbol="AAPL")])
    assert snapshot.malformed
    assert "AAPL" in snapshot.unknown_symbols


@pytest.mark.parametrize("day", ["2026-01-01", "2026-07-01", "2026-01-01T00:00:00Z"])
def test_a_day_ends_no_earlier_than_in_new_york(day: str) -> None:
    end = end_of_day({"date": day})
    assert end is not None
    assert end >= read_time(f"{day[:10]}T23:59:59.999-05:00")


def test_the_wrapper_of_an_order_of_several_symbols_is_none_itself() -> None:
    wrapper = alpaca_order(id="w", order_class="mleg", symbol="", side="", legs=None)
    leg = alpaca_order(id="l", order_class="mleg", symbol="AAPL260116C00200000", filled_qty="1")
    snapshot = read(orders=[wrapper, leg])
    assert [one.id for one in snapshot.orders] == ["l"]
    assert not snapshot.malformed


def test_a_position_that_cannot_be_read_is_unknown_and_not_flat() -> None:
    snapshot = read(positions=[alpaca_position(qty="much")])
    assert Holdings(snapshot).of("BTC/USD").unknown is not None


def test_now_is_the_venues_and_a_wrong_clock_here_is_said() -> None:
    world = exchange()
    plan = FaultPlan(faults=[Fault(kind=FaultKind.CLOCK_SKEW, path="clock", ms=-90_000)])
    with trading(world, wrap=plan.wrap) as alpaca:
        snapshot = alpaca.read()
    assert (snapshot.as_of_ms, snapshot.as_of_source) == (NOW_MS - 90_000, "venue")
    assert any("90.0 s ahead of" in note for note in snapshot.notes)


def test_balances_are_not_given_and_that_is_no_failure_of_positions() -> None:
    snapshot = read()
    assert not snapshot.feed(Feed.BALANCES).given
    assert snapshot.feed(Feed.POSITIONS).complete
    assert Holdings(snapshot).of("AAPL").unknown is None


def test_a_dumped_document_reads_the_same_by_the_file_venue(tmp_path: Path) -> None:
    world = exchange(micros=True)
    made = order(world, "AAPL", "10", take_profit=Decimal(250), stop_loss=Decimal(150), subtag="bot:p:TRD-1")
    resting(world)
    world.advance(HOUR_MS)
    world.replace(resting(world), Change(qty=Decimal("0.7")))
    world.split("AAPL", 2)
    world.advance(HOUR_MS)
    with trading(world, page_limit=2, max_pages=2) as alpaca:
        document = alpaca.export()
        live = alpaca.read()
    path = tmp_path / "main.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    again = FileVenue("main", path, Symbols()).read()
    assert again == live
    assert (again.as_of_source, again.coverage) == ("venue", live.coverage)
    assert live.feed(Feed.CLOSED_ORDERS).reason
    assert made.id


def test_nothing_held_of_an_asset_that_alpaca_does_not_list_is_not_flat(tmp_path: Path) -> None:
    """The trap: "position does not exist" is Alpaca's answer to a name that it never heard of, too."""
    scope = ReadScope(NOW_MS - HOUR_MS, held=("NOPE/USD", "btc-usd", "XBT/USD", "AAPL"))
    with trading(exchange()) as alpaca:
        document = alpaca.export(scope)
        asked = alpaca.connection.caller.calls
        again = alpaca.read(scope)
        assert alpaca.connection.caller.calls - asked < asked
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(document))
    for snapshot in (again, FileVenue("main", kept).read()):
        holdings = Holdings(snapshot)
        assert holdings.of("NOPE/USD").unknown == "Alpaca lists no asset NOPE/USD, so that nothing is known of it"
        assert holdings.of("AAPL").is_flat(Decimal(0))


@pytest.mark.parametrize(
    ("asset", "why"),
    [
        (Reply({"symbol": "META", "status": "active"}), "Alpaca calls FB META now"),
        (Reply({"code": 50010000, "message": "no"}, 500), "whether Alpaca lists FB is not known"),
        (Reply("<html>"), "whether Alpaca lists FB is not known"),
    ],
)  # fmt: skip
def test_an_asset_that_is_renamed_or_cannot_be_asked_for_is_not_flat(asset: Reply, why: str) -> None:
    answers = all_well(FB=asset)

    def reply(asked: Asked) -> Reply:
        gone = Reply({"code": 40410000, "message": "position does not exist"}, 404)
        return gone if asked.path.endswith("/positions/FB") else answers(asked)

    with canned(reply) as server:
        snapshot = venue(server.url).read(ReadScope(NOW_MS, held=("FB",)))
    assert why in (Holdings(snapshot).of("FB").unknown or "")
