"""When something is told, told again, told louder, or told to be over.

A message is one row of the outbox; the rows of one key are one story. While the story goes on, sightings within the
throttle are counted and not told; one that outlives two runs is escalated at once; its end is told if it was told of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

OUTLIVES_RUNS = 2
"""What is seen by more runs than this is escalated."""


class Severity(StrEnum):
    """How much something matters; `resolved` tells the end of it."""

    RESOLVED = "resolved"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return the place in the order of severities."""
        return list(Severity).index(self)

    @property
    def next(self) -> "Severity":
        """Return the next higher one; the highest stays."""
        return list(Severity)[min(self.rank + 1, Severity.CRITICAL.rank)]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something worth telling as one run sees it; the same `key` is the same thing."""

    kind: str
    key: str
    scope: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One message of the outbox; `count` is how often its thing was seen, times are epoch milliseconds.

    `next_attempt_ms` is when it may be sent at the earliest; `error` why the last attempt failed.
    """

    seq: int
    kind: str
    key: str
    scope: str
    severity: Severity
    text: str
    count: int
    created_ms: int
    last_seen_ms: int
    sent_ms: int | None = None
    attempts: int = 0
    next_attempt_ms: int | None = None
    escalated_ms: int | None = None
    error: str | None = None

    @property
    def unheard(self) -> bool:
        """Say whether it ended before anybody was told of it."""
        return self.sent_ms is not None and self.attempts == 0

    @property
    def untouched(self) -> bool:
        """Say whether nobody has begun to send it."""
        return self.sent_ms is None and self.attempts == 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to add."""

    sighting: Sighting
    count: int
    next_attempt_ms: int | None = None
    escalated_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a story: the newest row as it is from now on, and a message to add; None is nothing."""

    changed: Alert | None = None
    added: Draft | None = None
    escalated: bool = False


def seen(story: Sequence[Alert], now: Sighting, throttle_ms: int, now_ms: int, outlives_ms: int = 0) -> Change:
    """Return what a sighting does to the story of its key, newest message first.

    Runs that come at once, as a stream's events make them, are no age: what is escalated began `outlives_ms` ago.
    """
    newest = story[0] if story and story[0].severity is not Severity.RESOLVED else None
    if newest is None:
        return Change(added=Draft(now, 1, _held_until(story, throttle_ms, now_ms)))
    count = newest.count + 1
    lasts = now_ms - _began_ms(story) >= outlives_ms
    escalates = newest.escalated_ms is None and count > OUTLIVES_RUNS and lasts
    severity = max(newest.severity, now.severity, key=lambda one: one.rank)
    severity = severity.next if escalates else severity
    escalated_ms = now_ms if escalates else newest.escalated_ms
    louder = escalates or severity.rank > newest.severity.rank
    counted = replace(newest, count=count, last_seen_ms=now_ms)
    if newest.untouched:
        held = None if louder else newest.next_attempt_ms
        told = replace(counted, severity=severity, text=now.text, next_attempt_ms=held, escalated_ms=escalated_ms)
        return Change(told, escalated=escalates)
    due = newest.sent_ms is not None and now_ms - newest.created_ms >= throttle_ms
    if louder or due:
        return Change(added=Draft(replace(now, severity=severity), count, None, escalated_ms), escalated=escalates)
    return Change(counted)


def _began_ms(story: Sequence[Alert]) -> int:
    """Return when what goes on was told of first."""
    began = story[0].created_ms
    for alert in story:
        if alert.severity is Severity.RESOLVED:
            break
        began = alert.created_ms
    return began


def gone(story: Sequence[Alert], text: str, now_ms: int) -> Change:
    """Return what it does to a story, newest message first, that its thing is gone.

    What was told is told to be over; what nobody has heard of yet is taken back in silence.
    """
    if not story or story[0].severity is Severity.RESOLVED:
        return Change()
    newest = story[0]
    begins_here = len(story) == 1 or story[1].severity is Severity.RESOLVED
    if newest.untouched and begins_here:
        return Change(replace(newest, severity=Severity.RESOLVED, last_seen_ms=now_ms, sent_ms=now_ms))
    over = Sighting(newest.kind, newest.key, newest.scope, Severity.RESOLVED, text or newest.text)
    return Change(added=Draft(over, newest.count, None, newest.escalated_ms))


def _held_until(story: Sequence[Alert], throttle_ms: int, now_ms: int) -> int | None:
    """Return when something may be told that was told, was over, and is back within the throttle; None is at once."""
    told = [row.created_ms for row in story if row.severity is not Severity.RESOLVED]
    until = max(told, default=now_ms - throttle_ms) + throttle_ms
    return until if until > now_ms else None


def pause_after(attempts: int) -> int:
    """Return how many milliseconds to wait after so many attempts: 5 s, doubled each time, at most 15 minutes."""
    return int(min(5_000 * 2 ** min(attempts - 1, 10), 900_000))
