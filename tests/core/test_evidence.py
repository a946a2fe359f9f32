"""Which evidence there is: fills before orders, doubles, times, and what cannot be told."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.core.world import NOW, World, at, entry, fill, leave, order

from trueup.core.repair.booked import BookedIndex
from trueup.core.repair.evidence import Conflict, Disagreement, Evidence, EvidenceBook, evidence_of
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.snapshot import Malformed


def book(world: World) -> EvidenceBook:
    return evidence_of(world.snapshot, world.facts.booked, world.policy)


def evidence(world: World, token: str = "BTCUSD") -> list[Evidence]:
    return book(world).rows.get(token, [])


def only(world: World) -> Evidence:
    [row] = evidence(world)
    return row


def test_an_order_stands_alone_where_there_are_no_fills() -> None:
    marks = {"client_order_id": "c", "sub_tag": "s", "trade_id": "t", "fee": "0.2", "fee_asset": "USD"}
    assert only(World(orders=[order("X1", "0.5", 10, price="110", **marks)])) == Evidence(
        exchange_order_id="X1", symbol="BTC/USD", token="BTCUSD", side="sell", filled=Decimal("0.5"),
        qty=Decimal("0.5"),
        time_ms=at(10), price=Decimal(110), price_source="order", client_order_id="c", sub_tag="s", trade_id="t",
        fee=Decimal("0.2"), fee_asset="USD", booked_to=frozenset(),
    )  # fmt: skip


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "partially_filled", "new", "anything"])
def test_an_executed_quantity_is_evidence_whatever_the_status(status: str) -> None:
    assert only(World(orders=[order(qty="0.3", status=status, working=status == "new")])).qty == Decimal("0.3")


@pytest.mark.parametrize(("qty", "rows"), [("0", 0), ("0.00000001", 0), ("0.000000011", 1)])
def test_a_quantity_up_to_1e_8_is_none(qty: str, rows: int) -> None:
    assert len(evidence(World(orders=[order(qty=qty)]))) == rows
    assert len(evidence(World(fills=[fill(qty=qty)]))) == rows


def test_fills_give_quantity_price_fee_and_time_and_the_order_its_marks() -> None:
    world = World(
        orders=[order("X1", "2", 30, price="1", fee="9", client_order_id="c", sub_tag="s", trade_id="t")],
        fills=[
            fill("F2", "X1", "0.5", 12, price="130", fee="0.2", fee_asset="USD"),
            fill("F1", "X1", "1.5", 11, price="110", fee="0.1", fee_asset="USD"),
        ],
    )
    assert only(world) == Evidence(
        exchange_order_id="X1", symbol="BTC/USD", token="BTCUSD", side="sell", filled=Decimal(2), qty=Decimal(2),
        time_ms=at(12), price=Decimal(115), price_source="fills", client_order_id="c", sub_tag="s", trade_id="t",
        fee=Decimal("0.3"), fee_asset="USD", booked_to=frozenset(),
    )  # fmt: skip
    assert book(world).disagreements == ()


def test_fills_whose_order_is_not_listed_are_evidence_without_marks() -> None:
    row = only(World(fills=[fill(of="gone")]))
    assert (row.exchange_order_id, row.client_order_id, row.sub_tag, row.trade_id) == ("gone", None, None, None)


def test_a_price_that_one_fill_lacks_is_unknown() -> None:
    row = only(World(orders=[order(qty="2")], fills=[fill("F1"), fill("F2", price=None)]))
    assert (row.price, row.price_source) == (None, "none")


@pytest.mark.parametrize(
    "second", [{}, {"fee": "0.1"}, {"fee": "0.1", "fee_asset": "BNB"}, {"fee": None, "fee_asset": "USD"}]
)
def test_fees_that_do_not_add_up_are_unknown(second: dict[str, str]) -> None:
    row = only(World(fills=[fill("F1", fee="0.1", fee_asset="USD"), fill("F2", **second)]))
    assert (row.fee, row.fee_asset) == (None, None)


def test_a_disagreement_of_order_and_fills_is_said_and_the_fills_count() -> None:
    world = World(orders=[order(qty="1.00000002")], fills=[fill(qty="1")])
    assert only(world).qty == 1
    assert book(world).disagreements == (Disagreement("X1", "BTC/USD", Decimal("1.00000002"), Decimal(1)),)
    less = World(orders=[order(qty="0.5")], fills=[fill(qty="1")])
    assert book(less).disagreements == (Disagreement("X1", "BTC/USD", Decimal("0.5"), Decimal(1)),)
    near = World(orders=[order(qty="1.00000001")], fills=[fill(qty="1")])
    assert book(near).disagreements == ()


def test_an_order_without_executions_whose_fills_are_listed_disagrees() -> None:
    world = World(orders=[order(qty="0", status="new", trade_id="t")], fills=[fill(qty="1")])
    assert (only(world).qty, only(world).trade_id) == (1, "t")
    assert len(book(world).disagreements) == 1


def test_identical_rows_count_once_across_both_order_feeds() -> None:
    open_feed, closed_feed = order(where="open_orders[0]"), order(where="closed_orders[3]")
    assert only(World(orders=[open_feed, closed_feed])).qty == 1
    assert only(World(fills=[fill(where="a"), fill(where="b")])).qty == 1
    assert book(World(orders=[open_feed, closed_feed])).conflicts == ()


def test_an_order_listed_twice_differently_proves_nothing() -> None:
    world = World(orders=[order(qty="1"), order(qty="2"), order("X2")], fills=[fill(), fill("F2", "X2")])
    assert only(world).exchange_order_id == "X2"
    assert book(world).conflicts == (Conflict("X1", "BTC/USD", "the venue lists this order twice, differently"),)
    assert book(world).disagreements == ()


def test_a_fill_listed_twice_differently_takes_its_order_out() -> None:
    world = World(orders=[order()], fills=[fill("F1", qty="1"), fill("F1", qty="2")])
    assert evidence(world) == []
    assert book(world).conflicts == (Conflict("X1", "BTC/USD", "fill F1 is listed twice, differently"),)


def test_a_fill_listed_under_two_orders_takes_both_out() -> None:
    world = World(orders=[order("X1"), order("X2")], fills=[fill("F1", "X1"), fill("F1", "X2")])
    assert evidence(world) == []
    assert [conflict.exchange_order_id for conflict in book(world).conflicts] == ["X1", "X2"]


def test_fills_on_both_sides_take_their_order_out() -> None:
    world = World(orders=[order()], fills=[fill("F1"), fill("F2", side="buy"), fill("F3", "X2")])
    assert only(world).exchange_order_id == "X2"
    assert book(world).conflicts == (Conflict("X1", "BTC/USD", "the order is a sell, its fills are on the other side"),)
    unlisted = world.having(orders=[])
    assert only(unlisted).exchange_order_id == "X2"
    assert book(unlisted).conflicts == (Conflict("X1", "BTC/USD", "its fills are on both sides"),)


def test_an_order_whose_fills_are_on_the_other_side_is_a_conflict() -> None:
    world = World(orders=[order(side="buy"), order("X2", side="buy")], fills=[fill(), fill("F2", "X2", side="buy")])
    assert [row.exchange_order_id for row in evidence(world)] == ["X2"]
    assert book(world).conflicts == (Conflict("X1", "BTC/USD", "the order is a buy, its fills are on the other side"),)


def test_fills_of_orders_that_are_set_aside_are_set_aside_too() -> None:
    future = World(orders=[order(minute=NOW + 6), order("X2")], fills=[fill(), fill("F2", "X2")])
    assert only(future).exchange_order_id == "X2"
    snapshot = World(fills=[fill(), fill("F2", "X2")]).snapshot
    unread = replace(
        snapshot, malformed=(Malformed("orders", "orders[0]", "no side", "X1"), Malformed("orders", "", ""))
    )
    found = evidence_of(unread, BookedIndex(), BackfillPolicy())
    assert [row.exchange_order_id for row in found.rows["BTCUSD"]] == ["X2"]


def test_ids_are_unique_for_a_symbol_only() -> None:
    world = World(
        orders=[order("X1"), order("X1", "2", symbol="ETH/USD")],
        fills=[fill("F1", "X1"), fill("F1", "X1", "2", symbol="ETHUSD")],
    )
    assert (only(world).qty, evidence(world, "ETHUSD")[0].qty) == (1, 2)
    assert book(world).conflicts == ()


def test_times_later_than_now_by_more_than_the_grace_are_malformed() -> None:
    assert only(World(orders=[order(minute=NOW + 5)])).time_ms == at(NOW + 5)
    late = NOW + 5 + 1 / 60_000
    world = World(
        orders=[order(minute=late)], fills=[fill(minute=late, of="X2"), fill("F2", "X2", minute=late, where="")]
    )
    why = "its time is later than the snapshot's by more than the grace"
    assert evidence(world) == []
    assert book(world).malformed == (
        Malformed("fills", "F2", why), Malformed("fills", "fills[F1]", why), Malformed("orders", "orders[X1]", why),
    )  # fmt: skip


def test_another_listing_of_an_order_that_cannot_be_used_is_a_conflict() -> None:
    conflict = Conflict("X1", "BTC/USD", "another listing of this order cannot be read")
    future = World(orders=[order(minute=NOW + 9), order(), order("X2")], fills=[fill(qty="0.4")])
    assert (only(future).exchange_order_id, book(future).conflicts) == ("X2", (conflict,))
    snapshot = World(orders=[order(), order("X2")], fills=[fill(qty="0.4")]).snapshot
    unread = replace(snapshot, malformed=(Malformed("open_orders", "open_orders[0]", "no number", "X1"),))
    found = evidence_of(unread, BookedIndex(), BackfillPolicy())
    assert [row.exchange_order_id for row in found.rows["BTCUSD"]] == ["X2"]
    assert found.conflicts == (conflict,)


def test_a_future_listing_of_a_fill_is_no_conflict_with_a_good_one() -> None:
    world = World(fills=[fill(minute=NOW + 9), fill()])
    assert only(world).time_ms == at(10)


def test_evidence_older_than_the_look_back_is_left_out_and_counted() -> None:
    world = World(rows=[entry(minute=-5000)], orders=[order(minute=NOW - 72 * 60, trade_id="TRD-1")])
    assert (len(evidence(world)), book(world).outside_lookback) == (1, 0)
    world = world.having(orders=[order(minute=NOW - 72 * 60 - 1 / 60_000), order("X2", minute=NOW - 9999)])
    assert (evidence(world), book(world).outside_lookback) == ([], 2)


def test_evidence_is_ordered_by_time_then_exchange_order_id() -> None:
    world = World(orders=[order("B", minute=2), order("C", minute=1), order("A", minute=2)])
    assert [row.exchange_order_id for row in evidence(world)] == ["C", "A", "B"]


def test_what_is_booked_in_full_is_counted_and_no_evidence() -> None:
    rows = [entry(), leave(qty="0.99999999", exchange_order_id="X1")]
    world = World(rows=rows, orders=[order(), order("X2")])
    assert (only(world).exchange_order_id, book(world).booked) == ("X2", 1)


def test_an_order_that_an_unreadable_row_books_proves_nothing() -> None:
    rows = [entry("TRD-1"), leave("TRD-2", "x", exchange_order_id="X1")]
    world = World(rows=rows, orders=[order(trade_id="TRD-1")])
    assert evidence(world) == []
    assert book(world).conflicts == (Conflict("X1", "BTC/USD", "a ledger row that books it cannot be read"),)


def test_conflicts_are_listed_in_the_order_of_symbols_and_ids() -> None:
    doubles = [
        order(name, qty, symbol=s) for name, s in (("B", "ETH/USD"), ("C", "BTC/USD"), ("A", "BTC/USD")) for qty in "12"
    ]
    assert [c.exchange_order_id for c in book(World(orders=doubles)).conflicts] == ["A", "C", "B"]


def test_times_up_to_now_and_the_grace_are_not_malformed() -> None:
    assert book(World(orders=[order(), order("X2", minute=NOW + 5)], fills=[fill()])).malformed == ()


def test_an_order_that_executed_nothing_is_no_evidence_and_was_not_booked_either() -> None:
    assert World(orders=[order(qty="0")]).plan().evidence == EvidenceBook()
    assert World(orders=[order(qty="1e-8")]).plan().evidence == EvidenceBook()
    assert World(rows=[entry(qty="2")], orders=[order(qty="2e-8")]).plan().evidence.rows.keys() == {"BTCUSD"}
