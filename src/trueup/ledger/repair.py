"""Booking, reverting and putting back: each one transaction over the ledger, the audit and the derived tables.

Invariants 7 (Audit before act), 8 (Reversible) and 12 (Fenced): the intent stands in the audit before this runs; here
rows are inserted or change their status, and nothing is deleted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Insert, update
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.audit import AuditDecision, AuditDraft, AuditRow, settled
from trueup.core.decimals import plain, read_decimal
from trueup.core.errors import ConfigurationError, Refused
from trueup.core.orders import Side, StatusClass
from trueup.core.repair.decisions import ALREADY_EXISTS
from trueup.core.repair.rows import NAMES_NO_ORDER, ExitRow
from trueup.core.repair.slices import fingerprint, slices_of
from trueup.core.times import iso
from trueup.ledger import chain, schema
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable, sample_row
from trueup.ledger.derived import facts_of, rematerialise
from trueup.ledger.guards import booked_here, hold_lease, require_pause, stale_trades, trade_rows
from trueup.ledger.reading import existing_ids
from trueup.ledger.tables import Store
from trueup.ledger.written import differences, of_audit, of_exit
from trueup.ports import RepairBatch, RepairResult, UndoRequest, UndoResult

INSERTED = "inserted"


class _Rehearsed(Exception):
    """Ends a rehearsal: the transaction is rolled back."""


class Repairs:
    """What the Ledger port writes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def writable(self) -> bool:
        """Say whether repairs may be written: whether the books and the audit are one database."""
        return self._store.one_database

    def book(self, batch: RepairBatch, *, rehearse: bool) -> RepairResult:
        """Book a batch in one transaction with its audit and the derived tables; a rehearsal is rolled back."""
        self._store.require_one_database()
        result = RepairResult()
        try:
            with self._store.books.writing() as connection:
                result = _book(connection, self._store.orders(connection), batch)
                if rehearse or result.stale:
                    raise _Rehearsed
        except _Rehearsed:
            pass
        return result

    def revert(self, request: UndoRequest) -> UndoResult:
        """Set the batch's rows to canceled, in one transaction with the audit."""
        self._store.require_one_database()
        with self._store.books.writing() as connection:
            return _revert(connection, self._store.orders(connection), request)

    def reapply(self, request: UndoRequest) -> UndoResult:
        """Put a reverted batch's rows back, in one transaction with the audit."""
        self._store.require_one_database()
        with self._store.books.writing() as connection:
            return _reapply(connection, self._store.orders(connection), request)


def _book(connection: Connection, table: OrdersTable, batch: RepairBatch) -> RepairResult:
    hold_lease(connection, batch.lease)
    require_pause(connection, batch.require_pause)
    stale = stale_trades(connection, table, batch)
    if stale:
        return RepairResult(stale=stale)
    rows = {booking.row.order_id: booking.row for booking in batch.bookings}
    existing = existing_ids(connection, table, rows)
    new = [row for order_id, row in rows.items() if order_id not in existing]
    _insert(connection, table, new, batch.now)
    trade_ids = sorted({row.trade_id for row in rows.values()})
    facts = facts_of(new, batch.symbols)
    rematerialise(connection, table, batch.profile, trade_ids, batch.symbols, now=batch.now, new_facts=facts)
    marks = _marks(connection, table, batch.profile.profile_id, trade_ids)
    drafts = [
        settled(
            booking.pending, AuditDecision.APPLIED, INSERTED, batch.now,
            tradeFingerprint=marks[booking.row.trade_id], bookedBefore=plain(booking.booked_before),
            side=booking.row.side.value,
        )
        if booking.row.order_id not in existing
        else settled(booking.pending, AuditDecision.SKIP_EXISTING, ALREADY_EXISTS, None)
        for booking in batch.bookings
    ]  # fmt: skip
    audit = chain.append(connection, drafts, batch.now)
    return RepairResult(tuple(row.order_id for row in new), tuple(sorted(existing)), audit=tuple(audit))


def _insert(connection: Connection, table: OrdersTable, rows: Sequence[ExitRow], now: str) -> None:
    """Insert EXIT rows; one that another constraint of the table keeps out is an error, never a silent skip."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = [table.to_theirs(_columns(row, now), _like(connection, table, row)) for row in rows]
    for part in _alike(values):
        statement: Insert = dialect.insert(table.table).on_conflict_do_nothing()
        connection.execute(statement, part)
    missing = {row.order_id for row in rows} - existing_ids(connection, table, [row.order_id for row in rows])
    if missing:
        raise ConfigurationError(
            f"The orders table did not take {len(missing)} row(s), {min(missing)} first: another of its constraints"
            " keeps them out. Nothing was written.",
            "Look at the table's unique constraints.",
        )
    other = differences(connection, table, [of_exit(row) for row in rows], StatusClass.FILLED)
    if other:
        raise ConfigurationError(
            f"The orders table keeps {min(other)} otherwise than it was written: {other[min(other)]}. Nothing was"
            " written.",
            "Look at the types of the table's columns and at its triggers.",
        )


def _like(connection: Connection, table: OrdersTable, row: ExitRow) -> Mapping[str, object]:
    """Return how somebody else's table writes the trade's own rows; the native table needs no example."""
    return NOTHING_LIKE_IT if table.is_native else sample_row(connection, table, row.profile_id, row.trade_id)


def _alike(values: Iterable[dict[str, object]]) -> list[list[dict[str, object]]]:
    """Group rows that set the same columns, so that each group is one statement."""
    groups: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for row in values:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())


def _columns(row: ExitRow, now: str) -> dict[str, object]:
    return {
        "order_id": row.order_id, "profile_id": row.profile_id, "user_id": row.user_id, "symbol": row.symbol,
        "type": "market", "side": row.side.value, "qty": row.qty, "quantity": row.qty, "price": row.price,
        "status": "filled", "timestamp": row.filled_ms, "filled_at": iso(row.filled_ms), "trade_id": row.trade_id,
        "action": "EXIT", "source": "BOT", "sub_tag": row.sub_tag, "client_order_id": row.client_order_id,
        "exchange_order_id": row.exchange_order_id, "order_qty": row.qty, "created_at": now, "updated_at": now,
    }  # fmt: skip


def _marks(connection: Connection, table: OrdersTable, profile_id: str, trade_ids: Iterable[str]) -> dict[str, str]:
    rows = trade_rows(connection, table, profile_id, trade_ids)
    return {trade_id: fingerprint(found) for trade_id, found in rows.items()}


def _applied_of(connection: Connection, request: UndoRequest) -> list[AuditRow]:
    """Return the batch's APPLIED rows; refused where the batch applied nothing."""
    audit = schema.audit
    rows = [
        row
        for row in chain.read(connection, audit.c.batch_id == request.batch_id)
        if row["decision"] == AuditDecision.APPLIED
    ]
    if not rows:
        raise Refused(f"Batch {request.batch_id} applied no row.", "See `trueup backfill list` for the batches.")
    return rows


def _revert(connection: Connection, table: OrdersTable, request: UndoRequest) -> UndoResult:
    hold_lease(connection, request.lease)
    rows = _applied_of(connection, request)
    active = [row for row in rows if row["reverted_at"] is None]
    done = tuple(str(row["backfill_order_id"]) for row in rows if row["reverted_at"] is not None)
    if not active:
        return UndoResult(request.batch_id, unchanged=done)
    trade_ids = sorted({str(row["trade_id"]) for row in active})
    _refuse_edited(connection, table, request, active, StatusClass.FILLED)
    marks = _marks(connection, table, request.profile.profile_id, trade_ids)
    expected = {str(row["trade_id"]): str(_metadata(row).get("tradeFingerprint")) for row in active}
    _refuse_changed(request, marks, expected, "reverted")
    audit = _switch(connection, table, request, active, AuditDecision.REVERTED)
    return UndoResult(request.batch_id, tuple(str(row["backfill_order_id"]) for row in active), done, tuple(audit))


def _reapply(connection: Connection, table: OrdersTable, request: UndoRequest) -> UndoResult:
    hold_lease(connection, request.lease)
    rows = _applied_of(connection, request)
    inactive = [row for row in rows if row["reverted_at"] is not None]
    done = tuple(str(row["backfill_order_id"]) for row in rows if row["reverted_at"] is None)
    if not inactive:
        return UndoResult(request.batch_id, unchanged=done)
    trade_ids = sorted({str(row["trade_id"]) for row in inactive})
    _refuse_edited(connection, table, request, inactive, StatusClass.DEAD)
    marks = _marks(connection, table, request.profile.profile_id, trade_ids)
    _refuse_changed(request, marks, _after_revert(connection, request), "put back")
    _refuse_booked(connection, table, request, inactive)
    audit = _switch(connection, table, request, inactive, AuditDecision.REAPPLIED)
    _refuse_over_exit(connection, table, request, trade_ids)
    return UndoResult(request.batch_id, tuple(str(row["backfill_order_id"]) for row in inactive), done, tuple(audit))


def _after_revert(connection: Connection, request: UndoRequest) -> dict[str, str]:
    """Return each trade's fingerprint as the newest revert of the batch left it."""
    where = (schema.audit.c.batch_id == request.batch_id) & (schema.audit.c.decision == AuditDecision.REVERTED.value)
    return {str(row["trade_id"]): str(_metadata(row).get("tradeFingerprint")) for row in chain.read(connection, where)}


def _refuse_changed(request: UndoRequest, marks: Mapping[str, str], expected: Mapping[str, str], verb: str) -> None:
    changed = sorted(trade for trade, mark in expected.items() if trade in marks and marks[trade] != mark)
    if changed:
        raise Refused(
            f"Batch {request.batch_id} is not {verb}: {', '.join(changed)} changed since.",
            "Look at the trade with `trueup explain TRADE_ID`; a later batch may have to be reverted first.",
        )


def _refuse_edited(
    connection: Connection, table: OrdersTable, request: UndoRequest, rows: Sequence[AuditRow], status: StatusClass
) -> None:
    """Refuse to change the status of a row that is not what the audit applied (invariant 8)."""
    edited = differences(connection, table, [of_audit(row) for row in rows], status)
    if edited:
        raise Refused(
            f"Batch {request.batch_id} stays as it is: {len(edited)} of its rows are not what the audit applied."
            f" {min(edited)}: {edited[min(edited)]}.",
            "Somebody changed the row; put it back as `trueup audit export` shows it, or decide by hand.",
        )


def _refuse_over_exit(
    connection: Connection, table: OrdersTable, request: UndoRequest, trade_ids: Sequence[str]
) -> None:
    """Refuse where rows that are put back would make a trade's exits exceed its entries (invariant 3)."""
    rows = trade_rows(connection, table, request.profile.profile_id, trade_ids)
    for piece in slices_of((row for found in rows.values() for row in found), request.symbols):
        if piece.open_qty < 0 or piece.defect is not None:
            raise Refused(
                f"Batch {request.batch_id} is not put back: {piece.trade_id} would have left {plain(piece.exit_qty)}"
                f" of {plain(piece.entry_qty)}.",
                f"See `trueup explain {piece.trade_id}`.",
            )


def _refuse_booked(connection: Connection, table: OrdersTable, request: UndoRequest, rows: Sequence[AuditRow]) -> None:
    """Refuse to put rows back whose evidence was booked otherwise in the meantime (invariant 2)."""
    own = {str(row["backfill_order_id"]) for row in rows}
    rows = [row for row in rows if not str(row["exchange_order_id"]).startswith(NAMES_NO_ORDER)]
    exchange_ids = {str(row["exchange_order_id"]) for row in rows}
    client_ids = {str(row["exchange_client_order_id"]) for row in rows if row["exchange_client_order_id"]}
    index = booked_here(
        connection, table, exchange_ids, client_ids, request.symbols, request.tag_prefix,
        elsewhere=request.elsewhere, without=own,
    )  # fmt: skip
    for row in rows:
        before = read_decimal(str(_metadata(row).get("bookedBefore") or "0"))
        symbol = str(row["symbol"])
        client_id = _text(row["exchange_client_order_id"])
        booked = max(index.of(symbol, side, str(row["exchange_order_id"]), client_id).qty for side in Side)
        if booked > before:
            raise Refused(
                f"Batch {request.batch_id} is not put back: exchange order {row['exchange_order_id']} was booked"
                " by another row since.",
                f"See `trueup explain {row['trade_id']}`.",
            )


def _switch(
    connection: Connection,
    table: OrdersTable,
    request: UndoRequest,
    rows: Sequence[AuditRow],
    decision: AuditDecision,
) -> list[AuditRow]:
    """Change the status of a batch's rows, the derived tables, and the audit, which records it with new rows."""
    revert = decision is AuditDecision.REVERTED
    for row in rows:
        order_id = str(row["backfill_order_id"])
        like = (
            NOTHING_LIKE_IT
            if table.is_native
            else sample_row(connection, table, request.profile.profile_id, str(row["trade_id"]))
        )
        status = table.theirs("status", "canceled" if revert else "filled", like)
        values = status | table.theirs("updated_at", request.now, like)
        changed = connection.execute(update(table.table).where(table["order_id"] == order_id).values(values))
        if changed.rowcount != 1:
            raise Refused(f"Row {order_id} is not in the ledger any more.", "See `trueup audit export`.")
    audit = schema.audit
    connection.execute(
        update(audit)
        .where(audit.c.seq.in_([row.seq for row in rows]))
        .values(reverted_at=request.now if revert else None)
    )
    trade_ids = sorted({str(row["trade_id"]) for row in rows})
    rematerialise(connection, table, request.profile, trade_ids, request.symbols, now=request.now)
    marks = _marks(connection, table, request.profile.profile_id, trade_ids)
    drafts = [_undo_draft(row, request, decision, marks[str(row["trade_id"])]) for row in rows]
    return chain.append(connection, drafts, request.now)


def _undo_draft(row: AuditRow, request: UndoRequest, decision: AuditDecision, mark: str) -> AuditDraft:
    metadata = _metadata(row)
    return AuditDraft(
        batch_id=request.batch_id,
        profile_id=str(row["profile_id"]),
        symbol=str(row["symbol"]),
        trade_id=str(row["trade_id"]),
        decision=decision,
        reason=request.reason,
        dry_run=False,
        actor=request.actor,
        plan_hash=str(row["plan_hash"]),
        exchange_order_id=str(row["exchange_order_id"]),
        exchange_client_order_id=_text(row["exchange_client_order_id"]),
        backfill_order_id=str(row["backfill_order_id"]),
        filled_qty=read_decimal(str(row["filled_qty"])),
        filled_price=read_decimal(str(row["filled_price"])),
        filled_at=_text(row["filled_at"]),
        metadata={**metadata, "appliedSeq": row.seq, "tradeFingerprint": mark},
    )


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def _metadata(row: AuditRow) -> dict[str, object]:
    found = json.loads(str(row["metadata"]))
    return found if isinstance(found, dict) else {}
