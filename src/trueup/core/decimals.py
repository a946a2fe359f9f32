"""Exact decimals: every quantity and price of a decision, end to end.

Invariant 11 (Exact): binary floats appear nowhere in a decision. A float that a ledger hands over is read by its
shortest representation; everything else arrives as text or decimal. Arithmetic runs in a context wide enough that
sums and products of admissible numbers are never rounded.
"""

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

NOTHING = Decimal("1e-8")
"""A quantity up to this is nothing: the size below which a remainder does not count."""

PLACES = 18
LIMIT = Decimal("1e20")
"""Numbers are written with PLACES decimal places and stay below LIMIT in size (NUMERIC(38,18))."""

FINEST = 40
EXACT = Context(prec=160, rounding=ROUND_HALF_EVEN)

_QUANTUM = Decimal(1).scaleb(-PLACES)
_P = ParamSpec("_P")
_T = TypeVar("_T")


def exactly(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run a function in the exact decimal context, whatever the caller's context is."""

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return inside


def read_decimal(value: object) -> Decimal:
    """Read a number that a ledger or a venue wrote; ValueError says what is wrong with it.

    Text, integers, decimals and floats (by their shortest representation) are accepted. Booleans, blanks, NaN,
    infinities, numbers of LIMIT or more in size and numbers finer than FINEST places are refused.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, Decimal):
        number = value
    else:
        text = repr(value) if isinstance(value, float) else str(value).strip()
        if "_" in text or not text.isascii():
            raise ValueError(f"{value!r} is not a number")
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    exponent = number.as_tuple().exponent
    if number and (number.adjusted() >= LIMIT.adjusted() or not isinstance(exponent, int) or exponent < -FINEST):
        raise ValueError(f"{value!r} is outside what a quantity or price can be")
    return number or Decimal(0)


def read_quantity(value: object) -> Decimal:
    """Read a number that must not be negative; ValueError says what is wrong with it."""
    number = read_decimal(value)
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number


def plain(number: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def cut_quantity(quantity: Decimal) -> Decimal:
    """Cut a quantity to PLACES decimal places, towards zero: what is written never exceeds what was proven."""
    return quantity.quantize(_QUANTUM, rounding=ROUND_DOWN, context=EXACT)


def round_price(price: Decimal) -> Decimal:
    """Round a price to PLACES decimal places, half to even."""
    return price.quantize(_QUANTUM, rounding=ROUND_HALF_EVEN, context=EXACT)
