"""Adding the history rows that closed trades lack, and taking them back: one transaction over some trades, audited.

Invariants 7 (Audit before act: the row and its audit are one transaction), 8 (Reversible) and 12 (Fenced). What is
added is decided anew inside the transaction, by all rows of the trade.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from trueup.core.audit import AuditDecision, AuditDraft, canonical_json
from trueup.core.errors import Refused
from trueup.core.integrity.kinds import Kind
from trueup.core.integrity.rows import HISTORY
from trueup.core.integrity.rules import rule_named
from trueup.core.integrity.untold import untold
from trueup.core.repair.slices import Slice
from trueup.ledger import chain, schema
from trueup.ledger.derived import history_values
from trueup.ledger.guards import trade_rows
from trueup.ledger.integrity.attempts import attempt, record_taken_back
from trueup.ledger.integrity.walking import Moment
from trueup.ledger.reading import chunks
from trueup.ledger.tables import Store, fits
from trueup.ports.lifecycle import HistoryBatch, HistoryResult, IdRevert


class Histories:
    """What the LifecycleBook port writes of histories."""

    _store: Store

    def add_histories(self, batch: HistoryBatch, *, rehearse: bool = False) -> HistoryResult:
        """Add the history rows that closed trades lack, with their audit; a rehearsal is rolled back."""
        return attempt(
            self._store, batch.lease, lambda connection: self._add(connection, batch), lambda _: not rehearse
        )

    def remove_histories(self, request: IdRevert, *, rehearse: bool = False) -> HistoryResult:
        """Delete history rows that a batch added, with the audit; where one changed since, none is."""
        return attempt(
            self._store, request.lease, lambda connection: _remove(connection, request),
            lambda result: not (rehearse or result.stale),
        )  # fmt: skip

    def _add(self, connection: Connection, batch: HistoryBatch) -> HistoryResult:
        if not fits(connection, schema.trade_history):
            return HistoryResult(stale=batch.trades)
        table, mine = self._store.orders(connection), batch.profile.profile_id
        trade_rows(connection, table, mine, batch.trades)  # which locks them
        ready: dict[str, tuple[Slice, Any]] = {}
        for trade in Moment(connection, table, None).trades(batch.trades):
            found = untold(trade.trade_id, trade.orders, trade.history, lambda _: batch.symbols, batch.closed_before_ms)
            for item in found:
                if item.profile_id == mine and item.why is None and item.piece is not None:
                    ready[item.trade_id] = (item.piece, item.rows)
        rows = history_values(connection, batch.profile, ready, batch.symbols)
        _insert(connection, list(rows.values()))
        marks = _marks(connection, [str(row["id"]) for row in rows.values()])
        drafts = [_draft(row, marks[str(row["id"])], batch) for row in rows.values()]
        if drafts:
            chain.append(connection, drafts, batch.now)
        return HistoryResult(len(drafts), tuple(name for name in batch.trades if name not in rows))


def _insert(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    try:
        if rows:
            connection.execute(insert(schema.trade_history), list(rows))
    except IntegrityError as error:
        rule = rule_named(str(error.orig))
        name = rule.name if rule is not None else str(error.orig).splitlines()[0]
        raise Refused(
            f"The table {HISTORY} refuses a row: {name}{f' ({rule.words})' if rule is not None else ''}."
            " Nothing of its batch was written.",
            "Correct what the table says, by hand; then run the command again.",
        ) from error


def _marks(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the digest of history rows as they are stored, by id."""
    table, found = schema.trade_history, {}
    for part in chunks(sorted(ids)):
        for row in connection.execute(select(table).where(table.c.id.in_(part)).with_for_update()).mappings():
            said = {name: str(value) for name, value in row.items() if value is not None}
            found[str(row["id"])] = sha256(canonical_json(said).encode("utf-8", "surrogatepass")).hexdigest()
    return found


def _draft(row: Mapping[str, object], mark: str, batch: HistoryBatch) -> AuditDraft:
    said = {name: str(value) for name, value in row.items() if value is not None}
    return AuditDraft(
        batch_id=batch.batch_id,
        profile_id=batch.profile.profile_id,
        symbol=str(row["symbol"]),
        trade_id=str(row["trade_id"]),
        decision=AuditDecision.HISTORY_ADDED,
        reason=Kind.MISSING_HISTORY.value,
        dry_run=False,
        actor=batch.actor,
        plan_hash=batch.plan_hash,
        backfill_order_id=str(row["id"]),
        metadata={"table": HISTORY, "rowId": row["id"], "row": said, "mark": mark},
        applied_at=batch.now,
    )


def _remove(connection: Connection, request: IdRevert) -> HistoryResult:
    told = schema.trade_history
    wanted = {str(row["backfill_order_id"]): json.loads(str(row["metadata"]))["mark"] for row in request.rows}
    there = _marks(connection, list(wanted))
    stale = tuple(name for name, mark in wanted.items() if there.get(name) != mark)
    if stale:
        return HistoryResult(stale=stale)
    for part in chunks(sorted(wanted)):
        connection.execute(delete(told).where(told.c.id.in_(part)))
    return HistoryResult(len(record_taken_back(connection, request, AuditDecision.HISTORY_REMOVED)))
