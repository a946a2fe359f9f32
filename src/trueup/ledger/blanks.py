"""Ids as the core compares them: without blanks around them, and tags in any case; so the database has to find them.

Invariant 2 (Once): a row whose exchange order id is ' X1' has booked X1. A plain look-up by X1 misses it, and trimming
in the look-up would give up the index for every row. So the few ids that are padded at all are listed first (the
native table has an index of only these), and the look-up asks for their own spellings too.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal_column, not_, or_

ID_COLUMNS = ("order_id", "exchange_order_id", "client_order_id")
"""The columns by which a row may name an exchange order."""


def any_padded(columns: Iterable[ColumnElement[Any]], dialect: str) -> ColumnElement[bool]:
    """Return the condition that one of several ids begins or ends with anything but a printable ASCII character.

    Whatever blanks Python strips are among these; ids that are merely odd have to be told apart afterwards. An index
    serves a query only if both have this very condition, on the columns in the same order.
    """
    return or_(*(_padded(column, dialect) for column in columns))


def _padded(column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    if dialect == "postgresql":
        return column.op("~", is_comparison=True)(literal_column("'^[^!-~]|[^!-~]$'"))
    ends = (func.substr(column, literal_column("1"), literal_column("1")), func.substr(column, literal_column("-1")))
    plain = [end.between(literal_column("'!'"), literal_column("'~'")) for end in ends]
    return and_(column != literal_column("''"), or_(*(not_(ordinary) for ordinary in plain)))


def in_lower_case(column: ColumnElement[Any], dialect: str) -> ColumnElement[str]:
    """Return an id in lower case; the native table has an index of just this expression."""
    return func.lower(cast(column, Text) if dialect == "postgresql" else column)
