"""Paging: every row once, and never a claim of more than was read, whatever the pages and bursts are.

The listings stand in for a venue: they answer as the venues of each style document it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.snapshot import FeedState
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.paging import Listing, Page, Pager
from trueup.venues.ccxt.rules import DAY_MS, FeedRule, Paging

NOW = 1_772_000_000_000
SINCE = NOW - 3 * DAY_MS

NEWEST_THEN_ID = FeedRule("m", Paging.BY_ID, page=1000, start="startTime", id_param="fromId", newest=True)
WINDOWS_THEN_ID = FeedRule(
    "m", Paging.BY_ID, page=1000, start="startTime", end="endTime", id_param="fromId", window_ms=DAY_MS
)


def rows_at(*times: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "symbol": "BTC/USDT", "timestamp": at} for number, at in enumerate(sorted(times), 1)]


class Venue:
    """A listing that answers pages of at most `page` rows, oldest first, as Binance does."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], page: int, *, fail_at: int = 0) -> None:
        self.rows = list(rows)
        self.page = page
        self.fail_at = fail_at
        self.asked: list[Mapping[str, object]] = []

    def ask(self, since: int | None, params: Mapping[str, object]) -> Page:
        self.asked.append({**params, **({"since": since} if since is not None else {})})
        if len(self.asked) == self.fail_at:
            raise CallFailed(Kind.RETRY, "the network")
        start = params.get("startTime", since)
        end = params.get("endTime", params.get("until"))
        found = [row for row in self.rows if self._within(row, params, start, end)]
        newest = "fromId" not in params and start is None
        return self.answer(found[-self.page :] if newest else found[: self.page])

    def answer(self, rows: list[Mapping[str, Any]]) -> Page:
        return Page(rows, rows, len(rows))

    def _within(self, row: Mapping[str, Any], params: Mapping[str, object], start: Any, end: Any) -> bool:
        if "fromId" in params:
            return int(row["id"]) >= int(str(params["fromId"]))
        return (start is None or row["timestamp"] >= start) and (end is None or row["timestamp"] <= end)


def read(venue: Venue, rule: FeedRule, since: int | None = SINCE, *, limit: int = 1000, pages: int = 10_000) -> Listing:
    return Pager(rule, venue.ask, since, NOW, limit=limit, max_pages=pages).read()


def holds(listing: Listing, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a listing holds each row of its claimed time, once."""
    claimed = [row["id"] for row in rows if listing.since_ms is None or row["timestamp"] >= listing.since_ms]
    got = [row["id"] for row in listing.rows]
    return len(got) == len(set(got)) and set(claimed) <= set(got)


@pytest.mark.parametrize("page", [3, 7, 50, 299, 300, 301, 1000])
@pytest.mark.parametrize("rule", [NEWEST_THEN_ID, WINDOWS_THEN_ID], ids=["newest", "windows"])
def test_a_burst_of_300_rows_in_one_millisecond_is_read_whole_by_id(page: int, rule: FeedRule) -> None:
    """The trap: ccxt's own paginate=True goes by time, stops after 10 calls and drops rows at equal milliseconds."""
    rows = rows_at(*[NOW - 5000] * 300, NOW - 9000, NOW - 10, NOW - 2 * DAY_MS)
    listing = read(Venue(rows, page), rule, limit=page)
    assert listing.state is FeedState.COMPLETE
    assert [row["id"] for row in sorted(listing.rows, key=lambda row: int(row["id"]))] == [row["id"] for row in rows]
    assert listing.since_ms is None or listing.since_ms <= SINCE


def test_naive_paging_by_time_never_gets_past_such_a_burst() -> None:
    venue = Venue(rows_at(*[NOW - 5000] * 300, NOW - 10), 50)
    seen: set[str] = set()
    cursor = SINCE
    for _ in range(10):
        page = venue.ask(cursor, {})
        seen |= {row["id"] for row in page.rows}
        cursor = max(row["timestamp"] for row in page.rows)
    assert len(seen) == 50


@given(
    offsets=st.lists(st.integers(0, 5 * DAY_MS) | st.sampled_from([1000, 2000, DAY_MS]), max_size=60),
    page=st.integers(1, 12),
    pages=st.integers(1, 40),
    windows=st.booleans(),
    fail_at=st.integers(0, 12),
    since=st.sampled_from([None, SINCE]),
)
def test_unknown_is_not_flat_what_is_claimed_is_there(
    offsets: list[int], page: int, pages: int, windows: bool, fail_at: int, since: int | None
) -> None:
    """Invariant 5: with any bursts, page sizes, budgets and failures, all rows of the claimed time were read."""
    rows = rows_at(*[NOW - offset for offset in offsets])
    rule = WINDOWS_THEN_ID if windows else NEWEST_THEN_ID
    listing = read(Venue(rows, page, fail_at=fail_at), rule, since, limit=page, pages=pages)
    if listing.state is FeedState.COMPLETE:
        assert holds(listing, rows)


@given(
    offsets=st.lists(st.integers(0, 5 * DAY_MS) | st.sampled_from([1000, 2000, DAY_MS]), max_size=60),
    page=st.integers(1, 12),
    pages=st.integers(1, 40),
    newest_first=st.booleans(),
    hidden=st.sampled_from([None, DAY_MS]),
    known=st.booleans(),
)
def test_by_time_too_claims_only_what_is_there(
    offsets: list[int], page: int, pages: int, newest_first: bool, hidden: int | None, known: bool
) -> None:
    """Invariant 5: also where a venue ignores the order that was asked for, or answers a part of the time only."""
    rows = rows_at(*[NOW - offset for offset in offsets])

    class ByTime(Venue):
        def ask(self, since: int | None, params: Mapping[str, object]) -> Page:
            self.asked.append(params)
            end = NOW + DAY_MS if hidden is None or since is None else since + hidden
            found = [row for row in self.rows if (since or 0) <= row["timestamp"] <= end]
            newest = newest_first or since is None
            return self.answer(found[-self.page :] if newest else found[: self.page])

    rule = FeedRule("m", Paging.BY_TIME, page=page if known else None)
    listing = read(ByTime(rows, page), rule, limit=page, pages=pages)
    if listing.state is FeedState.COMPLETE and (known or page >= 20):
        assert holds(listing, rows)


def test_a_burst_that_fills_a_page_by_time_is_a_gap_that_is_said() -> None:
    rows = rows_at(*[NOW - 5000] * 30, NOW - 9000, NOW - 10)
    listing = read(Venue(rows, 20), FeedRule("m", Paging.BY_TIME, page=20), limit=20)
    assert (listing.state, listing.since_ms) == (FeedState.COMPLETE, NOW - 4999)
    assert "one millisecond" in listing.reason
    assert holds(listing, rows)


def test_a_page_that_is_short_without_being_the_last_hides_nothing() -> None:
    """The trap: a page that is too short looks like the last one, unless the next is asked for all the same."""
    rows = rows_at(*[NOW - 1000 * back for back in range(40)])

    class Cutting(Venue):
        def answer(self, rows: list[Mapping[str, Any]]) -> Page:
            return super().answer(rows[:7] if len(self.asked) == 1 else rows)

    for rule in (NEWEST_THEN_ID, WINDOWS_THEN_ID):
        listing = read(Cutting(rows, 20), rule, limit=20)
        assert holds(listing, rows)
        assert len(listing.rows) == 40


def test_pages_that_run_out_move_the_beginning() -> None:
    rows = rows_at(*[NOW - 1000 * back for back in range(100)])
    listing = read(Venue(rows, 10), NEWEST_THEN_ID, limit=10, pages=3)
    assert (listing.state, listing.reason) == (FeedState.COMPLETE, "stopped after 3 pages")
    assert listing.since_ms == NOW - 9000 + 1
    assert holds(listing, rows)


def test_a_first_page_that_fails_is_a_failure() -> None:
    listing = read(Venue(rows_at(NOW), 10, fail_at=1), NEWEST_THEN_ID)
    assert (listing.state, listing.reason, listing.rows) == (FeedState.FAILED, "the network", [])


def test_a_page_that_fails_later_keeps_what_is_known() -> None:
    rows = rows_at(*[NOW - 1000 * back for back in range(100)])
    listing = read(Venue(rows, 10, fail_at=3), NEWEST_THEN_ID, limit=10)
    assert listing.state is FeedState.COMPLETE
    assert listing.since_ms == NOW - 9000 + 1
    assert listing.reason == "the network"


def test_windows_are_read_newest_first_and_reach_what_is_asked() -> None:
    venue = Venue(rows_at(NOW - 2 * DAY_MS, NOW - 5000), 10)
    listing = read(venue, WINDOWS_THEN_ID)
    spans = [(asked["startTime"], asked["endTime"]) for asked in venue.asked if "startTime" in asked]
    assert all(int(str(end)) - int(str(start)) <= DAY_MS for start, end in spans)
    assert spans[-1][0] == SINCE
    assert listing.since_ms == SINCE
    assert len(listing.rows) == 2


def test_a_venue_that_forgets_is_never_claimed_further_back() -> None:
    rule = FeedRule("m", Paging.BY_ID, page=10, start="startTime", id_param="fromId", newest=True, memory_ms=DAY_MS)
    listing = read(Venue(rows_at(NOW), 10), rule)
    assert listing.since_ms == NOW - DAY_MS


class Newest(Venue):
    """A listing that goes back page by page from the newest, by a cursor."""

    def ask(self, since: int | None, params: Mapping[str, object]) -> Page:
        self.asked.append(params)
        if len(self.asked) == self.fail_at:
            raise CallFailed(Kind.RETRY, "the network")
        start = int(str(params.get("cursor", 0)))
        found = [row for row in reversed(self.rows) if since is None or row["timestamp"] >= since]
        page = found[start : start + self.page]
        more = start + self.page if start + self.page < len(found) else None
        return Page(page, {"next": more}, len(page))


def following(raw: Any, _count: int, _asked: Mapping[str, object], _limit: int) -> Mapping[str, object] | None:
    return {"cursor": raw["next"]} if raw["next"] is not None else None


FOLLOW = FeedRule("m", Paging.FOLLOW, page=1000, next_page=following)


@pytest.mark.parametrize("page", [3, 50, 300, 1000])
def test_a_cursor_is_followed_through_a_burst(page: int) -> None:
    rows = rows_at(*[NOW - 5000] * 300, NOW - 9000)
    listing = read(Newest(rows, page), FOLLOW, limit=page)
    assert (listing.state, listing.since_ms, len(listing.rows)) == (FeedState.COMPLETE, SINCE, 301)


@given(
    offsets=st.lists(st.sampled_from([1000, 2000, 3000, DAY_MS]), max_size=40),
    page=st.integers(1, 6),
    pages=st.integers(1, 12),
    fail_at=st.integers(0, 8),
)
def test_a_cursor_that_ends_early_claims_only_what_is_there(
    offsets: list[int], page: int, pages: int, fail_at: int
) -> None:
    rows = rows_at(*[NOW - offset for offset in offsets])
    listing = read(Newest(rows, page, fail_at=fail_at), FOLLOW, limit=page, pages=pages)
    if listing.state is FeedState.COMPLETE:
        assert holds(listing, rows)


def test_rows_that_ccxt_left_out_make_a_feed_partial() -> None:
    """The trap: ccxt filters by symbol, status or time behind one's back."""

    class Leaving(Venue):
        def answer(self, rows: list[Mapping[str, Any]]) -> Page:
            return Page(rows[1:], rows, len(rows))

    listing = read(Leaving(rows_at(NOW - 1, NOW), 10), FeedRule("m", page=10))
    assert listing.state is FeedState.PARTIAL
    assert "1 rows of the venue's answer" in listing.reason


def test_a_whole_answer_of_as_many_rows_as_there_can_be_is_cut() -> None:
    listing = read(Venue(rows_at(NOW - 3, NOW - 2, NOW - 1), 2), FeedRule("m", page=2), limit=2)
    assert (listing.state, listing.since_ms) == (FeedState.COMPLETE, NOW - 1)


def test_ids_that_are_no_numbers_cannot_be_read_by_id() -> None:
    rows = [{"id": "a-1", "symbol": "BTC/USDT", "timestamp": NOW}]
    listing = read(Venue(rows, 1), NEWEST_THEN_ID, limit=1)
    assert listing.state is FeedState.PARTIAL
    assert "no number" in listing.reason


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("rule", [NEWEST_THEN_ID, WINDOWS_THEN_ID], ids=["newest", "windows"])
def test_a_venue_that_gives_fewer_rows_at_once_than_it_says_hides_nothing(rule: FeedRule, newest_first: bool) -> None:
    """The trap: a page of 10 where 20 were asked for looks like all there is, and older rows are behind it."""
    rows = rows_at(*[NOW - 1000 * back for back in range(40)])

    class Lowered(Venue):
        def ask(self, since: int | None, params: Mapping[str, object]) -> Page:
            page = super().ask(since, params)
            kept = page.rows[-10:] if newest_first and "fromId" not in params else page.rows[:10]
            return self.answer(kept)

    listing = read(Lowered(rows, 10 if rule.newest else 1000), rule, limit=20)
    assert holds(listing, rows) if listing.state is FeedState.COMPLETE else listing.since_ms is None


def test_ids_that_are_answered_for_the_last_days_only_leave_a_gap_that_is_said() -> None:
    """The trap: Binance's futures look for an id within the last 7 days, unless a time is asked for."""
    rows = rows_at(*[NOW - 2 * DAY_MS + 1000 * number for number in range(30)], NOW - 1000)

    class LastDay(Venue):
        def _within(self, row: Mapping[str, Any], params: Mapping[str, object], start: Any, end: Any) -> bool:
            recent = "fromId" not in params or row["timestamp"] > NOW - DAY_MS
            return recent and super()._within(row, params, start, end)

    listing = read(LastDay(rows, 10), WINDOWS_THEN_ID, limit=10)
    assert (listing.state, listing.since_ms) == (FeedState.COMPLETE, NOW + 60_000 - 2 * DAY_MS)
    assert listing.reason == "what was asked for by id is not all there is"
    assert holds(listing, rows)


def test_both_sides_of_a_trade_with_oneself_are_kept() -> None:
    """The trap: some venues give both executions of such a trade the same id."""
    common = {"id": "7", "symbol": "BTC/USDT", "timestamp": NOW - 5, "amount": "1", "price": "97000"}
    rows = [{**common, "order": "1", "side": "buy"}, {**common, "order": "2", "side": "sell"}]
    listing = read(Newest(rows, 10), FOLLOW)
    assert [row["order"] for row in listing.rows] == ["2", "1"]


def test_rows_without_a_time_prove_no_beginning() -> None:
    rows = [{"id": str(number), "symbol": "BTC/USDT"} for number in range(1, 30)]

    class Timeless(Venue):
        def _within(self, row: Mapping[str, Any], params: Mapping[str, object], start: Any, end: Any) -> bool:
            return "fromId" not in params or int(row["id"]) >= int(str(params["fromId"]))

        def answer(self, rows: list[Mapping[str, Any]]) -> Page:
            return super().answer(self.rows[-10:] if len(self.asked) < 3 else rows)

    listing = read(Timeless(rows, 10), NEWEST_THEN_ID, limit=10)
    assert (listing.state, listing.since_ms) == (FeedState.PARTIAL, None)


def test_a_venue_that_keeps_so_many_rows_only_is_complete_from_the_oldest_of_them_on() -> None:
    """The trap: Hyperliquid keeps 10000 fills of a wallet, and answers an older time with the oldest of them."""
    rows = rows_at(*[NOW - 1000 * back for back in range(30)])
    rule = FeedRule("m", Paging.BY_TIME, page=5, most=12)
    listing = read(Venue(rows[-12:], 5), rule, limit=5)
    assert (listing.state, listing.since_ms) == (FeedState.COMPLETE, NOW - 11_000 + 1)
    assert "newest 12 rows" in listing.reason
    assert holds(listing, rows)
