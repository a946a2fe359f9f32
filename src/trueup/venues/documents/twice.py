"""What an account holds, read twice: before and after everything else.

Two answers that differ prove that something changed in between, or that one of them was stale or cut short: then the
symbol is unknown, since what was read of its orders belongs to one of the two and nobody can say to which.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

CHANGED = "it changed between two readings, or one of them was stale or cut short"

Row = Mapping[str, object]


def differing(before: Iterable[Row], after: Iterable[Row], quantities: Iterable[str]) -> dict[str, str]:
    """Return the symbols whose rows differ between two readings, with the reason; rows without a symbol are left out.

    Only the symbol, the side and the named quantity fields count: prices and profits move all the time.
    """
    fields = ("side", *quantities)
    first, second = _by_symbol(before, fields), _by_symbol(after, fields)
    return {symbol: CHANGED for symbol in sorted(first.keys() | second.keys()) if first[symbol] != second[symbol]}


def _by_symbol(rows: Iterable[Row], fields: tuple[str, ...]) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in rows:
        symbol = row.get("symbol")
        if isinstance(symbol, str):
            found[symbol].append(tuple(_plain(row.get(name)) for name in fields))
    for entries in found.values():
        entries.sort()
    return found


def _plain(value: object) -> str:
    """Return a value so that 1 and 1.0 are the same."""
    try:
        return str(Decimal(str(value)).normalize())
    except InvalidOperation:
        return str(value)
