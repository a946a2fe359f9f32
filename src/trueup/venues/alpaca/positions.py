"""What is held, and that nothing is: Alpaca's list of positions has neither a length nor an end.

Invariant 5 (Unknown is not flat; not found is not absent): the list is read before and after everything else, and a
symbol that the ledger holds and the list lacks is asked for by its name. Only Alpaca's "position does not exist" is
flat.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from trueup.core.symbols import Symbols
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.pages import Listing
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.documents.twice import CHANGED, differing


@dataclass(slots=True)
class Held:
    """The list of positions, and why some symbols are unknown in spite of it."""

    listing: Listing
    unknown: dict[str, str] = field(default_factory=dict)


def read_positions(connection: Connection) -> Listing:
    """Read the list of positions; it never raises."""
    try:
        return Listing(connection.rows("positions", "/positions"))
    except CallFailed as failed:
        return Listing(why=failed.why, failed=True)


def confirmed(connection: Connection, before: Listing, expected: Iterable[str], symbols: Symbols) -> Held:
    """Read the positions again, and ask for each of the `expected` symbols, which the ledger holds, that they lack."""
    if before.failed:
        return Held(before)
    after = read_positions(connection)
    if after.failed:
        return Held(after)
    held = Held(after, differing(before.rows, after.rows, ("qty",)))
    listed = {symbols.token(str(row.get("symbol"))) for row in after.rows}
    lacking = [symbol for symbol in expected if symbols.token(symbol) not in listed]
    answers = connection.caller.all([partial(_why_unknown, connection, symbol) for symbol in lacking])
    for symbol, why in zip(lacking, answers, strict=True):
        if why:
            held.unknown.setdefault(symbol, str(why))
    return held


def _why_unknown(connection: Connection, symbol: str) -> str:
    """Return why a position that the list lacks is not known to be flat; empty where Alpaca says that it is."""
    name = "".join(character for character in symbol if character not in "/-_ ")
    try:
        connection.record(f"position of {symbol}", f"/positions/{part(name)}", needs=("symbol",))
    except CallFailed as failed:
        return "" if failed.kind is Kind.ABSENT else failed.why
    return CHANGED
