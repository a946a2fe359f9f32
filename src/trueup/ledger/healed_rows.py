"""Rows that a heal changed or added: whether they are as the batch left them, and how they are taken back.

Invariant 8 (Reversible): a changed row gets back what the heal found in it, an added one the status canceled.
"""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, update

from trueup.core.audit import AuditRow
from trueup.core.errors import Refused
from trueup.core.reconcile.audited import ADDED, columns_of
from trueup.ledger.attach import NOTHING_LIKE_IT, OrdersTable
from trueup.ledger.raw_rows import NOT_KEPT, Stored, locked_rows, mark_of, putting_back, stored
from trueup.ledger.spelling import status_as_spelt


def refuse_edited_heals(
    connection: Connection, table: OrdersTable, batch_id: str, heals: Sequence[AuditRow], said: Sequence[AuditRow]
) -> None:
    """Refuse to touch healed rows that are not as the batch's newest word on them (among `said`) left them."""
    left = {str(row["backfill_order_id"]): row for row in said}
    for name in sorted({str(row["backfill_order_id"]) for row in heals}):
        metadata = _metadata(left[name])
        now = [stored(table, row) for row in locked_rows(connection, table, [name])[name]]
        if len(now) != 1 or mark_of(now[0]) != metadata.get("rowMark"):
            reverted = str(left[name]["decision"]) == "REVERTED"
            wanted = _written(metadata, reverted=reverted)
            raise Refused(
                f"Batch {batch_id} stays as it is: the row {name} is not what the batch made of it"
                f"{_what(now[0], wanted) if now else ': it is not in the ledger any more'}.",
                "Somebody changed the row; see `trueup audit export` for what it was, or decide by hand.",
            )


def _written(metadata: Mapping[str, object], *, reverted: bool) -> dict[str, object]:
    """Return the columns that a heal wrote, or that taking it back wrote."""
    if reverted and metadata.get("change") == ADDED:
        return {}
    return columns_of(metadata, "before" if reverted else "after")


def _what(now: Stored, wanted: Stored) -> str:
    """Return in words which of a heal's own columns is different."""
    other = [name for name in sorted(wanted) if name in now and now[name] != wanted[name]]
    return f": its {other[0]} is {now[other[0]]}, not {wanted[other[0]]}" if other else ""


def switch_heals(
    connection: Connection, table: OrdersTable, heals: Sequence[AuditRow], now: str, *, revert: bool
) -> dict[int, str]:
    """Take heals back, the newest first, or put them in force again; return the digests of the rows then, by seq.

    Of a row that was healed twice, both digests are of what it says at the end.
    """
    marks: dict[str, str] = {}
    for heal in sorted(heals, key=lambda row: row.seq, reverse=revert):
        name = str(heal["backfill_order_id"])
        [raw] = locked_rows(connection, table, [name])[name]
        values = _values(connection, table, heal, raw, revert=revert)
        connection.execute(putting_back(table, raw["order_id"], values, connection.dialect.name))
        stamp = table.theirs(NOT_KEPT, now, NOTHING_LIKE_IT if table.is_native else raw)
        if stamp:
            connection.execute(update(table.table).where(table["order_id"] == raw["order_id"]).values(stamp))
        [raw] = locked_rows(connection, table, [name])[name]
        kept = stored(table, raw)
        other = [column for column, value in values.items() if kept[column] != value]
        if other:
            raise Refused(f"The table does not take back what {name} had as {other[0]}: {values[other[0]]}.")
        marks[name] = mark_of(kept)
    return {heal.seq: marks[str(heal["backfill_order_id"])] for heal in heals}


def _values(
    connection: Connection, table: OrdersTable, heal: AuditRow, raw: Mapping[str, object], *, revert: bool
) -> dict[str, object]:
    """Return what is written to a row: the heal's columns before or after, of an added one its status alone."""
    metadata = _metadata(heal)
    if metadata.get("change") != ADDED:
        return columns_of(metadata, "before" if revert else "after")
    if revert:
        return {"status": status_as_spelt(connection, table, str(heal["profile_id"]), "canceled", raw["status"])}
    return {"status": columns_of(metadata, "after")["status"]}


def _metadata(row: AuditRow) -> dict[str, object]:
    found: dict[str, object] = json.loads(str(row["metadata"]))
    return found
