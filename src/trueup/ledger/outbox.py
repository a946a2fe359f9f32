"""The outbox of alerts in the database: told at least once, by one process at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, delete, exists, insert, or_, select, text, update

from trueup.core.alerts import Alert, Change, Draft, Severity
from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.tables import Store, fits

_STORY = 20
"""So many of a key's newest messages tell its story."""


class SqlOutbox:
    """The Outbox port."""

    def __init__(self, store: Store) -> None:
        self._state = store.state

    def change(self, key: str, decide: Callable[[Sequence[Alert]], Change], now_ms: int) -> Change:
        """Change the story of a key, which `decide` is given newest message first; nobody else does meanwhile."""
        with self._state.reading() as connection:
            if not fits(connection, schema.alerts) or decide(_story(connection, key)) == Change():
                return Change()
        with self._state.writing() as connection:
            if not self._state.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
            change = decide(_story(connection, key, lock=True))
            if change.changed is not None:
                _write(connection, change.changed)
            if change.added is not None:
                connection.execute(insert(schema.alerts).values(_values(change.added, now_ms)))
        return change

    def claim(self, now_ms: int, hold_ms: int) -> Alert | None:
        """Take the oldest message that may be sent, for so long; None where there is none."""
        table = schema.alerts
        with self._state.reading() as connection:
            if not fits(connection, table) or connection.execute(_due(now_ms)).first() is None:
                return None
        with self._state.writing() as connection:
            found = connection.execute(_due(now_ms).with_for_update(skip_locked=True, of=table)).mappings().first()
            if found is None:
                return None
            taken = {"attempts": found["attempts"] + 1, "next_attempt_at": now_ms + hold_ms}
            connection.execute(update(table).where(table.c.seq == found["seq"]).values(**taken))
            return _alert({**found, **taken})

    def delivered(self, alert: Alert, now_ms: int) -> None:
        """Record that every target took a message."""
        table = schema.alerts
        mine = update(table).where(table.c.seq == alert.seq, table.c.sent_at.is_(None))
        with self._state.writing() as connection:
            connection.execute(mine.values(sent_at=iso(now_ms), error=None, next_attempt_at=None))

    def undelivered(self, alert: Alert, error: str, next_attempt_ms: int) -> None:
        """Record why an attempt failed, and when the next one may be; not where somebody else is at it already."""
        table = schema.alerts
        mine = and_(table.c.seq == alert.seq, table.c.sent_at.is_(None), table.c.attempts == alert.attempts)
        with self._state.writing() as connection:
            connection.execute(update(table).where(mine).values(error=error, next_attempt_at=next_attempt_ms))

    def page(self, limit: int, *, pending: bool = False) -> list[Alert]:
        """Return the newest messages first, all or those that are not delivered."""
        table = schema.alerts
        query = select(table).order_by(table.c.seq.desc()).limit(limit)
        with self._state.reading() as connection:
            if not fits(connection, table):
                return []
            found = connection.execute(query.where(table.c.sent_at.is_(None)) if pending else query)
            return [_alert(row) for row in found.mappings()]

    def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete messages that were delivered before a time, at most so many; return how many were deleted."""
        table = schema.alerts
        old = select(table.c.seq).where(table.c.sent_at < iso(before_ms)).order_by(table.c.sent_at).limit(limit)
        with self._state.writing() as connection:
            return connection.execute(delete(table).where(table.c.seq.in_(old))).rowcount


def _due(now_ms: int) -> Select[Any]:
    """Return the query for the oldest message that may be sent and has no earlier one of its key before it."""
    table, earlier = schema.alerts, schema.alerts.alias("earlier")
    first = ~exists().where(earlier.c.key == table.c.key, earlier.c.seq < table.c.seq, earlier.c.sent_at.is_(None))
    free = or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now_ms)
    return select(table).where(table.c.sent_at.is_(None), free, first).order_by(table.c.seq).limit(1)


def _story(connection: Connection, key: str, *, lock: bool = False) -> list[Alert]:
    """Return a key's newest messages; locked, so that none is taken to be sent while it changes."""
    table = schema.alerts
    query = select(table).where(table.c.key == key).order_by(table.c.seq.desc()).limit(_STORY)
    query = query.with_for_update() if lock else query
    return [_alert(row) for row in connection.execute(query).mappings()]


def _write(connection: Connection, alert: Alert) -> None:
    table = schema.alerts
    values = {
        "severity": alert.severity.value, "text": alert.text, "count": alert.count,
        "last_seen_at": iso(alert.last_seen_ms), "next_attempt_at": alert.next_attempt_ms,
        "escalated_at": _iso(alert.escalated_ms), "sent_at": _iso(alert.sent_ms),
    }  # fmt: skip
    connection.execute(update(table).where(table.c.seq == alert.seq).values(values))


def _values(draft: Draft, now_ms: int) -> dict[str, object]:
    told = draft.sighting
    return {
        "kind": told.kind, "key": told.key, "scope": told.scope, "severity": told.severity.value, "text": told.text,
        "count": draft.count, "created_at": iso(now_ms), "last_seen_at": iso(now_ms),
        "next_attempt_at": draft.next_attempt_ms, "escalated_at": _iso(draft.escalated_ms),
    }  # fmt: skip


def _alert(row: RowMapping | Mapping[str, Any]) -> Alert:
    return Alert(
        seq=row["seq"],
        kind=row["kind"],
        key=row["key"] or "",
        scope=row["scope"],
        severity=Severity(row["severity"]),
        text=row["text"],
        count=row["count"],
        created_ms=read_time(row["created_at"]),
        last_seen_ms=read_time(row["last_seen_at"] or row["created_at"]),
        sent_ms=_ms(row["sent_at"]),
        attempts=row["attempts"],
        next_attempt_ms=row["next_attempt_at"],
        escalated_ms=_ms(row["escalated_at"]),
        error=row["error"],
    )


def _iso(ms: int | None) -> str | None:
    return iso(ms) if ms is not None else None


def _ms(text: str | None) -> int | None:
    return read_time(text) if text is not None else None
