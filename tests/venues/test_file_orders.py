"""Order rows: which field counts, what an order executed, and what makes a row malformed."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import (
    DROP,
    FILLED_AT,
    FILLED_AT_MS,
    alpaca_order,
    ccxt_order,
    document,
    native_order,
    read,
    row,
)

from trueup.core.orders import Side
from trueup.core.snapshot import Coverage, Feed, FeedState, VenueOrder


def order_of(folder: Path, content: object, feed: str = "closed_orders") -> VenueOrder:
    snapshot = read(folder, document(**{feed: [content]}))
    assert snapshot.malformed == ()
    (order,) = snapshot.orders
    return order


def malformed_of(folder: Path, content: object, feed: str = "closed_orders") -> str:
    """Return why a row was left out; the rows around it count."""
    snapshot = read(folder, document(**{feed: [native_order(id="before"), content, native_order(id="after")]}))
    assert [order.id for order in snapshot.orders] == ["before", "after"]
    assert snapshot.coverage == {Feed(feed): Coverage(FeedState.COMPLETE)}
    (malformed,) = snapshot.malformed
    assert malformed.feed == feed
    assert malformed.where.startswith(f"{feed}[1]")
    return malformed.why


class TestWhole:
    def test_a_native_order(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, native_order()) == VenueOrder(
            id="o-1",
            symbol="BTC/USD",
            side=Side.SELL,
            status="filled",
            qty=Decimal("0.4"),
            time_ms=FILLED_AT_MS,
            price=Decimal(97100),
            price_source="order",
        )

    def test_an_alpaca_order(self, tmp_path: Path) -> None:
        changes = {"subtag": "bytelyst:bot:TRD-1", "replaces": "o-0", "replaced_by": "o-2"}
        assert order_of(tmp_path, alpaca_order(**changes)) == VenueOrder(
            id="61e69015-8549-4bfd-b9c3-01e75843f47d",
            symbol="BTC/USD",
            side=Side.SELL,
            status="filled",
            qty=Decimal("0.4"),
            time_ms=FILLED_AT_MS,
            price=Decimal("97100.5"),
            price_source="order",
            client_order_id="bytelyst-bot-TRD-1-exit",
            sub_tag="bytelyst:bot:TRD-1",
            fee=Decimal("0.42"),
            replaces="o-0",
            replaced_by="o-2",
        )

    def test_a_ccxt_order(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, ccxt_order()) == VenueOrder(
            id="7",
            symbol="BTC/USDT",
            side=Side.SELL,
            status="filled",
            qty=Decimal("0.4"),
            time_ms=FILLED_AT_MS,
            price=Decimal("97100.5"),
            price_source="order",
            client_order_id="bytelyst-bot-TRD-1",
            fee=Decimal("38.84"),
            fee_asset="USDT",
        )

    def test_numbers_are_exact(self, tmp_path: Path) -> None:
        text = '{"as_of": 1767323045, "closed_orders": [{"id": 9007199254740993, "symbol": "A/B", "side": "buy",'
        text += '"filled_qty": 0.1000000000000000055511151231257827, "average": 1E-7, "timestamp": 1767322800250}]}'
        (order,) = read(tmp_path, text).orders
        assert order.id == "9007199254740993"
        assert (str(order.qty), str(order.price)) == ("0.1000000000000000055511151231257827", "1E-7")

    def test_the_same_order_twice_stands_twice(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(open_orders=[native_order()], closed_orders=[native_order()] * 2))
        assert [order.id for order in snapshot.orders] == ["o-1"] * 3


class TestIds:
    @pytest.mark.parametrize(
        ("fields", "found"),
        [
            ({"id": "a", "order_id": "b"}, "a"),
            ({"id": None, "order_id": "b"}, "b"),
            ({"id": " ", "order_id": "b"}, "b"),
            ({"id": DROP, "order_id": " b "}, "b"),
            ({"id": 12}, "12"),
            ({"id": 0}, "0"),
            ({"id": 10**499}, "1" + "0" * 499),
            ({"id": "é-1 x"}, "é-1 x"),
            ({"id": "a\u00a0b\u200b"}, "a\u00a0b\u200b"),
            ({"id": "x" * 500}, "x" * 500),
        ],
    )
    def test_the_order_id(self, tmp_path: Path, fields: dict[str, Any], found: str) -> None:
        assert order_of(tmp_path, native_order(**fields)).id == found

    @pytest.mark.parametrize(
        ("attribute", "names"),
        [
            ("client_order_id", ("client_order_id", "clientOrderId")),
            ("sub_tag", ("sub_tag", "subtag", "subTag")),
            ("trade_id", ("trade_id", "tradeId")),
            ("replaces", ("replaces",)),
            ("replaced_by", ("replaced_by",)),
        ],
    )
    def test_other_ids_by_their_aliases_in_order(self, tmp_path: Path, attribute: str, names: tuple[str, ...]) -> None:
        fields: dict[str, Any] = {name: f"by {name}" for name in names}
        for name in names:
            assert getattr(order_of(tmp_path, native_order(**fields)), attribute) == f"by {name}"
            fields[name] = None
        assert getattr(order_of(tmp_path, native_order(**fields)), attribute) is None
        assert getattr(order_of(tmp_path, native_order(**{names[-1]: 7})), attribute) == "7"
        assert f"{names[0]} is 1.5" in malformed_of(tmp_path, native_order(**{names[0]: 1.5}))

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (DROP, "id or order_id is missing"),
            (None, "id or order_id is missing"),
            ("", "id or order_id is missing"),
            (1.0, "id is 1.0, not text or a whole number"),
            (True, "id is true, not text or a whole number"),
            ({"$oid": "x"}, "id is an object, not text or a whole number"),
            (["x"], "id is a list, not text or a whole number"),
            ("a\0b", "id 'a\\x00b' holds a control character or half a surrogate pair"),
            ("a\nb", "id 'a\\nb' holds a control character"),
            ("a\ud800", "id 'a\\ud800' holds a control character or half a surrogate pair"),
            ("x" * 501, "is longer than 500 characters"),
            (10**600, "id is 1000"),
        ],
    )
    def test_an_unreadable_id(self, tmp_path: Path, value: object, why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(id=value))


class TestSymbolAndSide:
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (DROP, "symbol is missing"),
            (None, "symbol is missing"),
            ("", "symbol is missing"),
            ("/-", "symbol '/-' has no letter or digit"),
            (7, "symbol is 7, not text"),
            (True, "symbol is true, not text"),
            (["BTC/USD"], "symbol is a list, not text"),
            ("BTC\0/USD", "symbol 'BTC\\x00/USD' holds a control character"),
            ("\udfff/USD", "half a surrogate pair"),
            ("B" * 501, "longer than 500"),
        ],
    )
    def test_an_unreadable_symbol(self, tmp_path: Path, value: object, why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(symbol=value))

    @pytest.mark.parametrize(
        ("value", "side"),
        [("buy", Side.BUY), ("SELL", Side.SELL), ("sell_short", Side.SELL), ("Buy To Cover", Side.BUY)],
    )
    def test_sides(self, tmp_path: Path, value: str, side: Side) -> None:
        assert order_of(tmp_path, native_order(side=value)).side is side

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (DROP, "side is missing"),
            (None, "side is missing"),
            ("", "side is missing"),
            ("hold", "side 'hold' is neither buy nor sell"),
            (1, "side is 1, not text"),
            ({}, "side is an object, not text"),
        ],
    )
    def test_an_unreadable_side(self, tmp_path: Path, value: object, why: str) -> None:
        assert malformed_of(tmp_path, native_order(side=value)) == why


class TestExecutedQuantity:
    @pytest.mark.parametrize("status", ["filled", "FILLED", "canceled", "open", "expired", "weird", None])
    def test_aliases_in_order(self, tmp_path: Path, status: str | None) -> None:
        names = ("filled_qty", "filledQty", "filled_quantity", "filled")
        fields: dict[str, Any] = {name: f"0.{place}" for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            content = native_order(**{"filled_qty": DROP, **fields}, status=status, qty="9", amount="9", size="9")
            assert order_of(tmp_path, content).qty == Decimal(f"0.{place}")
            fields[name] = None

    def test_the_amount_stands_in_for_a_filled_order(self, tmp_path: Path) -> None:
        names = ("qty", "amount", "size")
        fields: dict[str, Any] = {name: f"0.{place}" for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            assert order_of(tmp_path, native_order(filled_qty=DROP, **fields)).qty == Decimal(f"0.{place}")
            fields[name] = None

    @pytest.mark.parametrize("status", ["canceled", "new", "closed", "done", "", None, DROP])
    def test_it_stands_in_for_no_other(self, tmp_path: Path, status: object) -> None:
        content = native_order(status=status, filled_qty=None, qty="0.4", filled_avg_price=None, price="97000")
        order = order_of(tmp_path, content)
        assert (order.qty, order.price, order.price_source) == (0, None, "none")

    def test_ccxt_says_closed_for_filled(self, tmp_path: Path) -> None:
        order = order_of(tmp_path, ccxt_order(filled=None, remaining=None))
        assert (order.qty, order.status) == (Decimal("0.4"), "filled")

    def test_closed_is_filled_in_ccxt_only(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, native_order(status="Closed")).status == "Closed"

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"filled_qty": "0"}, "status is filled, but the executed quantity is 0"),
            ({"filled_qty": 0.0, "qty": "0.4"}, "status is filled, but the executed quantity is 0"),
            ({"filled_qty": None}, "status is filled, but the executed quantity is missing"),
            ({"filled_qty": DROP, "qty": 0}, "status is filled, but the executed quantity is 0"),
            (
                {"status": "partially_filled", "filled_qty": None, "qty": "0.4"},
                "status is partially_filled, but the executed quantity is missing",
            ),
            ({"status": "Partially Filled", "filled_qty": "0"}, "but the executed quantity is 0"),
            ({"filled_qty": "-0.4"}, "filled_qty '-0.4' is negative"),
            ({"status": "canceled", "filled_qty": -0.4}, "filled_qty '-0.4' is negative"),
            ({"filled_qty": True}, "filled_qty is true, not a number"),
            ({"filled_qty": False, "status": "new"}, "filled_qty is false, not a number"),
            ({"filled_qty": "lots"}, "filled_qty 'lots' is not a number"),
            ({"filled_qty": ""}, "filled_qty '' is not a number"),
            ({"filled_qty": "NaN"}, "filled_qty 'NaN' is not a finite number"),
            ({"filled_qty": "Infinity"}, "filled_qty 'Infinity' is not a finite number"),
            ({"filled_qty": "0,4"}, "filled_qty '0,4' is not a number"),
            ({"filled_qty": "1e30"}, "filled_qty '1e30' is outside what a quantity or price can be"),
            ({"filled_qty": "9" * 300}, "not a number"),
            ({"filled_qty": ["0.4"]}, "filled_qty is a list, not a number"),
            ({"filled_qty": {"v": 1}}, "filled_qty is an object, not a number"),
            ({"filled_qty": DROP, "qty": "-1"}, "qty '-1' is negative"),
        ],
    )
    def test_an_impossible_quantity(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(**fields))

    @pytest.mark.parametrize("literal", ["1e99999999999999999999", "1" + "0" * 6000, "-1e99999999999999999999"])
    def test_a_number_that_nothing_can_hold(self, tmp_path: Path, literal: str) -> None:
        text = '{"closed_orders": [{"id": "a", "symbol": "A", "side": "buy", "filled_qty": %s, "timestamp": 1e12}]}'
        snapshot = read(tmp_path, text % literal)
        assert (snapshot.orders, len(snapshot.malformed)) == ((), 1)
        assert "filled_qty" in snapshot.malformed[0].why
        assert len(snapshot.malformed[0].why) < 300

    def test_no_quantity_of_an_order_that_is_not_filled_is_none_executed(self, tmp_path: Path) -> None:
        order = order_of(tmp_path, native_order(status="new", filled_qty=DROP, filled_avg_price=DROP))
        assert (order.qty, order.working) == (0, True)


class TestPrice:
    def test_executed_prices_in_order(self, tmp_path: Path) -> None:
        names = ("filled_avg_price", "avg_price", "average")
        fields: dict[str, Any] = {name: place for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            order = order_of(tmp_path, native_order(**{"filled_avg_price": DROP, **fields}, price=9))
            assert (order.price, order.price_source) == (place, "order")
            fields[name] = None

    @pytest.mark.parametrize("none", [None, 0, "0", "0.00", "", " ", -0.0])
    @pytest.mark.parametrize(
        ("fields", "price"), [({"price": "5", "limit_price": "6"}, 5), ({"price": 0, "limit_price": "6"}, 6)]
    )
    def test_its_own_price_stands_in_for_a_filled_order(
        self, tmp_path: Path, none: object, fields: dict[str, Any], price: int
    ) -> None:
        order = order_of(tmp_path, native_order(filled_avg_price=none, **fields))
        assert (order.price, order.price_source) == (price, "limit")

    @pytest.mark.parametrize("status", ["canceled", "partially_filled", "expired", None])
    def test_it_stands_in_for_no_other(self, tmp_path: Path, status: str | None) -> None:
        order = order_of(tmp_path, native_order(status=status, filled_avg_price=None, price="5", limit_price="6"))
        assert (order.qty, order.price, order.price_source) == (Decimal("0.4"), None, "none")

    def test_a_canceled_order_keeps_its_executed_price(self, tmp_path: Path) -> None:
        order = order_of(tmp_path, native_order(status="canceled", price="5"))
        assert (order.price, order.price_source) == (97100, "order")

    def test_no_price_at_all(self, tmp_path: Path) -> None:
        order = order_of(tmp_path, native_order(filled_avg_price=None))
        assert (order.price, order.price_source) == (None, "none")

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"filled_avg_price": "-1"}, "filled_avg_price '-1' is negative"),
            ({"filled_avg_price": "market"}, "filled_avg_price 'market' is not a number"),
            ({"filled_avg_price": True}, "filled_avg_price is true, not a number"),
            ({"filled_avg_price": None, "avg_price": []}, "avg_price is a list, not a number"),
            ({"filled_avg_price": None, "price": "-3"}, "price '-3' is negative"),
            ({"filled_avg_price": None, "limit_price": "x"}, "limit_price 'x' is not a number"),
            ({"status": "canceled", "filled_qty": 0, "filled_avg_price": "x"}, "filled_avg_price 'x'"),
        ],
    )
    def test_an_impossible_price(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(**fields))

    def test_a_price_that_does_not_count_is_not_read(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, native_order(price="-3", limit_price="x")).price == 97100
        assert order_of(tmp_path, native_order(status="new", filled_qty=0, limit_price=-3)).price is None


class TestCcxtCost:
    @pytest.mark.parametrize("status", ["closed", "canceled", "open"])
    def test_the_cost_gives_the_price_where_no_average_does(self, tmp_path: Path, status: str) -> None:
        content = ccxt_order(status=status, average=None, filled=0.3, cost=29130.0)
        order = order_of(tmp_path, content)
        assert (order.price, order.price_source) == (97100, "order")

    def test_it_is_divided_exactly(self, tmp_path: Path) -> None:
        price = order_of(tmp_path, ccxt_order(average=None, filled=0.3, cost=1)).price
        assert price is not None
        assert str(price).startswith("3." + "3" * 100)

    @pytest.mark.parametrize("cost", [38800.0, 38800.00000000001, 38799.99999999999])
    def test_a_cost_that_ccxt_derived_from_the_orders_own_price_proves_none(self, tmp_path: Path, cost: float) -> None:
        filled = order_of(tmp_path, ccxt_order(average=None, cost=cost))
        assert (filled.price, filled.price_source) == (97000, "limit")
        canceled = order_of(tmp_path, ccxt_order(status="canceled", average=None, cost=cost))
        assert (canceled.price, canceled.price_source) == (None, "none")

    @pytest.mark.parametrize("cost", [38800.001, 38799.999])
    def test_a_cost_that_differs_is_the_venues(self, tmp_path: Path, cost: float) -> None:
        assert order_of(tmp_path, ccxt_order(average=None, cost=cost)).price_source == "order"

    def test_without_an_own_price_the_cost_is_the_venues(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, ccxt_order(average=None, price=None, cost=38800.0)).price == 97000

    @pytest.mark.parametrize("cost", [None, 0, 0.0, ""])
    def test_no_cost_gives_no_price(self, tmp_path: Path, cost: object) -> None:
        assert order_of(tmp_path, ccxt_order(average=None, cost=cost)).price_source == "limit"

    def test_the_average_wins(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, ccxt_order(cost=1)).price == Decimal("97100.5")

    def test_a_native_row_has_no_such_cost(self, tmp_path: Path) -> None:
        assert order_of(tmp_path, native_order(filled_avg_price=None, cost="38840")).price is None

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"cost": -1}, "cost '-1' is negative"),
            ({"cost": "x"}, "cost 'x' is not a number"),
            ({"cost": 1e19, "filled": 1e-9}, "cost / filled is outside what a price can be"),
            ({"cost": 1e11, "filled": 1e-9}, "cost / filled is outside what a price can be"),
        ],
    )
    def test_an_impossible_cost(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert malformed_of(tmp_path, ccxt_order(average=None, **fields)) == why


class TestTime:
    def test_aliases_in_order(self, tmp_path: Path) -> None:
        names = (
            "filled_at", "filledAt", "lastTradeTimestamp", "updated_at", "lastUpdateTimestamp", "closed_at",
            "timestamp", "submitted_at", "datetime", "created_at",
        )  # fmt: skip
        fields: dict[str, Any] = {name: f"2026-01-{place:02}" for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            assert order_of(tmp_path, row(native_order(), **fields)).time_ms == 1767225600000 + (place - 1) * 86400000
            fields[name] = None if place % 2 else " "

    @pytest.mark.parametrize("value", [FILLED_AT, FILLED_AT_MS, FILLED_AT_MS / 1000, "2026-01-02T03:00:00.250999999Z"])
    def test_notations(self, tmp_path: Path, value: object) -> None:
        assert order_of(tmp_path, native_order(filled_at=value)).time_ms == FILLED_AT_MS

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (DROP, "its time is missing"),
            (None, "its time is missing"),
            ("", "its time is missing"),
            ("soon", "filled_at: 'soon' is not a time"),
            (True, "filled_at is true, not a time"),
            ([FILLED_AT], "filled_at is a list, not a time"),
            ({}, "filled_at is an object, not a time"),
            (0, "filled_at: '0' is not a time"),
            (-5, "filled_at: '-5' is not a time"),
            ("1969-12-31", "is not a time after 1970"),
            ("9999-12-31T23:59:59Z", "is not a time"),
            (f"{FILLED_AT}\0", "filled_at '2026-01-02T03:00:00.250Z\\x00' holds a control character"),
        ],
    )
    def test_an_unreadable_time(self, tmp_path: Path, value: object, why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(filled_at=value))

    def test_an_unreadable_time_gives_way_to_no_other(self, tmp_path: Path) -> None:
        assert "soon" in malformed_of(tmp_path, native_order(filled_at="soon", updated_at=FILLED_AT))


class TestStatus:
    @pytest.mark.parametrize("status", ["new", "PENDING-NEW", "accepted", "open", "held", "pending cancel"])
    def test_working_wherever_it_stands(self, tmp_path: Path, status: str) -> None:
        order = order_of(tmp_path, native_order(status=status, filled_qty=0))
        assert (order.working, order.status) == (True, status)

    @pytest.mark.parametrize("status", ["filled", "partially_filled", "canceled", "expired", "stopped", "", None])
    def test_not_working_among_closed_orders(self, tmp_path: Path, status: str | None) -> None:
        order = order_of(tmp_path, native_order(status=status))
        assert (order.working, order.status) == (False, status or "")

    @pytest.mark.parametrize("status", ["filled", "partially_filled", "canceled", "new", "stopped", None])
    def test_working_among_open_orders(self, tmp_path: Path, status: str | None) -> None:
        assert order_of(tmp_path, native_order(status=status), "open_orders").working

    @pytest.mark.parametrize(
        ("status", "why"),
        [(3, "status is 3, not text"), (["filled"], "status is a list"), ("fil\0led", "holds a control character")],
    )
    def test_an_unreadable_status(self, tmp_path: Path, status: object, why: str) -> None:
        assert why in malformed_of(tmp_path, native_order(status=status))

    def test_open_orders_name_their_feed_when_malformed(self, tmp_path: Path) -> None:
        assert malformed_of(tmp_path, {"id": "x"}, "open_orders") == "symbol is missing"


class TestFee:
    @pytest.mark.parametrize(
        ("fields", "fee", "asset"),
        [
            ({}, None, None),
            ({"fee": "0.1", "fee_asset": "USD"}, "0.1", "USD"),
            ({"fee": 0.1, "feeAsset": "USD"}, "0.1", "USD"),
            ({"fee": -0.1, "fee_asset": " "}, "-0.1", None),
            ({"fee": {"cost": "0.1", "currency": "BNB"}}, "0.1", "BNB"),
            ({"fee": {"cost": "0.1"}, "fee_asset": "USD"}, "0.1", "USD"),
            ({"fee": {"cost": None, "currency": "BNB"}}, None, None),
            ({"fee": {}, "fee_asset": "USD"}, None, None),
            ({"fee": "", "fee_asset": "USD"}, None, None),
            ({"fee": 0}, "0", None),
            ({"fees": [{"cost": 0.1, "currency": "BNB"}]}, "0.1", "BNB"),
            ({"fee": {"cost": None}, "fees": [{"cost": 0.1, "currency": "BNB"}]}, "0.1", "BNB"),
            ({"fee": 0.2, "fees": [{"cost": 0.1, "currency": "BNB"}]}, "0.2", None),
            ({"fees": [{"cost": 0.1, "currency": "BNB"}, {"cost": 1, "currency": "USD"}]}, None, None),
            ({"fees": []}, None, None),
            ({"fees": [None]}, None, None),
            ({"commission": "0.42"}, "0.42", None),
            ({"commission": "0.42", "fee": "0.1"}, "0.1", None),
            ({"commission": "0.42", "fees": [{"cost": 7}]}, "7", None),
        ],
    )
    def test_a_fee(self, tmp_path: Path, fields: dict[str, Any], fee: str | None, asset: str | None) -> None:
        order = order_of(tmp_path, native_order(**fields))
        assert (order.fee, order.fee_asset) == (None if fee is None else Decimal(fee), asset)

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"fee": "free"}, "fee 'free' is not a number"),
            ({"fee": True}, "fee is true, not a number"),
            ({"fee": []}, "fee is a list, not a number"),
            ({"fee": {"cost": "x"}}, "fee.cost 'x' is not a number"),
            ({"fee": {"cost": 1, "currency": 2}}, "currency is 2, not text"),
            ({"fee": 1, "fee_asset": 2}, "fee_asset is 2, not text"),
            ({"fees": {"cost": 1}}, "fees is an object, not a list"),
            ({"fees": ["x"]}, "fees 'x' is not a number"),
            ({"fees": [{"cost": "x"}]}, "fees.cost 'x' is not a number"),
            ({"commission": "x"}, "commission 'x' is not a number"),
        ],
    )
    def test_an_unreadable_fee(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert malformed_of(tmp_path, native_order(**fields)) == why


class TestRows:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "the row is null, not an object"),
            (5, "the row is 5, not an object"),
            ("x", "the row is 'x', not an object"),
            ([], "the row is a list, not an object"),
            ({}, "id or order_id is missing"),
        ],
    )
    def test_that_are_no_orders(self, tmp_path: Path, content: object, why: str) -> None:
        assert malformed_of(tmp_path, content) == why

    def test_the_place_carries_the_id_where_it_can_be_read(self, tmp_path: Path) -> None:
        rows = [{"id": "abc"}, {"order_id": 7}, {"id": 1.5}, {"id": "x\ny"}, {"id": "y" * 300}, {}]
        malformed = read(tmp_path, document(closed_orders=rows)).malformed
        assert [found.row_id for found in malformed] == ["abc", "7", "", "", "y" * 300, ""]
        assert [found.where for found in malformed] == [
            "closed_orders[0] (id abc)",
            "closed_orders[1] (id 7)",
            "closed_orders[2]",
            "closed_orders[3]",
            f"closed_orders[4] (id {'y' * 79}…)",
            "closed_orders[5]",
        ]


class TestLegs:
    def test_nested_orders_stand_for_themselves(self, tmp_path: Path) -> None:
        inner = [native_order(id="a1", legs=[native_order(id="a1x")]), native_order(id="a2")]
        rows = [native_order(id="a", legs=inner), native_order(id="b", legs=[])]
        snapshot = read(tmp_path, document(closed_orders=rows))
        assert [order.where for order in snapshot.orders] == [
            "closed_orders[0] (id a)",
            "closed_orders[0].legs[0] (id a1)",
            "closed_orders[0].legs[0].legs[0] (id a1x)",
            "closed_orders[0].legs[1] (id a2)",
            "closed_orders[1] (id b)",
        ]

    def test_an_order_of_several_symbols_wraps_its_legs(self, tmp_path: Path) -> None:
        wrapper = alpaca_order(id="w", order_class="mleg", symbol="", side="", legs=[alpaca_order(id="l")])
        snapshot = read(tmp_path, document(closed_orders=[wrapper]))
        assert ([order.id for order in snapshot.orders], snapshot.malformed) == (["l"], ())

    @pytest.mark.parametrize(
        "changes",
        [{"order_class": "mleg", "legs": None}, {"order_class": "mleg", "legs": []}, {"order_class": "bracket"}],
    )
    def test_no_other_order_without_a_symbol_is_passed_over(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        content = alpaca_order(**{"symbol": "", "legs": [alpaca_order(id="l")], **changes})
        (malformed,) = read(tmp_path, document(closed_orders=[content])).malformed
        assert malformed.why == "symbol is missing"

    def test_an_order_of_several_symbols_that_names_one_counts(self, tmp_path: Path) -> None:
        content = alpaca_order(id="w", order_class="mleg", legs=[alpaca_order(id="l")])
        assert [order.id for order in read(tmp_path, document(closed_orders=[content])).orders] == ["w", "l"]

    def test_unreadable_legs_are_named_and_the_order_counts(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(closed_orders=[native_order(legs="x"), native_order(legs=["y"])]))
        assert len(snapshot.orders) == 2
        assert [malformed.where for malformed in snapshot.malformed] == [
            "closed_orders[0].legs",
            "closed_orders[1].legs[0]",
        ]
