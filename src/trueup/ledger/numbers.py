"""How a column holds a decimal: exactly, to so many places, or as a binary number of so many bits.

Invariant 3 (Conservation): what is written of a quantity is the largest number that the column holds without
exceeding it. A column's own rounding could go up, and a trade's exits past its entries.
"""

import math
import struct
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from sqlalchemy import Double, Float, Integer, Numeric
from sqlalchemy.types import TypeEngine

from trueup.core.decimals import EXACT, exactly
from trueup.ledger.types import ExactDecimal

DOUBLE, SINGLE = 53, 24
_SINGLE_DIGITS = range(6, 10)


@dataclass(frozen=True, slots=True)
class NumberForm:
    """The decimal places or the bits of a column; neither where it holds every decimal as it is."""

    places: int | None = None
    bits: int | None = None

    @exactly
    def cut(self, number: Decimal) -> Decimal:
        """Return what the column may have cut from a number that it holds, at most."""
        if self.bits is not None:
            return abs(number) * Decimal(2) ** (2 - self.bits)
        return Decimal(1).scaleb(-self.places) if self.places is not None else Decimal(0)

    @exactly
    def held(self, number: Decimal) -> Decimal:
        """Return the largest number that the column holds and that does not exceed a positive one."""
        if self.bits == DOUBLE:
            return _double_below(number)
        if self.bits == SINGLE:
            return _single_below(number)
        if self.places is None:
            return number
        return number.quantize(Decimal(1).scaleb(-self.places), rounding=ROUND_DOWN, context=EXACT)


EVERY_DECIMAL = NumberForm()


def number_form(kind: TypeEngine[object], dialect: str) -> NumberForm:
    """Return how a column of a type holds numbers; SQLite keeps all but text and untyped ones as doubles."""
    if isinstance(kind, ExactDecimal):
        return EVERY_DECIMAL
    if dialect == "sqlite":
        return NumberForm(bits=DOUBLE) if isinstance(kind, (Float, Numeric, Integer)) else EVERY_DECIMAL
    if isinstance(kind, Float):
        return NumberForm(bits=DOUBLE if isinstance(kind, Double) else SINGLE)
    if isinstance(kind, Integer):
        return NumberForm(places=0)
    return NumberForm(places=kind.scale) if isinstance(kind, Numeric) else EVERY_DECIMAL


def _double_below(number: Decimal) -> Decimal:
    found = float(number)
    while (shown := Decimal(repr(found))) > number:
        found = math.nextafter(found, 0.0)
    return shown


def _single_below(number: Decimal) -> Decimal:
    (bits,) = struct.unpack("<I", struct.pack("<f", float(number)))
    while (shown := _shown_single(bits)) > number:
        bits -= 1
    return shown


def _shown_single(bits: int) -> Decimal:
    """Return the shortest decimal that reads as a single float, which is how Postgres shows it."""
    packed = struct.pack("<I", bits)
    (value,) = struct.unpack("<f", packed)
    shown = (f"{value:.{digits}g}" for digits in _SINGLE_DIGITS)
    return Decimal(next(text for text in shown if struct.pack("<f", float(text)) == packed))
