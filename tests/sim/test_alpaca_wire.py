"""alpaca-py's own client, unchanged but for its address, against the simulated exchange."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from tests.sim.worlds import BOT, HEADERS, KEY, SECRET, alpaca, alpaca_exchange, buy, sell

from trueup.core.times import iso, read_time
from trueup.sim.exchange import Exchange, Status
from trueup.sim.server import running
from trueup.sim.wire.alpaca import AlpacaWire, alpaca_app


def history(count: int, **more: Any) -> Exchange:
    exchange = alpaca_exchange(**more)
    for number in range(count):
        (buy if number % 2 == 0 else sell)(exchange, "AAPL", "1", client_order_id=f"order-{number}")
        exchange.advance(1_000)
    return exchange


def test_the_account_and_its_positions_read_as_typed_models() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "BTC/USD", "0.5")
    sell(exchange, "AAPL", "10")
    with alpaca(exchange, raw=False) as client:
        account, (coin, share) = client.get_account(), client.get_all_positions()
    assert (account.cash, account.equity) == ("952000", "999875")
    assert (coin.symbol, coin.qty, coin.side.value) == ("BTCUSD", "0.49875", "long")
    assert (share.symbol, share.qty, share.side.value) == ("AAPL", "-10", "short")


def test_one_position_is_found_by_either_name_and_a_flat_one_is_404() -> None:
    from alpaca.common.exceptions import APIError

    exchange = alpaca_exchange()
    buy(exchange, "BTC/USD", "0.5")
    with alpaca(exchange) as client:
        assert client.get_open_position("BTCUSD")["asset_id"] == client.get("/positions/BTC/USD")["asset_id"]
        with pytest.raises(APIError) as error:
            client.get_open_position("AAPL")
    assert (error.value.code, error.value.status_code) == (40410000, 404)


def test_an_order_is_given_replaced_and_canceled() -> None:
    from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest

    exchange = alpaca_exchange()
    with alpaca(exchange, raw=False) as client:
        order = client.submit_order(
            LimitOrderRequest(
                symbol="BTCUSD", qty=1, side="buy", time_in_force="gtc", limit_price=90_000, client_order_id="mine"
            )
        )
        new = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=2, limit_price=91_000))
        old = client.get_order_by_client_id("mine")
        client.cancel_order_by_id(new.id)
        gone = client.get_order_by_id(new.id)
    assert (old.status.value, old.replaced_by, new.replaces, new.symbol) == ("replaced", new.id, order.id, "BTC/USD")
    assert (gone.status.value, gone.qty, gone.limit_price) == ("canceled", "2", "91000")
    assert [order.status for order in exchange.orders] == [Status.REPLACED, Status.CANCELED]


def test_a_subtag_comes_back_with_the_order() -> None:
    exchange = alpaca_exchange()
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day", "subtag": "a:b:c"}
    with alpaca(exchange) as client:
        assert client.post("/orders", body)["subtag"] == "a:b:c"
        assert client.get("/orders", {"status": "all"})[0]["subtag"] == "a:b:c"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market"}, 422, 40010001),
        ({"symbol": "NONE", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}, 422, 42210000),
        ({"symbol": "AAPL", "qty": "9999", "side": "buy", "type": "market", "time_in_force": "day"}, 403, 40310000),
        ({"symbol": "AAPL", "qty": "x", "side": "buy", "type": "market", "time_in_force": "day"}, 422, 40010001),
        ({"symbol": "AAPL", "side": "buy", "type": "limit", "time_in_force": "day", "qty": "1"}, 422, 40010001),
    ],
)
def test_a_wrong_order_is_refused_in_alpaca_s_words(body: dict[str, str], status: int, code: int) -> None:
    with alpaca(alpaca_exchange()) as client:
        answer = requests.post(f"{client._base_url}/v2/orders", json=body, headers=HEADERS, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_client_order_id_is_never_used_twice() -> None:
    from alpaca.common.exceptions import APIError
    from alpaca.trading.requests import MarketOrderRequest

    request = MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day", client_order_id="once")
    with alpaca(alpaca_exchange()) as client:
        client.submit_order(request)
        with pytest.raises(APIError, match="must be unique"):
            client.submit_order(request)


def test_orders_come_newest_first_between_bounds_that_are_left_out() -> None:
    exchange = history(6, micros=False)
    moments = [iso(order.created_ms) for order in exchange.orders]
    with alpaca(exchange) as client:
        found = client.get("/orders", {"status": "all", "after": moments[1], "until": moments[4]})
        first = client.get("/orders", {"status": "all", "direction": "asc", "limit": 2})
        default = client.get("/orders")
    assert [order["client_order_id"] for order in found] == ["order-3", "order-2"]
    assert [order["client_order_id"] for order in first] == ["order-0", "order-1"]
    assert default == []


def test_order_pages_are_no_longer_than_the_wire_allows() -> None:
    with alpaca(history(8), AlpacaWire(orders_limit=5, orders_default=3)) as client:
        base = f"{client._base_url}/v2/orders?status=all"
        answers = [requests.get(base + more, headers=HEADERS, timeout=5) for more in ("", "&limit=5", "&limit=6")]
    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert [len(answer.json()) for answer in answers[:2]] == [3, 5]


def test_orders_are_filtered_by_status_symbol_and_side() -> None:
    exchange = history(4)
    buy(exchange, "BTC/USD", "0.1")
    buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1))
    with alpaca(exchange) as client:
        counts = [
            len(client.get("/orders", query))
            for query in (
                {"status": "open"}, {"status": "closed"}, {"status": "all", "symbols": "BTCUSD"},
                {"status": "all", "side": "sell"},
            )
        ]  # fmt: skip
    assert counts == [1, 5, 1, 2]


def test_legs_stand_in_their_order_only_when_nested_and_share_its_moment() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "AAPL", "1", take_profit=Decimal(250), stop_loss=Decimal(150))
    with alpaca(exchange) as client:
        flat = client.get("/orders", {"status": "all"})
        (nested,) = client.get("/orders", {"status": "all", "nested": True})
    assert len({row["submitted_at"] for row in flat}) == 1
    assert len(flat) == 3
    assert [leg["type"] for leg in nested["legs"]] == ["limit", "stop"]


def activity_pages(client: Any, direction: str, size: int) -> Iterator[list[dict[str, Any]]]:
    query: dict[str, Any] = {"direction": direction, "page_size": size}
    while page := client.get("/account/activities/FILL", query):
        yield page
        query["page_token"] = page[-1]["id"]


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_activities_page_by_the_last_id_without_loss_or_repetition(direction: str, size: int) -> None:
    exchange = history(10)
    with alpaca(exchange) as client:
        pages = list(activity_pages(client, direction, size))
    ids = [row["id"] for page in pages for row in page]
    assert ids == [fill.id for fill in exchange.fills][:: 1 if direction == "asc" else -1]
    assert all(len(page) == size for page in pages[:-1])


def test_one_date_s_activities_come_all_at_once_and_without_bounds() -> None:
    exchange = history(5)
    date = iso(exchange.now_ms)[:10]
    with alpaca(exchange, AlpacaWire(activities_limit=2)) as client:
        base = f"{client._base_url}/v2/account/activities/FILL?date={date}"
        answers = [
            requests.get(base + more, headers=HEADERS, timeout=5) for more in ("", "&page_size=3", f"&after={date}")
        ]
    assert [len(answer.json()) for answer in answers[:2]] == [5, 3]
    assert answers[2].status_code == 422


@pytest.mark.parametrize(
    ("moment", "prefix"),
    [
        ("2019-05-24T15:34:06.977Z", "20190524113406977"), ("2026-03-08T06:59:59.999Z", "20260308015959999"),
        ("2026-03-08T07:00:00.000Z", "20260308030000000"), ("2026-11-01T05:30:00.000Z", "20261101013000000"),
        ("2026-11-01T06:30:00.000Z", "20261101013000000"),
    ],
)  # fmt: skip
def test_an_activity_s_id_begins_with_new_york_s_time(moment: str, prefix: str) -> None:
    exchange = Exchange(read_time(moment))
    exchange.open_account(BOT, KEY, SECRET)
    event = exchange.deposit(BOT, "USD", "1")
    assert event.id.partition("::")[0] == prefix


def test_a_partial_fill_says_what_it_leaves() -> None:
    exchange = alpaca_exchange()
    order = buy(exchange, "AAPL", "10", type="limit", limit_price=Decimal(190))
    exchange.fill(order, "4")
    exchange.advance(1)
    exchange.fill(order, "6")
    with alpaca(exchange) as client:
        rows = client.get("/account/activities/FILL", {"direction": "asc"})
    assert [(row["type"], row["cum_qty"], row["leaves_qty"], row["order_status"]) for row in rows] == [
        ("partial_fill", "4", "6", "partially_filled"),
        ("fill", "10", "0", "filled"),
    ]


def test_activities_are_read_as_typed_models_and_bounded() -> None:
    from alpaca.trading.models import NonTradeActivity, TradeActivity

    exchange = alpaca_exchange()
    buy(exchange, "BTC/USD", "0.5")
    exchange.advance(60_000)
    buy(exchange, "AAPL", "4")
    exchange.split("AAPL", 2)
    exchange.dividend("AAPL", "0.25")
    with alpaca(exchange) as client:
        rows = client.get("/account/activities", {"after": iso(exchange.now_ms - 1)})
        fees = client.get("/account/activities", {"activity_types": "CFEE"})
        others = client.get("/account/activities", {"category": "non_trade_activity", "direction": "asc"})
        none = client.get("/account/activities", {"until": iso(exchange.now_ms - 60_000), "activity_types": "DIV"})
    assert sorted(row["activity_type"] for row in rows) == ["DIV", "FILL", "SPLIT"]
    assert [(fee["qty"], fee["symbol"]) for fee in fees] == [("-0.00125", "BTCUSD")]
    assert {row["activity_type"] for row in others} == {"CSD", "CFEE", "SPLIT", "DIV"}
    assert none == []
    (row,) = (row for row in others if row["activity_type"] == "SPLIT")
    split = NonTradeActivity(account_id=exchange.orders[0].id, **row)
    assert (split.qty, str(split.date)) == (4, iso(exchange.now_ms)[:10])
    (fill,) = (row for row in rows if row["activity_type"] == "FILL")
    assert TradeActivity(account_id=exchange.orders[0].id, **fill).order_status.value == "filled"


def test_closing_positions_and_canceling_all_orders_answer_207() -> None:
    exchange = alpaca_exchange()
    buy(exchange, "BTC/USD", "0.5")
    buy(exchange, "AAPL", "3")
    buy(exchange, "AAPL", "1", type="limit", limit_price=Decimal(1))
    with alpaca(exchange, raw=False) as client:
        (canceled,) = client.cancel_orders()
        assert canceled.status == 200
        order = client.close_position("AAPL")
        (closed,) = client.close_all_positions()
        assert client.get_all_positions() == []
    assert (order.qty, closed.symbol, closed.body.qty) == ("3", "BTCUSD", "0.49875")
    assert exchange.accounts[BOT].balance("BTC") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 403), (HEADERS | {"APCA-API-KEY-ID": "nobody"}, 403), (HEADERS | {"APCA-API-SECRET-KEY": "no"}, 401)],
)
def test_a_wrong_key_is_refused(headers: dict[str, str], status: int) -> None:
    with running(alpaca_app(alpaca_exchange())) as url:
        assert requests.get(f"{url}/v2/account", headers=headers, timeout=5).status_code == status


def test_too_many_requests_are_429_and_counted_in_the_headers() -> None:
    with running(alpaca_app(alpaca_exchange(), AlpacaWire(requests_per_minute=2))) as url:
        answers = [requests.get(f"{url}/v2/clock", headers=HEADERS, timeout=5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers.get("X-RateLimit-Remaining") for answer in answers[:2]] == ["1", "0"]


def test_the_clock_and_the_assets_read_as_typed_models() -> None:
    exchange = alpaca_exchange()
    with alpaca(exchange, raw=False) as client:
        assert client.get_clock().timestamp.timestamp() * 1000 == exchange.now_ms
        assert {asset.symbol for asset in client.get_all_assets()} == {"BTC/USD", "AAPL"}
        assert client.get_asset("BTC/USD").asset_class.value == "crypto"
        assert client.get_account_configurations().suspend_trade is False


def test_what_alpaca_does_not_offer_is_404_in_its_words() -> None:
    with running(alpaca_app(alpaca_exchange())) as url:
        answer = requests.get(f"{url}/v2/nothing", headers=HEADERS, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)


def test_the_same_seed_and_calls_give_the_same_bytes() -> None:
    def world() -> list[bytes]:
        paths = ("account", "positions", "orders?status=all", "account/activities", "assets", "clock")
        with running(alpaca_app(history(5, seed=3))) as url:
            return [requests.get(f"{url}/v2/{path}", headers=HEADERS, timeout=5).content for path in paths]

    assert world() == world()
