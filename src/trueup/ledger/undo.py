"""Taking a batch back and putting it in force again: one transaction over the ledger, the audit and what follows.

Invariants 8 (Reversible) and 12 (Fenced): rows change their status, or get back what a heal found in them, and nothing
is deleted. A batch may hold repairs (APPLIED) and heals (HEALED) at once; all of them are taken back, or none.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection, update

from trueup.core.audit import DONE, AuditDecision, AuditDraft, AuditRow
from trueup.core.decimals import plain, read_decimal
from trueup.core.errors import Refused
from trueup.core.orders import Side, StatusClass
from trueup.core.repair.rows import NAMES_NO_ORDER
from trueup.core.repair.slices import slices_of
from trueup.ledger import chain, schema
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable, sample_row
from trueup.ledger.derived import rematerialise
from trueup.ledger.guards import booked_here, fenced, trade_marks, trade_rows
from trueup.ledger.healed_rows import refuse_edited_heals, switch_heals
from trueup.ledger.raw_rows import locked_rows
from trueup.ledger.reading import read_row
from trueup.ledger.tables import Store
from trueup.ledger.written import differences, of_audit
from trueup.ports import UndoRequest, UndoResult

_SAID = DONE | {AuditDecision.REVERTED, AuditDecision.REAPPLIED}
"""The rows of a batch that say how the ledger was left."""


class Undoing:
    """What the Ledger port takes back and puts in force again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def revert(self, request: UndoRequest) -> UndoResult:
        """Take back what a batch wrote, in one transaction with the audit."""
        self._store.require_one_database()
        with fenced(self._store.books, request.lease) as connection:
            return _Undo(connection, self._store.orders(connection), request).revert()

    def reapply(self, request: UndoRequest) -> UndoResult:
        """Put in force again what a reverted batch wrote, in one transaction with the audit."""
        self._store.require_one_database()
        with fenced(self._store.books, request.lease) as connection:
            return _Undo(connection, self._store.orders(connection), request).reapply()


class _Undo:
    """One transaction, with the batch's rows of the audit."""

    def __init__(self, connection: Connection, table: OrdersTable, request: UndoRequest) -> None:
        self.connection, self.table, self.request = connection, table, request
        self.said = [
            row
            for row in chain.read(connection, schema.audit.c.batch_id == request.batch_id)
            if row["decision"] in _SAID
        ]
        self.done = [row for row in self.said if row["decision"] in DONE]
        if not self.done:
            raise Refused(f"Batch {request.batch_id} applied no row.", "See `trueup backfill list` for the batches.")

    def revert(self) -> UndoResult:
        """Take back the rows that are in force."""
        active = [row for row in self.done if row["reverted_at"] is None]
        already = _ids(row for row in self.done if row["reverted_at"] is not None)
        if not active:
            return UndoResult(self.request.batch_id, unchanged=already)
        self._refuse_edited(active, StatusClass.FILLED)
        self._refuse_changed(active, "reverted")
        audit = self._switch(active, AuditDecision.REVERTED)
        return UndoResult(self.request.batch_id, _ids(active), already, tuple(audit))

    def reapply(self) -> UndoResult:
        """Put back the rows that are not in force."""
        inactive = [row for row in self.done if row["reverted_at"] is not None]
        already = _ids(row for row in self.done if row["reverted_at"] is None)
        if not inactive:
            return UndoResult(self.request.batch_id, unchanged=already)
        self._refuse_edited(inactive, StatusClass.DEAD)
        self._refuse_changed(inactive, "put back")
        self._refuse_booked(inactive)
        audit = self._switch(inactive, AuditDecision.REAPPLIED)
        self._refuse_over_exit(_trades(inactive))
        return UndoResult(self.request.batch_id, _ids(inactive), already, tuple(audit))

    def _refuse_edited(self, rows: Sequence[AuditRow], status: StatusClass) -> None:
        """Refuse to touch a row that is not what the batch left (invariant 8)."""
        edited = differences(self.connection, self.table, [of_audit(row) for row in _repairs(rows)], status)
        if edited:
            raise Refused(
                f"Batch {self.request.batch_id} stays as it is: {len(edited)} of its rows are not what the audit"
                f" applied. {min(edited)}: {edited[min(edited)]}.",
                "Somebody changed the row; put it back as `trueup audit export` shows it, or decide by hand.",
            )
        refuse_edited_heals(self.connection, self.table, self.request.batch_id, _heals(rows), self.said)

    def _refuse_changed(self, rows: Sequence[AuditRow], verb: str) -> None:
        """Refuse where a trade is not as the batch's newest word on it left it."""
        trades = _trades(rows)
        marks = trade_marks(self.connection, self.table, self.request.profile.profile_id, trades)
        left = {str(row["trade_id"]): str(metadata_of(row).get("tradeFingerprint")) for row in self.said}
        changed = [trade for trade in trades if marks[trade] != left[trade]]
        if changed:
            raise Refused(
                f"Batch {self.request.batch_id} is not {verb}: {', '.join(changed)} changed since.",
                "Look at the trade with `trueup explain TRADE_ID`; a later batch may have to be reverted first.",
            )

    def _refuse_booked(self, rows: Sequence[AuditRow]) -> None:
        """Refuse to put rows back whose evidence was booked otherwise in the meantime (invariant 2).

        What the rows themselves book now is none of it: a heal that is taken back may have left an earlier part.
        """
        request = self.request
        cited = [row for row in rows if _cites(row)]
        own = frozenset(_ids(rows))
        found = locked_rows(self.connection, self.table, _ids(cited))
        index = booked_here(
            self.connection, self.table, {str(row["exchange_order_id"]) for row in cited},
            {str(row["exchange_client_order_id"]) for row in cited if row["exchange_client_order_id"]},
            request.symbols, request.tag_prefix, elsewhere=request.elsewhere, without=own,
        )  # fmt: skip
        for row in cited:
            mine = [read_row(self.table, dict(raw)).qty for raw in found[str(row["backfill_order_id"])]]
            before = read_decimal(str(metadata_of(row).get("bookedBefore") or "0")) - sum(mine, Decimal(0))
            client_id, name = _text(row["exchange_client_order_id"]), str(row["exchange_order_id"])
            if max(index.of(str(row["symbol"]), side, name, client_id).qty for side in Side) > before:
                raise Refused(
                    f"Batch {request.batch_id} is not put back: exchange order {name} was booked by another row since.",
                    f"See `trueup explain {row['trade_id']}`.",
                )

    def _refuse_over_exit(self, trade_ids: Sequence[str]) -> None:
        """Refuse where rows that are put back would make a trade's exits exceed its entries (invariant 3)."""
        rows = trade_rows(self.connection, self.table, self.request.profile.profile_id, trade_ids)
        for piece in slices_of((row for found in rows.values() for row in found), self.request.symbols):
            if piece.open_qty < 0 or piece.defect is not None:
                raise Refused(
                    f"Batch {self.request.batch_id} is not put back: {piece.trade_id} would have left"
                    f" {plain(piece.exit_qty)} of {plain(piece.entry_qty)}.",
                    f"See `trueup explain {piece.trade_id}`.",
                )

    def _switch(self, rows: Sequence[AuditRow], decision: AuditDecision) -> list[AuditRow]:
        """Change the rows, the derived tables, and the audit, which records it with new rows."""
        request, revert = self.request, decision is AuditDecision.REVERTED
        for row in _repairs(rows):
            self._set_status(row, "canceled" if revert else "filled")
        row_marks = switch_heals(self.connection, self.table, _heals(rows), request.now, revert=revert)
        audit = schema.audit
        self.connection.execute(
            update(audit)
            .where(audit.c.seq.in_([row.seq for row in rows]))
            .values(reverted_at=request.now if revert else None)
        )
        trades = _trades(rows)
        rematerialise(self.connection, self.table, request.profile, trades, request.symbols, now=request.now)
        marks = trade_marks(self.connection, self.table, request.profile.profile_id, trades)
        drafts = [_undo_draft(row, request, decision, _marks_of(row, marks, row_marks)) for row in rows]
        return chain.append(self.connection, drafts, request.now)

    def _set_status(self, row: AuditRow, status: str) -> None:
        """Change the status of a repair's row."""
        table, order_id = self.table, str(row["backfill_order_id"])
        like = (
            NOTHING_LIKE_IT
            if table.is_native
            else sample_row(self.connection, table, self.request.profile.profile_id, str(row["trade_id"]))
        )
        values = table.theirs("status", status, like) | table.theirs("updated_at", self.request.now, like)
        changed = self.connection.execute(update(table.table).where(table["order_id"] == order_id).values(values))
        if changed.rowcount != 1:
            raise Refused(f"Row {order_id} is not in the ledger any more.", "See `trueup audit export`.")


def metadata_of(row: AuditRow) -> dict[str, object]:
    """Return what an audit row keeps beside its columns."""
    found = json.loads(str(row["metadata"]))
    return found if isinstance(found, dict) else {}


def _repairs(rows: Sequence[AuditRow]) -> list[AuditRow]:
    return [row for row in rows if row["decision"] == AuditDecision.APPLIED]


def _heals(rows: Sequence[AuditRow]) -> list[AuditRow]:
    return [row for row in rows if row["decision"] == AuditDecision.HEALED]


def _ids(rows: Iterable[AuditRow]) -> tuple[str, ...]:
    return tuple(str(row["backfill_order_id"]) for row in rows)


def _trades(rows: Sequence[AuditRow]) -> list[str]:
    return sorted({str(row["trade_id"]) for row in rows if row["trade_id"]})


def _cites(row: AuditRow) -> bool:
    """Say whether a row books an order of the venue: dust does not, nor a heal that cancels or rests on none."""
    name = row["exchange_order_id"]
    if not name or str(name).startswith(NAMES_NO_ORDER):
        return False
    return row["decision"] == AuditDecision.APPLIED or metadata_of(row).get("bookedBefore") is not None


def _marks_of(row: AuditRow, trades: Mapping[str, str], rows: Mapping[int, str]) -> dict[str, str]:
    trade, mark = trades.get(str(row["trade_id"])), rows.get(row.seq)
    found = {"tradeFingerprint": trade} if trade is not None else {}
    return found | ({"rowMark": mark} if mark is not None else {})


def _undo_draft(row: AuditRow, request: UndoRequest, decision: AuditDecision, marks: Mapping[str, str]) -> AuditDraft:
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
        exchange_order_id=_text(row["exchange_order_id"]),
        exchange_client_order_id=_text(row["exchange_client_order_id"]),
        backfill_order_id=str(row["backfill_order_id"]),
        filled_qty=_number(row["filled_qty"]),
        filled_price=_number(row["filled_price"]),
        filled_at=_text(row["filled_at"]),
        metadata={**metadata_of(row), "appliedSeq": row.seq, **marks},
    )


def _text(value: object) -> str | None:
    return str(value) if value is not None else None


def _number(value: object) -> Decimal | None:
    return read_decimal(str(value)) if value is not None else None
