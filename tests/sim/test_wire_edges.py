"""What the wires answer at their edges: odd requests, odd orders, and what only some venues do."""

from decimal import Decimal
from typing import Any

import pytest
import requests
from tests.sim.worlds import (
    BOT,
    HEADERS,
    KEY,
    SECRET,
    alpaca,
    alpaca_exchange,
    binance,
    buy,
    futures_exchange,
    sell,
    spot_exchange,
)

from trueup.sim.exchange import NotAllowed, OrderRequest, Side, Status
from trueup.sim.server import running
from trueup.sim.wire.alpaca import alpaca_app
from trueup.sim.wire.binance import BinanceWire, binance_app


class Alpaca:
    """Asks a served exchange as any program might, without a client between."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        answer = requests.request(method, f"{self.url}/v2/{path}", headers=HEADERS, timeout=5, **more)
        return answer.status_code, answer.json() if answer.content else None


def test_alpaca_refuses_what_it_cannot_read() -> None:
    with running(alpaca_app(alpaca_exchange())) as url:
        ask = Alpaca(url)
        refused = [
            ask("POST", "orders", data=b"{")[0], ask("POST", "orders", data=b"[]")[0], ask("GET", "orders?status=x")[0],
            ask("GET", "orders?direction=up")[0], ask("GET", "orders?after=yesterday")[0],
            ask("GET", "account/activities?direction=up")[0], ask("GET", "account/activities?page_size=0")[0],
            ask("GET", "orders:by_client_order_id")[0], ask("GET", "orders:by_client_order_id?client_order_id=x")[0],
            ask("GET", "orders/nothing")[0], ask("GET", "assets/NONE")[0], ask("DELETE", "orders/nothing")[0],
        ]  # fmt: skip
    assert refused == [400, 400, 422, 422, 422, 422, 422, 422, 404, 404, 404, 404]


def test_alpaca_takes_a_sum_of_money_for_a_quantity() -> None:
    exchange = alpaca_exchange()
    order = {"symbol": "AAPL", "side": "buy", "type": "market", "time_in_force": "day", "notional": "50"}
    with running(alpaca_app(exchange)) as url:
        status, row = Alpaca(url)("POST", "orders", json=order)
        both = Alpaca(url)("POST", "orders", json=order | {"qty": "1"})
        odd = [Alpaca(url)("POST", "orders", json=order | change)[0] for change in ({"type": "x"}, {"side": "x"})]
    assert (status, row["qty"], row["notional"], row["filled_qty"]) == (200, None, "50", "0.25")
    assert (both[0], odd) == (422, [422, 422])


def test_alpaca_closes_a_part_of_a_position() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "8")
    with running(alpaca_app(exchange)) as url:
        ask = Alpaca(url)
        by_qty = ask("DELETE", "positions/AAPL?qty=3")[1]
        by_share = ask("DELETE", "positions/AAPL?percentage=20")[1]
        too_much = ask("DELETE", "positions/AAPL?qty=5")
    assert (by_qty["qty"], by_share["qty"], too_much[0]) == ("3", "1", 403)
    assert exchange.accounts[BOT].position("AAPL").qty == 4


def test_alpaca_says_canceled_of_an_ioc_order_that_did_not_fill() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1), time_in_force="ioc")
    rejected = exchange.reject(buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1)))
    expired = exchange.expire(buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1)))
    with alpaca(exchange) as client:
        rows = client.get("/orders", {"status": "closed", "direction": "asc"})
        with pytest.raises(Exception, match="already in"):
            client.cancel_order_by_id(expired.id)
    assert [row["status"] for row in rows] == ["canceled", "rejected", "expired"]
    assert rows[1]["failed_at"]
    assert rows[2]["expired_at"]
    assert rejected.status is Status.REJECTED


def test_alpaca_cancels_orders_before_it_closes_everything_if_asked() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "BTC/USD", "1")
    sell(exchange, "BTC/USD", "0.9", type="limit", limit_price=Decimal(200_000))
    with running(alpaca_app(exchange)) as url:
        blocked = Alpaca(url)("DELETE", "positions")[1]
        closed = Alpaca(url)("DELETE", "positions?cancel_orders=true")[1]
    assert ([row["status"] for row in blocked], [row["status"] for row in closed]) == ([403], [200])
    assert exchange.accounts[BOT].balance("BTC") == 0


def test_alpaca_keeps_accounts_apart() -> None:
    exchange = alpaca_exchange()
    exchange.open_account("other", "other-key", SECRET)
    order = buy(exchange, "AAPL", "1")
    theirs = HEADERS | {"APCA-API-KEY-ID": "other-key"}
    with running(alpaca_app(exchange)) as url:
        paths = (f"orders/{order.id}", "orders?status=all", "positions", "account/activities")
        answers = [requests.get(f"{url}/v2/{path}", headers=theirs, timeout=5) for path in paths]
    assert [answer.status_code for answer in answers] == [404, 200, 200, 200]
    assert [answer.json() for answer in answers[1:]] == [[], [], []]


def test_alpaca_s_replacement_of_an_order_that_is_gone_is_refused() -> None:
    exchange = alpaca_exchange()
    done = buy(exchange, "AAPL", "1")
    half = buy(exchange, "AAPL", "4", type="limit", limit_price=Decimal(100))
    exchange.fill(half, "2")
    with running(alpaca_app(exchange)) as url:
        gone = Alpaca(url)("PATCH", f"orders/{done.id}", json={"qty": "2"})
        less = Alpaca(url)("PATCH", f"orders/{half.id}", json={"qty": "2"})
    assert (gone[0], gone[1]["code"], less[0]) == (422, 42210000, 422)


def test_binance_takes_a_sum_of_money_and_answers_as_shortly_as_asked() -> None:
    exchange = spot_exchange()
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "5000"}
    with binance("binance", exchange) as client:
        full = client.privatePostOrder(order)
        short = client.privatePostOrder(order | {"newOrderRespType": "ACK"})
        prices = client.publicGetTickerPrice({"symbol": "ETHUSDT"})
        several = client.publicGetTickerPrice()
    assert (full["executedQty"], len(full["fills"])) == ("0.05000000", 1)
    assert sorted(short) == ["clientOrderId", "orderId", "orderListId", "symbol", "transactTime"]
    assert (prices["price"], len(several)) == ("3000.00000000", 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "ICEBERG"}, -1116), ({"side": "HOLD"}, -1117), ({"quantity": ""}, -1102), ({"quantity": "x"}, -1100),
        ({"type": "LIMIT"}, -1102), ({"symbol": "NONE"}, -1121), ({"recvWindow": "70000"}, -1131),
    ],
)  # fmt: skip
def test_binance_refuses_an_odd_order(change: dict[str, str], code: int) -> None:
    import ccxt

    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"} | change
    exchange = spot_exchange()
    with binance("binance", exchange) as client, pytest.raises(ccxt.BaseError, match=str(code)):
        client.privatePostOrder(order)
    assert exchange.orders == []


def test_binance_s_stop_order_waits_and_its_api_answers_small_questions() -> None:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    with binance("binance", exchange) as client:
        client.create_order("BTC/USDT", "limit", "sell", 0.4, 94_000, {"stopLossPrice": 95_000})
        (waiting,) = client.fetch_open_orders("BTC/USDT")
        exchange.set_price("BTCUSDT", "94500")
        (done,) = client.fetch_closed_orders("BTC/USDT", None, None)[1:]
        assert client.sapiGetAccountApiRestrictions()["enableWithdrawals"] is False
        assert client.fetch_status()["status"] == "ok"
        assert client.publicGetPing() == {}
        assert client.fetch_time() == exchange.now_ms
    assert (waiting["info"]["type"], waiting["triggerPrice"]) == ("STOP_LOSS_LIMIT", "95000.00000000")
    assert (done["average"], done["filled"]) == ("94500", "0.40000000")


def test_futures_answer_small_questions() -> None:
    exchange = futures_exchange()
    with binance("binanceusdm", exchange) as client:
        assert client.fapiPublicGetPing() == {}
        assert client.fetch_time() == exchange.now_ms
        assert client.fapiPublicGetPremiumIndex({"symbol": "BTCUSDT"})["markPrice"] == "100000.00000000"
        assert [row["symbol"] for row in client.fapiPublicGetTickerPrice()] == ["BTCUSDT"]
        assert client.set_leverage(20, "BTC/USDT:USDT")["leverage"] == 20
        assert client.fapiPrivateV2GetBalance()[0]["balance"] == "100000.00000000"
        (flat,) = client.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"})
        account = client.fapiPrivateV2GetAccount()
    assert (flat["positionAmt"], flat["leverage"]) == ("0.000", "10")
    assert (account["totalWalletBalance"], len(account["positions"])) == ("100000.00000000", 1)


def test_a_request_without_a_timestamp_is_refused_and_one_that_is_ahead() -> None:
    exchange = spot_exchange()
    with running(binance_app(exchange, BinanceWire())) as url:
        import ccxt

        client = ccxt.binance({"apiKey": KEY, "secret": SECRET})
        client.urls["api"]["private"] = f"{url}/api/v3"
        client.milliseconds = lambda: exchange.now_ms + 2_000
        client.nonce = client.milliseconds
        with pytest.raises(ccxt.InvalidNonce, match="ahead"):
            client.privateGetAccount()
        client.nonce = lambda: exchange.now_ms - 9_000
        assert client.privateGetAccount()["accountType"] == "SPOT"
        client.options["recvWindow"] = 8_000
        with pytest.raises(ccxt.InvalidNonce, match="recvWindow"):
            client.privateGetAccount()


def test_a_price_path_is_walked_step_by_step() -> None:
    exchange = alpaca_exchange()
    start = exchange.now_ms
    order = buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(195))
    exchange.walk("AAPL", iter([(1_000, Decimal(198)), (2_000, Decimal(194)), (500, Decimal(210))]))
    assert (order.status, exchange.fills[-1].time_ms - start) == (Status.FILLED, 3_000)
    assert (exchange.now_ms - start, exchange.prices["AAPL"]) == (3_500, 210)


def test_the_exchange_refuses_to_reduce_what_is_not_there_and_two_working_orders_of_one_name() -> None:
    exchange = futures_exchange()
    with pytest.raises(NotAllowed, match="nothing to reduce"):
        sell(exchange, "BTCUSDT", "0.1", reduce_only=True)
    waiting = OrderRequest(
        symbol="BTCUSDT", side=Side.BUY, qty=Decimal("0.1"), type="limit", limit_price=Decimal(1), client_order_id="one"
    )
    exchange.submit(BOT, waiting)
    with pytest.raises(NotAllowed, match="unique"):
        exchange.submit(BOT, waiting)
