"""Closed trades that no history row tells of: which of them their orders alone prove, and why not the others."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from trueup.core.integrity.kinds import Kind
from trueup.core.integrity.naming import ToldAlone
from trueup.core.integrity.rows import HistoryRow
from trueup.core.integrity.rules import is_well_formed
from trueup.core.integrity.walk import SymbolsOf, walk_trade
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols


class NotTold(StrEnum):
    """Why the history row of a closed trade is left to the bot or to a person."""

    OTHER_ANOMALIES = "other_anomalies"
    SEVERAL_SYMBOLS = "several_symbols"
    STILL_WORKING = "still_working"
    JUST_CLOSED = "just_closed"
    MALFORMED_TRADE_ID = "malformed_trade_id"
    NO_SUCH_PROFILE = "no_such_profile"
    HISTORY_WITHOUT_ID = "history_without_id"
    HISTORY_OF_ANOTHER_ID = "history_of_another_id"
    CHANGED_MEANWHILE = "changed_meanwhile"


MEANS = {
    NotTold.OTHER_ANOMALIES: "the report says something else of the trade as well: resolve that first",
    NotTold.SEVERAL_SYMBOLS: "its orders are of several symbols: a history row is of one",
    NotTold.STILL_WORKING: "an order of it still works, so that it may go on",
    NotTold.JUST_CLOSED: "it closed just now, and the bot may be about to write the row",
    NotTold.MALFORMED_TRADE_ID: "its id is not of the form that the rules ask for: correct it first",
    NotTold.NO_SUCH_PROFILE: "its profile is not there, is disabled, or has no account",
    NotTold.HISTORY_WITHOUT_ID: "a history row of its symbol has no trade id, and may tell of it already",
    NotTold.HISTORY_OF_ANOTHER_ID: "a history row of its symbol and time names a trade that no order has, and may tell"
    " of it already",
    NotTold.CHANGED_MEANWHILE: "its rows changed meanwhile: run the command again",
}


@dataclass(frozen=True, slots=True)
class Untold:
    """A closed trade of one profile without a history row; `why` is None where its orders prove what the row says."""

    profile_id: str
    trade_id: str
    why: NotTold | None
    piece: Slice | None = None
    rows: tuple[LedgerOrder, ...] = ()


def untold(
    trade_id: str,
    orders: Iterable[LedgerOrder],
    history: Iterable[HistoryRow],
    symbols_of: SymbolsOf,
    closed_before_ms: int,
) -> Iterator[Untold]:
    """Yield the profiles whose trade of this id is closed and untold, by all rows of the id."""
    orders = list(orders)
    walk = walk_trade(trade_id, orders, history, symbols_of)
    for owner in sorted({f.profile_id for f in walk.findings if f.kind is Kind.MISSING_HISTORY and f.profile_id}):
        mine = tuple(row for row in orders if row.profile_id == owner and row.status is not StatusClass.DEAD)
        pieces = slices_of(mine, symbols_of(owner))
        kinds = [finding.kind for finding in walk.findings if finding.profile_id == owner]
        if len(pieces) != 1:
            why: NotTold | None = NotTold.SEVERAL_SYMBOLS
        elif kinds != [Kind.MISSING_HISTORY] or any(item.profile_id == owner for item in walk.unknown):
            why = NotTold.OTHER_ANOMALIES
        elif any(row.status is not StatusClass.FILLED for row in mine):
            why = NotTold.STILL_WORKING
        elif not is_well_formed(trade_id):
            why = NotTold.MALFORMED_TRADE_ID
        else:
            why = NotTold.JUST_CLOSED if pieces[0].newest_ms >= closed_before_ms else None
        yield Untold(owner, trade_id, why, pieces[0] if len(pieces) == 1 else None, mine)


def unless_told(item: Untold, nameless: Collection[str | None], alone: Iterable[ToldAlone], symbols: Symbols) -> Untold:
    """Return a trade as it is, or left where another history row of its profile may tell of it already.

    `nameless` are the symbols of the rows that name no trade (None is any), `alone` the trades that no order has.
    """
    piece = item.piece
    if item.why is not None or piece is None:
        return item
    if any(not symbol or symbols.token(symbol) == piece.token for symbol in nameless):
        return replace(item, why=NotTold.HISTORY_WITHOUT_ID)
    for told in alone:
        same = not told.symbol or symbols.token(told.symbol) == piece.token
        begins = told.opened_ms is None or told.opened_ms <= piece.newest_ms
        ends = told.closed_ms is None or told.closed_ms >= piece.opened_ms
        if same and begins and ends:
            return replace(item, why=NotTold.HISTORY_OF_ANOTHER_ID)
    return item
