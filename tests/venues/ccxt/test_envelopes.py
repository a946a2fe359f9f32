"""The trap of the empty envelope: what ccxt reads as flat, and we do not."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.worlds import NOW, ccxt_client
from tests.venues.ccxt.accounts import THREE_DAYS, canned, venue

from trueup.core.errors import CannotKnow
from trueup.core.holdings import Holdings
from trueup.core.snapshot import Feed, FeedState
from trueup.ports import ReadScope
from trueup.venues.ccxt.envelopes import BadEnvelope, check_answer, count_held, count_rows, holds_rows, rows_at

MARKET = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
    "quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": ["SPOT"], "permissionSets": [["SPOT"]],
    "filters": [], "orderTypes": ["LIMIT", "MARKET"],
}  # fmt: skip
SWAP = {
    **MARKET, "pair": "BTCUSDT", "contractType": "PERPETUAL", "marginAsset": "USDT", "pricePrecision": 2,
    "quantityPrecision": 3, "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
}  # fmt: skip
WELL: Mapping[str, object] = {
    "/api/v3/time": {"serverTime": NOW},
    "/api/v3/exchangeInfo": {"symbols": [MARKET]},
    "/api/v3/account": {"balances": [{"asset": "BTC", "free": "0.5", "locked": "0.1"}], "updateTime": NOW},
    "/api/v3/openOrders": [],
    "/api/v3/allOrders": [],
    "/api/v3/myTrades": [],
    "/fapi/v1/time": {"serverTime": NOW},
    "/fapi/v1/exchangeInfo": {"symbols": [SWAP]},
    "/fapi/v3/account": {"assets": [{"asset": "USDT", "walletBalance": "5", "marginBalance": "5"}], "positions": []},
    "/fapi/v3/positionRisk": [],
    "/fapi/v1/openOrders": [],
    "/fapi/v1/openAlgoOrders": [],
    "/fapi/v1/allOrders": [],
    "/fapi/v1/userTrades": [],
}
NOTHING = Decimal(0)
EMPTY = {
    "html": (200, {"Content-Type": "text/html"}, b"<html><body>maintenance</body></html>"),
    "nothing": (200, {}, b""),
    "null": (200, {}, b"null"),
    "an empty object": (200, {}, b"{}"),
    "an object without rows": (200, {}, b'{"success": true, "data": null}'),
    "half an answer": (200, {}, b'[{"symbol": "BTCUSDT", "orderId": 1'),
}
SPOT_FEEDS = {"/api/v3/openOrders": Feed.OPEN_ORDERS, "/api/v3/allOrders": Feed.CLOSED_ORDERS,
              "/api/v3/myTrades": Feed.FILLS, "/api/v3/account": Feed.BALANCES}  # fmt: skip
SWAP_FEEDS = {"/fapi/v3/positionRisk": Feed.POSITIONS, "/fapi/v1/allOrders": Feed.CLOSED_ORDERS,
              "/fapi/v1/userTrades": Feed.FILLS, "/fapi/v3/account": Feed.BALANCES}  # fmt: skip


def test_well_formed_empty_answers_are_believed() -> None:
    with canned(WELL) as (url, _):
        snapshot = venue(url).read(THREE_DAYS)
        swaps = venue(url, "binanceusdm").read(ReadScope(NOW - 1, ("BTC/USDT:USDT",)))
    assert all(snapshot.feed(feed).complete for feed in SPOT_FEEDS.values())
    assert str(Holdings(snapshot).of("BTC/USDT").signed) == "0.6"
    assert swaps.feed(Feed.POSITIONS).complete
    assert Holdings(swaps).of("BTC/USDT:USDT").is_flat(NOTHING)


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("path", SPOT_FEEDS)
def test_a_200_without_an_answer_is_unknown_and_not_flat(path: str, shape: str) -> None:
    with canned({**WELL, path: EMPTY[shape]}) as (url, _):
        snapshot = venue(url).read(THREE_DAYS)
    coverage = snapshot.feed(SPOT_FEEDS[path])
    assert coverage.state is FeedState.FAILED
    assert coverage.reason
    others = [feed for feed in SPOT_FEEDS.values() if feed is not SPOT_FEEDS[path]]
    assert all(snapshot.feed(feed).complete for feed in others)


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("path", SWAP_FEEDS)
def test_nor_are_contracts_flat_then(path: str, shape: str) -> None:
    with canned({**WELL, path: EMPTY[shape]}) as (url, _):
        snapshot = venue(url, "binanceusdm").read(ReadScope(NOW - 1, ("BTC/USDT:USDT",)))
    assert snapshot.feed(SWAP_FEEDS[path]).state is FeedState.FAILED
    assert Holdings(snapshot).of("BTC/USDT:USDT").is_flat(NOTHING) is (SWAP_FEEDS[path] is not Feed.POSITIONS)


@pytest.mark.parametrize("shape", ["an empty object", "nothing"])
def test_ccxt_itself_reads_these_as_flat(shape: str) -> None:
    """What the naive reading gives, so that the tests above cannot pass for another reason."""
    with canned({**WELL, "/fapi/v3/positionRisk": EMPTY[shape], "/api/v3/myTrades": EMPTY[shape]}) as (url, _):
        naive: Any = ccxt_client(
            "binance",
            url,
            options={"fetchCurrencies": False, "fetchMargins": False, "fetchMarkets": {"types": ["spot"]}},
        )
        naive.load_markets()
        assert naive.fetch_my_trades("BTC/USDT") == []


@pytest.mark.parametrize("shape", EMPTY)
def test_without_markets_nothing_is_known(shape: str) -> None:
    with canned({**WELL, "/api/v3/exchangeInfo": EMPTY[shape]}) as (url, _), pytest.raises(CannotKnow):
        venue(url).read(THREE_DAYS)


@pytest.mark.parametrize("shape", EMPTY)
def test_without_the_venues_time_our_clock_stands_in_and_says_so(shape: str) -> None:
    with canned({**WELL, "/api/v3/time": EMPTY[shape]}) as (url, _):
        snapshot = venue(url).read(THREE_DAYS)
    assert (snapshot.as_of_ms, snapshot.as_of_source) == (NOW, "clock")
    assert any("clock stands in" in note for note in snapshot.notes)


def test_positions_that_ccxt_leaves_out_make_the_feed_partial() -> None:
    """The trap: ccxt drops a position whose entry price is 0."""
    held = {
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "0.5", "entryPrice": "0", "markPrice": "1",
        "unRealizedProfit": "0", "liquidationPrice": "0", "notional": "0.5", "isolatedMargin": "0",
    }  # fmt: skip
    with canned({**WELL, "/fapi/v3/positionRisk": [held]}) as (url, _):
        snapshot = venue(url, "binanceusdm").read(ReadScope(NOW - 1, ("BTC/USDT:USDT",)))
    assert snapshot.feed(Feed.POSITIONS).state is FeedState.PARTIAL
    assert not Holdings(snapshot).of("BTC/USDT:USDT").is_flat(NOTHING)


def test_a_position_without_a_side_is_unknown_and_not_long() -> None:
    """The trap: on Binance ccxt takes the side from the notional, which is 0 where the mark price is missing."""
    held = {
        "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.5", "entryPrice": "9", "markPrice": "0",
        "unRealizedProfit": "0", "liquidationPrice": "0", "notional": "0", "isolatedMargin": "0",
    }  # fmt: skip
    with canned({**WELL, "/fapi/v3/positionRisk": [held]}) as (url, _):
        snapshot = venue(url, "binanceusdm").read(ReadScope(NOW - 1, ("BTC/USDT:USDT",)))
    assert snapshot.legs == ()
    assert "without a side" in (Holdings(snapshot).of("BTC/USDT:USDT").unknown or "")


def test_what_is_no_answer_is_refused() -> None:
    for answer in ("", None, "null", "<html>", b"x", 7, {}):
        with pytest.raises(BadEnvelope):
            check_answer(answer, 200)
    check_answer([], 200)
    check_answer({"code": 0}, 200)


@pytest.mark.parametrize(
    ("answer", "path", "count"),
    [
        ([], None, 0), ([1, 2], None, 2), ({"data": []}, None, 0), ({"result": {"list": []}}, None, 0),
        ({"error": [], "result": {"trades": {}}}, None, 0), ({"retExtInfo": {}, "error": []}, None, None),
        ({"error": []}, None, None), ({"data": None}, None, None), ({"result": {"open": {}}}, ("result", "open"), 0),
        ({"result": {"open": {"a": {}}}}, ("result", "open"), 1), ({"result": {}}, ("result", "open"), None),
        ({"a": 1}, (), None), ([1], (), 1), ("x", (), None),
    ],
)  # fmt: skip
def test_an_empty_list_counts_only_where_the_rows_should_be(answer: object, path: Any, count: int | None) -> None:
    assert count_rows(answer, path) == count


def test_rows_are_found_by_their_path() -> None:
    assert rows_at({"data": {"items": [1]}}, ("data", "items")) == [1]
    assert rows_at({"data": None}, ("data", "items")) is None
    assert count_held([{"positionAmt": "0.000"}, {"position": {"szi": "-1"}}, {"size": "x"}, {}]) == 1


def test_rows_of_which_ccxt_makes_nothing_are_not_none() -> None:
    """The trap: ccxt drops every row that it cannot place, and an account with orders reads as one without."""
    with canned(WELL) as (url, _):
        account = venue(url)
        account.client.load_markets()
        account.client.first.parse_orders = lambda *_args: []
        account.client._free.queue[:] = [account.client.first]
        with canned({**WELL, "/api/v3/openOrders": [{"symbol": "BTCUSDT", "orderId": 1}]}) as (other, _):
            account.client.first.urls["api"] = venue(other).client.first.urls["api"]
            snapshot = account.read(THREE_DAYS)
    assert snapshot.feed(Feed.OPEN_ORDERS).state is FeedState.FAILED
    assert "made nothing of 1 rows" in snapshot.feed(Feed.OPEN_ORDERS).reason


@pytest.mark.parametrize(
    ("shape", "said"),
    [("html", "page of HTML"), ("nothing", "nothing"), ("null", "no JSON"), ("an empty object", "an empty object")],
)
def test_what_came_instead_of_an_answer_is_said(shape: str, said: str) -> None:
    with canned({**WELL, "/api/v3/myTrades": EMPTY[shape]}) as (url, _):
        reason = venue(url).read(THREE_DAYS).feed(Feed.FILLS).reason
    assert said in reason
    assert "(HTTP 200)" in reason


@pytest.mark.parametrize(
    "verdict",
    [{"code": 500}, {"code": "1003"}, {"status": "error"}, {"success": False}, {"retCode": 10001}, {"errno": "42"}],
)
def test_an_empty_list_in_a_refusal_is_no_empty_list(verdict: Mapping[str, object]) -> None:
    """The trap: a 200 with an error's code that ccxt does not know, and an empty list beside it."""
    assert count_rows({**verdict, "data": []}, None) is None
    assert not holds_rows({**verdict, "data": [{"id": "1"}]})


@pytest.mark.parametrize(
    "verdict",
    [{}, {"code": 0}, {"code": "00000"}, {"code": 200}, {"status": "ok"}, {"success": True}, {"code": "200000"}],
)
def test_an_empty_list_in_a_good_answer_is_one(verdict: Mapping[str, object]) -> None:
    assert count_rows({**verdict, "data": []}, None) == 0
    assert holds_rows({**verdict, "data": [{"id": "1"}]})
    assert not holds_rows({**verdict, "data": None})
