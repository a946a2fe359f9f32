"""Position rows and balances: what they hold, and what they leave unknown instead of flat."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import (
    DROP,
    SWAP,
    alpaca_position,
    ccxt_position,
    document,
    native_order,
    read,
    row,
    unknown_by_token,
)

from trueup.core.holdings import Holdings
from trueup.core.snapshot import Coverage, Feed, FeedState, Leg, Malformed, Snapshot

COMPLETE = Coverage(FeedState.COMPLETE)
NATIVE = {"symbol": "BTC/USD", "qty": "0.5", "side": "long", "mark_price": "97000"}


def leg_of(folder: Path, content: object) -> Leg:
    snapshot = read(folder, document(positions=[content]))
    assert (snapshot.malformed, snapshot.unknown_symbols) == ((), {})
    assert snapshot.coverage == {Feed.POSITIONS: COMPLETE}
    (leg,) = snapshot.legs
    return leg


def unknown_of(folder: Path, content: object, token: str = "BTCUSD") -> str:
    """Return why a row leaves its symbol unknown; other symbols stay known."""
    snapshot = read(folder, document(positions=[row(NATIVE, symbol="ETH/USD"), content]))
    assert snapshot.coverage == {Feed.POSITIONS: COMPLETE}
    assert [leg.symbol for leg in snapshot.legs] == ["ETH/USD"]
    (malformed,) = snapshot.malformed
    assert (malformed.feed, malformed.where) == ("positions", "positions[1]")
    assert unknown_by_token(snapshot)[token] == f"positions[1]: {malformed.why}"
    assert Holdings(snapshot).of("ETH/USD").gross == Decimal("0.5")
    return malformed.why


class TestPositions:
    def test_a_native_leg(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, NATIVE) == Leg("BTC/USD", Decimal("0.5"), Decimal(97000))

    def test_an_alpaca_position(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, alpaca_position()) == Leg("BTCUSD", Decimal("0.5"), Decimal(97000))

    def test_a_short_alpaca_position(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, alpaca_position(qty="-3", side="short")).qty == -3

    def test_a_ccxt_position(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, ccxt_position()) == Leg(SWAP, Decimal("0.5"), Decimal(97000))

    def test_aliases_in_order(self, tmp_path: Path) -> None:
        names = ("qty", "size", "position_qty", "positionQty", "contracts")
        fields: dict[str, Any] = {name: place for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            assert leg_of(tmp_path, row(NATIVE, **{"qty": DROP, **fields})).qty == place
            fields[name] = None

    def test_mark_prices_in_order(self, tmp_path: Path) -> None:
        names = ("mark_price", "markPrice", "current_price")
        fields: dict[str, Any] = {name: place for place, name in enumerate(names, 1)}
        for place, name in enumerate(names, 1):
            assert leg_of(tmp_path, row(NATIVE, **fields)).mark_price == place
            fields[name] = 0 if place % 2 else None
        assert leg_of(tmp_path, row(NATIVE, **fields)).mark_price is None

    @pytest.mark.parametrize(
        ("qty", "side", "signed"),
        [
            ("0.5", "long", "0.5"),
            ("0.5", "BUY", "0.5"),
            ("0.5", "short", "-0.5"),
            ("0.5", "Sell", "-0.5"),
            ("-0.5", "short", "-0.5"),
            ("0.5", None, "0.5"),
            ("-0.5", None, "-0.5"),
            ("-0.5", "", "-0.5"),
            ("0", "long", "0"),
            ("0", "short", "0"),
            ("-0.0", None, "0"),
            (0.0, None, "0"),
        ],
    )
    def test_signs(self, tmp_path: Path, qty: object, side: str | None, signed: str) -> None:
        assert str(leg_of(tmp_path, row(NATIVE, qty=qty, side=side)).qty) == signed

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"qty": None}, "its quantity is missing"),
            ({"qty": DROP}, "its quantity is missing"),
            ({"qty": ""}, "qty '' is not a number"),
            ({"qty": "x"}, "qty 'x' is not a number"),
            ({"qty": False}, "qty is false, not a number"),
            ({"qty": "NaN"}, "qty 'NaN' is not a finite number"),
            ({"qty": []}, "qty is a list, not a number"),
            ({"qty": "-0.5"}, "qty '-0.5' is negative on a long side"),
            ({"qty": "-0.5", "side": "buy"}, "qty '-0.5' is negative on a long side"),
            ({"side": "both"}, "side 'both' is neither long nor short"),
            ({"side": 1}, "side is 1, not text"),
            ({"mark_price": "x"}, "mark_price 'x' is not a number"),
            ({"mark_price": "-1"}, "mark_price '-1' is negative"),
        ],
    )
    def test_an_unreadable_row_makes_its_symbol_unknown(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert why in unknown_of(tmp_path, row(NATIVE, **fields))

    def test_it_is_unknown_though_another_row_of_it_can_be_read(self, tmp_path: Path) -> None:
        rows = [NATIVE, row(NATIVE, side="short", qty="x"), {"symbol": "BTC-USD"}]
        snapshot = read(tmp_path, document(positions=rows))
        assert unknown_by_token(snapshot) == {"BTCUSD": "positions[1]: qty 'x' is not a number"}
        assert len(snapshot.malformed) == 2
        assert Holdings(snapshot).of("BTCUSD").unknown is not None

    @pytest.mark.parametrize(
        "content",
        [
            None,
            7,
            "BTC/USD",
            [NATIVE],
            {},
            row(NATIVE, symbol=DROP),
            row(NATIVE, symbol=None),
            row(NATIVE, symbol=" "),
            row(NATIVE, symbol=7),
            row(NATIVE, symbol="//"),
            row(NATIVE, symbol="BTC\0/USD"),
        ],
    )
    def test_a_row_without_a_symbol_leaves_the_whole_feed_partial(self, tmp_path: Path, content: object) -> None:
        snapshot = read(tmp_path, document(positions=[NATIVE, content]))
        (malformed,) = snapshot.malformed
        assert snapshot.coverage == {Feed.POSITIONS: Coverage(FeedState.PARTIAL, f"positions[1]: {malformed.why}")}
        assert len(snapshot.legs) == 1

    def test_a_place_carries_the_id_of_a_position_that_has_one(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, ccxt_position(id="p-1")).where == "positions[0] (id p-1)"

    def test_what_is_declared_failed_stays_failed(self, tmp_path: Path) -> None:
        content = document(coverage={"positions": {"state": "failed", "reason": "503"}}, positions=[None])
        coverage = read(tmp_path, content).feed(Feed.POSITIONS)
        assert coverage.state is FeedState.FAILED
        assert coverage.reason == "503; positions[0]: the row is null, not an object"

    def test_declaring_it_complete_does_not_make_it_so(self, tmp_path: Path) -> None:
        coverage = read(tmp_path, document(coverage={"positions": "complete"}, positions=[None])).feed(Feed.POSITIONS)
        assert coverage.state is FeedState.PARTIAL

    def test_two_legs_of_a_hedge(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(positions=[NATIVE, row(NATIVE, side="short", qty="0.2")]))
        assert [leg.qty for leg in snapshot.legs] == [Decimal("0.5"), Decimal("-0.2")]


class TestBalances:
    def test_a_plain_object(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(balances={"btc": "0.5", "XBT.F": 1, "USD": 1000.10, "XDG": 0, "EUR": "-3"}))
        assert snapshot.balances == {
            "BTC": Decimal("0.5"), "BTC.F": 1, "USD": Decimal("1000.1"), "DOGE": 0, "EUR": -3
        }  # fmt: skip
        assert (snapshot.malformed, snapshot.unknown_assets) == ((), {})
        assert snapshot.coverage == {Feed.BALANCES: COMPLETE}

    @pytest.mark.parametrize("content", [{}, {"timestamp": 5}, {"total": {}}])
    def test_no_asset_at_all_is_no_balance(self, tmp_path: Path, content: object) -> None:
        snapshot = read(tmp_path, document(balances=content))
        reason = "it lists no asset at all"
        assert snapshot.coverage == {Feed.BALANCES: Coverage(FeedState.FAILED, reason)}
        assert snapshot.malformed == (Malformed("balances", "balances", reason),)
        assert snapshot.balances is None

    def test_no_balances_are_none(self, tmp_path: Path) -> None:
        assert read(tmp_path, document()).balances is None

    def test_ccxts_balance(self, tmp_path: Path) -> None:
        content = {
            "info": {"canTrade": True},
            "timestamp": 5,
            "datetime": None,
            "BTC": {"free": 0.1, "used": 0.4, "total": 0.5},
            "USDT": {"free": 1, "used": 0, "total": 1, "debt": 0},
            "free": {"BTC": 0.1, "USDT": 1},
            "used": {"BTC": 0.4, "USDT": 0},
            "total": {"BTC": 0.5, "USDT": 1},
            "debt": {"USDT": 0},
        }
        snapshot = read(tmp_path, document(balances=content))
        assert snapshot.balances == {"BTC": Decimal("0.5"), "USDT": 1}
        assert (snapshot.malformed, snapshot.unknown_assets) == ((), {})

    def test_assets_of_the_totals_only_count(self, tmp_path: Path) -> None:
        content = {"info": {"a": 1}, "total": {"BTC": 0.5}, "free": {"BTC": 0.1, "ETH": 1}, "used": {"XRP": 2}}
        snapshot = read(tmp_path, document(balances=content))
        assert snapshot.balances == {"BTC": Decimal("0.5")}
        assert snapshot.unknown_assets == {
            "ETH": "balances.ETH: the amount is null, not a number",
            "XRP": "balances.XRP: the amount is null, not a number",
        }

    def test_figures_by_kind_alone_leave_their_assets_unknown(self, tmp_path: Path) -> None:
        assert read(tmp_path, document(balances={"free": {"ETH": 1}})).unknown_assets.keys() == {"ETH"}

    def test_an_assets_own_entry_counts(self, tmp_path: Path) -> None:
        content = {"BTC": {"total": 0.5}, "total": {"BTC": 0.7}}
        assert read(tmp_path, document(balances=content)).balances == {"BTC": Decimal("0.5")}

    def test_malformed_rows_of_other_feeds_stay_named(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(positions=[5], balances={"BTC": "x"}, fills=[6]))
        assert [malformed.feed for malformed in snapshot.malformed] == ["positions", "balances", "fills"]

    def test_coins_that_are_called_like_ccxts_keys(self, tmp_path: Path) -> None:
        snapshot = read(tmp_path, document(balances={"free": 5, "info": "6", "used": 1, "FREE2": 2, "total": 3}))
        assert snapshot.balances == {"FREE": 5, "INFO": 6, "USED": 1, "FREE2": 2, "TOTAL": 3}

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "the amount is null, not a number"),
            ("", "the amount '' is not a number"),
            ("x", "the amount 'x' is not a number"),
            (True, "the amount is true, not a number"),
            ([1], "the amount is a list, not a number"),
            ("inf", "the amount 'inf' is not a finite number"),
            ({}, "total is null, not a number"),
            ({"free": 1, "used": 2}, "total is null, not a number"),
            ({"total": "x"}, "total 'x' is not a number"),
            ({"total": 0, "debt": "0.5"}, "'0.5' of it is borrowed, so that its total is not what is held"),
            ({"total": 0, "debt": "x"}, "debt 'x' is not a number"),
        ],
    )
    def test_an_unreadable_amount_makes_its_asset_unknown(self, tmp_path: Path, value: object, why: str) -> None:
        snapshot = read(tmp_path, document(balances={"XBT": value, "USD": 1}))
        assert snapshot.balances == {"USD": 1}
        assert snapshot.unknown_assets == {"BTC": f"balances.XBT: {why}"}
        assert snapshot.malformed == (Malformed("balances", "balances.XBT", why),)
        assert snapshot.coverage == {Feed.BALANCES: COMPLETE}
        assert Holdings(snapshot).of("BTC/USD").unknown == f"balances.XBT: {why}"

    @pytest.mark.parametrize("values", [(1, 2), (1, 1), (1, "x"), ("x", 1)])
    def test_an_asset_under_two_names_is_unknown(self, tmp_path: Path, values: tuple[object, object]) -> None:
        snapshot = read(tmp_path, document(balances={"XBT": values[0], "BTC": values[1]}))
        assert snapshot.balances == {}
        assert snapshot.unknown_assets.keys() == {"BTC"}

    @pytest.mark.parametrize("name", ["", "-", "B\0TC", "\ud800", "B" * 501])
    def test_an_asset_that_cannot_be_told_leaves_the_feed_partial(self, tmp_path: Path, name: str) -> None:
        snapshot = read(tmp_path, document(balances={name: 1, "USD": 1}))
        (malformed,) = snapshot.malformed
        assert (malformed.feed, malformed.why) == ("balances", "the asset cannot be told")
        assert snapshot.feed(Feed.BALANCES) == Coverage(FeedState.PARTIAL, f"{malformed.where}: {malformed.why}")
        assert snapshot.balances == {"USD": 1}

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ({"code": 401, "message": "denied"}, "it looks like a venue's raw answer or error (the venue's own words"),
            ({"error": [], "result": {"XXBT": "0.5"}}, "it looks like a venue's raw answer or error"),
            ({"success": True, "USD": 1}, "it looks like a venue's raw answer or error"),
            ({"data": None}, "it looks like a venue's raw answer or error"),
            ({"info": {}, "free": {}, "used": {}, "total": {}}, "ccxt made it from an empty answer of the venue"),
            ({"info": [], "timestamp": None}, "ccxt made it from an empty answer of the venue"),
            ({"info": None, "total": {}}, "ccxt made it from an empty answer of the venue"),
            ({"info": "<html>", "total": {}}, "ccxt made it from an empty answer of the venue"),
        ],
    )
    def test_an_answer_of_the_venue_is_no_balance(self, tmp_path: Path, content: object, reason: str) -> None:
        snapshot = read(tmp_path, document(balances=content))
        coverage = snapshot.feed(Feed.BALANCES)
        assert coverage.state is FeedState.FAILED
        assert coverage.reason.startswith(reason)
        assert snapshot.malformed == (Malformed("balances", "balances", coverage.reason),)
        assert snapshot.balances is None

    @pytest.mark.parametrize(
        "content",
        [{"info": {"x": 1}, "total": {}}, {"info": {}, "BTC": {"total": 1}}, {"DATA": "5"}, {"data": 5}, {"code": "7"}],
    )
    def test_what_may_be_balances_is_taken_for_them(self, tmp_path: Path, content: object) -> None:
        assert read(tmp_path, document(balances=content)).feed(Feed.BALANCES) == COMPLETE

    def test_a_balance_stands_in_for_a_position_where_none_are_given(self, tmp_path: Path) -> None:
        content = document(balances={"BTC": "0.5"}, closed_orders=[native_order()])
        assert Holdings(read(tmp_path, content)).of("BTCUSD").gross == Decimal("0.5")


class TestContracts:
    """Contract sizes of positions; those of orders and fills are in test_file_contracts.py."""

    def known(self, folder: Path, content: dict[str, Any], **sections: Any) -> Snapshot:
        return read(folder, document(positions=[content], **sections))

    @pytest.mark.parametrize(
        ("fields", "sections", "qty"),
        [
            ({}, {}, "0.5"),
            ({"side": "short"}, {}, "-0.5"),
            ({"contracts": -500, "side": "short"}, {}, "-0.5"),
            ({"contracts": -500, "side": None}, {}, "-0.5"),
            ({"contractSize": None}, {"contract_sizes": {SWAP: "0.01"}}, "5"),
            ({"contractSize": None}, {"contract_sizes": {"btc-usdt-usdt": "0.01"}}, "5"),
            ({"contractSize": None}, {"markets": {SWAP: {"contractSize": 0.01}}}, "5"),
            ({"contractSize": None}, {"markets": [{"symbol": SWAP, "contractSize": 0.01}]}, "5"),
            ({}, {"contract_sizes": {SWAP: 7}, "markets": {SWAP: {"contractSize": 8}}}, "0.5"),
            ({"contractSize": None}, {"contract_sizes": {SWAP: 7}, "markets": {SWAP: {"contractSize": 8}}}, "3500"),
            ({"symbol": "BTC/USD"}, {}, "0.5"),
            ({"symbol": "BTC/USD", "contractSize": None}, {}, "500"),
            ({"symbol": "BTC/USD", "contractSize": None}, {"contract_sizes": {"BTCUSD": "0.1"}}, "50"),
            ({"qty": "0.5"}, {}, "0.5"),
        ],
    )
    def test_base_quantity(self, tmp_path: Path, fields: dict[str, Any], sections: dict[str, Any], qty: str) -> None:
        snapshot = self.known(tmp_path, ccxt_position(**fields), **sections)
        assert snapshot.malformed == ()
        assert snapshot.legs[0].qty == Decimal(qty)

    def test_a_native_position_of_a_contract_is_in_base_units(self, tmp_path: Path) -> None:
        assert leg_of(tmp_path, row(NATIVE, symbol=SWAP)).qty == Decimal("0.5")

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"contractSize": None}, f"the contract size of {SWAP} is not known: add contract_sizes or markets"),
            ({"contractSize": 0}, "contractSize is 0"),
            ({"contractSize": -1}, "contractSize '-1' is negative"),
            ({"contractSize": "x"}, "contractSize 'x' is not a number"),
            ({"contracts": 1e19, "contractSize": 1e19}, "contracts × contract size is outside what a quantity can be"),
            ({"contracts": 1e-30, "contractSize": 1e-30}, "contracts × contract size is outside what"),
        ],
    )
    def test_an_unknown_size_makes_the_symbol_unknown(self, tmp_path: Path, fields: dict[str, Any], why: str) -> None:
        assert why in unknown_of(tmp_path, ccxt_position(**fields), "BTCUSDTUSDT")

    @pytest.mark.parametrize("symbol", ["BTC/USD:BTC", "BTC/USD:BTC-260327", "XBT/USD:BTC"])
    def test_an_inverse_contract_is_unknown(self, tmp_path: Path, symbol: str) -> None:
        snapshot = self.known(tmp_path, ccxt_position(symbol=symbol), contract_sizes={symbol: 1})
        assert "is an inverse contract: each contract is worth USD" in snapshot.malformed[0].why
        assert unknown_by_token(snapshot).keys() == {"BTCUSD" + symbol.split(":")[1].replace("-", ""), "BTCUSD"}

    def test_a_contract_is_unknown_by_its_short_name_too(self, tmp_path: Path) -> None:
        holdings = Holdings(self.known(tmp_path, ccxt_position(contractSize=None)))
        assert holdings.of("BTCUSDT").unknown
        assert holdings.of(SWAP).unknown
        assert holdings.of("ETHUSDT").unknown is None

    @pytest.mark.parametrize("symbol", [SWAP, "BTC/USD:BTC"])
    @pytest.mark.parametrize("side", ["long", None])
    def test_no_contracts_are_none_whatever_they_are_worth(self, tmp_path: Path, symbol: str, side: str | None) -> None:
        leg = leg_of(tmp_path, ccxt_position(symbol=symbol, contracts=0.0, contractSize=None, side=side))
        assert leg.qty == 0


def test_two_rows_of_one_size_are_one_position_only_if_they_say_the_same(tmp_path: Path) -> None:
    first = {"symbol": "BTC/USD", "qty": "1", "side": "long", "id": "p1", "marginMode": "cross", "info": {"a": 1}}
    listed_twice = read(tmp_path, document(positions=[first, dict(reversed(first.items()))]))
    assert Holdings(listed_twice).of("BTC/USD").gross == 1
    for other in ({"id": "p2"}, {"marginMode": "isolated"}, {"info": {"a": 2}}):
        assert Holdings(read(tmp_path, document(positions=[first, {**first, **other}]))).of("BTC/USD").unknown
