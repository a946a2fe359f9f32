"""Paging: reading a feed to its end, completely and each row once, and knowing since when it is complete.

Invariant 5 (Unknown is not flat; not found is not absent): what could not be read is never claimed. Where a reading
stops early, the feed is complete only since just after the oldest row that was read, or partial with the reason.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueup.core.snapshot import FeedState
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.export import is_adjusted
from trueup.venues.ccxt.rules import FeedRule, Paging
from trueup.venues.rows.fields import printable

Row = Mapping[str, Any]

UNKNOWN_PAGE = 20
"""Where an exchange does not say how many rows a page holds, one of this many may be a full one."""

_EXECUTION = ("order", "side", "timestamp", "amount", "price")
"""What an execution says that never changes."""

_CUTS = frozenset({20, 25, 50, 100, 200, 250, 500, 1000})
"""The lengths at which an exchange of which nothing is known may cut a list."""

_SMALLEST_ID = 1
_AHEAD_MS = 60_000
"""What happens while the feeds are read is asked for too."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: rows as ccxt reads them, the raw answer, and how many rows that holds."""

    rows: list[Row]
    raw: object
    count: int


Ask = Callable[[int | None, Mapping[str, object]], Page]
"""Asks for one page: from a time on (ccxt's unified `since`), with the exchange's own parameters."""


@dataclass(slots=True)
class Listing:
    """What was read of one listing; `since_ms` None is the beginning."""

    rows: list[Row] = field(default_factory=list)
    since_ms: int | None = None
    state: FeedState = FeedState.COMPLETE
    reason: str = ""
    pages: int = 0


class _Exhausted(Exception):
    """All the pages that may be read were read."""


def created(row: Row) -> int:
    """Return when a row came to be, in epoch ms; 0 where it does not say."""
    return _whole(row.get("timestamp"))


def latest(row: Row) -> int:
    """Return the latest time that a row names, in epoch ms; 0 where it names none."""
    return max(_whole(row.get(name)) for name in ("timestamp", "lastTradeTimestamp", "lastUpdateTimestamp"))


def _whole(value: object) -> int:
    try:
        return int(str(value)) if value is not None else 0
    except ValueError:
        return 0


def key_of(row: Row) -> tuple[str, ...]:
    """Return what tells a row from others; a row without an id is told by all that it says.

    An order is told by its id, for it moves on. An execution does not: both sides of a trade of an account with itself
    have one id at some venues, and others write none or 0 for what they execute themselves.
    """
    name = row.get("id")
    symbol = str(row.get("symbol"))
    if name is None:
        return symbol, repr(sorted(row.items()))
    if "order" not in row:
        return symbol, str(name)
    return symbol, str(name), str(is_adjusted(row)), *(str(row.get(field)) for field in _EXECUTION)


class Pager:
    """Reads one listing by its rule, in at most `max_pages` answers of at most `limit` rows.

    `since_ms` is how far back it is wanted, None as far as there is; `now_ms` is the venue's time.
    """

    def __init__(
        self, rule: FeedRule, ask: Ask, since_ms: int | None, now_ms: int, *, limit: int, max_pages: int
    ) -> None:
        self.rule = rule
        self._ask = ask
        oldest = now_ms - rule.memory_ms if rule.memory_ms is not None else None
        self.wanted = since_ms if oldest is None else max(since_ms or 0, oldest)
        self.forgotten = oldest
        self.now_ms = now_ms
        self.limit = min(limit, rule.page or limit)
        self.max_pages = max_pages
        self.seen: dict[tuple[str, ...], Row] = {}
        self.pages = 0
        self.covered: int | None = None
        self._any = False
        self._left_out = 0

    def read(self) -> Listing:
        """Return what there is, with how far back that is complete."""
        read = {
            Paging.WHOLE: self._whole,
            Paging.FOLLOW: self._follow,
            Paging.BY_ID: self._by_id,
            Paging.BY_TIME: self._by_time,
        }[self.rule.paging]
        try:
            reason = read()
        except _Exhausted:
            reason = f"stopped after {self.max_pages} pages"
        except CallFailed as failed:
            reason = failed.why
        complete = self._any
        if complete and self.rule.most is not None and len(self.seen) >= self.rule.most:
            reason = "; ".join(filter(None, (reason, f"the venue keeps its newest {self.rule.most} rows only")))
            before = self.covered or 0
            self._claim_after_oldest(self.seen.values())
            self._claim(max(before, self.covered or 0))
        if self._left_out:
            complete, reason = False, f"{self._left_out} rows of the venue's answer could not be read by ccxt"
        state = FeedState.COMPLETE if complete else FeedState.PARTIAL if self.seen else FeedState.FAILED
        return Listing(list(self.seen.values()), self._since(), state, reason, self.pages)

    def _since(self) -> int | None:
        known = [moment for moment in (self.covered, self.forgotten) if moment is not None]
        return max(known) if known else None

    def _page(self, since: int | None, params: Mapping[str, object]) -> Page:
        if self.pages >= self.max_pages:
            raise _Exhausted
        self.pages += 1
        page = self._ask(since, params)
        if self.rule.keeps_all and len(page.rows) < page.count:
            self._left_out += page.count - len(page.rows)
        return page

    def _take(self, rows: Iterable[Row]) -> int:
        """Keep the rows, the later reading of one that was read before; return how many are new."""
        before = len(self.seen)
        for row in rows:
            self.seen[key_of(row)] = row
        return len(self.seen) - before

    def _is_full(self, page: Page) -> bool:
        cap = self.limit if self.rule.page is not None else min(self.limit, UNKNOWN_PAGE)
        return bool(page.rows) and page.count >= cap

    def _from(self, since: int | None, until: int | None) -> tuple[int | None, dict[str, object]]:
        """Return the unified `since` and the parameters of a request for the rows between two times."""
        params: dict[str, object] = {}
        if until is not None:
            params[self.rule.end or "until"] = until
        if since is not None and self.rule.start is not None:
            params[self.rule.start] = since
            return None, params
        return since, params

    def _claim(self, since: int | None) -> None:
        """Note that all rows from a time on are read."""
        self.covered = since
        self._any = True

    def _claim_after_oldest(self, rows: Iterable[Row]) -> None:
        """Note that everything after the oldest of some rows is read: at its own millisecond there may be more.

        Whether the venue lists by creation or by last change, all that is newer than both is there.
        """
        times = [latest(row) for row in rows]
        if times and min(times) > 0:
            self._claim(min(times) + 1)

    def _whole(self) -> str:
        since, params = self._from(self.wanted, None) if self.rule.start else (None, {})
        page = self._page(since, params)
        self._take(page.rows)
        if self.rule.page is not None and page.count >= self.limit:
            self._claim_after_oldest(page.rows)
            if not self._any:
                raise _Exhausted
            return f"the venue lists its newest {page.count} rows only"
        if self.rule.page is None and self.rule.rows is None and page.count in _CUTS:
            raise CallFailed(Kind.FAIL, f"{page.count} rows may be the first page of more")
        self._claim(None)
        return ""

    def _windows(self) -> Iterable[tuple[int | None, int | None]]:
        """Yield the stretches of time to ask for, newest first, each as long as the exchange allows."""
        end = self.now_ms + _AHEAD_MS
        if self.rule.window_ms is None:
            yield self.wanted, None
            return
        while True:
            start = max(end - self.rule.window_ms, self.wanted or _SMALLEST_ID)
            yield start, end
            if start <= (self.wanted or _SMALLEST_ID):
                return
            end = start

    def _follow(self) -> str:
        assert self.rule.next_page is not None
        for start, end in self._windows():
            since, asked = self._from(start, end)
            more: Mapping[str, object] | None = {}
            here: list[Row] = []
            while more is not None:
                params = {**asked, **more}
                try:
                    page = self._page(since, params)
                except (_Exhausted, CallFailed):
                    self._claim_after_oldest(here)
                    raise
                here += page.rows
                self._take(page.rows)
                more = self.rule.next_page(page.raw, page.count, params, self.limit)
            self._claim(start)
        return ""

    def _by_id(self) -> str:
        return self._by_id_in_windows() if not self.rule.newest else self._by_id_from_newest()

    def _by_id_from_newest(self) -> str:
        """Read the newest page; where it does not reach back far enough, read forward to it, by id."""
        newest = self._page(None, {})
        self._take(newest.rows)
        if not self._is_full(newest) and not self._more_after(newest, None) and self._is_from_the_first(newest):
            self._claim(None)
            return ""
        reach, oldest = self._first_of(newest)
        if oldest:
            self._claim(oldest + 1)
            if self.wanted is not None and oldest < self.wanted:
                return ""
        if self.wanted is None:
            page = self._page(None, {self.rule.id_param: _SMALLEST_ID})
        else:
            page = self._page(*self._from(self.wanted, None))
        if page.rows and min(map(_id, page.rows)) >= reach:
            return f"the venue gave nothing older than its newest {newest.count} rows"
        while page.rows:
            self._take(page.rows)
            last = max(map(_id, page.rows))
            if last >= reach:
                self._claim(self.wanted)
                return ""
            page = self._page(None, {self.rule.id_param: last + 1})
        return "the venue's pages do not meet"

    def _is_from_the_first(self, page: Page) -> bool:
        """Say whether a page begins with the first row of all, by asking for that.

        A page may be short because the venue gives fewer rows at once than it says.
        """
        if not page.rows:
            return True
        first = self._page(None, {self.rule.id_param: _SMALLEST_ID})
        return bool(first.rows) and min(map(_id, first.rows)) >= self._first_of(page)[0]

    def _by_id_in_windows(self) -> str:
        """Read each stretch of time, newest first; within one, forward by id."""
        for start, end in self._windows():
            page = self._page(*self._from(start, end))
            self._take(page.rows)
            if page.rows and not self._begins_at(start, page):
                return "a page was not the oldest of its time"
            if self._more_after(page, end) and self._lacks(page, end):
                return "what was asked for by id is not all there is"
            self._claim(start)
        return ""

    def _lacks(self, page: Page, end: int | None) -> bool:
        """Say whether rows after a page were not read by id, by asking for its last moment and what follows by time.

        A venue may answer a request by id for its last days only, and pass over what lies between.
        """
        after = self._page(*self._from(max(map(created, page.rows)), end))
        unread = [row for row in after.rows if key_of(row) not in self.seen and created(row) <= self.now_ms]
        self._take(after.rows)
        return bool(unread)

    def _more_after(self, page: Page, end: int | None) -> bool:
        """Read on by id to the end, or past a time; say whether there was more.

        What comes next is asked for also after a short page: a page may be short without being the last.
        """
        more = False
        while page.rows:
            page = self._page(None, {self.rule.id_param: max(map(_id, page.rows)) + 1})
            self._take(page.rows)
            more = more or bool(page.rows)
            if page.rows and end is not None and min(map(created, page.rows)) > end:
                break
        return more

    def _begins_at(self, start: int | None, page: Page) -> bool:
        """Say whether a full page is the oldest of its time, by asking for what is before its first row."""
        first, oldest = self._first_of(page)
        before = self._page(*self._from(start, oldest))
        self._take(before.rows)
        if all(_id(row) >= first for row in before.rows):
            return True
        if oldest and not self._any:
            self._claim(oldest + 1)
        return False

    @staticmethod
    def _first_of(page: Page) -> tuple[int, int]:
        """Return the smallest id of a page, and the time of that row."""
        first = min(page.rows, key=_id)
        return _id(first), created(first)

    def _by_time(self) -> str:
        """Read each stretch of time, newest first; within one, forward from page to page.

        The newest rows are asked for without a time as well: an exchange that answers only a part of the time that it
        was asked for would otherwise look as if it had nothing more.
        """
        checked = False
        for start, end in self._windows():
            begin, reason = self._forward(start, end)
            if not checked:
                checked = True
                newest = self._page(None, {})
                known = set(self.seen)
                self._take(newest.rows)
                late = [row for key, row in self.seen.items() if key not in known and self._settled(row, begin)]
                if late:
                    self._claim_after_oldest(newest.rows)
                    return "the venue answered only a part of the time that it was asked for"
            self._claim(begin)
            if reason:
                return reason
        return ""

    def _settled(self, row: Row, begin: int | None) -> bool:
        """Say whether a row was there when the reading began, within the time that was asked for."""
        return (begin or 0) <= created(row) <= self.now_ms

    def _forward(self, start: int | None, end: int | None) -> tuple[int | None, str]:
        """Read from a time on; return since when the rows are complete, and why not since the start."""
        cursor, begin, reason = start, start, ""
        ascending = False
        previous: list[int] = []
        while True:
            page = self._page(*self._from(cursor, end))
            fresh = [row for row in page.rows if key_of(row) not in self.seen]
            self._take(page.rows)
            if previous and any(self._settled(row, begin) for row in fresh):
                ascending = True
            if previous and not ascending:
                return min(previous) + 1, "a full page may have cut off older rows"
            if not page.rows or not self._is_full(page):
                return begin, reason
            previous = [moment for row in page.rows if (moment := created(row))]
            if not previous:
                raise CallFailed(Kind.FAIL, "a full page of rows without a time cannot be read past")
            last = max(previous)
            if cursor is not None and last <= cursor:
                begin, reason = cursor + 1, f"{page.count} rows in one millisecond cannot be read past"
                last = cursor + 1
            cursor = last


def _id(row: Row) -> int:
    """Return an id that is a number; CallFailed where it is none, since such rows cannot be read by id."""
    text = str(row.get("id"))
    if not (text.isascii() and text.isdigit()):
        raise CallFailed(Kind.FAIL, f"an id is {printable(text)!r}, no number")
    return int(text)
