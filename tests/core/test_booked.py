"""What was booked already of an exchange order, by the ledger and by our own audit."""

from decimal import Decimal

import pytest
from tests.core.world import World, applied, entry, fill, leave, order, row, working

from trueup.core.orders import Side
from trueup.core.repair.booked import WITHOUT_SYMBOL, Booked
from trueup.core.repair.evidence import evidence_of


def left(world: World, token: str = "BTCUSD") -> dict[str, Decimal]:
    """What is left of each exchange order."""
    book = evidence_of(world.snapshot, world.facts.booked, world.policy)
    return {found.exchange_order_id: found.qty for found in book.rows.get(token, [])}


@pytest.mark.parametrize(
    "named",
    [
        {"exchange_order_id": "X1"},
        {"order_id": "X1"},
        {"order_id": "X1", "exchange_order_id": "other"},
        {"order_id": "X1", "exchange_order_id": "X1"},
        {"exchange_order_id": "X1", "client_order_id": "c-1"},
        {"client_order_id": "c-1"},
    ],
)
def test_a_row_books_the_order_that_it_names(named: dict[str, str]) -> None:
    world = World(rows=[entry(), leave(qty="0.3", **named)], orders=[order(client_order_id="c-1")])
    assert left(world) == {"X1": Decimal("0.7")}


@pytest.mark.parametrize(
    "other",
    [
        {"exchange_order_id": "X2"},
        {"exchange_order_id": "X2", "client_order_id": "c-1"},
        {"client_order_id": "C-1"},
        {"client_order_id": "c-1", "side": "buy", "action": "ENTRY"},
        {"client_order_id": "c-1", "symbol": "ETH/USD"},
        {"exchange_order_id": "X1", "symbol": "ETH/USD"},
        {"exchange_order_id": "X1", "status": "canceled"},
        {"exchange_order_id": "X1", "status": "new"},
    ],
)
def test_a_row_of_another_order_symbol_side_or_status_books_nothing_of_it(other: dict[str, str]) -> None:
    world = World(rows=[entry(), leave(qty="0.3", **other)], orders=[order(client_order_id="c-1")])
    assert left(world) == {"X1": Decimal(1)}


def test_orders_without_client_id_share_no_booking() -> None:
    world = World(rows=[entry(), leave(qty="0.3")], orders=[order("X1"), order("X2")])
    assert left(world) == {"X1": Decimal(1), "X2": Decimal(1)}


def test_rows_of_any_trade_profile_and_action_count() -> None:
    rows = [
        leave("TRD-1", "0.1", exchange_order_id="X1", order_id="a"),
        leave("TRD-2", "0.2", exchange_order_id="X1", order_id="b", profile_id="p2"),
        row(None, "0.3", exchange_order_id="X1", order_id="c", side="sell"),
    ]
    world = World(rows=rows, orders=[order()])
    assert left(world) == {"X1": Decimal("0.4")}
    booked = world.facts.booked.of("BTCUSD", Side.SELL, "X1", None)
    assert booked.trades == {("p1", "TRD-1"), ("p2", "TRD-2")}
    assert booked.qty == Decimal("0.6")
    assert not booked.unknown


def test_a_row_that_names_an_order_by_both_ids_counts_once() -> None:
    rows = [leave(qty="0.3", order_id="X1", client_order_id="c-1")]
    world = World(rows=rows, orders=[order(client_order_id="c-1")])
    assert left(world) == {"X1": Decimal("0.7")}
    assert world.facts.booked.of("BTCUSD", Side.SELL, "X1", "c-1").trades == {("p1", "TRD-1")}


def test_our_audit_counts_once_with_its_row_and_also_without_it() -> None:
    world = World(orders=[order()], applied=[applied(of="X1", qty="0.4", order_id="BFILL-1")])
    assert left(world) == {"X1": Decimal("0.6")}
    both = world.having(rows=[leave(qty="0.4", order_id="BFILL-1", exchange_order_id="X1")])
    assert left(both) == {"X1": Decimal("0.6")}
    cut = world.having(rows=[leave(qty="0.1", order_id="BFILL-1", exchange_order_id="X1")])
    assert left(cut) == {"X1": Decimal("0.6")}
    grown = world.having(rows=[leave(qty="0.5", order_id="BFILL-1", exchange_order_id="X1")])
    assert left(grown) == {"X1": Decimal("0.5")}
    canceled = world.having(rows=[leave(qty="0.4", order_id="BFILL-1", exchange_order_id="X1", status="canceled")])
    assert left(canceled) == {"X1": Decimal("0.6")}


def test_our_audit_is_by_symbol_and_order_and_names_the_trade() -> None:
    world = World(orders=[order("X1"), order("X2")], applied=[applied(of="X1", qty="0.4", symbol="ETH/USD")])
    assert left(world) == {"X1": Decimal(1), "X2": Decimal(1)}
    world = world.having(applied=[applied("TRD-9", "X1", "0.4", symbol="btc-usd")])
    assert left(world) == {"X1": Decimal("0.6"), "X2": Decimal(1)}
    assert world.facts.booked.of("BTCUSD", Side.SELL, "X1", None).trades == {("p1", "TRD-9")}


def test_more_booked_than_filled_leaves_nothing_and_takes_from_no_other() -> None:
    world = World(rows=[leave(qty="5", exchange_order_id="X1")], orders=[order("X1"), order("X2")])
    assert left(world) == {"X2": Decimal(1)}


def test_bookings_are_taken_from_the_fills_of_an_order() -> None:
    world = World(rows=[leave(qty="0.4", exchange_order_id="X1")], fills=[fill("F1"), fill("F2")])
    assert left(world) == {"X1": Decimal("1.6")}


@pytest.mark.parametrize("named", [{"exchange_order_id": "X1"}, {"order_id": "X1"}])
def test_an_unreadable_row_makes_what_it_books_unknown(named: dict[str, str]) -> None:
    world = World(rows=[leave(qty="x", **named)], orders=[order("X1"), order("X2")])
    assert world.facts.booked.of("BTCUSD", Side.SELL, "X1", None).unknown
    assert left(world) == {"X2": Decimal(1)}


def test_a_status_that_is_not_known_may_have_booked() -> None:
    world = World(rows=[leave(status="settling", exchange_order_id="X1")], orders=[order()])
    assert left(world) == {}


def test_the_part_that_is_left_knows_the_trades_of_the_rest() -> None:
    world = World(rows=[leave(qty="0.4", exchange_order_id="X1"), working()], orders=[order(qty="1"), order("X2")])
    book = evidence_of(world.snapshot, world.facts.booked, world.policy).rows["BTCUSD"]
    assert [(e.qty, e.filled, e.booked_to) for e in book] == [
        (Decimal("0.6"), 1, frozenset({("p1", "TRD-1")})),
        (1, 1, frozenset()),
    ]


def test_a_booking_of_nothing_is_remembered_with_its_trade() -> None:
    world = World(rows=[leave("TRD-9", qty="0", exchange_order_id="X1")], orders=[order()])
    [found] = evidence_of(world.snapshot, world.facts.booked, world.policy).rows["BTCUSD"]
    assert (found.qty, found.booked_to) == (1, frozenset({("p1", "TRD-9")}))


def test_an_unreadable_row_that_names_the_client_order_id_of_an_order_that_is_booked_makes_it_unknown() -> None:
    rows = [leave(qty="0.1", exchange_order_id="X1"), leave("TRD-2", "x", client_order_id="c-1")]
    world = World(rows=rows, orders=[order(client_order_id="c-1")])
    assert left(world) == {}
    readable = [rows[0], leave("TRD-2", "0.2", client_order_id="c-1")]
    assert left(world.having(rows=readable)) == {"X1": Decimal("0.7")}


@pytest.mark.parametrize("quantities", [("x", "0.1"), ("0.1", "x")])
def test_one_unreadable_row_among_several_makes_the_order_unknown(quantities: tuple[str, str]) -> None:
    rows = [leave(qty=qty, minute=n, exchange_order_id="X1") for n, qty in enumerate(quantities)]
    assert left(World(rows=rows, orders=[order()])) == {}


def test_rows_after_one_that_books_nothing_count() -> None:
    rows = [working(order_id="w", exchange_order_id="X2"), leave(qty="0.4", exchange_order_id="X1")]
    assert left(World(rows=rows, orders=[order(), order("X2")])) == {"X1": Decimal("0.6"), "X2": Decimal(1)}


def test_an_order_booked_by_its_id_and_by_its_client_id_is_booked_to_both_trades() -> None:
    rows = [leave("A", "0.1", exchange_order_id="X1"), leave("B", "0.2", client_order_id="c-1")]
    world = World(rows=rows, orders=[order(client_order_id="c-1")])
    [found] = evidence_of(world.snapshot, world.facts.booked, world.policy).rows["BTCUSD"]
    assert (found.qty, found.booked_to) == (Decimal("0.7"), {("p1", "A"), ("p1", "B")})


@pytest.mark.parametrize("symbol", [None, " "])
def test_a_row_without_a_symbol_that_names_the_order_leaves_it_unknown(symbol: str | None) -> None:
    rows = [entry(), leave("TRD-2", exchange_order_id="X1", symbol=symbol)]
    assert World(rows=rows, orders=[order(trade_id="TRD-1")]).booked() == []


def test_two_rows_of_one_id_both_book_the_order() -> None:
    rows = [entry(), *(leave("TRD-2", "0.3", minute, order_id="7", exchange_order_id="X1") for minute in (1, 2))]
    [row] = World(rows=rows, orders=[order(trade_id="TRD-1")]).booked()
    assert row.qty == Decimal("0.4")


def test_a_row_without_a_symbol_that_names_the_client_order_id_leaves_the_order_unknown() -> None:
    rows = [entry(), leave("TRD-2", symbol=None, client_order_id="c-1")]
    world = World(rows=rows, orders=[order(trade_id="TRD-1", client_order_id="c-1")])
    assert (left(world), [c.why for c in world.plan().evidence.conflicts]) == ({}, [WITHOUT_SYMBOL])
    assert left(world.having(orders=[order("X2", client_order_id="c-2")])) == {"X2": Decimal(1)}


@pytest.mark.parametrize("named", [{"exchange_order_id": "X1"}, {"client_order_id": "c-1"}])
@pytest.mark.parametrize(
    ("ours", "theirs"), [("BTC/USDT:USDT", "BTCUSDT"), ("BTCUSDT", "BTC/USDT:USDT"), ("BTC-USDT-SWAP", "BTC/USDT:USDT")]
)
def test_an_order_that_is_booked_under_a_spelling_which_may_mean_its_market_proves_nothing(
    ours: str, theirs: str, named: dict[str, str]
) -> None:
    world = World(rows=[leave(symbol=theirs, **named)], orders=[order(symbol=ours, client_order_id="c-1")])
    book = world.plan().evidence
    assert (book.rows, [c.why for c in book.conflicts]) == (
        {},
        [f"the ledger books it under {theirs}, which may mean {ours}"],
    )


def test_an_order_that_is_booked_under_another_market_is_another_order() -> None:
    world = World(
        rows=[leave(symbol="BTC/USDT:USDT", exchange_order_id="X1"), leave(symbol="ETH/USDT", exchange_order_id="X1")],
        orders=[order(symbol="BTC/USDT")],
    )
    assert left(world, "BTCUSDT") == {"X1": Decimal(1)}


@pytest.mark.parametrize("side", ["long", "buy", "sell"])
def test_an_exit_books_by_its_client_order_id_also_where_it_has_the_side_of_the_position(side: str) -> None:
    rows = [entry(qty="2", side="long"), leave(side=side, client_order_id="bytelyst-p1-TRD-1-exit")]
    assert World(rows=rows, orders=[order(client_order_id="bytelyst-p1-TRD-1-exit")]).booked() == []


def test_a_client_order_id_of_our_grammar_is_one_in_any_case() -> None:
    rows = [entry(qty="2"), leave(client_order_id="bytelyst-p1-TRD-1-exit")]
    world = World(rows=rows, orders=[order(client_order_id="BYTELYST-P1-trd-1-EXIT")])
    assert (left(world), left(world.under(tag_prefix="acme"))) == ({}, {"X1": Decimal(1)})


def test_two_counts_of_one_order_together() -> None:
    first, second = Booked({"a": Decimal(1), "b": Decimal(2)}, {("p1", "T1")}, {"BTC/USD"}), Booked({"b": Decimal(3)})
    second.trades, second.symbols, second.unknown = {("p1", "T2")}, {"BTCUSD"}, "why"
    for both in (first.with_all_of(second), second.with_all_of(first)):
        assert both == Booked(
            {"a": Decimal(1), "b": Decimal(3)}, {("p1", "T1"), ("p1", "T2")}, {"BTC/USD", "BTCUSD"}, "why"
        )
    assert first.rows == {"a": Decimal(1), "b": Decimal(2)}
