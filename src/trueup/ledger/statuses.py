"""How statuses, actions and sides are usually spelt, for queries that need not look at every row by itself.

A spelling that is not among these is no error: the row's trade gets a closer look by the core, which reads any.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, or_

from trueup.core import orders as words


def variants(names: Iterable[str]) -> list[str]:
    """Return names in lower, upper and title case, and with underscores, dashes and blanks."""
    spelt = {name.replace("_", separator) for name in names for separator in "_- "}
    return sorted({form for name in spelt for form in (name, name.upper(), name.capitalize(), name.title())})


FILLED = variants(words.FILLED)
DEAD = variants(words.DEAD)
WORKING = variants(words.WORKING)
ENTRIES = ["ENTRY", "entry", "Entry"]
EXITS = ["EXIT", "exit", "Exit"]
BUYS = ["buy", "BUY", "long", "LONG", "Buy", "Long"]
SELLS = ["sell", "SELL", "short", "SHORT", "Sell", "Short", "sell_short"]

_FEW = 8


def among(column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values; false, not unknown, where it is NULL."""
    return and_(column.is_not(None), spelt(column, values))


def spelt(column: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of the values, unknown where it is NULL.

    A few values are compared one by one, the likeliest first: that is several times faster than a look-up.
    """
    quoted = ["'" + value.replace("'", "''") + "'" for value in values]
    if len(quoted) <= _FEW:
        return or_(*(column == literal_column(value) for value in quoted))
    return column.op("IN", is_comparison=True)(literal_column(f"({', '.join(quoted)})"))
