"""alpaca-py's trading stream, unchanged but for its address: updates of what happens while it listens."""

import json
import threading
import time
from typing import Any

import pytest
from tests.sim.worlds import KEY, SECRET, alpaca_exchange, buy, sell

from trueup.sim.faults import Fault, FaultPlan
from trueup.sim.server import running
from trueup.sim.wire.alpaca import alpaca_app


def until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen in five seconds")


def test_the_stream_tells_what_happens_and_nothing_that_happened_before() -> None:
    from alpaca.trading.stream import TradingStream

    exchange, heard = alpaca_exchange(), list[Any]()
    buy(exchange, "AAPL", "1")

    async def hear(update: Any) -> None:
        heard.append(update)

    with running(alpaca_app(exchange)) as url:
        stream = TradingStream(KEY, SECRET, url_override=url.replace("http", "ws") + "/stream")
        stream.subscribe_trade_updates(hear)
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        until(lambda: exchange.listeners)
        order = sell(exchange, "AAPL", "3", client_order_id="heard")
        until(lambda: len(heard) == 2)
        stream.stop()
        buy(exchange, "AAPL", "1")  # the client looks whether it was stopped after each message
        thread.join(timeout=10)
    assert [str(update.event) for update in heard[:2]] == ["new", "fill"]
    assert (str(heard[1].order.id), heard[1].order.client_order_id) == (order.id, "heard")
    assert (heard[1].qty, heard[1].price, heard[1].position_qty) == (3, 200, -2)
    assert exchange.listeners == []


def test_a_wrong_key_hears_nothing() -> None:
    from websockets.sync.client import connect

    exchange = alpaca_exchange()
    with running(alpaca_app(exchange)) as url, connect(url.replace("http", "ws") + "/stream") as socket:
        socket.send('{"action": "authenticate", "data": {"key_id": "nobody", "secret_key": "x"}}')
        answer = socket.recv()
    assert isinstance(answer, bytes)
    assert json.loads(answer)["data"]["status"] == "unauthorized"
    assert exchange.listeners == []


def test_a_stream_that_breaks_off_loses_the_update_and_can_be_joined_again() -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    exchange, plan = alpaca_exchange(), FaultPlan(faults=[Fault(kind="reset", path="/stream", times=1)])
    with running(plan.wrap(alpaca_app(exchange))) as url:
        address = url.replace("http", "ws") + "/stream"
        with connect(address) as socket:
            join(socket)
            until(lambda: exchange.listeners)
            buy(exchange, "AAPL", "1")
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=5)
        until(lambda: not exchange.listeners)
        with connect(address) as socket:
            join(socket)
            until(lambda: exchange.listeners)
            order = sell(exchange, "AAPL", "1")
            told = json.loads(socket.recv(timeout=5))
    assert (told["data"]["event"], told["data"]["order"]["id"]) == ("new", order.id)
    assert [str(entry) for entry in plan.log] == ["1 reset WEBSOCKET /stream before an update"]


def join(socket: Any) -> None:
    socket.send(json.dumps({"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}))
    socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    answers = [json.loads(socket.recv(timeout=5)) for _ in range(2)]
    assert [answer["stream"] for answer in answers] == ["authorization", "listening"]
