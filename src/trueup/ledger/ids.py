"""Columns that do not keep ids as they are written: a ledger that has them is refused, never guessed at.

Invariant 2 (Once): a row has booked the order that its id names. A column of floating-point numbers keeps 12345 as
12345.0 and long ids without their last digits; an untyped column of SQLite keeps the number 12345, which is not the
text '12345'. In both the booking would not be found, and the order would be booked again. Whole numbers on SQLite are
found by their digits, and only ids that they cannot keep are refused; Postgres does not compare numbers with text.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Integer, LargeBinary, Numeric, func, literal_column, select
from sqlalchemy.types import NullType, TypeEngine

from trueup.core.errors import ConfigurationError
from trueup.ledger.blanks import ID_COLUMNS

_DO = "Change the column to text, with the ids as the venue writes them; trueup alters no table of yours."
_BEYOND = 2**63


def require_ids(
    connection: Connection, columns: Mapping[str, ColumnElement[Any]], kinds: Mapping[str, TypeEngine[Any]]
) -> None:
    """Refuse columns of ids, by our names, in which an id is not kept as it is written."""
    dialect = connection.dialect.name
    for name in ID_COLUMNS:
        kind = kinds.get(name)
        if isinstance(kind, Float) or (dialect != "sqlite" and isinstance(kind, (Integer, Numeric))):
            raise ConfigurationError(
                f"The column for {name} holds numbers, not text: an id like 0012 or 12345.0 is not kept as it is"
                " written, and what is booked of an order cannot be told.",
                _DO,
            )
        if dialect == "sqlite" and isinstance(kind, (NullType, LargeBinary)):
            _require_text(connection, name, columns[name])


def _require_text(connection: Connection, name: str, column: ColumnElement[Any]) -> None:
    untyped = func.typeof(column).not_in([literal_column("'text'"), literal_column("'null'")])
    found = connection.execute(select(column).where(untyped).limit(1)).first()
    if found is not None:
        raise ConfigurationError(
            f"The column for {name} has no type and holds {found[0]!r} as a number, which is not the same as text of"
            " these digits: what is booked of an order cannot be told.",
            _DO,
        )


def require_read_as_written(raw: Mapping[str, object]) -> None:
    """Refuse a row of the ledger whose id its column has turned into a number with a fraction."""
    for name in ID_COLUMNS:
        if isinstance(raw.get(name), float):
            raise ConfigurationError(
                f"The row {raw.get('order_id')} has {raw[name]!r} as {name}: its column turned the id into a number"
                " with a fraction, and digits may be lost.",
                _DO,
            )


def require_kept(kind: TypeEngine[Any] | None, name: str, wanted: Iterable[str]) -> None:
    """Refuse to look for ids that a column of numbers keeps as something else, such as 0012."""
    if not isinstance(kind, (Integer, Numeric)):
        return
    changed = min((value for value in wanted if _is_kept_otherwise(value)), default=None)
    if changed is not None:
        raise ConfigurationError(
            f"The column for {name} holds numbers, and the venue's id {changed!r} is not a number as it is written:"
            " what is booked of it cannot be told.",
            _DO,
        )


def _is_kept_otherwise(value: str) -> bool:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    return number.is_finite() and (abs(number) >= _BEYOND or value != str(int(number)))
