"""What Alpaca did by itself, as events: the types of its activities, and what each of them means for the books.

Source: Alpaca's page on account activities and alpaca-py's ActivityType; sub-types (FSPLIT, RSPLIT, SDIV and others)
stand in `activity_sub_type`. A type that is not known is an event of kind other.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from trueup.core.snapshot import EventKind
from trueup.core.times import iso
from trueup.venues.alpaca.activities import end_of_day
from trueup.venues.rows.fields import Row, number, printable

_KINDS: Mapping[EventKind, frozenset[str]] = {
    EventKind.SPLIT: frozenset({"SPLIT", "FSPLIT", "RSPLIT", "USPLIT", "SSP"}),
    EventKind.CORPORATE_ACTION: frozenset(
        {"CIL", "MA", "NC", "REORG", "SC", "SDIV", "SPIN", "SPN", "SSO", "VOF"}
    ),
    EventKind.SETTLEMENT: frozenset({"OPASN", "OPCSH", "OPEXC", "OPEXP", "OPTRD", "OPXRC"}),
    EventKind.FEE: frozenset({"CFEE", "DIVFEE", "FEE", "PTC", "PTR"}),
    EventKind.TRANSFER: frozenset(
        {"ACATC", "ACATS", "CSD", "CSR", "CSW", "EXTRD", "FXTRD", "JNL", "JNLC", "JNLS", "SWP", "TRANS"}
    ),
    EventKind.OTHER: frozenset(
        {
            "DIV", "DIVCGL", "DIVCGS", "DIVFT", "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "DIVWH", "INT", "INTNRA",
            "INTPNL", "INTTW", "MEM", "MISC", "OCT", "WH",
        }
    ),
}  # fmt: skip
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_WITHOUT_QUANTITY = (EventKind.OTHER,)
"""The `qty` of a dividend says how many shares earned it, and is no change."""


def event_of(row: Row) -> dict[str, object]:
    """Return an activity as an event in the file format; what cannot be read stands as Alpaca wrote it."""
    kind = kind_of(row)
    amount = row.get("net_amount")
    event: dict[str, object] = {
        "id": row.get("id"),
        "kind": kind.value,
        "symbol": row.get("symbol") or None,
        "at": _time_of(row),
        "qty": None if kind in _WITHOUT_QUANTITY else row.get("qty"),
        "amount": amount if _is_something(amount) else None,
        "asset": (row.get("currency") or "USD") if _is_something(amount) else None,
        "order_id": row.get("order_id"),
        "what": _what(row),
    }
    return {name: value for name, value in event.items() if value is not None}


def kind_of(row: Row) -> EventKind:
    """Return what an activity means: by its sub-type, else by its type; a split is told by its name alone."""
    words = _words(row)
    known = [_KIND_OF[word] for word in words if word in _KIND_OF]
    if any("SPLIT" in word for word in words):
        return EventKind.SPLIT
    return known[-1] if known else EventKind.OTHER


def unknown_types(rows: Iterable[Row]) -> list[str]:
    """Return the types that nobody here knows, sorted."""
    return sorted({printable(" ".join(_words(row))) for row in rows if not any(w in _KIND_OF for w in _words(row))})


def _words(row: Row) -> list[str]:
    given = (row.get("activity_type"), row.get("activity_sub_type"))
    return [word.strip().upper() for word in given if isinstance(word, str) and word.strip()]


def _time_of(row: Row) -> object:
    """Return the time of an activity: its own, else the end of its day, so that all of that day counts as before."""
    own = row.get("transaction_time")
    end = end_of_day(row)
    return own if own or end is None else iso(end)


def _what(row: Row) -> str:
    parts = [*_words(row), row.get("description"), row.get("status") if row.get("status") != "executed" else None]
    return printable(" ".join(part for part in parts if isinstance(part, str) and part), 300)


def _is_something(amount: object) -> bool:
    try:
        return number("net_amount", amount) != Decimal(0)
    except ValueError:
        return amount is not None and amount != ""
