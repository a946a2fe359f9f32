"""What a snapshot can be held against: how far back its orders reach, and which trades its positions speak of.

Invariant 5 (Unknown is not flat): a trade that moved after the venue was read, or that was opened before its
quantities changed their unit, is not contradicted by any position that the venue gives.
"""

from trueup.core.decimals import NOTHING
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.times import iso

BEGINNING = -(10**15)
"""Before every time: a feed that reaches back to the beginning."""


def order_feed_reach(snapshot: Snapshot) -> int | None:
    """Return the time from which on the order feed is complete, None where it is not.

    Open orders and fills complete it where they are given; a section that is not given takes nothing away.
    """
    closed = snapshot.feed(Feed.CLOSED_ORDERS)
    others = (snapshot.feed(Feed.OPEN_ORDERS), snapshot.feed(Feed.FILLS))
    if not closed.complete or not all(feed.complete for feed in others if feed.given):
        return None
    given = [closed, *(feed for feed in others if feed.given)]
    return max(feed.since_ms if feed.since_ms is not None else BEGINNING for feed in given)


class PositionReach:
    """Which trades the positions of a snapshot can be held against; `latest_ms` is the newest row that they know."""

    def __init__(self, snapshot: Snapshot, grace_ms: int) -> None:
        self.latest_ms = snapshot.as_of_ms + grace_ms
        changes = [event for event in snapshot.events if event.kind.changes_quantities and event.symbol is not None]
        changes.sort(key=lambda event: (event.time_ms, event.id))
        self._changes = {snapshot.symbols.token(event.symbol or ""): event for event in changes}

    def why_not(self, trade: Slice) -> str | None:
        """Return why the venue's position says nothing about a trade; None where it does."""
        if trade.newest_ms > self.latest_ms:
            return (
                f"the venue was read before the trade's newest row, {trade.newest_id} of {iso(trade.newest_ms)}; if"
                " that is hours ahead, its time may be a local one without a zone, which is read as UTC"
            )
        if self.in_other_units(trade):
            event = self._changes[trade.token]
            return f"since the trade was opened, quantities changed: {event.what} at {iso(event.time_ms)}"
        return None

    def in_other_units(self, trade: Slice) -> bool:
        """Say whether what a trade has open was counted before its symbol's quantities changed, as by a split."""
        change = self._changes.get(trade.token)
        return change is not None and abs(trade.open_qty) > NOTHING and change.time_ms >= trade.opened_ms
