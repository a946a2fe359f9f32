"""Position rows: one leg each, in base units, positive for long and negative for short."""

from decimal import Decimal

from trueup.core.snapshot import Leg
from trueup.core.symbols import Symbols
from trueup.venues.rows.contracts import Contracts
from trueup.venues.rows.fields import Row, content_of, first, number, price, shown, symbol_of, text

QUANTITIES = ("qty", "size", "position_qty", "positionQty", "contracts")
MARK_PRICES = ("mark_price", "markPrice", "current_price")

_LONG = frozenset({"long", "buy"})
_SHORT = frozenset({"short", "sell"})


def read_leg(row: Row, where: str, symbols: Symbols, contracts: Contracts) -> Leg:
    """Read one leg; ValueError says what is wrong with it."""
    symbol = symbol_of(row, symbols)
    found = first(row, QUANTITIES)
    if found is None:
        raise ValueError("its quantity is missing")
    name, value = found
    amount = number(name, value)
    short = _is_short(row, name, amount)
    size = abs(amount)
    if name == "contracts":
        size = contracts.base_quantity(row, symbol, name, size)
    return Leg(symbol, -size if short else size, price(row, MARK_PRICES), where, content=content_of(row))


def _is_short(row: Row, name: str, amount: Decimal) -> bool:
    """Say whether a row is short: by its side, else by the sign of its quantity (Alpaca gives both)."""
    side = text(row, ("side",))
    if side is None:
        return amount < 0
    if side.lower() in _SHORT:
        return True
    if side.lower() not in _LONG:
        raise ValueError(f"side {shown(side)} is neither long nor short")
    if amount < 0:
        raise ValueError(f"{name} {shown(str(amount))} is negative on a long side")
    return False
