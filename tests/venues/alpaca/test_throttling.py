"""Rate limits: how long Alpaca asks to wait, and that the wait is kept."""

import pytest
from tests.venues.alpaca.desk import NOW_MS, Asked, Reply, all_well, canned, venue

from trueup.core.snapshot import Feed, FeedState
from trueup.ports.secrets import Secrets
from trueup.venues.alpaca.connection import Connection
from trueup.venues.alpaca.errors import judge_with
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.limits import RateLimit

DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
DATE_S = NOW_MS // 1000


def waited(**headers: str) -> list[float]:
    """Return the waits before the second attempt at a call that was throttled once."""
    replies = [Reply({"code": 42910000, "message": "rate limit exceeded"}, 429, headers), Reply([])]
    slept: list[float] = []
    with canned(lambda _: replies.pop(0)) as server:
        account = LiveAccount("main", secrets={"key": "k" * 9, "secret": "s" * 9}, base_url=server.url)
        limit = RateLimit(1e9, sleep=lambda _: None, now=iter(range(0, 10**6, 100)).__next__)
        caller = Caller(judge_with(lambda: NOW_MS), limit, Secrets([]), sleep=slept.append)
        assert Connection(account, caller).rows("rows", "/rows") == []
    return slept


@pytest.mark.parametrize(
    ("headers", "at_least"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "7", "X-RateLimit-Reset": str(DATE_S + 3)}, 7),
        ({"Date": DATE, "Retry-After": "Fri, 02 Jan 2026 03:04:16 GMT"}, 11),
        ({"Date": DATE, "X-RateLimit-Reset": str(DATE_S + 12)}, 12),
        ({"Date": DATE, "Retry-After": "soon", "X-RateLimit-Reset": str(DATE_S + 12)}, 12),
    ],
)
def test_the_wait_that_alpaca_asks_for_is_kept(headers: dict[str, str], at_least: float) -> None:
    (slept,) = waited(**headers)
    assert at_least <= slept < at_least + 8.1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "nan"}, {"Retry-After": "-5"}, {"X-RateLimit-Reset": "x"}])
def test_without_a_word_on_the_wait_it_is_tried_again_soon(headers: dict[str, str]) -> None:
    (slept,) = waited(**headers)
    assert 0 <= slept <= 8


def test_a_longer_wait_than_we_have_fails_the_feed_at_once_with_the_reason() -> None:
    throttled = Reply({"code": 42910000, "message": "rate limit exceeded"}, 429, {"Retry-After": "3600"})
    with canned(all_well(positions=throttled)) as server:
        snapshot = venue(server.url).read()
        assert server.count("/v2/positions") == 1
    assert snapshot.feed(Feed.POSITIONS).state is FeedState.FAILED
    assert "rate limit" in snapshot.feed(Feed.POSITIONS).reason


def test_accounts_of_one_key_share_its_allowance() -> None:
    account = LiveAccount("a", secrets={"key": "shared-key-1", "secret": "x" * 9}, calls_per_minute=100)
    other = LiveAccount("b", secrets={"key": "shared-key-1", "secret": "x" * 9})
    assert Connection(account).caller.limit is Connection(other).caller.limit
    assert Connection(other).caller.limit.per_second == 100 / 60


def asked_paths(asked: list[Asked]) -> list[str]:
    return [one.path for one in asked]


def test_a_venue_that_failed_often_is_left_alone_for_a_while() -> None:
    with canned(lambda _: Reply("<html>", 503)) as server:
        account = LiveAccount("main", secrets={"key": "circuit-key", "secret": "x" * 9}, base_url=server.url)
        caller = Caller(judge_with(lambda: NOW_MS), RateLimit(1e9), Secrets([]), sleep=lambda _: None)
        connection = Connection(account, caller)
        for _ in range(5):
            with pytest.raises(Exception, match="rows"):
                connection.rows("rows", "/rows")
        assert len(asked_paths(server.asked)) == 8
