"""Booking: one transaction over the ledger, the audit and the derived tables.

Invariants 7 (Audit before act) and 12 (Fenced): the intent stands in the audit before this runs; here rows are
inserted, and nothing is changed or deleted.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, Insert
from sqlalchemy.dialects import postgresql, sqlite

from trueup.core.audit import AuditDecision, settled
from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError
from trueup.core.orders import StatusClass
from trueup.core.repair.decisions import ALREADY_EXISTS
from trueup.core.repair.rows import ExitRow
from trueup.core.times import iso
from trueup.ledger import chain
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable, sample_row
from trueup.ledger.derived import facts_of, rematerialise
from trueup.ledger.guards import fenced, require_pause, stale_trades, trade_marks
from trueup.ledger.reading import existing_ids
from trueup.ledger.tables import Store
from trueup.ledger.written import differences, of_exit
from trueup.ports import RepairBatch, RepairResult

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
            with fenced(self._store.books, batch.lease) as connection:
                result = _book(connection, self._store.orders(connection), batch)
                if rehearse or result.stale:
                    raise _Rehearsed
        except _Rehearsed:
            pass
        return result


def _book(connection: Connection, table: OrdersTable, batch: RepairBatch) -> RepairResult:
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
    marks = trade_marks(connection, table, batch.profile.profile_id, trade_ids)
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
