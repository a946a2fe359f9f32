"""ccxt's own binanceusdm and binance clients against the contracts of the simulated exchange."""

from decimal import Decimal

import pytest
from tests.sim.worlds import BOT, binance, buy, futures_exchange, sell

from trueup.sim.exchange import Leg, Origin
from trueup.sim.wire.binance import DAY_MS

SWAP, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"


def test_a_short_is_opened_read_and_reduced() -> None:
    exchange = futures_exchange()
    with binance("binanceusdm", exchange) as client:
        order = client.create_order(SWAP, "market", "sell", 0.5)
        (position,) = client.fetch_positions()
        balance = client.fetch_balance()["total"]
        client.create_order(SWAP, "market", "buy", 0.9, None, {"reduceOnly": True})
        assert client.fetch_positions() == []
    assert (order["status"], order["average"], order["filled"]) == ("closed", "100000.00000000", "0.500")
    assert (position["side"], position["contracts"], position["markPrice"]) == ("short", "0.5", "100000.00000000")
    assert balance == {"USDT": "99975.00000000"}
    assert (exchange.orders[-1].executed, exchange.orders[-1].status.value) == (Decimal("0.5"), "expired")


def test_hedge_mode_has_two_legs() -> None:
    exchange = futures_exchange(hedged=True)
    with binance("binanceusdm", exchange) as client:
        client.create_order(SWAP, "market", "buy", 0.5, None, {"positionSide": "LONG"})
        client.create_order(SWAP, "market", "sell", 0.2, None, {"positionSide": "SHORT"})
        legs = {row["info"]["positionSide"]: row["info"]["positionAmt"] for row in client.fetch_positions()}
        assert client.fetch_position_mode()["hedged"] is True
        trades = client.fetch_my_trades(SWAP)
    assert legs == {"LONG": "0.500", "SHORT": "-0.200"}
    assert [trade["info"]["positionSide"] for trade in trades] == ["LONG", "SHORT"]


def test_an_order_of_the_wrong_position_side_is_refused() -> None:
    import ccxt

    with (
        binance("binanceusdm", futures_exchange(hedged=True)) as client,
        pytest.raises(ccxt.ExchangeError, match="-4061"),
    ):
        client.create_order(SWAP, "market", "buy", 0.5)


def test_what_the_exchange_closed_stands_among_orders_trades_and_forced_orders() -> None:
    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    for origin in (Origin.LIQUIDATION, Origin.ADL, Origin.SETTLEMENT):
        exchange.close_by_force(BOT, "BTCUSDT", qty=Decimal("0.1"), origin=origin)
    with binance("binanceusdm", exchange) as client:
        names = [order["clientOrderId"] for order in client.fetch_orders(SWAP)][1:]
        (liquidation,) = client.fetch_my_liquidations(SWAP)
        forced = client.fapiPrivateGetForceOrders({})
        trades = client.fetch_my_trades(SWAP)
    assert [name.split("-")[0] for name in names] == ["autoclose", "adl_autoclose", "settlement_autoclose"]
    assert (liquidation["contracts"], liquidation["side"]) == ("0.100", "sell")
    assert [row["clientOrderId"] for row in forced] == [names[1], names[0]]
    assert len(trades) == 4


def test_income_names_fees_funding_profit_and_transfers() -> None:
    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    exchange.set_price("BTCUSDT", "110000")
    exchange.fund("BTCUSDT", "0.0001")
    sell(exchange, "BTCUSDT", "0.5")
    with binance("binanceusdm", exchange) as client:
        rows = client.fapiPrivateGetIncome({})
        (funding,) = client.fetch_funding_history(SWAP)
    kinds = {row["incomeType"]: row["income"] for row in rows if row["asset"] == "USDT"}
    assert kinds == {
        "TRANSFER": "100000.00000000", "COMMISSION": "-27.50000000", "FUNDING_FEE": "-5.50000000",
        "REALIZED_PNL": "5000.00000000",
    }  # fmt: skip
    assert funding["amount"] == "-5.50000000"


def test_windows_are_seven_days_and_what_is_older_than_the_memory_is_gone() -> None:
    import ccxt

    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.1")
    exchange.cancel(buy(exchange, "BTCUSDT", "0.1", type="limit", limit_price=Decimal(50_000)))
    born = exchange.now_ms
    with binance("binanceusdm", exchange) as client:
        window = {"symbol": "BTCUSDT", "startTime": born, "endTime": born + 7 * DAY_MS}
        too_long = window | {"endTime": born + 7 * DAY_MS + 1}
        seen = []
        for days in (0, 4, 4, 83):
            exchange.advance(days * DAY_MS)
            counts = [len(client.fapiPrivateGetAllOrders(query)) for query in (window, {"symbol": "BTCUSDT"})]
            seen.append((*counts, len(client.fapiPrivateGetUserTrades(window))))
        with pytest.raises(ccxt.ExchangeError, match="-4165"):
            client.fapiPrivateGetUserTrades(too_long)
    assert seen == [(2, 2, 1), (1, 1, 1), (1, 0, 1), (0, 0, 0)]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_trades_page_by_id_upwards(size: int) -> None:
    exchange = futures_exchange()
    for _ in range(7):
        buy(exchange, "BTCUSDT", "0.001")
    found: list[int] = []
    with binance("binanceusdm", exchange, trades_limit=size) as client:
        while page := client.fapiPrivateGetUserTrades({"symbol": "BTCUSDT", "fromId": len(found) + 1}):
            found += [int(row["id"]) for row in page]
    assert found == [fill.number for fill in exchange.fills]


def test_inverse_contracts_settle_in_their_base() -> None:
    exchange = futures_exchange()
    with binance("binance", exchange) as client:
        order = client.create_order(INVERSE, "market", "buy", 3)
        exchange.set_price("BTCUSD_PERP", "120000")
        (position,) = client.fetch_positions([INVERSE], {"subType": "inverse"})
        balance = client.fetch_balance({"type": "delivery", "subType": "inverse"})
    assert (order["status"], order["cost"]) == ("closed", "0.00300000")
    assert (position["contracts"], position["contractSize"], position["side"]) == ("3", "100", "long")
    assert Decimal(position["unrealizedPnl"]) == Decimal("0.0005")
    assert Decimal(balance["total"]["BTC"]) == 2 - Decimal("0.0000015") + Decimal("0.0005")


def test_the_position_mode_changes_only_while_flat() -> None:
    import ccxt

    exchange = futures_exchange()
    with binance("binanceusdm", exchange) as client:
        client.set_position_mode(True)
        assert exchange.accounts[BOT].hedged
        buy(exchange, "BTCUSDT", "0.1", leg=Leg.LONG)
        with pytest.raises(ccxt.ExchangeError, match="-4068"):
            client.set_position_mode(False)


def test_one_order_is_found_and_canceled_by_either_name() -> None:
    import ccxt

    exchange = futures_exchange()
    with binance("binanceusdm", exchange) as client:
        order = client.create_order(SWAP, "limit", "buy", 0.5, 90_000, {"clientOrderId": "mine"})
        assert client.fetch_order(None, SWAP, {"origClientOrderId": "mine"})["id"] == order["id"]
        assert [row["id"] for row in client.fetch_open_orders(SWAP)] == [order["id"]]
        assert client.cancel_order(order["id"], SWAP)["status"] == "canceled"
        client.create_order(SWAP, "limit", "buy", 0.5, 90_000)
        client.cancel_all_orders(SWAP)
        assert client.fetch_open_orders(SWAP) == []
        with pytest.raises(ccxt.OrderNotFound):
            client.fetch_order("99", SWAP)


def test_a_conditional_order_stands_apart_until_it_triggers() -> None:
    exchange = futures_exchange()
    buy(exchange, "BTCUSDT", "0.5")
    with binance("binanceusdm", exchange) as client:
        stop = client.create_order(SWAP, "market", "sell", 0.5, None, {"stopLossPrice": 95_000, "reduceOnly": True})
        take = client.create_order(SWAP, "limit", "sell", 0.5, 110_000, {"takeProfitPrice": 109_000})
        assert client.fetch_open_orders(SWAP) == []
        waiting = client.fetch_open_orders(SWAP, None, None, {"trigger": True})
        client.cancel_order(take["id"], SWAP, {"trigger": True})
        exchange.set_price("BTCUSDT", "94000")
        done = client.fetch_order(stop["id"], SWAP, {"trigger": True})
        orders = client.fetch_orders(SWAP)
        everything = client.fetch_orders(SWAP, None, None, {"trigger": True})
    assert [(order["id"], order["triggerPrice"]) for order in waiting] == [
        (stop["id"], "95000.0"),
        (take["id"], "109000.0"),
    ]
    assert [order["status"] for order in everything] == ["closed", "canceled"]
    assert (done["info"]["actualOrderId"], orders[-1]["average"]) == (orders[-1]["id"], "94000.00000000")
    kinds = [(order["info"]["type"], order["info"]["origType"]) for order in orders]
    assert kinds == [("MARKET", "MARKET"), ("MARKET", "STOP_MARKET")]
    assert exchange.accounts[BOT].position("BTCUSDT").qty == 0
