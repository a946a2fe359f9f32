"""Balances: {asset: amount}, or what ccxt's fetch_balance returns.

A ccxt balance is {asset: {free, used, total}} with the venue's raw answer under `info` and the same figures
again by kind; the total counts. Invariant 5 (Unknown is not flat): an amount that cannot be read makes its
asset unknown, and an object that looks like a venue's raw answer, or like nothing, is no balances at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.snapshot import Malformed
from trueup.core.symbols import Symbols
from trueup.venues.rows.fields import Row, number, printable, shown, storable

_BY_KIND = ("total", "free", "used", "debt")
_TIMES = frozenset({"timestamp", "datetime"})
_ANSWER_WORDS = frozenset(
    {
        "code", "data", "err", "errmsg", "errno", "error", "errors", "message", "msg", "result", "retCode",
        "retMsg", "status", "success",
    }
)  # fmt: skip
"""Fields of the envelopes that venues wrap their answers and errors in."""


@dataclass(slots=True)
class Balances:
    """What was read: amounts and reasons by our asset name; `gap` says why not every asset is there."""

    amounts: dict[str, Decimal] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    malformed: list[Malformed] = field(default_factory=list)
    gap: str = ""


def answer_in(section: Row) -> str | None:
    """Return what a venue's raw answer or error says that stands where data should, or None."""
    for name in sorted(_ANSWER_WORDS & section.keys()):
        if not _is_number(section[name]):
            return f"{name} is {shown(section[name])}"
    return None


def _is_number(value: object) -> bool:
    try:
        number("", value)
    except ValueError:
        return False
    return True


def emptiness_of(section: Row) -> str | None:
    """Return why balances without any asset are no balances: an account that trades has at least its quote asset."""
    answered = isinstance(section.get("info"), (Mapping, list)) and section["info"]
    if any(_entries(section)) or answered:
        return None
    return "ccxt made it from an empty answer of the venue" if "info" in section else "it lists no asset at all"


def read_balances(section: Row, at: str, symbols: Symbols) -> Balances:
    """Read balances; it never raises."""
    read = Balances()
    spelt: dict[str, str] = {}
    for name, value in _entries(section):
        where = f"{at}.{printable(name)}"
        try:
            asset = symbols.asset(storable("asset", name))
        except ValueError:
            asset = ""
        if not asset:
            read.gap = f"{where}: the asset cannot be told"
            read.malformed.append(Malformed("balances", where, "the asset cannot be told"))
            continue
        try:
            if spelt.setdefault(asset, name) != name:
                raise ValueError(f"{asset} is listed as {printable(spelt[asset])} and as {printable(name)}")
            read.amounts[asset] = _amount(value)
        except ValueError as error:
            read.unknown[asset] = f"{where}: {error}"
            read.malformed.append(Malformed("balances", where, str(error)))
    for asset in read.unknown:
        read.amounts.pop(asset, None)
    return read


def _entries(section: Row) -> Iterator[tuple[str, object]]:
    """Yield assets with what is given of them, and those that stand in ccxt's figures by kind only."""
    by_kind: dict[str, Row] = {}
    seen: set[str] = set()
    for name, value in section.items():
        if name in _BY_KIND and isinstance(value, Mapping):
            by_kind[name] = value
        elif name not in _TIMES and (name != "info" or _is_number(value)):
            seen.add(name)
            yield name, value
    totals = by_kind.get("total", {})
    for name in dict.fromkeys(name for figures in by_kind.values() for name in figures):
        if name not in seen:
            yield name, totals.get(name)


def _amount(value: object) -> Decimal:
    """Return what is held of an asset; negative where it is owed."""
    if not isinstance(value, Mapping):
        return number("the amount", value)
    debt = value.get("debt")
    if debt is not None and number("debt", debt):
        raise ValueError(f"{shown(debt)} of it is borrowed, so that its total is not what is held")
    return number("total", value.get("total"))
