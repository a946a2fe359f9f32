"""ccxt's own binance client, unchanged but for its address, against the simulated exchange."""

from decimal import Decimal
from typing import Any

import pytest
import requests
from tests.sim.worlds import BOT, KEY, NOW, SECRET, binance, buy, ccxt_client, futures_exchange, sell, spot_exchange

from trueup.sim.exchange import Exchange
from trueup.sim.server import running
from trueup.sim.wire.binance import DAY_MS, BinanceWire, binance_app


def history(count: int, step_ms: int = 1_000) -> Exchange:
    exchange = spot_exchange()
    for number in range(count):
        exchange.advance(step_ms)
        buy(exchange, "BTCUSDT", "0.1", client_order_id=f"order-{number}")
    return exchange


def test_markets_currencies_and_balances_load() -> None:
    exchange = spot_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    sell(exchange, "BTCUSDT", "0.2", type="limit", limit_price=Decimal(120_000))
    with binance("binance", exchange, futures=futures_exchange()) as client:
        assert set(client.load_markets()) == {"BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"}
        balance = client.fetch_balance()
    assert set(client.currencies) >= {"BTC", "ETH", "USDT"}
    assert balance["total"] == {"BTC": "0.4995", "USDT": "950000"}
    assert balance["used"]["BTC"] == "0.20000000"


def test_a_fee_in_base_is_named_with_each_trade() -> None:
    exchange = spot_exchange(depth="0.2")
    with binance("binance", exchange) as client:
        order = client.create_order("BTC/USDT", "market", "buy", 0.5)
        trades = client.fetch_my_trades("BTC/USDT")
    assert (order["status"], order["filled"], order["fee"]["currency"]) == ("closed", "0.50000000", "BTC")
    assert [(trade["amount"], trade["fee"]) for trade in trades][-1] == (
        "0.10000000",
        {"cost": "0.00010000", "currency": "BTC"},
    )
    assert {trade["order"] for trade in trades} == {order["id"]}
    assert exchange.accounts[BOT].balance("BTC") == Decimal("0.4995")


def test_an_order_is_given_found_and_canceled() -> None:
    exchange = spot_exchange()
    with binance("binance", exchange) as client:
        params = {"clientOrderId": "mine"}
        order = client.create_order("BTC/USDT", "limit", "buy", 0.5, 90_000, params)
        found = client.fetch_order(None, "BTC/USDT", {"origClientOrderId": "mine"})
        (working,) = client.fetch_open_orders("BTC/USDT")
        client.cancel_order(order["id"], "BTC/USDT")
        gone = client.fetch_order(order["id"], "BTC/USDT")
        client.create_order("BTC/USDT", "limit", "buy", 0.5, 90_000)
        everything = client.cancel_all_orders("BTC/USDT")
    assert found["id"] == working["id"] == order["id"]
    assert (gone["status"], gone["clientOrderId"], len(everything)) == ("canceled", "mine", 1)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_trades_and_orders_page_by_id_upwards(size: int) -> None:
    exchange = history(10)
    with binance("binance", exchange, trades_limit=size, orders_limit=size) as client:
        trades, orders = (
            by_id(client.privateGetMyTrades, "fromId", "id"),
            by_id(client.privateGetAllOrders, "orderId", "orderId"),
        )
        newest = client.privateGetMyTrades({"symbol": "BTCUSDT"})
    assert trades == [fill.number for fill in exchange.fills]
    assert orders == [int(order.id) for order in exchange.orders]
    assert [int(row["id"]) for row in newest] == trades[-size:]


def by_id(endpoint: Any, name: str, field: str) -> list[int]:
    """Read everything from the first id on, page after page."""
    found: list[int] = []
    while page := endpoint({"symbol": "BTCUSDT", name: found[-1] + 1 if found else 0}):
        found += [int(row[field]) for row in page]
    return found


def test_a_window_holds_both_its_bounds_and_is_a_day_at_most() -> None:
    import ccxt

    exchange = history(5)
    with binance("binance", exchange) as client:
        window = {"symbol": "BTCUSDT", "startTime": NOW + 2_000, "endTime": NOW + 4_000}
        assert [int(row["time"]) for row in client.privateGetMyTrades(window)] == [
            NOW + 2_000,
            NOW + 3_000,
            NOW + 4_000,
        ]
        assert len(client.privateGetAllOrders(window)) == 3
        too_long = window | {"endTime": NOW + 2_000 + DAY_MS + 1}
        with pytest.raises(ccxt.BadRequest, match="-1127"):
            client.privateGetMyTrades(too_long)
        with pytest.raises(ccxt.BadRequest, match="-1127"):
            client.privateGetAllOrders(too_long)


def test_one_order_s_trades_are_found_by_its_id() -> None:
    exchange = history(3)
    with binance("binance", exchange) as client:
        (trade,) = client.privateGetMyTrades({"symbol": "BTCUSDT", "orderId": exchange.orders[1].id})
    assert int(trade["orderId"]) == int(exchange.orders[1].id)


def test_wrong_requests_are_refused_in_binance_s_words() -> None:
    import ccxt

    both = {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}
    with binance("binance", spot_exchange()) as client:
        client.load_markets()
        wrong = (
            (ccxt.BadRequest, "-1102", lambda: client.privateGetMyTrades({})),
            (ccxt.BadSymbol, "-1121", lambda: client.privateGetMyTrades({"symbol": "NONE"})),
            (ccxt.OrderNotFound, "-2013", lambda: client.fetch_order("5", "BTC/USDT")),
            (ccxt.OrderNotFound, "-2011|Unknown order", lambda: client.cancel_order("5", "BTC/USDT")),
            (ccxt.InsufficientFunds, "insufficient", lambda: client.create_order("BTC/USDT", "market", "sell", 5)),
            (ccxt.InvalidOrder, "LOT_SIZE", lambda: client.privatePostOrder(order(quantity="0.000001"))),
            (ccxt.BadRequest, "-1100", lambda: client.privatePostOrder(order(newClientOrderId="x" * 37))),
            (ccxt.BadRequest, "-1128", lambda: client.privateGetMyTrades(both)),
        )  # fmt: skip
        for error, words, call in wrong:
            with pytest.raises(error, match=words):
                call()


def order(**more: str) -> dict[str, str]:
    return {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"} | more


@pytest.mark.parametrize(("name", "value", "words"), [("apiKey", "nobody", "-2015"), ("secret", "wrong", "-1022")])
def test_a_wrong_key_or_signature_is_refused(name: str, value: str, words: str) -> None:
    import ccxt

    with running(binance_app(spot_exchange(), BinanceWire(check_time=False))) as url:
        client = ccxt_client("binance", url, **{name: value})
        with pytest.raises((ccxt.AuthenticationError, ccxt.DDoSProtection), match=words):
            client.fetch_balance()


def test_a_timestamp_that_is_off_is_refused_unless_the_client_asks_for_the_time() -> None:
    import ccxt

    with running(binance_app(spot_exchange())) as url:
        client = ccxt_client("binance", url)
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            client.fetch_balance()
        client.load_time_difference()
        assert client.fetch_balance()["total"]["USDT"] == "1000000"


def test_an_unsigned_request_is_refused_and_weights_are_counted() -> None:
    with running(binance_app(spot_exchange(), BinanceWire(weight_per_minute=41))) as url:
        first = requests.get(f"{url}/api/v3/account", timeout=5)
        second = requests.get(f"{url}/api/v3/account", headers={"X-MBX-APIKEY": KEY}, timeout=5)
        third = requests.get(f"{url}/api/v3/account", headers={"X-MBX-APIKEY": KEY}, timeout=5)
    assert [answer.json()["code"] for answer in (first, second, third)] == [-2014, -1102, -1003]
    assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in (first, second, third)] == ["20", "40", "60"]
    assert (third.status_code, int(third.headers["Retry-After"]) > 0) == (429, True)
    assert SECRET not in first.text


def test_the_same_calls_give_the_same_bytes() -> None:
    def world() -> list[str]:
        with binance("binance", history(4)) as client:
            calls = (
                client.privateGetAccount, lambda: client.privateGetAllOrders({"symbol": "BTCUSDT"}),
                lambda: client.privateGetMyTrades({"symbol": "BTCUSDT"}), client.publicGetExchangeInfo,
                lambda: client.privatePostOrder(order(newClientOrderId="mine")),
            )  # fmt: skip
            return [client.last_http_response for call in calls if call()]

    first = world()
    assert len(first) == 5
    assert world() == first
