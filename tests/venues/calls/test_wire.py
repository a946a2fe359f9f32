"""The wire: a request ends in time, also where bytes go on arriving, through each of the client libraries."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from tests.venues.alpaca import desk
from tests.venues.ccxt import accounts
from tests.venues.dripping import BODIES, dripping

from trueup.core.errors import CannotKnow
from trueup.venues.calls import wire
from trueup.venues.calls.wire import Wire, bound

CLIENTS: dict[str, Callable[..., Any]] = {
    "alpaca": lambda url, **more: desk.venue(url, attempts=1, **more),
    "binance": accounts.venue,
}


def session(timeout_s: float) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    bound(made, Wire(timeout_s))
    return made


def nobody_waits() -> None:
    """Let the threads of what was given up end: their connections are shut."""
    end = time.monotonic() + 5
    while any(thread.name.endswith("(_run)") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("start", BODIES.values(), ids=BODIES.keys())
def test_an_answer_that_drips_has_failed_when_its_time_is_over(start: bytes) -> None:
    """The trap: a timeout of requests begins anew with each byte, and an answer that is shut may look like its end."""
    with dripping(start) as (url, made), session(0.3) as asked:
        began = time.monotonic()
        with pytest.raises(requests.ReadTimeout, match=r"no whole answer within 0\.3 s"):
            asked.get(url)
        assert time.monotonic() - began < 2
        nobody_waits()
        assert len(made) == 1


@pytest.mark.parametrize("start", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("client", CLIENTS)
def test_a_venue_that_drips_is_given_up(client: str, start: bytes) -> None:
    """As each client library sends its requests, through the whole adapter."""
    with dripping(start) as (url, _):
        venue = CLIENTS[client](url, timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(CannotKnow, match=r"imed? ?out|no whole answer"):
            venue.read()
        assert time.monotonic() - began < 8
        nobody_waits()


def test_nothing_is_sent_after_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trap: a connection that is made too late would carry an order that was given up already."""
    late, new_connection = threading.Event(), wire.HTTPConnection._new_conn

    def slowly(connection: Any) -> socket.socket:
        late.wait(5)
        return new_connection(connection)

    monkeypatch.setattr(wire.HTTPConnection, "_new_conn", slowly)
    with socket.create_server(("127.0.0.1", 0)) as server, session(0.1) as asked:
        with pytest.raises(requests.ReadTimeout):
            asked.post(f"http://127.0.0.1:{server.getsockname()[1]}", data=b"order")
        late.set()
        client, _ = server.accept()
        with client:
            client.settimeout(5)
            assert client.recv(100) == b""
        nobody_waits()


def test_a_connection_is_kept_for_the_next_request() -> None:
    with desk.canned(desk.all_well()) as server, session(5) as asked:
        assert [asked.get(server.url + "/v2/clock").status_code for _ in range(3)] == [200] * 3
        pools = asked.get_adapter(server.url).poolmanager.pools
        [pool] = [pools.get(key) for key in list(pools.keys())]
        assert (pool.num_connections, pool.num_requests) == (1, 3)
