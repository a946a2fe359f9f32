"""The handlers: from a row and the venue's order to the change that makes them agree."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from hashlib import md5

import pytest
from tests.core.reconcile.looking import (
    PROOF,
    added,
    buy,
    chain,
    found,
    matched,
    only,
    only_change,
    order_facts,
    refused,
    tag,
)
from tests.core.world import NOW, World, at, entry, fill, leave, order, row, short

from trueup.core.orders import Action, LedgerOrder, Side
from trueup.core.reconcile.changes import NewRow, RowChange
from trueup.core.reconcile.comparing import compare_orders
from trueup.core.reconcile.handlers import (
    cancel_row,
    proof_of,
    reconcile_cancel,
    reconcile_entry_fill,
    reconcile_exit_fill,
    row_side_differs,
    surplus_rows,
)
from trueup.core.times import iso

EITHER = pytest.mark.parametrize("handler", [reconcile_entry_fill, reconcile_exit_fill])
OURS = ("IMPRT-", "DIFF-", "BFILL-")
Handler = Callable[..., RowChange]


def waiting(qty: object = "2", **columns: object) -> LedgerOrder:
    """An order of the bot that waits for its fill, at a limit of 100."""
    return row("TRD-1", qty, **{"status": "new", "order_id": "A", "action": "ENTRY"} | columns)


@EITHER
def test_a_whole_fill_closes_the_order(handler: Handler) -> None:
    made = handler(waiting(), chain(buy("X1", "2", 7, price="101")), Decimal(0), PROOF)
    assert made == RowChange(waiting(), "filled", PROOF, Decimal(2), Decimal(101), at(7), Decimal(2), "X1")
    assert (made.executed, made.moved) == (2, 2)


@EITHER
def test_a_partial_fill_leaves_it_open(handler: Handler) -> None:
    said = {"status": "partially_filled", "working": True}
    made = handler(waiting(), chain(buy("X1", "0.5", **said)), Decimal(0), PROOF)
    assert (made.status, made.qty, made.order_qty, made.executed) == (
        "partially_filled", Decimal("0.5"), Decimal(2), Decimal("0.5"),
    )  # fmt: skip


@EITHER
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "filled"}, "filled"),
        ({"status": "canceled"}, "filled"),
        ({"status": "Expired"}, "filled"),
        ({"status": "rejected"}, "filled"),
        ({"status": "filled", "working": True}, "partially_filled"),
        ({"status": "partially_filled"}, "partially_filled"),
        ({"status": "new"}, "partially_filled"),
        ({"status": "calculated"}, "partially_filled"),
    ],
)
def test_an_order_is_closed_only_where_it_is_over(handler: Handler, said: dict[str, object], status: str) -> None:
    assert handler(waiting(), chain(buy("X1", "0.5", **said)), Decimal(0), PROOF).status == status


@EITHER
def test_an_order_of_which_only_fills_are_known_stays_open(handler: Handler) -> None:
    only_fills = chain(fills=[fill("F1", "X1", "0.5", side="buy")])
    assert handler(waiting(), only_fills, Decimal(0), PROOF).status == "partially_filled"


@EITHER
def test_what_other_rows_book_of_the_order_is_left_out(handler: Handler) -> None:
    made = handler(waiting(), chain(buy("X1", "2")), Decimal("1.25"), PROOF)
    assert (made.qty, made.status) == (Decimal("0.75"), "filled")
    for elsewhere in ("2", "1.99999999", "3"):
        closed = handler(waiting(), chain(buy("X1", "2", status="expired")), Decimal(elsewhere), PROOF)
        assert closed == RowChange(waiting(), "expired", PROOF)
        assert (closed.executed, closed.moved) == (0, 0)
    assert handler(waiting(), chain(buy("X1", "2")), Decimal("1.999999989"), PROOF).qty == Decimal("1.1e-8")


@EITHER
def test_a_row_keeps_the_order_that_it_names_and_what_it_says_was_ordered(handler: Handler) -> None:
    named = waiting(exchange_order_id="X0", order_qty="5")
    made = handler(named, chain(buy("X1")), Decimal(0), PROOF)
    assert (made.exchange_order_id, made.order_qty) == ("X0", 5)


@EITHER
def test_a_fill_without_a_price_leaves_the_rows_price_alone(handler: Handler) -> None:
    assert handler(waiting(), chain(buy("X1", price=None)), Decimal(0), PROOF).price is None


def test_an_entry_trades_the_way_of_its_row_an_exit_may_have_the_positions_side() -> None:
    sold = chain(order("X1", "2"))
    with pytest.raises(ValueError, match="the row is a buy, the venue's order a sell"):
        reconcile_entry_fill(waiting(), sold, Decimal(0), PROOF)
    assert reconcile_exit_fill(waiting(), sold, Decimal(0), PROOF).qty == 2
    assert reconcile_entry_fill(waiting(side=None), sold, Decimal(0), PROOF).qty == 2


def test_sides_differ_only_where_both_are_known() -> None:
    bought, sold = chain(buy()), chain(order())
    assert row_side_differs(entry(), sold)
    assert row_side_differs(waiting(), sold)
    assert not row_side_differs(entry(), bought)
    assert not row_side_differs(waiting(side="?"), sold)
    unclear = chain(buy("A", "0", replaced_by="B"), order("B", side="sell", replaces="A"))
    assert not row_side_differs(entry(), unclear)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("canceled", "canceled"), ("CANCELED", "canceled"), ("Expired", "expired"), ("rejected", "rejected"),
        ("cancelled", "canceled"), ("failed", "canceled"), ("replaced", "canceled"), ("filled", "canceled"),
        ("done for day", "canceled"),
    ],
)  # fmt: skip
def test_a_cancel_takes_over_the_venues_word_where_the_ledger_has_it(said: str, status: str) -> None:
    assert reconcile_cancel(waiting(), chain(buy("X1", "0", status=said)), PROOF) == RowChange(waiting(), status, PROOF)


def test_a_cancel_without_an_order_of_the_venue_is_canceled() -> None:
    assert reconcile_cancel(waiting(), None, PROOF) == RowChange(waiting(), "canceled", PROOF)
    only_fills = chain(fills=[fill("F1", "X1", "0.5", side="buy")])
    assert reconcile_cancel(waiting(), only_fills, PROOF).status == "canceled"
    assert cancel_row(entry(), PROOF) == RowChange(entry(), "canceled", PROOF)
    assert cancel_row(entry(), PROOF).moved == -1


def test_a_proof_cites_the_order_and_what_it_executed() -> None:
    proof = proof_of("partial_fill", chain(buy("X1", "2", client_order_id="c", status="Filled")), at(NOW), 2)
    assert (proof.rule, proof.exchange_order_id, proof.client_order_id) == ("partial_fill", "X1", "c")
    assert (proof.venue_status, proof.executed, proof.price, proof.price_source) == ("Filled", 2, 110, "order")
    assert (proof.confirmations, proof.as_of) == (2, iso(at(NOW)))
    nothing = proof_of("not_found", None, at(NOW), 3)
    assert (nothing.exchange_order_id, nothing.executed, nothing.price_source) == (None, None, "none")
    assert (nothing.confirmations, nothing.as_of) == (3, iso(at(NOW)))


# Through the comparison: which handler, and what is booked elsewhere.


def test_what_a_repair_booked_of_an_order_is_not_booked_by_its_row_again() -> None:
    rows = [
        entry("TRD-1", "2"),
        row("TRD-1", "2", 5, status="new", side="sell", action="EXIT", order_id="A", exchange_order_id="X1"),
        leave("TRD-1", "0.5", 6, order_id="BFILL-1", exchange_order_id="X1"),
    ]
    change = only_change(World(rows=rows, orders=[order("X1", "2", minute=7)]))
    assert isinstance(change, RowChange)
    assert (change.order_id, change.qty, change.status) == ("A", Decimal("1.5"), "filled")
    all_of_it = [*rows[:2], leave("TRD-1", "2", 6, order_id="BFILL-1", exchange_order_id="X1")]
    closed = only_change(World(rows=all_of_it, orders=[order("X1", "2", minute=7)]))
    assert (closed.order_id, closed.status, closed.executed) == ("A", "canceled", 0)


def test_a_partial_row_grows_by_what_it_lacks_alone() -> None:
    rows = [entry("TRD-1", "0.4", status="partially_filled", order_qty="2", exchange_order_id="X1")]
    said = {"status": "partially_filled", "working": True}
    change = only_change(World(rows=rows, orders=[buy("X1", "0.9", **said)]))
    assert isinstance(change, RowChange)
    assert (change.qty, change.moved, change.order_qty, change.status) == (
        Decimal("0.9"), Decimal("0.5"), 2, "partially_filled",
    )  # fmt: skip


def test_a_missed_fill_wakes_the_dead_row_that_came_last() -> None:
    rows = [row("TRD-1", "1", n, status="canceled", order_id=f"A{n}", exchange_order_id="X1") for n in (1, 2)]
    change = only_change(World(rows=rows, orders=[buy("X1")]))
    assert (change.order_id, change.status) == ("A2", "filled")


def test_an_order_that_trades_against_its_entry_row_heals_nothing() -> None:
    world = World(rows=[waiting(exchange_order_id="X1")], orders=[order("X1", "2")])
    assert refused(world) == "the row is a buy, the venue's order a sell"
    filled = World(rows=[entry("TRD-1", "1", exchange_order_id="X1")], orders=[order("X1", "2")])
    assert found(filled) == ["other_side"]
    assert not only(filled).changes
    nameless = World(rows=[entry("TRD-1", "1", exchange_order_id="X1", action=None)], orders=[order("X1", "2")])
    assert found(nameless) == ["other_side"]


def test_an_exit_row_whose_order_enters_its_trade_heals_nothing() -> None:
    out = row("TRD-1", None, 5, status="new", side="buy", action="EXIT", order_id="A", exchange_order_id="X1")
    world = World(rows=[entry("TRD-1", "2"), out], orders=[buy("X1", "1")])
    assert refused(world) == "the row is an exit, and the venue's order a buy, as the trade's entry was"
    assert isinstance(only_change(world.having(orders=[order("X1", "1")])), RowChange)


def test_the_side_says_what_a_row_without_an_action_does() -> None:
    out = row("TRD-1", None, 5, status="new", side="sell", action=None, order_id="A", exchange_order_id="X1")
    assert found(World(rows=[entry("TRD-1", "2"), out], orders=[order("X1", "1")])) == ["filled_at_venue"]
    more = row("TRD-1", None, 5, status="new", side="buy", action=None, order_id="A", exchange_order_id="X1")
    assert refused(World(rows=[entry("TRD-1", "2"), more], orders=[order("X1", "1")])).startswith("the row is a buy")


# The difference.


def test_the_row_of_a_difference() -> None:
    rows = [entry("TRD-1", "0.4", exchange_order_id="X1", client_order_id="c", user_id="u7")]
    made = added(World(rows=rows, orders=[buy("X1", "1", 7, client_order_id="c", sub_tag="s", price="101")]))
    assert made.order_id == "DIFF-" + md5(b"p1:TRD-1:X1:0.4:1").hexdigest()
    assert (made.profile_id, made.user_id, made.trade_id, made.symbol) == ("p1", "u7", "TRD-1", "BTC/USD")
    assert (made.side, made.action, made.status, made.qty) == (Side.BUY, Action.ENTRY, "filled", Decimal("0.6"))
    assert (made.order_qty, made.price, made.time_ms, made.exchange_order_id) == (Decimal("0.6"), 101, at(7), "X1")
    assert (made.client_order_id, made.sub_tag, made.proof.rule) == ("c", "s", "difference")


def test_a_difference_that_grows_twice_is_two_rows() -> None:
    first = World(rows=[entry("TRD-1", "0.4", exchange_order_id="X1")], orders=[buy("X1", "1")])
    booked = entry("TRD-1", "0.6", 10, order_id=added(first).order_id, exchange_order_id="X1")
    again = first.having(rows=[*first.rows, booked])
    assert found(again) == []
    grown = added(again.having(orders=[buy("X1", "1.5")]))
    assert (grown.qty, grown.order_id) == (Decimal("0.5"), "DIFF-" + md5(b"p1:TRD-1:X1:1:1.5").hexdigest())


def test_a_difference_does_what_its_row_does() -> None:
    held = entry("TRD-1", "2")

    def of(**columns: object) -> NewRow:
        out = leave("TRD-1", "0.4", 5, exchange_order_id="X1", **columns)
        return added(World(rows=[held, out], orders=[order("X1", "1", minute=6)]))

    assert (of().action, of().side) == (Action.EXIT, Side.SELL)
    assert of(action=None).action is Action.EXIT
    assert of(side="buy").side is Side.SELL
    closing = World(
        rows=[short("TRD-1", "2"), leave("TRD-1", "0.4", 5, side="buy", exchange_order_id="X1")],
        orders=[buy("X1", "1", 6)],
    )
    assert (added(closing).action, added(closing).side) == (Action.EXIT, Side.BUY)


def test_a_difference_of_a_row_that_does_not_say_enough_is_for_a_person() -> None:
    def of(**columns: object) -> str:
        return refused(World(rows=[entry(**{"exchange_order_id": "X1", "qty": "0.4"} | columns)], orders=[buy("X1")]))

    assert of(trade=None).startswith("the row has no trade id or symbol")
    lost = World(rows=[entry(qty="0.4", exchange_order_id="X1", action=None)], orders=[buy("X1")])
    assert added(lost).action is Action.ENTRY


def test_a_difference_of_a_closed_trade_whose_row_says_nothing_is_for_a_person() -> None:
    world = World(rows=[entry(qty="0.4", exchange_order_id="X1", action=None)], orders=[buy("X1")])
    [finding] = compare_orders(replace(order_facts(world), slices=()))
    assert (finding.do.name, finding.why) == ("QUARANTINE", "whether the row enters or leaves its trade cannot be told")


# Surplus rows.


def surplus(*rows: LedgerOrder, executed: str = "1", orders: object = None) -> list[str] | None:
    [pair] = matched(World(rows=rows, orders=orders or [buy("X1", executed)])).pairs
    found = surplus_rows(pair, pair.chain.executed if pair.chain else Decimal(0), OURS)
    return None if found is None else [each.order_id for each in found]


def twin(name: str, qty: str = "1", minute: float = 0, **columns: object) -> LedgerOrder:
    return entry("TRD-1", qty, minute, order_id=name, **{"exchange_order_id": "X1"} | columns)


def test_of_identical_rows_the_later_ones_go() -> None:
    assert surplus(twin("B", minute=1), twin("A", minute=2)) == ["A"]
    assert surplus(twin("A"), twin("B"), twin("C")) == ["B", "C"]
    assert surplus(twin("A", "0.5"), twin("B", "0.5"), twin("C", "0.5")) == ["C"]


@pytest.mark.parametrize(
    "other",
    [
        {"qty": "0.9"}, {"price": "99"}, {"side": "sell"}, {"action": None}, {"profile_id": "p2"},
        {"trade_id": "TRD-2"},
    ],
)  # fmt: skip
def test_rows_that_are_not_alike_stay(other: dict[str, object]) -> None:
    assert surplus(twin("A"), twin("B", **other)) is None


def test_rows_that_no_number_of_makes_what_was_executed_stay() -> None:
    assert surplus(twin("A", "0.4"), twin("B", "0.4"), twin("C", "0.4"), executed="1") is None
    assert surplus(twin("A"), twin("B"), executed="0") is None
    assert surplus(twin("A", "2"), twin("B", "2"), executed="1") is None


def test_our_own_rows_give_way_to_the_bots() -> None:
    for prefix in OURS:
        assert surplus(twin("A", minute=9), twin(f"{prefix}1")) == [f"{prefix}1"]
    assert surplus(twin("A", "0.4"), twin("B", "0.6"), twin("DIFF-1", "0.6")) == ["DIFF-1"]


def test_of_our_own_rows_the_later_ones_go_where_the_rest_is_what_was_executed() -> None:
    assert surplus(twin("A", "0.4"), twin("DIFF-1", "0.6", 1), twin("DIFF-2", "0.6", 2)) == ["DIFF-2"]
    assert surplus(twin("A", "0.4"), twin("DIFF-1", "0.3", 1), twin("DIFF-2", "0.4", 2)) is None
    assert surplus(twin("IMPRT-1"), twin("IMPRT-2", minute=1)) == ["IMPRT-2"]


def test_our_own_rows_go_with_the_doubles_of_the_bot() -> None:
    assert surplus(twin("A"), twin("B", minute=1), twin("DIFF-1", "0.3", 2)) == ["DIFF-1", "B"]
    assert surplus(twin("A", "0.9"), twin("B", "0.8"), twin("DIFF-1", "0.3")) is None


def test_our_own_row_of_another_trade_or_profile_stays() -> None:
    """Its trade is not measured with the others' heals."""
    assert surplus(twin("A"), twin("BFILL-1", trade_id="TRD-2")) is None
    assert surplus(twin("A"), twin("BFILL-1", profile_id="p2")) is None


def test_rows_that_name_different_orders_of_a_chain_are_no_doubles() -> None:
    """A successor that carries nothing forward executed its own: each row books one of them."""
    links = [
        buy("X1", "0", 1, status="replaced", replaced_by="X2"),
        buy("X3", "0.5", 3, replaces="X2"),
    ]
    rows = [twin("A", "0.5", exchange_order_id="X2"), twin("B", "0.5", 1, exchange_order_id="X3")]
    assert surplus(*rows, orders=links) is None
    assert refused(World(rows=rows, orders=links)).startswith("the rows of this order are not alike")
    same = [rows[1], twin("C", "0.5", 2, exchange_order_id=None, client_order_id="c")]
    named = [links[0], buy("X3", "0.5", 3, replaces="X2", client_order_id="c")]
    assert surplus(*same, orders=named) == ["C"]


def test_doubles_are_canceled_through_the_table() -> None:
    finding = only(World(rows=[twin("A"), twin("B", minute=1)], orders=[buy("X1", price="100")]))
    assert (finding.rule.name, [(c.order_id, c.moved) for c in finding.changes]) == ("booked_twice", [("B", -1)])
    live = World(rows=[twin("A", status="partially_filled"), twin("B", minute=1)], orders=[buy("X1", price="100")])
    assert [c.order_id for c in only(live).changes] == ["B"]


def test_quantities_finer_than_a_column_holds_end_in_agreement() -> None:
    third = "0." + "3" * 30
    world = World(rows=[waiting(exchange_order_id="X1")], orders=[buy("X1", third, price="100")])
    assert only_change(world).executed == Decimal(third)
    cut = entry("TRD-1", third[:20], exchange_order_id="X1")
    assert found(world.having(rows=[cut])) == []


def test_a_fill_at_a_price_of_nothing_is_told_from_one_without_a_price() -> None:
    free = only_change(World(rows=[waiting(exchange_order_id="X1")], orders=[buy("X1", "2", price="0")]))
    assert isinstance(free, RowChange)
    assert (free.price, free.proof.price, free.proof.price_source) == (0, 0, "order")
    assert found(World(rows=[entry(exchange_order_id="X1", price=None)], orders=[buy("X1", price="0")])) == []
    assert found(World(rows=[entry(exchange_order_id="X1")], orders=[buy("X1", price="0")])) == ["price_differs"]


def test_client_order_ids_of_our_grammar_pair_rows_with_their_orders() -> None:
    name = tag("TRD-1", ending="-entry")
    world = World(rows=[waiting(client_order_id=name)], orders=[buy("X1", "2", client_order_id=name)])
    change = only_change(world)
    assert isinstance(change, RowChange)
    assert change.exchange_order_id == "X1"
