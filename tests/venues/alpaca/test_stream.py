"""The stream of trade updates: a bell, and no source of truth."""

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.venues.alpaca.desk import KEY, SECRET, exchange, order
from websockets.sync.server import Server, ServerConnection, serve

from trueup.sim.server import running
from trueup.sim.wire.alpaca import alpaca_app
from trueup.venues.alpaca.stream import AlpacaStream, stream_url
from trueup.venues.calls.account import LiveAccount

WAIT_S = 8


class Bell:
    """A server of Alpaca's stream: it sends what it is told, and hangs up when told."""

    def __init__(self) -> None:
        self.to_send: queue.Queue[object] = queue.Queue()
        self.heard: list[object] = []
        self.connections = 0
        self.refuse = False

    def __call__(self, connection: ServerConnection) -> None:
        self.connections += 1
        self.heard.append(json.loads(connection.recv()))
        status = "unauthorized" if self.refuse else "authorized"
        connection.send(json.dumps({"stream": "authorization", "data": {"status": status, "action": "authenticate"}}))
        self.heard.append(json.loads(connection.recv()))
        while (message := self.to_send.get()) is not None:
            connection.send(message if isinstance(message, bytes) else json.dumps(message))


@contextmanager
def ringing() -> Iterator[tuple[Bell, str]]:
    bell = Bell()
    server: Server
    with serve(bell, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield bell, f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        for _ in range(5):
            bell.to_send.put(None)
        server.shutdown()
        thread.join()


class Woken:
    """What the stream called."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[str, ...]] = queue.Queue()
        self.broken = False

    def update(self, symbol: str, order_id: str) -> None:
        self.calls.put((symbol, order_id))
        if self.broken:
            raise RuntimeError(f"the listener broke over {SECRET}")

    def gap(self) -> None:
        self.calls.put(("gap",))

    def next(self) -> tuple[str, ...]:
        return self.calls.get(timeout=WAIT_S)


@contextmanager
def listening(url: str, woken: Woken) -> Iterator[AlpacaStream]:
    account = LiveAccount("main", secrets={"key": KEY, "secret": SECRET}, base_url=url, sandbox=True)
    stream = AlpacaStream(account, woken.update, woken.gap)
    stream.start()
    try:
        yield stream
    finally:
        began, thread = time.monotonic(), stream._thread
        assert thread is not None
        stream.stop()
        assert time.monotonic() - began < 4
        assert not thread.is_alive()


def update(order_id: str) -> dict[str, object]:
    return {"stream": "trade_updates", "data": {"event": "fill", "order": {"id": order_id, "symbol": "BTC/USD"}}}


def test_an_update_names_the_order_and_a_reconnect_asks_to_fill_the_gap() -> None:
    """The stream has no replay: what happened while it was away must be read over REST."""
    woken = Woken()
    with ringing() as (bell, url), listening(url, woken) as stream:
        assert woken.next() == ("gap",)
        bell.to_send.put(update("o-1"))
        assert woken.next() == ("BTC/USD", "o-1")
        bell.to_send.put(json.dumps(update("o-2")).encode())
        assert woken.next() == ("BTC/USD", "o-2")
        bell.to_send.put(None)
        assert woken.next() == ("gap",)
        bell.to_send.put(update("o-3"))
        assert woken.next() == ("BTC/USD", "o-3")
        assert bell.connections == 2
        assert stream.problem == ""


def test_an_order_at_the_exchange_wakes_the_reader() -> None:
    world = exchange()
    woken = Woken()
    with running(alpaca_app(world)) as url, listening(url, woken):
        assert [woken.next(), woken.next()] == [("gap",), ("gap",)]  # connected, and listening
        made = order(world)
        assert woken.next() == ("BTC/USD", made.id)


def test_of_two_streams_each_keeps_its_own_problem() -> None:
    woken = Woken()
    with ringing() as (_, away):
        pass
    with ringing() as (_, url), listening(url, woken) as well, listening(away, Woken()) as broken:
        assert woken.next() == ("gap",)
        until = time.monotonic() + WAIT_S
        while not broken.problem and time.monotonic() < until:
            time.sleep(0.01)
        assert broken.problem
        assert not well.problem


def test_an_update_of_an_unknown_shape_still_wakes() -> None:
    woken = Woken()
    with ringing() as (bell, url), listening(url, woken):
        assert woken.next() == ("gap",)
        bell.to_send.put({"stream": "trade_updates", "data": None})
        assert woken.next() == ("", "")


def test_a_listener_that_breaks_ends_nothing() -> None:
    woken = Woken()
    woken.broken = True
    with ringing() as (bell, url), listening(url, woken) as stream:
        assert woken.next() == ("gap",)
        bell.to_send.put(update("o-1"))
        bell.to_send.put(update("o-2"))
        assert [woken.next(), woken.next()] == [("BTC/USD", "o-1"), ("BTC/USD", "o-2")]
        until = time.monotonic() + WAIT_S
        while "the listener broke" not in stream.problem and time.monotonic() < until:
            time.sleep(0.01)
        assert "the listener broke" in stream.problem
        assert SECRET not in stream.problem


def test_a_refused_key_is_told_and_stops_cleanly(caplog: pytest.LogCaptureFixture) -> None:
    woken = Woken()
    with ringing() as (bell, url):
        bell.refuse = True
        with listening(url, woken) as stream:
            until = time.monotonic() + WAIT_S
            while not stream.problem and time.monotonic() < until:
                time.sleep(0.01)
            assert "failed to authenticate" in stream.problem
        assert woken.calls.empty()
    assert not any(SECRET in record.getMessage() for record in caplog.records)


def test_a_stream_that_nobody_serves_stops_cleanly() -> None:
    with ringing() as (_, url):
        pass
    with listening(url, Woken()) as stream:
        until = time.monotonic() + WAIT_S
        while not stream.problem and time.monotonic() < until:
            time.sleep(0.01)
        assert stream.problem


@pytest.mark.parametrize(
    ("base_url", "found"),
    [
        (None, None),
        ("https://paper-api.alpaca.markets/", "wss://paper-api.alpaca.markets/stream"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/stream"),
    ],
)
def test_the_streams_address_stands_beside_the_apis(base_url: str | None, found: str | None) -> None:
    assert stream_url(base_url) == found
