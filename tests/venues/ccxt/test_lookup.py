"""One order asked for by its ids, over HTTP: found, absent, or unknown with the reason."""

from decimal import Decimal
from typing import Any

import pytest
from tests.sim.worlds import NOW, buy, futures_exchange, sell, spot_exchange
from tests.venues.ccxt.accounts import canned, served, venue
from tests.venues.ccxt.test_envelopes import EMPTY, WELL
from tests.venues.ccxt.test_exchanges import SECRETS, spot_markets

from trueup.venues.ccxt.rules import DAY_MS

UNKNOWN_ORDER = (400, {}, b'{"code": -2013, "msg": "Order does not exist."}')


def test_an_order_is_found_by_either_id() -> None:
    exchange = spot_exchange()
    order = buy(exchange, "BTCUSDT", "0.5", client_order_id="bytelyst-bot-TRD-1-entry")
    with served(exchange) as url:
        account = venue(url)
        by_id = account.find_order("BTC/USDT", order.id).order
        by_client = account.find_order("btcusdt", None, "bytelyst-bot-TRD-1-entry").order
    assert by_id is not None
    assert by_client == by_id
    assert (by_id.id, by_id.qty, by_id.status, by_id.working) == (order.id, Decimal("0.5"), "filled", False)


def test_a_working_order_works() -> None:
    exchange = spot_exchange()
    order = buy(exchange, "BTCUSDT", "0.5", type="limit", limit_price=Decimal(10))
    with served(exchange) as url:
        found = venue(url).find_order("BTC/USDT", order.id).order
    assert found is not None
    assert found.working


def test_a_swaps_order_has_the_ledgers_name_and_base_units() -> None:
    futures = futures_exchange()
    order = sell(futures, "BTCUSDT", "0.25")
    inverse = sell(futures, "BTCUSD_PERP", "3")
    with served(spot_exchange(), futures) as url:
        found = venue(url, "binanceusdm").find_order("BTCUSDT", order.id).order
        refused = venue(url, "binancecoinm").find_order("BTC/USD:BTC", inverse.id)
    assert found is not None
    assert (found.symbol, found.qty) == ("BTCUSDT", Decimal("0.25"))
    assert refused.order is None
    assert "inverse" in refused.why


@pytest.mark.parametrize("shape", EMPTY)
def test_an_answer_that_is_none_is_unknown(shape: str) -> None:
    """The trap: ccxt makes an order without an id, and without executions, of an empty answer."""
    with canned({**WELL, "/api/v3/order": EMPTY[shape]}) as (url, _):
        answer = venue(url).find_order("BTC/USDT", "7")
    assert (answer.order, answer.absent) == (None, False)
    assert answer.why


def test_another_order_is_no_answer() -> None:
    row = {"symbol": "BTCUSDT", "orderId": 8, "clientOrderId": "x", "price": "1", "origQty": "1", "executedQty": "1",
           "cummulativeQuoteQty": "1", "status": "FILLED", "type": "LIMIT", "side": "BUY", "time": NOW}  # fmt: skip
    with canned({**WELL, "/api/v3/order": row}) as (url, _):
        answer = venue(url).find_order("BTC/USDT", "7")
        assert venue(url).find_order("BTC/USDT", "8").order is not None
    assert (answer.order, answer.absent) == (None, False)
    assert "another order" in answer.why


@pytest.mark.parametrize(("placed_ms", "absent"), [(None, False), (NOW - 91 * DAY_MS, False), (NOW - DAY_MS, True)])
def test_not_found_is_absent_only_within_the_venues_memory(placed_ms: int | None, absent: bool) -> None:
    """Invariant 5: Binance forgets an order canceled without executions after 90 days."""
    with canned({**WELL, "/api/v3/order": UNKNOWN_ORDER}) as (url, _):
        answer = venue(url).find_order("BTC/USDT", "7", placed_ms=placed_ms)
    assert (answer.order, answer.absent) == (None, absent)
    assert absent or "forgets" in answer.why


@pytest.mark.parametrize(("placed_ms", "absent"), [(None, False), (NOW - 3 * DAY_MS, False), (NOW - DAY_MS, True)])
def test_kucoin_forgets_an_order_within_days(placed_ms: int | None, absent: bool) -> None:
    """The trap: an order of KuCoin's fast engine that is over is found by its id for 3 days, be it filled or not."""
    with canned({"*": (400, {}, b'{"code": "400100", "msg": "The order does not exist."}')}) as (
        url,
        server,
    ):
        account = venue(url, "kucoin", secrets=SECRETS)
        spot_markets(account.client.first, contracts=False)
        account.client._loaded = True
        answer = account.find_order("C00/USDT", "7", placed_ms=placed_ms)
    assert (answer.order, answer.absent) == (None, absent)
    assert any("stop-order" in path for path in server.asked)


@pytest.mark.parametrize(("placed_ms", "absent"), [(None, False), (NOW - 2 * DAY_MS, False), (NOW - 1000, True)])
def test_a_memory_of_which_nothing_is_said_is_taken_for_a_short_one(placed_ms: int | None, absent: bool) -> None:
    """Invariant 5: Hyperliquid answers that it knows no such order, and does not say how long it knew it."""
    with canned({"*": {"status": "unknownOid"}}) as (url, _):
        account = venue(url, "hyperliquid", secrets={"wallet": SECRETS["wallet"]})
        spot_markets(account.client.first, contracts=True)
        account.client._loaded = True
        answer = account.find_order("C00/USDT:USDT", "7", placed_ms=placed_ms)
    assert (answer.order, answer.absent) == (None, absent)


def test_conditional_orders_are_asked_for_too_before_one_is_absent() -> None:
    """The trap: Binance's futures keep conditional orders in a list of their own."""
    answers = {**WELL, "/fapi/v1/order": UNKNOWN_ORDER}
    with canned({**answers, "/fapi/v1/algoOrder": UNKNOWN_ORDER}) as (url, server):
        assert venue(url, "binanceusdm").find_order("BTC/USDT:USDT", "7", placed_ms=NOW - DAY_MS).absent
        assert any("algoOrder" in path for path in server.asked)
    with canned({**answers, "/fapi/v1/algoOrder": EMPTY["html"]}) as (url, _):
        answer = venue(url, "binanceusdm").find_order("BTC/USDT:USDT", "7", placed_ms=NOW - DAY_MS)
    assert (answer.order, answer.absent) == (None, False)


def test_trouble_is_unknown() -> None:
    with canned({**WELL, "/api/v3/order": (503, {}, b'{"code": -1, "msg": "x"}')}) as (url, _):
        answer = venue(url).find_order("BTC/USDT", "7", placed_ms=NOW)
    assert (answer.order, answer.absent) == (None, False)
    assert "ExchangeError" in answer.why or "ExchangeNotAvailable" in answer.why


def test_what_cannot_be_asked_is_unknown() -> None:
    with canned(WELL) as (url, _):
        account = venue(url)
        assert "neither" in account.find_order("BTC/USDT").why
        assert "lists no market" in account.find_order("NOPE/USDT", "7").why
        assert not account.find_order("NOPE/USDT", "7").absent
    answer = venue("http://127.0.0.1:9").find_order("BTC/USDT", "7")
    assert "cannot be read" in answer.why


def bybit(rows: list[dict[str, Any]]) -> dict[str, object]:
    empty = {"retCode": 0, "result": {"list": [], "nextPageCursor": ""}, "time": NOW}
    past = {"retCode": 0, "result": {"list": rows, "nextPageCursor": ""}, "time": NOW}
    return {"*": empty, "/v5/order/history": past}


def test_bybit_is_asked_in_its_lists() -> None:
    """The trap: ccxt's fetchOrder of Bybit sees the last 500 orders only."""
    row = {
        "symbol": "C00USDT", "orderId": "u-1", "orderLinkId": "bytelyst-bot-TRD-1", "price": "1", "qty": "2",
        "cumExecQty": "2", "cumExecValue": "2", "avgPrice": "1", "orderStatus": "Filled", "side": "Buy",
        "orderType": "Limit", "createdTime": str(NOW), "updatedTime": str(NOW), "timeInForce": "GTC",
    }  # fmt: skip
    for rows, found in (([row], True), ([], False)):
        with canned(bybit(rows)) as (url, _):
            account = venue(url, "bybit", secrets=SECRETS)
            spot_markets(account.client.first, contracts=False)
            account.client._loaded = True
            by_id = account.find_order("C00/USDT", "u-1", placed_ms=NOW)
            by_client = account.find_order("C00/USDT", None, "bytelyst-bot-TRD-1", placed_ms=NOW)
        assert (by_id.order is not None) is found
        assert by_client.order == by_id.order
        assert by_id.absent is not found


def test_an_exchange_that_nobody_knows_forgets_nobody_knows_when() -> None:
    account = venue("http://127.0.0.1:9", "bitvavo", secrets=SECRETS)
    from trueup.venues.ccxt.lookup import Lookup

    answer = Lookup(account.reader)._not_found(NOW)
    assert (answer.absent, "not known" in answer.why) == (False, True)
