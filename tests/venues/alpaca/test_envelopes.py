"""Answers that are not Alpaca's, or not of the shape that was asked for: never read as flat, never as no orders."""

from collections.abc import Callable

import pytest
from tests.venues.alpaca.desk import CLOCK, Asked, Canned, Reply, all_well, canned, venue

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Feed, FeedState
from trueup.venues.alpaca.connection import Connection
from trueup.venues.calls.verdicts import CallFailed, Kind

HTML = "<html><head><title>503 Service Unavailable</title></head></html>"

WRONG = {
    "HTML in a 200": Reply(HTML, headers={"Content-Type": "text/html"}),
    "empty body": Reply(""),
    "blanks": Reply("  \n"),
    "null": Reply("null"),
    "empty object": Reply("{}"),
    "an error in a 200": Reply({"code": 50010000, "message": "internal server error"}),
    "an object where a list is expected": Reply({"positions": []}),
    "a list of numbers": Reply([1, 2]),
    "a list of null": Reply([None]),
    "text": Reply('"ok"'),
    "true": Reply("true"),
    "NaN": Reply('[{"symbol": "AAPL", "qty": NaN}]'),
    "a repeated key": Reply('[{"symbol": "AAPL", "qty": "1", "qty": "0"}]'),
    "cut off": Reply('[{"symbol": "AAPL", "qty"'),
    "not UTF-8": Reply(b'[{"symbol": "\xff"}]'),
    "a redirect to a log-in": Reply("", 302, {"Location": "https://example.invalid/login"}),
    "a redirect with an empty list": Reply([], 307, {"Location": "/login"}),
    "a redirect with a page": Reply(HTML, 301, {"Location": "/login"}),
    "a connection that breaks off": Reply([{"symbol": "AAPL", "qty": "1"}], cut=True),
    "HTML of a 502": Reply(HTML, 502),
    "JSON of a 503": Reply({"code": 50310000, "message": "maintenance"}, 503),
    "an empty 500": Reply("", 500),
}


@pytest.mark.parametrize("feed", ["positions", "orders", "activities"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_tried_again_and_fails_its_feed_alone(name: str, feed: str) -> None:
    with canned(all_well(**{feed: WRONG[name]})) as server:
        snapshot = venue(server.url).read()
        paths = {"positions": "/v2/positions", "orders": "/v2/orders", "activities": "/v2/account/activities"}
        asked = server.count(paths[feed])
    broken = {
        "positions": {Feed.POSITIONS},
        "orders": {Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS},
        "activities": {Feed.FILLS},
    }[feed]
    for one in (Feed.POSITIONS, Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS, Feed.FILLS):
        state = snapshot.feed(one).state
        if one in broken:
            assert state is FeedState.FAILED, one
            assert snapshot.feed(one).reason
            assert snapshot.feed(one).given
        elif one is Feed.FILLS and feed == "orders":
            assert state is FeedState.PARTIAL
        else:
            assert state is FeedState.COMPLETE, one
    assert asked == (4 if feed == "orders" else 2)


def test_a_failure_that_passes_leaves_no_trace() -> None:
    failures = {"/v2/positions": 1, "/v2/orders": 1, "/v2/account/activities": 1}

    def answers(asked: Asked) -> Reply:
        if failures.get(asked.path, 0):
            failures[asked.path] -= 1
            return Reply(HTML, 503)
        return all_well()(asked)

    with canned(answers) as server:
        snapshot = venue(server.url).read()
    assert all(snapshot.feed(feed).complete for feed in Feed if feed is not Feed.BALANCES)


def test_nothing_that_can_be_read_is_an_error_and_no_snapshot() -> None:
    with canned(lambda _: Reply(HTML, 503)) as server, pytest.raises(CannotKnow, match="503"):
        venue(server.url).read()


def test_a_venue_that_nobody_serves_is_an_error() -> None:
    with canned(all_well()) as server:
        url = server.url
    with pytest.raises(CannotKnow, match="main"):
        venue(url).read()


def test_a_venue_that_is_silent_times_out() -> None:
    """alpaca-py sets no timeout: without ours this waits for ever."""
    with canned(all_well(positions=Reply([], wait_s=30))) as server:
        snapshot = venue(server.url, timeout_s=0.2).read()
    assert snapshot.feed(Feed.POSITIONS).state is FeedState.FAILED
    assert "imed out" in snapshot.feed(Feed.POSITIONS).reason
    assert snapshot.feed(Feed.CLOSED_ORDERS).complete


@pytest.mark.parametrize("clock", [Reply(""), Reply({"timestamp": None}), Reply(HTML, 503), Reply({"is_open": True})])
def test_without_the_venues_clock_ours_stands_in_and_it_is_said(clock: Reply) -> None:
    with canned(all_well(clock=clock)) as server:
        snapshot = venue(server.url, lambda: 1_700_000_000_000).read()
    assert (snapshot.as_of_ms, snapshot.as_of_source) == (1_700_000_000_000, "clock")
    assert any("clock gave no time" in note for note in snapshot.notes)


def failure(reply: Reply, method: str = "GET") -> CallFailed:
    """Return what a single call to a server that answers so ends in."""

    def ask(server: Canned) -> CallFailed:
        connection: Connection = venue(server.url).connection
        call: Callable[[], object] = (
            (lambda: connection.rows("rows", "/rows")) if method == "GET" else (lambda: connection.delete("x", "/rows"))
        )
        with pytest.raises(CallFailed) as caught:
            call()
        return caught.value

    with canned(lambda _: reply) as server:
        return ask(server)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply({"message": "unauthorized."}, 401), Kind.AUTH),
        (Reply("<html>401</html>", 401), Kind.AUTH),
        (Reply({"message": "forbidden."}, 403), Kind.AUTH),
        (Reply("<html>403 Forbidden</html>", 403), Kind.RETRY),
        (Reply("", 403), Kind.RETRY),
        (Reply({"code": 40410000, "message": "order not found"}, 404), Kind.ABSENT),
        (Reply({"message": "Not Found"}, 404), Kind.FAIL),
        (Reply("<html>404</html>", 404), Kind.FAIL),
        (Reply({"code": 40010001, "message": "invalid limit"}, 422), Kind.FAIL),
        (Reply({"code": 40010000, "message": "bad request"}, 400), Kind.FAIL),
        (Reply({"code": 42910000, "message": "rate limit exceeded"}, 429), Kind.THROTTLE),
        (Reply("<html>429</html>", 429), Kind.THROTTLE),
        (Reply({"message": "timeout"}, 408), Kind.RETRY),
        (Reply({"code": 50010000, "message": "internal"}, 500), Kind.RETRY),
        (Reply("<html>504</html>", 504), Kind.RETRY),
        (Reply("upstream connect error", 503), Kind.RETRY),
    ],
)
def test_what_an_error_means(reply: Reply, kind: Kind) -> None:
    assert failure(reply).kind is kind


def test_a_refusal_to_act_is_no_wrong_key() -> None:
    refusal = Reply({"code": 40310000, "message": "insufficient qty available for order"}, 403)
    assert failure(refusal, "DELETE").kind is Kind.FAIL
    assert failure(Reply({"message": "forbidden."}, 403), "DELETE").kind is Kind.AUTH


def test_a_wrong_key_is_not_tried_again_and_stops_the_reading() -> None:
    with canned(lambda _: Reply({"message": "forbidden."}, 403)) as server:
        with pytest.raises(CannotKnow, match="forbidden"):
            venue(server.url).read()
        assert len(server.asked) == 1


def test_a_key_that_is_revoked_in_the_middle_fails_what_follows() -> None:
    with (
        canned(
            lambda asked: CLOCK if asked.path == "/v2/clock" else Reply({"message": "unauthorized."}, 401)
        ) as server,
        pytest.raises(CannotKnow, match="401"),
    ):
        venue(server.url).read()


def test_our_caller_alone_tries_again() -> None:
    """alpaca-py would try a 429 and a 504 three times more by itself, three seconds apart."""
    with canned(lambda _: Reply("", 504)) as server:
        with pytest.raises(CallFailed):
            venue(server.url, attempts=1).connection.rows("rows", "/rows")
        assert len(server.asked) == 1


def test_requests_carry_keys_in_headers_and_nowhere_else() -> None:
    with canned(all_well()) as server:
        venue(server.url).read()
    assert all(asked.headers["APCA-API-KEY-ID"] and asked.headers["APCA-API-SECRET-KEY"] for asked in server.asked)
    assert not any("KEY" in name.upper() for asked in server.asked for name in asked.query)


def test_numbers_are_exact_to_the_last_digit() -> None:
    """Read as binary floats the quantity would be 0.1, and the price 97000.12345678901."""
    body = (
        '[{"symbol": "BTCUSD", "side": "long", "qty": 0.1000000000000000001, "current_price": 97000.123456789012345}]'
    )
    with canned(all_well(positions=Reply(body))) as server:
        (leg,) = venue(server.url).read().legs
    assert (str(leg.qty), str(leg.mark_price)) == ("0.1000000000000000001", "97000.123456789012345")
