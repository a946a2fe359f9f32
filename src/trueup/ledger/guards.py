"""What must hold inside a repair transaction: the lease, the pause, and the trades as they were planned.

Invariant 12 (Fenced): a worker that lost its lease cannot write. The lease's row stays locked until the transaction
ends, so that nobody takes it over in between.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal

from sqlalchemy import Connection, RowMapping, func, select, update

from trueup.core.audit import DONE
from trueup.core.decimals import read_decimal
from trueup.core.errors import Refused, TrueupError
from trueup.core.modes import Mode, effective
from trueup.core.orders import LedgerOrder
from trueup.core.reconcile.changes import RowChange, booked_of
from trueup.core.repair.booked import Applied, BookedIndex, booked_index
from trueup.core.repair.rows import WITHOUT_ORDER
from trueup.core.repair.slices import fingerprint
from trueup.core.symbols import Symbols
from trueup.ledger import schema
from trueup.ledger.attach import OrdersTable
from trueup.ledger.engine import Database
from trueup.ledger.reading import chunks, read_rows, rows_booking
from trueup.ports import Booking, HealBatch, Lease, RepairBatch


class FencedOut(Refused):
    """Another run has taken the lease over."""


@contextmanager
def fenced(database: Database, lease: Lease) -> Iterator[Connection]:
    """Open a transaction that holds a lease's row, or refuse; a refusal is counted once it is rolled back."""
    try:
        with database.writing() as connection:
            hold_lease(connection, lease)
            yield connection
    except FencedOut:
        table = schema.leases
        more = {"fenced_out": table.c.fenced_out + 1}
        # The refusal is what has to be said; a count that cannot be written is not worth hiding it.
        with suppress(TrueupError), database.writing() as connection:
            connection.execute(update(table).where(table.c.scope == lease.scope).values(more))
        raise


def hold_lease(connection: Connection, lease: Lease) -> None:
    """Lock the lease's row, or refuse where another run has taken the scope over."""
    table = schema.leases
    held = update(table).where(table.c.scope == lease.scope, table.c.owner == lease.owner, table.c.fence == lease.fence)
    if connection.execute(held.values(fence=lease.fence)).rowcount != 1:
        raise FencedOut(f"Another run has taken over {lease.scope}; nothing was written.", "Run the command again.")


def current_modes(connection: Connection) -> dict[str, Mode]:
    """Return the newest mode of every scope."""
    table = schema.safety_modes
    newest = select(func.max(table.c.seq)).group_by(table.c.scope)
    rows = connection.execute(select(table.c.scope, table.c.mode).where(table.c.seq.in_(newest)))
    return {str(row.scope): Mode[str(row.mode)] for row in rows}


def require_pause(connection: Connection, scopes: Sequence[str]) -> None:
    """Refuse where trading is no longer paused in any of the scopes; none are demanded where the list is empty."""
    if scopes and not effective(current_modes(connection), scopes)[0].paused:
        raise Refused(
            "The pause ended before the repair was written; nothing was written.",
            f"Pause again: trueup mode set SAFE_MODE --scope {scopes[-1]} --reason TEXT",
        )


def trade_rows(
    connection: Connection, table: OrdersTable, profile_id: str, trade_ids: Iterable[str]
) -> dict[str, list[LedgerOrder]]:
    """Return the rows of trades by trade id, locked against changes until the transaction ends."""
    found: dict[str, list[LedgerOrder]] = {trade_id: [] for trade_id in trade_ids}
    for part in chunks(found):
        query = table.rows.where(table["profile_id"] == profile_id, table["trade_id"].in_(part))
        for row in read_rows(connection, table, query.with_for_update()):
            if row.trade_id in found:
                found[row.trade_id].append(row)
    return found


def trade_marks(
    connection: Connection, table: OrdersTable, profile_id: str, trade_ids: Iterable[str]
) -> dict[str, str]:
    """Return the fingerprints of trades by trade id, their rows locked."""
    rows = trade_rows(connection, table, profile_id, trade_ids)
    return {trade_id: fingerprint(found) for trade_id, found in rows.items()}


def applied_repairs(connection: Connection, exchange_order_ids: Iterable[str]) -> list[Applied]:
    """Return what our audit booked of exchange orders, by repair or by heal, and nobody reverted.

    The newest word about a row counts: a heal may have canceled what a repair booked.
    """
    table = schema.audit
    found: dict[tuple[str, str], Applied] = {}
    for part in chunks(sorted(set(exchange_order_ids))):
        query = select(table).where(
            table.c.exchange_order_id.in_(part), table.c.decision.in_(sorted(DONE)), table.c.reverted_at.is_(None)
        )
        for row in connection.execute(query.order_by(table.c.seq)).mappings():
            item = _applied(row)
            found[item.exchange_order_id, item.order_id] = item
    return [item for item in found.values() if item.qty]


def _applied(row: RowMapping) -> Applied:
    return Applied(
        profile_id=row["profile_id"], trade_id=row["trade_id"], symbol=row["symbol"],
        exchange_order_id=row["exchange_order_id"], order_id=row["backfill_order_id"],
        qty=read_decimal(row["filled_qty"]) if row["filled_qty"] is not None else Decimal(0),
    )  # fmt: skip


def stale_heals(
    connection: Connection, table: OrdersTable, batch: HealBatch, found: Mapping[str, Sequence[LedgerOrder]]
) -> tuple[str, ...]:
    """Return the ids of the rows that are not as they were, or of which more or less is booked than was.

    `found` are the rows of the ledger that have the ids of the changes, locked.
    """
    cited = [change for change in batch.changes if change.proof.booked_before is not None]
    exchange_ids = {change.proof.exchange_order_id for change in cited if change.proof.exchange_order_id}
    client_ids = {change.proof.client_order_id for change in cited if change.proof.client_order_id}
    index = booked_here(
        connection, table, exchange_ids, client_ids, batch.symbols, batch.tag_prefix, elsewhere=batch.elsewhere
    )
    marks = trade_marks(connection, table, batch.profile.profile_id, batch.fingerprints)
    moved = {trade_id for trade_id, mark in batch.fingerprints.items() if marks[trade_id] != mark}
    stale = {change.order_id for change in cited if booked_of(index, change) != change.proof.booked_before}
    stale |= {change.order_id for change in batch.changes if change.trade_id in moved}
    changed = (change for change in batch.changes if isinstance(change, RowChange))
    return tuple(sorted(stale | {change.order_id for change in changed if found[change.order_id] != [change.before]}))


def stale_trades(connection: Connection, table: OrdersTable, batch: RepairBatch) -> tuple[str, ...]:
    """Return the trades that are not as they were planned, or whose evidence was booked by somebody else since.

    Dust rests on no exchange order: the trade's own rows say whether it was written off.
    """
    bookings = batch.bookings
    marks = trade_marks(connection, table, batch.profile.profile_id, {booking.row.trade_id for booking in bookings})
    proven = [booking for booking in bookings if booking.row.matched_by not in WITHOUT_ORDER]
    exchange_ids = {booking.row.exchange_order_id for booking in proven}
    client_ids = {booking.row.client_order_id for booking in proven if booking.row.client_order_id}
    index = booked_here(
        connection, table, exchange_ids, client_ids, batch.symbols, batch.tag_prefix, elsewhere=batch.elsewhere
    )
    stale = {booking.row.trade_id for booking in bookings if marks[booking.row.trade_id] != booking.fingerprint}
    stale |= {booking.row.trade_id for booking in proven if _booked(index, booking) != booking.booked_before}
    return tuple(sorted(stale))


def booked_here(
    connection: Connection,
    table: OrdersTable,
    exchange_ids: Collection[str],
    client_ids: Collection[str],
    symbols: Symbols,
    tag_prefix: str,
    *,
    elsewhere: frozenset[str],
    without: Collection[str] = (),
) -> BookedIndex:
    """Return what is booked of exchange orders of one account, leaving out some rows by their ids.

    Exchange order ids are unique within an account only, so that what profiles of other accounts booked is left out.
    """
    rows = rows_booking(connection, table, exchange_ids, client_ids, tag_prefix)
    applied = applied_repairs(connection, exchange_ids)
    return booked_index(
        [row for row in rows if row.profile_id not in elsewhere and row.order_id not in without],
        [item for item in applied if item.profile_id not in elsewhere and item.order_id not in without],
        symbols,
        tag_prefix,
    )


def _booked(index: BookedIndex, booking: Booking) -> Decimal:
    row = booking.row
    return index.of(row.symbol, row.side, row.exchange_order_id, row.client_order_id).qty
