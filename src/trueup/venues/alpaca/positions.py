"""What is held, and that nothing is: Alpaca's list of positions has neither a length nor an end.

Invariant 5 (Unknown is not flat; not found is not absent): the list is read before and after everything else, and a
symbol that the ledger holds and the list lacks is asked for by its name. Only Alpaca's "position does not exist" is
flat, and only of an asset that Alpaca lists: to a name that it never heard of it says the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from trueup.core.symbols import Symbols
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.pages import Listing
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.documents.twice import CHANGED, differing
from trueup.venues.rows.fields import printable


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
    answers = connection.caller.all([partial(_why_unknown, connection, symbols, symbol) for symbol in lacking])
    for symbol, why in zip(lacking, answers, strict=True):
        if why:
            held.unknown.setdefault(symbol, str(why))
    return held


def _why_unknown(connection: Connection, symbols: Symbols, symbol: str) -> str:
    """Return why a position that the list lacks is not known to be flat; empty where Alpaca says that it is."""
    try:
        connection.record(f"position of {symbol}", f"/positions/{part(_joined(symbol))}", needs=("symbol",))
    except CallFailed as failed:
        return _why_unlisted(connection, symbols, symbol) if failed.kind is Kind.ABSENT else failed.why
    return CHANGED


def _why_unlisted(connection: Connection, symbols: Symbols, symbol: str) -> str:
    """Return why it is not known that Alpaca lists a symbol under that name; empty where it does."""
    token = symbols.token(symbol)
    if token in connection.listed:
        return ""
    for name in dict.fromkeys((symbol.strip().upper(), _joined(symbol).upper(), token)):
        try:
            row = connection.record(f"asset {name}", f"/assets/{part(name)}", needs=("symbol",))
        except CallFailed as failed:
            if failed.kind is Kind.ABSENT:
                continue
            return f"whether Alpaca lists {symbol} is not known: {failed.why}"
        if symbols.token(str(row["symbol"])) != token:
            return f"Alpaca calls {symbol} {printable(str(row['symbol']))} now"
        connection.listed.add(token)
        return ""
    return f"Alpaca lists no asset {symbol}, so that nothing is known of it"


def _joined(symbol: str) -> str:
    return "".join(character for character in symbol if character not in "/-_ ")
