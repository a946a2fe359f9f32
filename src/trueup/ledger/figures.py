"""Figures in the database: what runs counted, kept as they end, so that no figure is made by reading history.

The table of watermarks holds one row a profile and one an account (feed `figures`), a JSON object of sums and of what
the newest run said. The audit's rows are counted on from the last one counted: its sequence has no gaps to come.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Float, cast, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.audit import canonical_json
from trueup.core.times import iso, read_time
from trueup.ledger import schema
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store, fits
from trueup.ports import Clock
from trueup.ports.figures import (
    DURATION_BUCKETS_MS,
    AccountFigures,
    BreakFigures,
    Heartbeat,
    LeaseFigures,
    Measured,
    RunFigures,
    VenueCount,
    Waiting,
    mismatches,
)

FEED = "figures"
_AUDIT = "audit"
_COUNTED = {
    "mismatch": "mismatches", "missing_from_exchange": "missing_from_exchange", "missing_in_db": "missing_in_db",
    "parity_auto_closed": "parity_auto_closed_trades",
}  # fmt: skip
"""What is summed, and its name among a summary's counts."""

_KEPT = (
    "reconcile_id", "status", "dry_run", "duration_ms", "exchange_equity", "internal_equity", "difference",
    "parity_max_mismatch_notional_usd", "parity_total_mismatch_notional_usd", "watchdog_triggered",
)  # fmt: skip
_KEPT_COUNTS = (
    "mismatches", "missing_from_exchange", "missing_in_db", "unresolved", "parity_mismatch_trades",
    "parity_quarantined_trades", "parity_auto_closed_trades",
)  # fmt: skip

Document = dict[str, Any]


def count_ends(connection: Connection, summaries: Sequence[Mapping[str, Any]], now: str) -> None:
    """Add the runs of one cycle that ended, by their summaries, inside the caller's transaction; dry runs count not."""
    summaries = [summary for summary in summaries if not summary.get("dry_run")]
    changes: dict[str, Callable[[Document], None]] = {}
    for summary in summaries:
        profile = summary.get("instance_id")
        if profile is not None:
            changes[f"profile:{profile}"] = _run_counter(summary, now)
    for account in dict.fromkeys(str(item["account"]) for item in summaries if item.get("account") is not None):
        mine = [item for item in summaries if item.get("account") == account]
        changes[f"account:{account}"] = _cycle_counter(mine)
    _change(connection, changes, now)


class SqlFigures:
    """The Figures port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock

    def count_ends(self, summaries: Sequence[Mapping[str, object]]) -> None:
        """Add the runs of one cycle that ended, by their summaries, in a transaction of its own."""
        with self._state.writing() as connection:
            count_ends(connection, summaries, iso(self._clock.now_ms()))

    def count_venue(self, counts: Mapping[str, VenueCount]) -> None:
        """Add calls to venues, by account."""
        changes = {f"account:{account}": _venue_counter(count) for account, count in counts.items()}
        with self._state.writing() as connection:
            _change(connection, changes, iso(self._clock.now_ms()))

    def measured(self, accounts: Sequence[str]) -> Measured:
        """Return all figures; breaks of the accounts that are named."""
        self._count_audit()
        with self._state.reading() as connection:
            if not fits(connection, schema.watermarks):
                return Measured()
            kept = _documents(connection)
            return Measured(
                runs=tuple(_run_figures(scope, found) for scope, found in kept.items() if _is(scope, "profile")),
                accounts=tuple(_account_figures(s, found) for s, found in kept.items() if _is(s, "account")),
                breaks=tuple(_breaks(connection, accounts)),
                leases=tuple(_leases(connection)),
                heartbeats=tuple(_heartbeats(connection)),
                decisions=_decisions(kept.get(_AUDIT, {})),
                alerts=_alerts(connection),
                pending=_pending(connection),
            )

    def _count_audit(self) -> None:
        """Count the audit's rows that are new since the last count; nothing is written where none is."""
        with self._state.reading() as connection:
            if not (fits(connection, schema.watermarks) and fits(connection, schema.audit)):
                return
            if not _new_rows(connection, _documents(connection, [_AUDIT]).get(_AUDIT, {})):
                return
        with self._state.writing() as connection:
            _change(connection, {_AUDIT: lambda found: _add_rows(connection, found)}, iso(self._clock.now_ms()))


def _is(scope: str, kind: str) -> bool:
    return scope.startswith(f"{kind}:")


def _change(connection: Connection, changes: Mapping[str, Callable[[Document], None]], now: str) -> None:
    """Change documents in place, each under its row's lock, in the order of their scopes; missing ones begin empty."""
    if not changes:
        return
    table = schema.watermarks
    dialect: ModuleType = sqlite if connection.dialect.name == "sqlite" else postgresql
    scopes = sorted(changes)
    fresh = [{"scope": scope, "feed": FEED, "position": "{}", "updated_at": now} for scope in scopes]
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), fresh)
    for part in chunks(scopes):
        mine = select(table).where(table.c.feed == FEED, table.c.scope.in_(part)).order_by(table.c.scope)
        for row in connection.execute(mine.with_for_update()).all():
            document = json.loads(row.position)
            changes[row.scope](document)
            at = (table.c.scope == row.scope) & (table.c.feed == FEED)
            connection.execute(update(table).where(at).values(position=canonical_json(document), updated_at=now))


def _run_counter(summary: Mapping[str, Any], now: str) -> Callable[[Document], None]:
    counts = {**(summary.get("counts") or {})}
    counts["mismatches"] = mismatches(counts)

    def count(document: Document) -> None:
        _add(document, "runs", {str(summary.get("status")): 1})
        _add(document, "counts", {name: int(counts.get(source) or 0) for name, source in _COUNTED.items()})
        _add(document, "heals", Counter(str(heal.get("rule")) for heal in summary.get("heals") or ()))
        took = int(summary.get("duration_ms") or 0)
        buckets = document.setdefault("buckets", [0] * (len(DURATION_BUCKETS_MS) + 1))
        buckets[sum(took > end for end in DURATION_BUCKETS_MS)] += 1
        document["duration_ms"] = document.get("duration_ms", 0) + took
        document["account"] = summary.get("account")
        document["ended_ms"] = read_time(summary.get("ended_at") or now)
        document["last"] = {name: summary.get(name) for name in _KEPT}
        document["last"] |= {name: counts.get(name) for name in _KEPT_COUNTS}
        document["last"]["unexplained"] = (summary.get("explained_by") or {}).get("unexplained")

    return count


def _cycle_counter(summaries: Sequence[Mapping[str, Any]]) -> Callable[[Document], None]:
    coverage = next((item["coverage"] for item in summaries if item.get("coverage")), None)
    as_of = next((item["timestamp"] for item in summaries if item.get("timestamp")), None)

    def count(document: Document) -> None:
        document["cycles"] = document.get("cycles", 0) + 1
        if coverage is not None:
            document["coverage"] = {feed: str(said.get("state")) for feed, said in coverage.items()}
        if as_of is not None:
            document["as_of"] = as_of

    return count


def _venue_counter(more: VenueCount) -> Callable[[Document], None]:
    def count(document: Document) -> None:
        document["calls"] = document.get("calls", 0) + more.calls
        _add(document, "errors", more.errors)

    return count


def _add(document: Document, name: str, more: Mapping[str, int]) -> None:
    sums = document.setdefault(name, {})
    for key, number in more.items():
        if number:
            sums[key] = sums.get(key, 0) + number


def _documents(connection: Connection, scopes: Sequence[str] | None = None) -> dict[str, Document]:
    table = schema.watermarks
    query = select(table.c.scope, table.c.position).where(table.c.feed == FEED).order_by(table.c.scope)
    if scopes is not None:
        query = query.where(table.c.scope.in_(scopes))
    return {str(row.scope): json.loads(row.position) for row in connection.execute(query)}


def _run_figures(scope: str, found: Document) -> RunFigures:
    return RunFigures(
        profile_id=scope.partition(":")[2],
        account=str(found.get("account") or ""),
        runs=found.get("runs", {}),
        counts=found.get("counts", {}),
        heals=found.get("heals", {}),
        buckets=tuple(found.get("buckets", ())),
        duration_ms=found.get("duration_ms", 0),
        ended_ms=found.get("ended_ms", 0),
        last=found.get("last", {}),
    )


def _account_figures(scope: str, found: Document) -> AccountFigures:
    venue = VenueCount(found.get("calls", 0), found.get("errors", {}))
    as_of_ms = read_time(found["as_of"]) if found.get("as_of") else None
    return AccountFigures(scope.partition(":")[2], found.get("cycles", 0), venue, found.get("coverage", {}), as_of_ms)


def _new_rows(connection: Connection, found: Document) -> bool:
    audit = schema.audit
    return connection.execute(select(audit.c.seq).where(audit.c.seq > found.get("seq", 0)).limit(1)).first() is not None


def _add_rows(connection: Connection, found: Document) -> None:
    audit = schema.audit
    query = (
        select(audit.c.profile_id, audit.c.decision, func.count().label("number"), func.max(audit.c.seq).label("seq"))
        .where(audit.c.seq > found.get("seq", 0))
        .group_by(audit.c.profile_id, audit.c.decision)
    )
    decisions = found.setdefault("decisions", {})
    for row in connection.execute(query).all():
        _add(decisions, row.profile_id, {row.decision: row.number})
        found["seq"] = max(found.get("seq", 0), row.seq)


def _decisions(found: Document) -> dict[tuple[str, str], int]:
    return {
        (profile, decision): number
        for profile, counts in found.get("decisions", {}).items()
        for decision, number in counts.items()
    }


def _breaks(connection: Connection, accounts: Sequence[str]) -> Iterable[BreakFigures]:
    """Yield the breaks that are not over; by account, since that is what they are indexed by."""
    table = schema.breaks
    if not fits(connection, table):
        return
    group = (table.c.account, table.c.profile_id, table.c.kind, table.c.state)
    worth = cast(table.c.notional, Float)
    for part in chunks(sorted(set(accounts))):
        query = (
            select(*group, func.count().label("number"), func.min(table.c.first_seen_at), func.sum(worth))
            .where(table.c.account.in_(part), table.c.resolved_at.is_(None))
            .group_by(*group)
            .order_by(*group)
        )
        for account, profile, kind, state, number, oldest, notional in connection.execute(query):
            yield BreakFigures(account, profile or "", kind, state, number, read_time(oldest), float(notional or 0))


def _leases(connection: Connection) -> Iterable[LeaseFigures]:
    table = schema.leases
    for row in connection.execute(select(table.c.scope, table.c.contended, table.c.fenced_out).order_by(table.c.scope)):
        yield LeaseFigures(row.scope, row.contended, row.fenced_out)


def _heartbeats(connection: Connection) -> Iterable[Heartbeat]:
    table = schema.heartbeats
    for row in connection.execute(select(table).order_by(table.c.scope)):
        yield Heartbeat(row.scope, row.beat_at, row.healthy)


def _alerts(connection: Connection) -> dict[str, Waiting]:
    table = schema.alerts
    query = (
        select(table.c.severity, func.count(), func.min(table.c.created_at), func.count(table.c.error))
        .where(table.c.sent_at.is_(None))
        .group_by(table.c.severity)
    )
    return {
        severity: Waiting(number, read_time(oldest), failing)
        for severity, number, oldest, failing in connection.execute(query)
    }


def _pending(connection: Connection) -> Waiting:
    table = schema.reconcile_runs
    query = select(func.count(), func.min(table.c.started_at)).where(table.c.status == "PENDING")
    number, oldest = connection.execute(query).one()
    return Waiting(number, read_time(oldest)) if number else Waiting()
