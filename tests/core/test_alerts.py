"""When something is told: once in a while, louder when it stays, over when it is over."""

from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueup.core.alerts import Alert, Change, Severity, Sighting, gone, pause_after, seen

THROTTLE = 300_000
WARNING = Sighting("mismatch", "k", "profile:p1", Severity.WARNING, "text")


class Outbox:
    """The rows of one key, newest first, as a database would keep them."""

    def __init__(self) -> None:
        self.rows: list[Alert] = []

    def see(self, now_ms: int, sighting: Sighting = WARNING) -> Change:
        return self._keep(seen(self.rows, sighting, THROTTLE, now_ms), now_ms)

    def end(self, now_ms: int) -> Change:
        return self._keep(gone(self.rows, "over", now_ms), now_ms)

    def due(self, now_ms: int) -> list[Alert]:
        """What may be sent, newest first: a message that is held back holds back those after it."""
        waiting = [row for row in reversed(self.rows) if row.sent_ms is None]
        free = takewhile(lambda row: (row.next_attempt_ms or 0) <= now_ms, waiting)
        return list(reversed(list(free)))

    def deliver(self, now_ms: int) -> list[Alert]:
        due = self.due(now_ms)
        self.rows = [replace(row, sent_ms=now_ms, attempts=1) if row in due else row for row in self.rows]
        return due

    def try_in_vain(self, now_ms: int) -> None:
        due = self.due(now_ms)[-1:]
        self.rows = [replace(row, attempts=row.attempts + 1) if row in due else row for row in self.rows]

    def _keep(self, change: Change, now_ms: int) -> Change:
        if change.changed is not None:
            assert change.changed.seq == self.rows[0].seq
            self.rows[0] = change.changed
        if change.added is not None:
            told, added = change.added.sighting, change.added
            self.rows.insert(0, Alert(
                len(self.rows), told.kind, told.key, told.scope, told.severity, told.text, added.count, now_ms, now_ms,
                next_attempt_ms=added.next_attempt_ms, escalated_ms=added.escalated_ms,
            ))  # fmt: skip
        return change


@pytest.fixture
def box() -> Outbox:
    return Outbox()


def test_the_first_sighting_is_told_at_once(box: Outbox) -> None:
    box.see(0)
    [told] = box.deliver(0)
    assert (told.severity, told.count, told.text) == (Severity.WARNING, 1, "text")


def test_within_the_throttle_it_is_counted_and_not_told(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.see(THROTTLE - 1)
    assert box.deliver(THROTTLE - 1) == []
    assert (box.rows[0].count, box.rows[0].last_seen_ms, len(box.rows)) == (2, THROTTLE - 1, 1)


def test_after_the_throttle_it_is_told_again_with_its_count(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.see(THROTTLE)
    [told] = box.deliver(THROTTLE)
    assert (told.count, told.severity) == (2, Severity.WARNING)


def test_what_outlives_two_runs_is_escalated_once_and_at_once(box: Outbox) -> None:
    for now in (0, 1, 2, 3, 4):
        box.see(now)
        box.deliver(now)
    assert [(row.severity, row.escalated_ms) for row in reversed(box.rows)] == [
        (Severity.WARNING, None), (Severity.CRITICAL, 2),
    ]  # fmt: skip
    assert box.rows[0].count == 5
    box.see(THROTTLE + 2)
    assert (box.rows[0].severity, box.rows[0].escalated_ms) == (Severity.CRITICAL, 2)


def test_what_is_critical_already_is_told_again_when_it_escalates(box: Outbox) -> None:
    for now in (0, 1, 2):
        change = box.see(now, replace(WARNING, severity=Severity.CRITICAL))
        box.deliver(now)
    assert change.escalated
    assert len(box.rows) == 2


def test_what_gets_worse_is_told_at_once(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.see(1, replace(WARNING, severity=Severity.CRITICAL, text="worse"))
    [told] = box.deliver(1)
    assert (told.severity, told.text, told.escalated_ms) == (Severity.CRITICAL, "worse", None)
    box.see(2)
    assert box.rows[0].severity is Severity.CRITICAL


def test_what_nobody_took_yet_is_one_message_with_the_newest_words(box: Outbox) -> None:
    for now in (0, 1, 2):
        box.see(now, replace(WARNING, text=f"text {now}"))
    [told] = box.deliver(2)
    assert (told.count, told.text, told.severity, told.escalated_ms) == (3, "text 2", Severity.CRITICAL, 2)


def test_what_is_being_sent_is_not_rewritten(box: Outbox) -> None:
    box.see(0)
    box.try_in_vain(0)
    box.see(1, replace(WARNING, text="newer"))
    assert (box.rows[0].text, box.rows[0].count, len(box.rows)) == ("text", 2, 1)
    box.see(2)
    assert [row.severity for row in box.rows] == [Severity.CRITICAL, Severity.WARNING]


def test_its_end_is_told_where_it_was_told_of(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.end(5)
    [told] = box.deliver(5)
    assert (told.severity, told.text, told.count) == (Severity.RESOLVED, "over", 1)
    assert box.end(6) == Change()


def test_what_nobody_heard_of_ends_in_silence(box: Outbox) -> None:
    assert box.end(0) == Change()
    box.see(0)
    box.end(5)
    assert box.deliver(9) == []
    box.see(10)
    assert box.rows[0].next_attempt_ms is None
    assert len(box.deliver(10)) == 1


def test_what_failed_to_be_told_is_still_told_and_so_is_its_end(box: Outbox) -> None:
    box.see(0)
    box.try_in_vain(0)
    box.end(5)
    assert [row.severity for row in reversed(box.deliver(9))] == [Severity.WARNING, Severity.RESOLVED]


def test_what_comes_and_goes_is_told_once_in_the_throttle(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.end(10)
    box.deliver(10)
    box.see(20)
    assert box.deliver(20) == []
    box.end(30)
    assert box.deliver(THROTTLE * 2) == []
    box.see(THROTTLE * 2)
    assert len(box.deliver(THROTTLE * 2)) == 1


def test_what_came_back_and_stays_is_told_when_the_throttle_ends(box: Outbox) -> None:
    box.see(0)
    box.deliver(0)
    box.end(10)
    box.deliver(10)
    box.see(20)
    [told] = box.deliver(THROTTLE)
    assert told.severity is Severity.WARNING


def test_pauses_between_attempts_grow_and_end_growing() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, 200)]
    assert pauses[:3] == [5_000, 10_000, 20_000]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 900_000


STEPS = st.lists(
    st.tuples(st.sampled_from(["see", "worse", "end", "deliver", "fail"]), st.integers(0, THROTTLE)), max_size=40
)


@given(STEPS)
def test_invariants_of_every_story(steps: list[tuple[str, int]]) -> None:
    """Told at most once in the throttle unless louder; nothing told is left without its end; ends do not repeat."""
    box, now = Outbox(), 0
    told: list[tuple[int, Alert]] = []
    for what, later in steps:
        now += later
        if what == "deliver":
            told += [(now, alert) for alert in reversed(box.deliver(now))]
        elif what == "fail":
            box.try_in_vain(now)
        elif what == "end":
            box.end(now)
        else:
            severity = Severity.CRITICAL if what == "worse" else Severity.WARNING
            box.see(now, replace(WARNING, severity=severity))
    now += THROTTLE
    box.end(now)
    told += [(now, alert) for alert in reversed(box.deliver(now))]
    assert not told or told[-1][1].severity is Severity.RESOLVED
    begun: Alert | None = None
    for _, alert in told:
        if alert.severity is Severity.RESOLVED:
            assert begun is not None
            begun = None
            continue
        if begun is not None:
            louder = alert.severity.rank > begun.severity.rank or alert.escalated_ms != begun.escalated_ms
            assert louder or alert.created_ms - begun.created_ms >= THROTTLE
        begun = alert
