"""What a person may decide about a row's trade id, and what no decision may do to a trade."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.integrity.kinds import TRADE_FORM
from trueup.core.integrity.naming import KnownTrade, is_exit
from trueup.core.integrity.rules import is_well_formed
from trueup.core.integrity.walk import late_entry
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.repair.slices import slices_of
from trueup.core.symbols import Symbols


@exactly
def problem_of(
    trade_id: str,
    rows: Sequence[LedgerOrder],
    known: Iterable[KnownTrade],
    there: Sequence[LedgerOrder],
    symbols: Symbols,
) -> str | None:
    """Return why rows cannot get a trade id that a person says, None where they can.

    `known` are the trades whose ids are this one but for case, `there` the living rows of this one.
    """
    if not is_well_formed(trade_id):
        return f"it is not of the form {TRADE_FORM}"
    taken = _taken(trade_id, {row.profile_id for row in rows}, known)
    if taken is not None:
        return taken
    spelt = {row.symbol for row in (*rows, *there) if row.symbol}
    if None in {row.symbol for row in rows} or len({symbols.token(symbol) for symbol in spelt}) != 1:
        return f"its rows would be of several symbols ({', '.join(sorted(spelt))})"
    marked = [*there, *(replace(row, trade_id=trade_id) for row in rows)]
    unread = next((row.detail for row in rows if row.defect is not None), None)
    over = next((piece for piece in slices_of(marked, symbols) if piece.open_qty < -NOTHING), None)
    if unread is None and over is not None:
        return f"the trade would have left {plain(over.exit_qty)} of {plain(over.entry_qty)}"
    return unread or _out_of_form(marked, there, symbols)


def _out_of_form(marked: Sequence[LedgerOrder], there: Sequence[LedgerOrder], symbols: Symbols) -> str | None:
    """Return how rows would make two lifecycles of a trade, or exit it on the side of its entry."""
    for piece in slices_of(marked, symbols):
        rows, had = _filled(marked), _filled(there)
        late = late_entry(rows, piece.entry_side)
        if late is not None and late_entry(had, piece.entry_side) is None:
            return f"the entry {late[0].order_id} would come when all of the trade had left"
        odd = {row.order_id for row in rows if is_exit(row) and row.side is piece.entry_side}
        if odd - {row.order_id for row in had}:
            return f"{min(odd)} is an exit and trades on the side of the trade's entry"
    return None


def _filled(rows: Iterable[LedgerOrder]) -> list[LedgerOrder]:
    return [row for row in rows if row.status is StatusClass.FILLED and row.defect is None and row.qty > NOTHING]


def _taken(trade_id: str, profiles: set[str], known: Iterable[KnownTrade]) -> str | None:
    if len(profiles) > 1:
        return "the rows are of several profiles"
    for trade in known:
        if trade.trade_id.lower() == trade_id.lower() and trade.profile_id not in profiles:
            return f"it is a trade of profile {trade.profile_id}"
        if trade.trade_id.lower() == trade_id.lower() and trade.trade_id != trade_id:
            return f"the trade {trade.trade_id} differs from it in case alone"
    return None
