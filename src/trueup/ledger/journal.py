"""trueup's own tables: the audit and the runs."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from trueup.core.audit import CHANGES, DONE, ENDED, GENESIS, PENDING, WROTE, AuditDecision, AuditDraft, AuditRow
from trueup.core.decimals import read_decimal
from trueup.core.integrity.rules import BLANK_TO_NULL
from trueup.core.reconcile.audited import rule_of
from trueup.core.repair.booked import Applied
from trueup.core.times import iso, read_time
from trueup.ledger import chain, schema
from trueup.ledger.guards import applied_repairs
from trueup.ledger.leases import is_gone, this_process
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store, has_table
from trueup.ports import BatchSummary, Clock, UnendedRun

_PENDING = "PENDING"
_LONGEST_RUN_MS = 24 * 3_600_000
"""A run on another machine, of which nobody here can tell whether it lives, counts as gone after this time."""


class SqlJournal:
    """The Journal port."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._state = store.state
        self._clock = clock

    def audit_exists(self) -> bool:
        """Say whether the audit table is there."""
        with self._state.reading() as connection:
            return has_table(connection, schema.audit)

    def record(self, drafts: Sequence[AuditDraft]) -> list[AuditRow]:
        """Append rows to the audit, in one transaction of their own."""
        if not drafts:
            return []
        with self._state.writing() as connection:
            return chain.append(connection, drafts, iso(self._clock.now_ms()))

    def audit_rows(self, batch_id: str | None = None) -> Iterator[AuditRow]:
        """Yield audit rows in the order of seq, all of them or one batch's."""
        where = None if batch_id is None else schema.audit.c.batch_id == batch_id
        with self._state.reading() as connection:
            yield from chain.read(connection, where)

    def audit_between(self, first: int, last: int) -> list[AuditRow]:
        """Return the audit rows whose seq is from `first` to `last`, in that order."""
        with self._state.reading() as connection:
            return list(chain.read(connection, schema.audit.c.seq.between(first, last)))

    def audit_after(self, head: str) -> tuple[int, list[AuditRow]] | None:
        """Return the place of the row with a hash, and all rows that follow it; None where there is no such row."""
        with self._state.reading() as connection:
            newest, newest_head = chain.newest(connection)
            if newest_head == head:
                return newest, []
            place = connection.scalar(select(schema.audit.c.seq).where(schema.audit.c.hash == head))
            if place is None and head != GENESIS:
                return None
            after = int(place or 0)
            return after, list(chain.read(connection, schema.audit.c.seq > after))

    def audit_of_trade(self, profile_id: str, trade_id: str) -> list[AuditRow]:
        """Return one trade's audit rows in the order of seq."""
        where = and_(schema.audit.c.profile_id == profile_id, schema.audit.c.trade_id == trade_id)
        with self._state.reading() as connection:
            return list(chain.read(connection, where))

    def head(self) -> str:
        """Return the hash of the newest audit row."""
        with self._state.reading() as connection:
            return chain.newest(connection)[1]

    def length(self) -> int:
        """Return the place of the newest audit row in the chain: how many rows a whole chain has."""
        with self._state.reading() as connection:
            return chain.newest(connection)[0]

    def applied(self, exchange_order_ids: Iterable[str]) -> list[Applied]:
        """Return the repairs that were applied from these exchange orders and not reverted."""
        with self._state.reading() as connection:
            return applied_repairs(connection, exchange_order_ids)

    def reverted(self, profile_ids: Sequence[str]) -> frozenset[tuple[str, str, str]]:
        """Return profile, trade and exchange order ids of the repairs that are reverted now."""
        audit = schema.audit
        names = ("profile_id", "trade_id", "exchange_order_id", "filled_qty")
        query = select(*(audit.c[name] for name in names)).where(
            audit.c.profile_id.in_(profile_ids),
            audit.c.decision.in_(sorted(DONE)),
            audit.c.reverted_at.is_not(None),
            audit.c.exchange_order_id.is_not(None),
        )
        with self._state.reading() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        # A heal that booked nothing, as a cancel, took no execution that could be booked again.
        return frozenset((str(a), str(b), str(c)) for a, b, c, qty in rows if qty is not None and read_decimal(qty))

    def healed_and_reverted(self, profile_ids: Sequence[str]) -> frozenset[tuple[str, str, str]]:
        """Return profile, order id and rule of the heals that an operator took back."""
        audit = schema.audit
        query = select(audit.c.profile_id, audit.c.backfill_order_id, audit.c.reason).where(
            audit.c.profile_id.in_(profile_ids),
            audit.c.decision == AuditDecision.HEALED.value,
            audit.c.reverted_at.is_not(None),
        )
        with self._state.reading() as connection:
            return frozenset((str(a), str(b), rule_of(c)) for a, b, c in connection.execute(query))

    def settled(self, profile_ids: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Return profile, trade, symbol and snapshot time (epoch ms) of the repairs in force, each trade once."""
        audit = schema.audit
        query = select(audit.c.profile_id, audit.c.trade_id, audit.c.symbol, audit.c.metadata).where(
            audit.c.profile_id.in_(profile_ids), audit.c.decision == "APPLIED", audit.c.reverted_at.is_(None)
        )
        newest: dict[tuple[str, str, str], int] = {}
        with self._state.reading() as connection:
            for profile, trade, symbol, metadata in connection.execute(query):
                as_of = json.loads(metadata).get("asOf")
                known = newest.get((profile, trade, symbol), 0)
                newest[profile, trade, symbol] = max(read_time(as_of) if as_of else 0, known)
        return [(*key, as_of) for key, as_of in sorted(newest.items())]

    def interrupted(self, profile_ids: Sequence[str]) -> list[AuditRow]:
        """Return the rows of batches and heals that were announced and never ended."""
        with self._state.reading() as connection:
            return _pending(connection, schema.audit.c.profile_id.in_(profile_ids))

    def close_batch(self, batch_id: str, closing: Callable[[AuditRow], AuditDraft]) -> list[AuditRow]:
        """Append the row that closes each announced row of a batch that has not ended; return the whole batch.

        The chain's lock is taken before anything is read: a commit whose answer was lost may still be under way, and
        it holds that lock until its rows can be seen.
        """
        mine = schema.audit.c.batch_id == batch_id
        with self._state.writing() as connection:
            chain.lock_head(connection)
            drafts = [closing(row) for row in _pending(connection, mine)]
            chain.append(connection, drafts, iso(self._clock.now_ms()))
            return list(chain.read(connection, mine))

    def wrote_since(self, profile_ids: Sequence[str], since_ms: int) -> bool:
        """Say whether trueup changed a ledger row of profiles since a time: booked, healed, reverted or reapplied."""
        table = schema.audit
        query = select(table.c.seq).where(
            table.c.profile_id.in_(profile_ids),
            table.c.decision.in_(sorted(WROTE)),
            table.c.created_at >= iso(since_ms),
        )
        with self._state.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def batches(self, profile_ids: Sequence[str] | None = None) -> list[BatchSummary]:
        """Return all batches, newest first."""
        where = None if profile_ids is None else schema.audit.c.profile_id.in_(profile_ids)
        groups: dict[str, list[AuditRow]] = {}
        with self._state.reading() as connection:
            for row in chain.read(connection, where):
                groups.setdefault(str(row["batch_id"]), []).append(row)
        return [_summary(rows) for rows in reversed(groups.values())]

    def wrote(self, profile_ids: Sequence[str], since: str, until: str) -> list[BatchSummary]:
        """Return what batches wrote to profiles from one time to another, oldest first."""
        table = schema.audit
        groups: dict[tuple[str, str], list[AuditRow]] = {}
        with self._state.reading() as connection:
            for part in chunks(profile_ids) if has_table(connection, table) else ():
                mine = and_(
                    table.c.profile_id.in_(part), table.c.decision.in_(sorted(CHANGES)),
                    table.c.created_at.between(since, until),
                )  # fmt: skip
                for row in chain.read(connection, mine):
                    groups.setdefault((str(row["batch_id"]), str(row["profile_id"])), []).append(row)
        found = [_summary(rows) for rows in groups.values()]
        return sorted(found, key=lambda batch: (batch.created_at, batch.batch_id))

    def begin_run(self, run_id: str, kind: str, scope: str) -> None:
        """Record that a run began, with the audit head that it saw."""
        with self._state.writing() as connection:
            values = {
                "run_id": run_id, "kind": kind, "scope": scope, "status": _PENDING,
                "audit_head": chain.newest(connection)[1], "started_at": iso(self._clock.now_ms()),
                "summary": {"status": _PENDING, "owner": this_process()},
            }  # fmt: skip
            connection.execute(insert(schema.reconcile_runs).values(values))

    def unended_runs(self) -> list[UnendedRun]:
        """Return the runs that began and did not end, oldest first: killed ones, and those that still run."""
        runs = schema.reconcile_runs
        query = select(runs).where(runs.c.status == _PENDING).order_by(runs.c.started_at, runs.c.run_id)
        now_ms = self._clock.now_ms()
        with self._state.reading() as connection:
            return [
                UnendedRun(row.run_id, row.scope, row.started_at, _has_gone(row.summary, row.started_at, now_ms))
                for row in connection.execute(query)
            ]

    def end_run(self, run_id: str, status: str, summary: Mapping[str, object]) -> None:
        """Record how a run ended: OK, MISMATCH or INCONCLUSIVE, with its summary."""
        runs = schema.reconcile_runs
        values = {"status": status, "summary": dict(summary), "ended_at": iso(self._clock.now_ms())}
        with self._state.writing() as connection:
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def _pending(connection: Connection, mine: ColumnElement[bool]) -> list[AuditRow]:
    """Return the announcements among some rows that no other row has ended."""
    audit = schema.audit
    ended = select(audit.c.batch_id, audit.c.backfill_order_id).where(
        mine, audit.c.decision.in_([decision.value for decision in ENDED]), audit.c.backfill_order_id.is_not(None)
    )
    done = {(row.batch_id, row.backfill_order_id) for row in connection.execute(ended)}
    announced = audit.c.decision.in_([decision.value for decision in PENDING])
    pending = chain.read(connection, and_(mine, announced))
    return [row for row in pending if (row["batch_id"], row["backfill_order_id"]) not in done]


def _has_gone(summary: str | None, started_at: str, now_ms: int) -> bool:
    """Say whether a run cannot be running any more: its process is gone, or it began too long ago."""
    owner = json.loads(summary).get("owner") if summary is not None else None
    return is_gone(str(owner)) or read_time(started_at) < now_ms - _LONGEST_RUN_MS


def _summary(rows: Sequence[AuditRow]) -> BatchSummary:
    decisions = Counter(str(row["decision"]) for row in rows)
    first = rows[0]
    applied = [row for row in rows if row["decision"] in DONE] or _given(rows)
    reverted = [row for row in applied if row["reverted_at"] is not None]
    return BatchSummary(
        batch_id=str(first["batch_id"]),
        profile_id=str(first["profile_id"]),
        state="dry_run" if first["dry_run"] else _state(rows, len(applied), len(reverted)),
        created_at=str(first["created_at"]),
        actor=str(first["actor"]),
        rows=len(applied) or decisions[AuditDecision.DRY_RUN] or sum(decisions[announced] for announced in PENDING),
        decisions=dict(sorted(decisions.items())),
    )


def _given(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """Return the rows by which a batch gave trade ids or added history; emptied blanks, which stay so, if all are."""
    gave = (AuditDecision.TRADE_ID_SET, AuditDecision.HISTORY_ADDED)
    given = [row for row in rows if row["decision"] in gave]
    return [row for row in given if row["reason"] != BLANK_TO_NULL] or given


def _state(rows: Sequence[AuditRow], applied: int, reverted: int) -> str:
    if applied:
        return "reverted" if reverted == applied else "partly_reverted" if reverted else "applied"
    if any(row["decision"] == AuditDecision.INTERRUPTED for row in rows):
        return "interrupted"
    ended = {row["backfill_order_id"] for row in rows if row["decision"] in ENDED}
    pending = {row["backfill_order_id"] for row in rows if row["decision"] in PENDING}
    return "pending" if pending - ended else "nothing_booked"
