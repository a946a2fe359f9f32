"""The compensating EXIT row: its id, numbers and sources."""

from decimal import Decimal
from hashlib import md5

from tests.core.world import World, applied, at, entry, fill, leave, order, short

from trueup.core.orders import Side
from trueup.core.repair.rows import ExitRow, row_as_columns, row_id


def only(world: World) -> ExitRow:
    [row] = world.booked()
    return row


MARKS = {"trade_id": "TRD-1", "client_order_id": "bytelyst-p1-TRD-1-exit", "sub_tag": "bytelyst:p1:TRD-1"}


def test_the_id_is_of_profile_trade_exchange_order_and_time() -> None:
    text = "p1:TRD-1:X1:2026-01-02T03:10:00.007Z"
    assert row_id("p1", "TRD-1", "X1", at(10) + 7) == "BFILL-" + md5(text.encode()).hexdigest()


def test_a_row_from_evidence() -> None:
    world = World(rows=[entry(symbol="BTCUSD")], orders=[order(fee="0.5", fee_asset="USD", **MARKS)])
    assert only(world) == ExitRow(
        order_id=row_id("p1", "TRD-1", "X1", at(10)), profile_id="p1", user_id="u1", symbol="BTCUSD", side=Side.SELL,
        qty=Decimal(1), price=Decimal(110), price_source="order", filled_ms=at(10), trade_id="TRD-1",
        exchange_order_id="X1", client_order_id=MARKS["client_order_id"], sub_tag=MARKS["sub_tag"],
        matched_by="trade_id", evidence_qty=Decimal(1), fee=Decimal("0.5"), fee_asset="USD",
    )  # fmt: skip


def test_a_part_of_an_order_bears_its_share_of_the_fees() -> None:
    row = only(World(rows=[entry()], orders=[order(qty="4", fee="0.6", fee_asset="BNB", **MARKS)]))
    assert (row.qty, row.evidence_qty, row.fee, row.fee_asset) == (1, 4, Decimal("0.15"), "BNB")


def test_fees_are_shared_by_all_that_the_order_filled_and_not_by_what_is_left() -> None:
    world = World(
        rows=[entry(qty="3"), leave(qty="1", exchange_order_id="X1")], orders=[order(qty="3", fee="0.3", **MARKS)]
    )
    row = only(world)
    assert (row.qty, row.evidence_qty, row.fee, row.fee_asset) == (2, 3, Decimal("0.2"), None)


def test_a_price_without_proof_is_zero_with_source_none() -> None:
    row = only(World(rows=[entry()], orders=[order(price=None, price_source="none", **MARKS)]))
    assert (row.price, row.price_source, row.fee) == (0, "none", None)
    contradictory = only(World(rows=[entry()], orders=[order(price=None, price_source="order", **MARKS)]))
    assert (contradictory.price, contradictory.price_source) == (0, "none")


def test_the_price_of_fills_is_rounded_half_even_and_its_time_is_the_last_fills() -> None:
    fills = [fill("F1", qty="1", price="1", minute=11), fill("F2", qty="2", price="2", minute=12)]
    row = only(World(rows=[entry(qty="3")], orders=[order(qty="3", minute=30, **MARKS)], fills=fills))
    assert (row.price, row.price_source, row.filled_ms) == (Decimal("1.666666666666666667"), "fills", at(12))


def test_quantities_are_cut_to_18_places_and_the_rest_stays_open() -> None:
    world = World(rows=[entry(qty="2")], orders=[order(qty="1." + "0" * 17 + "19", **MARKS)]).under(dust_abs="1")
    proven, dust = world.booked()
    assert proven.qty == Decimal("1." + "0" * 17 + "1")
    assert dust.qty == Decimal("0." + "9" * 17 + "9")


def test_dust_alone_is_at_the_slices_newest_time_without_a_price() -> None:
    world = World(rows=[short(qty="0.0005", minute=3), leave(side="buy", qty="0.0001", minute=7)])
    name = "DUST-REMAINDER-TRD-1"
    assert only(world) == ExitRow(
        order_id=row_id("p1", "TRD-1", name, at(7)), profile_id="p1", user_id="u1", symbol="BTC/USD", side=Side.BUY,
        qty=Decimal("0.0004"), price=Decimal(0), price_source="none", filled_ms=at(7), trade_id="TRD-1",
        exchange_order_id=name, client_order_id=None, sub_tag=None, matched_by="dust",
        evidence_qty=Decimal("0.0004"), fee=None, fee_asset=None,
    )  # fmt: skip


def test_dust_after_evidence_takes_the_last_evidences_time_and_price() -> None:
    orders = [
        order("X1", "0.5", 10, trade_id="TRD-1", price="90"),
        order("X2", "0.4995", 20, price="80.5", trade_id="TRD-1"),
    ]
    dust = World(rows=[entry()], orders=orders).booked()[-1]
    assert (dust.qty, dust.filled_ms, dust.price, dust.price_source) == (
        Decimal("0.0005"),
        at(20),
        Decimal("80.5"),
        "last_evidence",
    )
    assert dust.order_id == row_id("p1", "TRD-1", "DUST-REMAINDER-TRD-1", at(20))
    free = World(rows=[entry(qty="0.4999")], orders=[order("X1", "0.4995", 10, trade_id="TRD-1", price=None)]).booked()[
        -1
    ]
    assert (free.price, free.price_source, free.filled_ms) == (0, "none", at(10))


def test_evidence_that_is_not_needed_makes_no_row() -> None:
    orders = [order("X1", "1", 10, trade_id="TRD-1"), order("X2", "0.4", 20, trade_id="TRD-1")]
    assert World(rows=[entry()], orders=orders).says() == ["TRD-1: 1 of X1 by trade_id"]


def test_a_partly_booked_order_is_booked_with_what_is_left_of_it() -> None:
    world = World(
        rows=[entry(qty="2"), leave(qty="0.5")], orders=[order(qty="2", **MARKS)], applied=[applied(qty="0.5")]
    )
    assert world.says() == ["TRD-1: 1.5 of X1 by trade_id"]


def test_a_row_by_the_ledgers_columns() -> None:
    row = only(World(rows=[entry()], orders=[order(**MARKS)]))._replace(
        qty=Decimal("1.50"),
        price=Decimal("1E+2"),
        filled_ms=at(0) + 5,
    )
    assert row_as_columns(row) == {
        "order_id": row.order_id, "profile_id": "p1", "user_id": "u1", "symbol": "BTC/USD", "type": "market",
        "side": "sell", "qty": "1.5", "quantity": "1.5", "price": "100", "status": "filled", "timestamp": at(0) + 5,
        "filled_at": "2026-01-02T03:00:00.005Z", "trade_id": "TRD-1", "action": "EXIT", "source": "BOT",
        "sub_tag": "bytelyst:p1:TRD-1", "client_order_id": "bytelyst-p1-TRD-1-exit", "exchange_order_id": "X1",
        "order_qty": "1.5",
    }  # fmt: skip
