"""Rows of the orders table as they are stored: kept in the audit, compared, and written back exactly.

Invariant 8 (Reversible): what a heal changed is put back to the last digit and in the column's own form.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256

from sqlalchemy import Connection, DateTime, Update, literal, update

from trueup.core.audit import canonical_json
from trueup.core.decimals import read_decimal
from trueup.ledger.attach import OrdersTable
from trueup.ledger.ids import require_read_as_written
from trueup.ledger.reading import chunks, padded_order_ids
from trueup.ledger.schema import ORDER_COLUMNS
from trueup.ledger.types import ExactDecimal, UtcTime

NOT_KEPT = "updated_at"
"""The column that follows every change, and so is no part of what a row says."""

Stored = Mapping[str, object]
"""A row by our names, each value as it is kept."""


def locked_rows(connection: Connection, table: OrdersTable, order_ids: Iterable[str]) -> dict[str, list[Stored]]:
    """Return the rows by their ids without blanks around them, locked until the transaction ends."""
    wanted = sorted(set(order_ids))
    found: dict[str, list[Stored]] = {order_id: [] for order_id in wanted}
    for part in chunks(wanted):
        _collect(connection, table, part, found)
    if missing := [order_id for order_id in wanted if not found[order_id]]:
        _collect(connection, table, sorted(padded_order_ids(connection, table, frozenset(missing))), found)
    return found


def _collect(connection: Connection, table: OrdersTable, spelt: Iterable[str], found: dict[str, list[Stored]]) -> None:
    query = table.rows.where(table["order_id"].in_(list(spelt))).order_by(table["order_id"])
    for given in connection.execute(query.with_for_update()).mappings():
        row = dict(given)
        require_read_as_written(row)
        found.setdefault(str(row["order_id"]).strip(), []).append(row)


def stored(table: OrdersTable, row: Mapping[str, object]) -> dict[str, object]:
    """Return what a row says, as it is kept."""
    return {name: kept(row[name]) for name in ORDER_COLUMNS if name in table and name != NOT_KEPT}


def kept(value: object) -> object:
    """Return a value as JSON can keep it without loss."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, (datetime, date)) else str(value)


def mark_of(row: Stored) -> str:
    """Return a digest of what a row says."""
    return sha256(canonical_json(dict(row)).encode("utf-8", "surrogatepass")).hexdigest()


def putting_back(table: OrdersTable, order_id: object, values: Stored, dialect: str) -> Update:
    """Return the statement that writes kept values to a row."""
    theirs = {table.name_of(name): _bound(table, name, value, dialect) for name, value in values.items()}
    return update(table.table).where(table["order_id"] == order_id).values(theirs)


def _bound(table: OrdersTable, name: str, value: object, dialect: str) -> object:
    if isinstance(value, Mapping):
        return float(str(value["float"]))
    kind = table.kind(name)
    if not isinstance(value, str) or dialect != "postgresql":
        return value
    if isinstance(kind, UtcTime):
        return literal(datetime.fromisoformat(value), DateTime(timezone=True))
    return read_decimal(value) if isinstance(kind, ExactDecimal) else value
