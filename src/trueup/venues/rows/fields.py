"""Fields of a venue's row: what is not there is None, what cannot be read is a ValueError that names the
field.

Names are tried in order and the first that is not null counts. Blank text is null where a field is text or a
time; a blank quantity is malformed, since it might have been one.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from unicodedata import category

from trueup.core.decimals import read_decimal, read_quantity
from trueup.core.orders import Side, read_side
from trueup.core.symbols import Symbols
from trueup.core.times import read_time

Row = Mapping[str, object]

LONGEST_TEXT = 500


def content_of(row: Row) -> str:
    """Return all that a row says as one text, the same for rows that say the same in another order."""
    return json.dumps(row, sort_keys=True, default=str)


"""Ids and symbols longer than this are malformed: databases cannot index them."""

LONGEST_SHOWN = 80
LONGEST_NUMBER = 200


def printable(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return text that any terminal, log and database can hold: cut, with control characters escaped."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if category(c)[0] != "C" else c.encode("unicode_escape").decode("ascii") for c in cut)


def shown(value: object) -> str:
    """Return a short text of a JSON value, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"'{printable(value)}'" if isinstance(value, str) else printable(str(value))


def first(row: Row, names: Iterable[str]) -> tuple[str, object] | None:
    """Return the first of the named fields that is not null."""
    return next(((name, row[name]) for name in names if row.get(name) is not None), None)


def first_not_blank(row: Row, names: Iterable[str]) -> tuple[str, object] | None:
    """Return the first of the named fields that is neither null nor blank text."""
    for name in names:
        value = row.get(name)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return name, value
    return None


def text(row: Row, names: Iterable[str]) -> str | None:
    """Return a text field without surrounding blanks."""
    found = first_not_blank(row, names)
    if found is None:
        return None
    name, value = found
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}, not text")
    return storable(name, value)


def storable(name: str, value: str) -> str:
    """Return text without surrounding blanks; ValueError where a database could not hold or index it."""
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} {shown(value)} is longer than {LONGEST_TEXT} characters")
    if not value.isprintable() and any(category(c) in ("Cc", "Cs") for c in value):
        raise ValueError(f"{name} {shown(value)} holds a control character or half a surrogate pair")
    return value.strip()


def identifier(row: Row, names: Iterable[str]) -> str | None:
    """Return an id: text, or a whole number as its text."""
    found = first_not_blank(row, names)
    if found is None:
        return None
    name, value = found
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{name} is {shown(value)}, not text or a whole number")
    return storable(name, str(value))


def required_identifier(row: Row, names: tuple[str, ...]) -> str:
    """Return an id that must be there."""
    found = identifier(row, names)
    if found is None:
        raise ValueError(f"{' or '.join(names)} is missing")
    return found


def symbol_of(row: Row, symbols: Symbols) -> str:
    """Return the venue's spelling of the row's symbol; ValueError where it is missing or names nothing."""
    symbol = text(row, ("symbol",))
    if symbol is None:
        raise ValueError("symbol is missing")
    if not symbols.token(symbol):
        raise ValueError(f"symbol {shown(symbol)} has no letter or digit")
    return symbol


def side_of(row: Row) -> Side:
    """Return the side of an order or fill."""
    side = text(row, ("side",))
    if side is None:
        raise ValueError("side is missing")
    try:
        return read_side(side)
    except ValueError:
        raise ValueError(f"side {shown(side)} is neither buy nor sell") from None


def number(name: str, value: object, read: Callable[[object], Decimal] = read_decimal) -> Decimal:
    """Read a number; ValueError names the field."""
    if not _is_scalar(value) or len(str(value)) > LONGEST_NUMBER:
        raise ValueError(f"{name} is {shown(value)}, not a number")
    try:
        return read(str(value))
    except ValueError as error:
        raise ValueError(f"{name} {printable(str(error), LONGEST_NUMBER)}") from None


def _is_scalar(value: object) -> bool:
    """Say whether a value is text or a number; what is nested may be too deep to be written out."""
    return isinstance(value, (str, int, Decimal)) and not isinstance(value, bool)


def quantity(name: str, value: object) -> Decimal:
    """Read a number that must not be negative; ValueError names the field."""
    return number(name, value, read_quantity)


def price(row: Row, names: Iterable[str]) -> Decimal | None:
    """Return the first of the named prices; null, blank and 0 are none, what is negative is a ValueError."""
    for name in names:
        found = first_not_blank(row, (name,))
        value = quantity(*found) if found is not None else Decimal(0)
        if value:
            return value
    return None


def time_of(row: Row, names: Iterable[str]) -> int:
    """Return the first of the named times, in epoch milliseconds."""
    found = first_not_blank(row, names)
    if found is None:
        raise ValueError("its time is missing")
    return moment(*found)


def moment(name: str, value: object) -> int:
    """Read a time as epoch milliseconds; ValueError names the field."""
    if not _is_scalar(value):
        raise ValueError(f"{name} is {shown(value)}, not a time")
    try:
        return read_time(storable(name, value) if isinstance(value, str) else str(value))
    except ValueError as error:
        raise ValueError(f"{name}: {printable(str(error), LONGEST_NUMBER)}") from None
