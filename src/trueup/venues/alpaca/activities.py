"""Alpaca's account activities: executions (FILL), and what changed the account beside them, paged back from now.

Pages go by the id of the last row, which begins with its time; Alpaca gives at most 100 rows at once. No type is asked
for: Alpaca refuses a whole request for one type that it does not know, and a list of types would hide new ones.

What is no execution has a date and no time, and stands at the beginning of its day. So where executions fill more
than a page, the rest is read once more by itself, whole days of it: a split of the day on which the reading of
executions ended would be missed otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from trueup.core.times import of_datetime
from trueup.venues.alpaca.connection import Connection
from trueup.venues.alpaca.pages import Listing, Once, id_of, is_last, time_of
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.rows.fields import Row

LARGEST_PAGE = 100
FILL = "FILL"


@dataclass(frozen=True, slots=True)
class _Walked:
    """What one way back brought; `ended` says that nothing older is left, `reached` how far it came otherwise."""

    rows: list[Row]
    ended: bool = False
    reached: int | None = None
    why: str = ""


def read_activities(connection: Connection, since_ms: int | None, page_limit: int, max_pages: int) -> Listing:
    """Read the activities of `since_ms` or later, and some older ones; it never raises."""
    limit = min(page_limit, LARGEST_PAGE)
    walked = _go_back(connection, None, since_ms, limit, max_pages)
    if walked.ended:
        return Listing(walked.rows, since_ms)
    if walked.reached is None:
        return Listing(why=walked.why, failed=True)
    rest = _go_back(connection, "non_trade_activity", since_ms, limit, max_pages)
    if rest.why and rest.reached is None:
        return Listing(why=rest.why, failed=True)
    found = Once()
    found.add(walked.rows)
    found.add(rest.rows)
    starts = [walk.reached + 1 for walk in (walked, rest) if walk.why and walk.reached is not None]
    starts += [since_ms] if since_ms is not None else []
    return Listing(found.rows, max(starts, default=None), "; ".join(filter(None, (walked.why, rest.why))))


def _go_back(connection: Connection, category: str | None, since_ms: int | None, limit: int, max_pages: int) -> _Walked:
    """Read page after page until one reaches back before `since_ms`."""
    what = f"account activities ({category})" if category else "account activities"
    params: dict[str, str | int] = {"direction": "desc", "page_size": limit}
    if category is not None:
        params["category"] = category
    found, reached = Once(), None
    for _ in range(max_pages):
        try:
            rows = connection.rows(what, "/account/activities", params)
        except CallFailed as failed:
            return _Walked(found.rows, reached=reached, why=failed.why)
        new = found.add(rows)
        if is_last(rows, limit):
            return _Walked(found.rows, ended=True)
        reached = _reached(rows, reached)
        if since_ms is not None and reached is not None and reached < since_ms:
            return _Walked(found.rows, reached=reached)
        token = id_of(rows[-1])
        if token is None or not new:
            why = "a page of activities ends without an id" if token is None else "the pages of activities repeat"
            return _Walked(found.rows, reached=reached, why=why)
        params["page_token"] = token
    return _Walked(found.rows, reached=reached, why=f"max_fetch_pages is {max_pages}")


def is_fill(row: Mapping[str, object]) -> bool:
    """Say whether an activity is an execution; one without a type is taken for one, and read strictly."""
    kind = row.get("activity_type", FILL)
    return not isinstance(kind, str) or kind.strip().upper() == FILL


def _reached(rows: list[Row], before: int | None) -> int | None:
    """Return the moment that the pages reached: that of the oldest execution, since these have a time.

    Where a page has none, it is that of the last row with a date, as late as that day may end.
    """
    times = [moment for row in rows if (moment := time_of(row, "transaction_time")) is not None]
    if times:
        return times[-1]
    days = [moment for row in rows if (moment := end_of_day(row)) is not None]
    return days[-1] if days and (before is None or days[-1] < before) else before


def end_of_day(row: Mapping[str, object]) -> int | None:
    """Return the end of a row's `date` in epoch milliseconds, None where it has none.

    Days are New York's: they end at four or five o'clock UTC of the next day, and the later one counts.
    """
    value = row.get("date")
    if not isinstance(value, str):
        return None
    try:
        day = datetime.fromisoformat(value.strip()[:10]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return of_datetime(day + timedelta(days=1, hours=5)) - 1
