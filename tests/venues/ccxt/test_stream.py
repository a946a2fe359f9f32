"""Live events through ccxt.pro, unchanged but for its address, at a server that speaks Binance's user-data stream."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.sim.worlds import KEY, SECRET, spot_exchange
from tests.venues.ccxt.accounts import served, venue
from websockets.sync.server import ServerConnection, serve

from trueup.venues.ccxt import stream as module
from trueup.venues.ccxt.stream import CcxtStream, _moved, watching_method

WAIT_S = 30
REPORT = {
    "e": "executionReport", "E": 1, "s": "BTCUSDT", "c": "demo-1", "S": "BUY", "o": "MARKET", "f": "GTC", "q": "1.0",
    "p": "0", "P": "0", "F": "0", "g": -1, "C": "", "x": "TRADE", "X": "FILLED", "r": "NONE", "i": 4293153, "l": "1.0",
    "z": "1.0", "L": "100", "n": "0", "N": None, "T": 1, "t": 7, "I": 1, "w": False, "m": False, "M": True, "O": 1,
    "Z": "100", "Y": "100", "Q": "0",
}  # fmt: skip


class Desk:
    """Binance's ws-api: it takes a subscription by signature, sends what it is told, and hangs up when told."""

    def __init__(self) -> None:
        self.to_send: queue.Queue[object] = queue.Queue()
        self.asked: list[dict[str, Any]] = []
        self.refuse = ""

    def __call__(self, connection: ServerConnection) -> None:
        message = json.loads(connection.recv())
        self.asked.append(message)
        if self.refuse:
            error = {"code": -2015, "msg": self.refuse}
            connection.send(json.dumps({"id": message["id"], "status": 401, "error": error}))
            return
        connection.send(json.dumps({"id": message["id"], "status": 200, "result": {"subscriptionId": 0}}))
        while (event := self.to_send.get()) is not None:
            connection.send(json.dumps({"subscriptionId": 0, "event": event}))


class Woken:
    """What the stream called."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[str, ...]] = queue.Queue()

    def update(self, symbol: str, order_id: str) -> None:
        self.calls.put((symbol, order_id))

    def gap(self) -> None:
        self.calls.put(("gap",))

    def until(self, wanted: tuple[str, ...]) -> None:
        while self.calls.get(timeout=WAIT_S) != wanted:
            continue


@contextmanager
def listening(desk: Desk, woken: Woken, monkeypatch: pytest.MonkeyPatch) -> Iterator[CcxtStream]:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 0.1)
    with served(spot_exchange()) as url, serve(desk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        moved = module._moved
        monkeypatch.setattr(module, "_moved", lambda urls, account: _to_desk(moved(urls, account), port))
        stream = venue(url).stream(woken.update, woken.gap)
        assert isinstance(stream, CcxtStream)
        stream.start()
        try:
            yield stream
        finally:
            stream.stop()
            for _ in range(5):
                desk.to_send.put(None)
            server.shutdown()


def _to_desk(urls: Any, port: int) -> Any:
    if isinstance(urls, dict):
        return {name: _to_desk(url, port) for name, url in urls.items()}
    return f"ws://127.0.0.1:{port}/ws-api/v3" if isinstance(urls, str) and urls.startswith("ws") else urls


def test_an_execution_wakes_and_each_connection_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, woken = Desk(), Woken()
    with listening(desk, woken, monkeypatch) as stream:
        woken.until(("gap",))
        desk.to_send.put(REPORT)
        woken.until(("BTC/USDT", "4293153"))
        assert stream.problem == ""
        desk.to_send.put(None)  # it hangs up
        woken.until(("gap",))
        desk.to_send.put({**REPORT, "i": 5})
        woken.until(("BTC/USDT", "5"))
    assert [each["method"] for each in desk.asked] == ["userDataStream.subscribe.signature"] * 2
    assert desk.asked[0]["params"]["apiKey"] == KEY
    assert SECRET not in json.dumps(desk.asked)


def test_a_refusal_is_told_without_secrets_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, woken = Desk(), Woken()
    desk.refuse = f"Invalid API-key {KEY} with {SECRET}"
    with listening(desk, woken, monkeypatch) as stream:
        for _ in range(WAIT_S * 10):
            if "Invalid API-key" in stream.problem and len(desk.asked) > 1:
                break
            threading.Event().wait(0.1)
        assert "Invalid API-key" in stream.problem
        assert SECRET not in stream.problem
        assert KEY not in stream.problem
        desk.refuse = ""
        desk.to_send.put(REPORT)
        woken.until(("BTC/USDT", "4293153"))


def test_it_stops_at_once_though_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = venue("http://127.0.0.1:9").stream(lambda *_: None, lambda: None)
    assert made is not None
    made.start()
    made.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "ccxt-stream"]


def test_an_exchange_without_live_orders_has_no_stream() -> None:
    assert watching_method("binance") == "watch_orders"
    assert watching_method("btcmarkets") is None or watching_method("zaif") is None


def test_addresses_keep_their_paths_and_streams_stay_streams() -> None:
    account = venue("https://proxy.example/x").account
    urls = {"rest": "https://api.binance.com/api/v3", "ws": {"spot": "wss://stream.binance.com:9443/ws"}, "n": 1}
    assert _moved(urls, account) == {
        "rest": "https://proxy.example/x/api/v3", "ws": {"spot": "wss://proxy.example/x/ws"}, "n": 1,
    }  # fmt: skip
