"""What an error of ccxt means, through the real client where the trap lies in ccxt's own reading of an answer."""

from typing import Any

import ccxt
import pytest
import requests
from tests.sim.worlds import KEY, NOW, SECRET
from tests.venues.ccxt.accounts import THREE_DAYS, canned, venue
from tests.venues.ccxt.test_envelopes import WELL

from trueup.core.errors import CannotKnow
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.envelopes import BadEnvelope
from trueup.venues.ccxt.judging import Answered, UnreadableAnswer, judge

KINDS = [
    (ccxt.NetworkError, Kind.RETRY), (ccxt.RequestTimeout, Kind.RETRY), (ccxt.ExchangeNotAvailable, Kind.RETRY),
    (ccxt.OnMaintenance, Kind.RETRY), (ccxt.BadResponse, Kind.RETRY), (ccxt.NullResponse, Kind.RETRY),
    (BadEnvelope, Kind.RETRY), (UnreadableAnswer, Kind.RETRY), (ccxt.RateLimitExceeded, Kind.THROTTLE),
    (ccxt.DDoSProtection, Kind.THROTTLE), (ccxt.InvalidNonce, Kind.CLOCK), (ccxt.AuthenticationError, Kind.AUTH),
    (ccxt.PermissionDenied, Kind.AUTH), (ccxt.AccountSuspended, Kind.AUTH), (ccxt.AccountNotEnabled, Kind.AUTH),
    (ccxt.OrderNotFound, Kind.ABSENT), (ccxt.BadSymbol, Kind.FAIL), (ccxt.BadRequest, Kind.FAIL),
    (ccxt.NotSupported, Kind.FAIL), (ccxt.ArgumentsRequired, Kind.FAIL), (ccxt.InvalidOrder, Kind.FAIL),
    (ccxt.InsufficientFunds, Kind.FAIL), (ccxt.ExchangeError, Kind.FAIL), (ccxt.MarketClosed, Kind.FAIL),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind"), KINDS)
def test_each_class_has_its_meaning(error: type[Exception], kind: Kind) -> None:
    verdict = judge(error("binance said so"))
    assert verdict is not None
    assert verdict.kind is kind
    assert verdict.why == f"{error.__name__}: binance said so"


def test_what_is_not_ccxts_is_a_defect_of_ours() -> None:
    assert judge(ZeroDivisionError()) is None


def noted(error: Exception, status: int | None, cause: Exception | None = None) -> Any:
    error.answered = Answered(status)  # type: ignore[attr-defined]  # as the client notes it
    error.__cause__ = cause
    return judge(error)


def test_a_5xx_is_trouble_and_no_refusal() -> None:
    assert noted(ccxt.ExchangeError("x"), 503).kind is Kind.RETRY
    assert noted(ccxt.OrderNotFound("x"), 500).kind is Kind.RETRY
    assert noted(ccxt.ExchangeError("x"), 400).kind is Kind.FAIL
    assert noted(ccxt.AuthenticationError("x"), 503).kind is Kind.AUTH


def test_a_broken_connection_is_trouble_and_no_refusal() -> None:
    assert noted(ccxt.ExchangeError("x"), None, requests.exceptions.SSLError()).kind is Kind.RETRY
    assert noted(ccxt.ExchangeError("x"), None, ValueError()).kind is Kind.FAIL


def test_a_revoked_key_that_looks_like_a_ban_is_the_key() -> None:
    """The trap: after a key has worked once, ccxt turns Binance's -2015 into DDoSProtection."""
    verdict = judge(ccxt.DDoSProtection('binance {"code":-2015,"msg":"Invalid API-key, IP, or permissions"}'))
    assert verdict is not None
    assert verdict.kind is Kind.AUTH


def test_no_query_of_a_url_is_repeated() -> None:
    verdict = judge(ccxt.RequestTimeout("binance GET https://h/api/v3/account?timestamp=1&signature=abc"))
    assert verdict is not None
    assert verdict.why == "RequestTimeout: binance GET https://h/api/v3/account"


def failure(answer: tuple[int, dict[str, str], bytes]) -> tuple[CallFailed, int]:
    """Return how a call fails that is always answered so, and how often it was asked."""
    with canned({**WELL, "/api/v3/account": answer}) as (url, server):
        account = venue(url)
        with pytest.raises(CallFailed) as error:
            account.caller.ask("account", lambda: account.client.call("fetch_balance"))
        asked = sum(path.startswith("/api/v3/account") for path in server.asked)
    assert SECRET not in error.value.why
    assert KEY not in error.value.why
    assert "signature" not in error.value.why
    return error.value, asked


@pytest.mark.parametrize(
    ("answer", "kind", "asked"),
    [
        ((503, {}, b'{"code": -1008, "msg": "Server is currently overloaded"}'), Kind.RETRY, 4),
        ((503, {}, b'{"code": -9999, "msg": "Something odd"}'), Kind.RETRY, 4),
        ((502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"), Kind.RETRY, 4),
        ((429, {"Retry-After": "1"}, b'{"code": -1003, "msg": "Too many requests"}'), Kind.THROTTLE, 4),
        ((418, {"Retry-After": "3600"}, b'{"code": -1003, "msg": "Banned"}'), Kind.THROTTLE, 1),
        ((400, {}, b'{"code": -1021, "msg": "Timestamp outside of the recvWindow."}'), Kind.CLOCK, 4),
        ((401, {}, b'{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}'), Kind.AUTH, 1),
        ((400, {}, b'{"code": -2014, "msg": "API-key format invalid."}'), Kind.AUTH, 1),
        ((400, {}, b'{"code": -1121, "msg": "Invalid symbol."}'), Kind.FAIL, 1),
    ],
)  # fmt: skip
def test_an_answer_over_http_has_its_meaning(answer: Any, kind: Kind, asked: int) -> None:
    failed, count = failure(answer)
    assert (failed.kind, count) == (kind, asked)


def test_the_clock_is_corrected_before_the_next_attempt() -> None:
    refused = (400, {}, b'{"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}')
    with canned({**WELL, "/api/v3/account": refused}) as (url, server):
        account = venue(url)
        with pytest.raises(CallFailed):
            account.caller.ask("account", lambda: account.client.call("fetch_balance"))
        assert account.client.first.options["timeDifference"] > 0
        assert sum(path.startswith("/api/v3/time") for path in server.asked) == 4
        assert account.client.first.milliseconds() - account.client.first.options["timeDifference"] < NOW + 60_000


def test_a_key_that_is_wrong_is_not_tried_for_every_symbol() -> None:
    refused = (401, {}, b'{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}')
    private = dict.fromkeys(["/api/v3/account", "/api/v3/openOrders", "/api/v3/allOrders", "/api/v3/myTrades"], refused)
    with canned({**WELL, **private}) as (url, server):
        with pytest.raises(CannotKnow) as error:
            venue(url).read(THREE_DAYS)
        assert not [path for path in server.asked if "allOrders" in path or "myTrades" in path]
    assert "-2015" in str(error.value)
    assert error.value.exit_code == 3
