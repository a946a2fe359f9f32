"""Alpaca's list of orders, paged back from now.

There is no page token: `until` and `after` are bounds on `submitted_at` that exclude their own moment, and legs of one
order share it. So each page begins a little after the end of the one before it, and orders count once by id. A full
page that brings nothing new means that more orders than a page holds were submitted in one moment: that moment is
then asked for by itself, in the largest pages that Alpaca gives, and by side. Where even that does not show all of
it, the listing reaches back only to just after that moment.

The end is a page that is shorter than asked for. That alone proves little (a list may lag, or leave out rows), so
what was read is held against the open orders and against the orders that executions name (`lists.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trueup.core.times import read_time
from trueup.venues.alpaca.connection import Connection
from trueup.venues.alpaca.pages import Listing, Once, is_last
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.rows.fields import Row

LARGEST_PAGE = 500
_SIDES = ("buy", "sell")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_OVERLAP_US = 1000
_MOST_DISORDER_US = 60_000_000


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Moments in microseconds since 1970, both excluded."""

    after: int | None = None
    until: int | None = None


@dataclass(slots=True)
class _Walk:
    """One way back through the list, in microseconds.

    `at` is the moment reached, `step` how far after it the next page begins, `slack` by how much rows were out of
    order.
    """

    ask: Callable[[_Bounds, int, str | None], list[Row]]
    limit: int
    after: int | None
    found: Once
    at: int | None = None
    until: int | None = None
    step: int = _OVERLAP_US
    slack: int = 0


def read_orders(connection: Connection, status: str, since_ms: int | None, page_limit: int, max_pages: int) -> Listing:
    """Read the orders of a status (open or all) that were submitted at `since_ms` or later; it never raises."""
    what = f"{status} orders"

    def ask(bounds: _Bounds, limit: int, side: str | None) -> list[Row]:
        params: dict[str, str | int] = {"status": status, "limit": limit, "direction": "desc", "nested": "false"}
        for name, moment in (("after", bounds.after), ("until", bounds.until)):
            if moment is not None:
                params[name] = _written(moment)
        if side is not None:
            params["side"] = side
        return connection.rows(what, "/orders", params, lambda rows: _not_asked_for(rows, bounds, limit))

    after = since_ms * 1000 - 1 if since_ms is not None else None
    walk = _Walk(ask, min(page_limit, LARGEST_PAGE), after, Once())
    try:
        why = _go_back(walk, max_pages)
    except CallFailed as failed:
        why = failed.why
    if not why:
        return Listing(walk.found.rows, since_ms)
    if walk.at is None:
        return Listing(why=why, failed=True)
    reached = _reach(walk)
    return Listing(walk.found.rows, reached if since_ms is None else max(since_ms, reached), why)


def _not_asked_for(rows: list[Row], bounds: _Bounds, limit: int) -> str:
    """Return why rows cannot be the answer: a cache or a proxy may give that to another question."""
    if len(rows) > limit:
        return f"{len(rows)} orders where {limit} were asked for"
    for row in rows:
        moment = submitted(row)
        late = moment is not None and bounds.until is not None and moment >= bounds.until + _OVERLAP_US
        early = moment is not None and bounds.after is not None and moment <= bounds.after - _OVERLAP_US
        if late or early:
            return f"an order of {row.get('submitted_at')} is not within what was asked for"
    return ""


def _go_back(walk: _Walk, max_pages: int) -> str:
    """Read page after page; return why it did not come to the end, or nothing."""
    for _ in range(max_pages):
        rows = walk.ask(_Bounds(walk.after, walk.until), walk.limit, None)
        times = [moment for row in rows if (moment := submitted(row)) is not None]
        new = walk.found.add(rows)
        if is_last(rows, walk.limit):
            return ""
        if not times:
            return "a page of orders without a time of submission"
        walk.slack = max(walk.slack, _disorder(times))
        if walk.slack > _MOST_DISORDER_US:
            walk.at = max(times)
            return "the orders do not come newest first"
        walk.at = times[-1] if walk.at is None else min(walk.at, times[-1])
        if new:
            walk.until = walk.at + walk.step + walk.slack
        elif walk.until is None or walk.until > walk.at + 1:
            walk.step, walk.until = 1, walk.at + 1
        elif _is_whole(walk, walk.at):
            walk.until = walk.at
        else:
            return f"more orders were submitted at {_written(walk.at)} than a page holds"
    return f"max_fetch_pages is {max_pages}"


def _reach(walk: _Walk) -> int:
    """Return the first millisecond from which on everything was read: just after the moment reached."""
    assert walk.at is not None
    return (walk.at + walk.slack) // 1000 + 1


def _is_whole(walk: _Walk, moment: int) -> bool:
    """Read all orders of one moment, and say whether these are all: in one page, or in one for each side."""
    bounds = _Bounds(moment - 1, moment + 1)
    try:
        rows = walk.ask(bounds, LARGEST_PAGE, None)
        walk.found.add(rows)
        if is_last(rows, LARGEST_PAGE):
            return True
        if any(row.get("side") not in _SIDES for row in rows):
            return False
        pages = [walk.ask(bounds, LARGEST_PAGE, side) for side in _SIDES]
    except CallFailed:
        return False
    for page in pages:
        walk.found.add(page)
    return all(is_last(page, LARGEST_PAGE) for page in pages)


def _disorder(times: list[int]) -> int:
    """Return by how many microseconds a row is newer than one that stands before it."""
    worst, newest_allowed = 0, times[0]
    for moment in times:
        worst = max(worst, moment - newest_allowed)
        newest_allowed = min(newest_allowed, moment)
    return worst


def submitted(row: Mapping[str, object]) -> int | None:
    """Return when an order was submitted, in microseconds since 1970, cut; None where that cannot be read."""
    value = row.get("submitted_at") or row.get("created_at")
    if not isinstance(value, str):
        return None
    try:
        read_time(value)
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND


def _written(moment: int) -> str:
    return (_EPOCH + moment * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
