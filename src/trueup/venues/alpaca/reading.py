"""One reading of an account: Alpaca's answers put together as one document in the file format (DESIGN §5.3).

In this order: the clock, so that "now" is Alpaca's and not later than anything that is read; the positions; then, side
by side, all orders, open orders and activities; then the positions once more.
"""

from collections.abc import Callable
from dataclasses import dataclass

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Coverage, Feed, FeedState
from trueup.core.times import iso
from trueup.ports import ReadScope
from trueup.venues.alpaca.activities import is_fill, read_activities
from trueup.venues.alpaca.connection import Connection
from trueup.venues.alpaca.events import event_of, unknown_types
from trueup.venues.alpaca.lists import Account, Lookups, is_over, put_together
from trueup.venues.alpaca.orders import read_orders
from trueup.venues.alpaca.pages import Listing, time_of
from trueup.venues.alpaca.positions import confirmed, read_positions
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.documents.coverage import entry_of
from trueup.venues.rows.fields import Row

LARGE_SKEW_MS = 5000
NO_BALANCES = "Alpaca's positions say what is held; balances are not read"

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Now:
    """The time of a reading in epoch milliseconds, by whose clock, and how far ours is ahead of Alpaca's."""

    ms: int
    source: str
    ahead_ms: int = 0
    note: str = ""


def read_clock(connection: Connection, account: LiveAccount) -> Now:
    """Read Alpaca's clock; ours stands in where it gives no answer, but not where it refuses the key (CallFailed)."""
    before = account.now_ms()
    try:
        row = connection.record("clock", "/clock", needs=("timestamp",))
        now = time_of(row, "timestamp")
        why = "" if now is not None else "its timestamp cannot be read"
    except CallFailed as failed:
        if failed.kind is Kind.AUTH:
            raise
        now, why = None, failed.why
    if now is None:
        return Now(before, "clock", note=f"Alpaca's clock gave no time ({why}): this machine's stands in.")
    ahead = (before + account.now_ms()) // 2 - now
    note = ""
    if abs(ahead) > LARGE_SKEW_MS:
        note = f"This machine's clock is {abs(ahead) / 1000:.1f} s {'ahead of' if ahead > 0 else 'behind'} Alpaca's."
    return Now(now, "venue", ahead, note)


def read_document(connection: Connection, account: LiveAccount, lookups: Lookups, scope: ReadScope) -> Document:
    """Read everything; CannotKnow where nothing could be read."""
    try:
        now = read_clock(connection, account)
    except CallFailed as failed:
        raise _refused(account, failed.why) from None
    positions = read_positions(connection)
    since, pages = scope.since_ms, (account.page_limit, account.max_pages)
    readers: list[Callable[[], Listing]] = [
        lambda: read_orders(connection, "all", since, *pages),
        lambda: read_orders(connection, "open", None, *pages),
        lambda: read_activities(connection, since, *pages),
    ]
    every, still_open, activities = (_listing(answer) for answer in connection.caller.all(readers))
    held = confirmed(connection, positions, scope.held, account.symbols)
    positions = held.listing
    if all(part.failed for part in (positions, every, still_open, activities)):
        raise _refused(account, positions.why)
    together = put_together(every, still_open, activities, lookups, now.ms)
    document: Document = {
        "venue": "alpaca",
        "as_of": iso(now.ms),
        "as_of_source": now.source,
        "coverage": {
            feed: entry_of(part) for feed, part in _coverage(positions, every, still_open, activities, together).items()
        },
    }
    if not positions.failed:
        document[Feed.POSITIONS] = positions.rows
        document["unknown_symbols"] = held.unknown
    if not (still_open.failed and every.failed):
        document[Feed.OPEN_ORDERS] = [row for row in together.orders if not is_over(row)]
    if not every.failed:
        document[Feed.CLOSED_ORDERS] = [row for row in together.orders if is_over(row)]
    if not activities.failed:
        document[Feed.FILLS] = together.fills
    others = [row for row in activities.rows if not is_fill(row)]
    document["events"] = [event_of(row) for row in others]
    document["notes"] = [note for note in (now.note, *together.notes, *_on_types(others)) if note]
    return document


def _listing(answer: Listing | CallFailed) -> Listing:
    return Listing(why=answer.why, failed=True) if isinstance(answer, CallFailed) else answer


def _coverage(
    positions: Listing, every: Listing, still_open: Listing, activities: Listing, together: Account
) -> dict[Feed, Coverage]:
    """Return how much of each feed was read; never more than was."""
    since, why = together.since_ms, "; ".join(dict.fromkeys(part for part in together.why if part))
    orders = Coverage(FeedState.COMPLETE, why, since)
    if every.failed:
        orders = Coverage(FeedState.FAILED, every.why)
    elif together.missing:
        orders = Coverage(FeedState.PARTIAL, together.missing, since)
    elif activities.failed and every.since_ms is not None:
        orders = Coverage(FeedState.PARTIAL, f"orders from before may have executed since: {activities.why}", since)
    fills = Coverage(FeedState.COMPLETE, why, since)
    if activities.failed:
        fills = Coverage(FeedState.FAILED, activities.why)
    elif every.failed or together.short:
        reason = together.short or f"the orders of executions are not known: {every.why}"
        fills = Coverage(FeedState.PARTIAL, reason, since)
    still = Coverage(FeedState.COMPLETE)
    if still_open.failed:
        still = Coverage(FeedState.FAILED if every.failed else FeedState.PARTIAL, still_open.why)
    elif still_open.why:
        still = Coverage(FeedState.PARTIAL, still_open.why, still_open.since_ms)
    held = Coverage(FeedState.FAILED, positions.why) if positions.failed else Coverage(FeedState.COMPLETE)
    return {
        Feed.POSITIONS: held,
        Feed.BALANCES: Coverage(FeedState.FAILED, NO_BALANCES, given=False),
        Feed.OPEN_ORDERS: still,
        Feed.CLOSED_ORDERS: orders,
        Feed.FILLS: fills,
    }


def _on_types(others: list[Row]) -> list[str]:
    unknown = unknown_types(others)
    return [f"Activities of types that trueup does not know: {', '.join(unknown)}."] if unknown else []


def _refused(account: LiveAccount, why: str) -> CannotKnow:
    return CannotKnow(f"Account {account.name}: Alpaca could not be read. {why}.", "Run `trueup doctor`.")
