"""Why a request got no answer: said in a few words, through each client library, and without its internals."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
from tests.venues.alpaca import desk
from tests.venues.ccxt import accounts

from trueup.core.errors import CannotKnow
from trueup.venues.calls.causes import cause_of, timed_out, without_page

CLIENTS: dict[str, Callable[..., Any]] = {"alpaca": desk.venue, "binance": accounts.venue}
INTERNALS = ("HTTPConnection", "object at 0x", "Max retries", "NetworkError", "Traceback", "Errno", "_ssl", "urllib3")


@pytest.fixture
def closed() -> str:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("http://{closed}", "connection refused"), ("https://{plain}", "TLS: "),
        ("http://no-such-host.invalid", "the host's name is not known (DNS)"), ("http://{silent}", "timed out: no "),
    ],
)  # fmt: skip
def test_the_cause_is_said_in_one_short_sentence(
    client: str, address: str, cause: str, closed: str, silent: str
) -> None:
    with desk.canned(desk.all_well()) as server:
        url = address.format(closed=closed, silent=silent, plain=server.url.removeprefix("http://"))
        venue = CLIENTS[client](url, timeout_s=0.3)
        with pytest.raises(CannotKnow) as caught:
            venue.read()
    assert cause in caught.value.what
    assert not [word for word in INTERNALS if word in caught.value.what]
    assert len(caught.value.what) < 300


@pytest.mark.parametrize("client", ["alpaca", "binance"])
def test_a_venue_that_never_answers_is_given_up_after_about_three_timeouts(client: str, silent: str) -> None:
    account = LIVE[client](f"http://{silent}", 0.4)
    began = time.monotonic()
    with pytest.raises(CannotKnow):
        account.read()
    assert account_calls(account) <= 3
    assert time.monotonic() - began < 3 * 0.4 + 3


def alpaca_as_built(url: str, timeout_s: float) -> Any:
    from trueup.venues.alpaca import AlpacaVenue
    from trueup.venues.calls.account import LiveAccount

    secrets = {"key": "PK-never-answers", "secret": "hush-hush"}
    return AlpacaVenue(LiveAccount("main", secrets=secrets, base_url=url, timeout_s=timeout_s, sleep=lambda _: None))


LIVE: dict[str, Callable[[str, float], Any]] = {
    "alpaca": alpaca_as_built, "binance": lambda url, timeout_s: accounts.venue(url, timeout_s=timeout_s),
}  # fmt: skip


def account_calls(account: Any) -> int:
    caller = account.connection.caller if hasattr(account, "connection") else account.caller
    return int(caller.calls)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "the connection broke"),
        (requests.ConnectionError(OSError(101, "Network is unreachable")), "network is unreachable"),
        (requests.ConnectTimeout("pool"), "timed out: no connection in time"),
        (requests.ReadTimeout("HTTPConnectionPool(host=…): Read timed out."), "timed out: no answer in time"),
        (requests.exceptions.ProxyError("HTTPSConnectionPool"), "the proxy gives no connection"),
        (requests.exceptions.SSLError(ssl.SSLError(1, "[SSL: X] no (_ssl.c:1)")), "TLS: it failed"),
        (requests.exceptions.InvalidURL("x"), None), (ValueError("x"), None),
    ],
)  # fmt: skip
def test_what_lies_at_the_bottom_counts(error: Exception, cause: str | None) -> None:
    assert cause_of(error) == cause
    assert timed_out(error) == (cause is not None and cause.startswith("timed out"))


def test_a_page_of_html_is_called_one_by_its_title() -> None:
    page = "<!DOCTYPE html>\n<html><head><title>502 Bad\nGateway</title></head><body>much more</body></html>"
    assert without_page(f"binance GET x 502 {page}") == "binance GET x 502 a page of HTML (502 Bad Gateway)"
    assert without_page("<html>x") == "a page of HTML"
    assert without_page("qty < 5 and <b>") == "qty < 5 and <b>"
