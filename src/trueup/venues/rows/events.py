"""Event rows: what the venue did by itself, so that a change of quantity has its reason."""

from decimal import Decimal

from trueup.core.snapshot import EventKind, VenueEvent
from trueup.core.symbols import Symbols
from trueup.venues.rows.fields import Row, first_not_blank, identifier, moment, number, required_identifier, text

TIMES = ("at", "time", "timestamp", "transaction_time", "created_at", "date")


def read_event(row: Row, where: str, symbols: Symbols) -> VenueEvent:
    """Read one event; ValueError says what is wrong with it. A kind that is not known is `other`."""
    word = text(row, ("kind", "type")) or ""
    symbol = text(row, ("symbol",))
    at = first_not_blank(row, TIMES)
    if at is None:
        raise ValueError("its time is missing")
    if symbol is not None and not symbols.token(symbol):
        raise ValueError("its symbol has no letter or digit")
    return VenueEvent(
        id=required_identifier(row, ("id",)),
        kind=EventKind(word) if word in set(EventKind) else EventKind.OTHER,
        time_ms=moment(*at),
        symbol=symbol,
        what=text(row, ("what", "description")) or word,
        qty=_number(row, "qty"),
        amount=_number(row, "amount"),
        asset=text(row, ("asset",)),
        order_id=identifier(row, ("order_id",)),
        where=where,
    )


def _number(row: Row, name: str) -> Decimal | None:
    found = first_not_blank(row, (name,))
    return number(*found) if found is not None else None
