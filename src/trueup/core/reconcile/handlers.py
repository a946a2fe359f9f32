"""The lifecycle-safe handlers: from a row of the ledger and the venue's order to the change that makes them agree.

Pure functions: whether a change may be made, and whether it fits the venue's position, is decided elsewhere.
"""

from collections.abc import Sequence
from decimal import Decimal

from trueup.core.decimals import NOTHING, exactly
from trueup.core.orders import LedgerOrder, StatusClass, status_class, word
from trueup.core.reconcile.changes import Proof, RowChange
from trueup.core.reconcile.matching import OUR_PREFIXES, Chain, Pair
from trueup.core.times import iso

FILLED, PARTIALLY_FILLED, CANCELED = "filled", "partially_filled", "canceled"
_KEPT = frozenset({"canceled", "expired", "rejected"})
"""Words of the venue for an order that is over, which the ledger takes over."""


@exactly
def reconcile_entry_fill(row: LedgerOrder, chain: Chain, booked_elsewhere: Decimal, proof: Proof) -> RowChange:
    """Book what an entry order executed, less what other rows booked of it; it stays open unless it is over.

    ValueError where the venue's order trades the other way than the row.
    """
    if row_side_differs(row, chain):
        raise ValueError(f"the row is a {row.side or row.order_side}, the venue's order a {chain.side}")
    return _filled(row, chain, booked_elsewhere, proof)


@exactly
def reconcile_exit_fill(row: LedgerOrder, chain: Chain, booked_elsewhere: Decimal, proof: Proof) -> RowChange:
    """Book what an exit order executed, less what other rows booked of it; it stays open unless it is over.

    Some bots write the position's side into its exit, so that the row's own side says nothing here.
    """
    return _filled(row, chain, booked_elsewhere, proof)


def reconcile_cancel(row: LedgerOrder, chain: Chain | None, proof: Proof) -> RowChange:
    """End an order of which nothing was executed that is not booked: what was reserved for it is free."""
    status = word(chain.venue_status) if chain is not None and chain.venue_status else CANCELED
    return RowChange(row, status if status in _KEPT else CANCELED, proof)


def cancel_row(row: LedgerOrder, proof: Proof) -> RowChange:
    """Take a row out of the books by its status, as a later row of an execution that is booked already."""
    return RowChange(row, CANCELED, proof)


def row_side_differs(row: LedgerOrder, chain: Chain) -> bool:
    """Say whether a row and the venue's order are known to trade in different directions."""
    side = row.side or row.order_side
    return side is not None and chain.side is not None and side is not chain.side


def _filled(row: LedgerOrder, chain: Chain, booked_elsewhere: Decimal, proof: Proof) -> RowChange:
    qty = chain.executed - booked_elsewhere
    if qty <= NOTHING:
        return reconcile_cancel(row, chain, proof)
    over = chain.orders and not chain.orders[-1].working and _is_over(chain)
    return RowChange(
        row, FILLED if over else PARTIALLY_FILLED, proof, qty=qty, price=chain.price, filled_ms=chain.time_ms,
        order_qty=row.order_qty, exchange_order_id=row.exchange_order_id or chain.newest_id,
    )  # fmt: skip


def _is_over(chain: Chain) -> bool:
    status = chain.venue_status
    return word(status) == FILLED or status_class(status) is StatusClass.DEAD


def proof_of(rule: str, chain: Chain | None, as_of_ms: int, confirmations: int | None = None) -> Proof:
    """Return what a heal cites: the rule, and the venue's order where there is one."""
    if chain is None:
        return Proof(rule, confirmations=confirmations, as_of=iso(as_of_ms))
    return Proof(
        rule, chain.newest_id, chain.said("client_order_id"), chain.venue_status, chain.executed, chain.price,
        chain.price_source, confirmations, iso(as_of_ms),
    )  # fmt: skip


@exactly
def surplus_rows(pair: Pair, executed: Decimal, ours: Sequence[str]) -> list[LedgerOrder] | None:
    """Return the rows to cancel so that an execution is booked once; None where that cannot be told.

    Rows of our own (by the beginnings of their ids) give way to the bot's; else only rows that are identical but for
    their time do, the later ones. Rows of different trades, or that name different orders of a chain, are no doubles.
    """
    rows = pair.filled_rows
    if len({(row.profile_id, row.trade_id) for row in rows}) > 1:
        return None
    own = [row for row in rows if row.order_id.startswith(tuple(ours))]
    bots = [row for row in rows if row not in own]
    left = sum((row.qty for row in bots), Decimal(0))
    if own and abs(left - executed) <= NOTHING:
        return own
    if own and left < executed:
        return _some_of(own, left, executed)
    alike = {(row.side, row.action, row.qty, row.price) for row in bots}
    names = {name for row in bots if (name := _named(row, pair.chain)) is not None}
    if len(alike) != 1 or len(names) > 1:
        return None
    count = executed / bots[0].qty
    if count != int(count) or count < 1:
        return None
    return own + bots[int(count) :]


def own_rows(pair: Pair) -> list[LedgerOrder]:
    """Return our rows that book an order, or that stand for it while it works."""
    living = (StatusClass.FILLED, StatusClass.WORKING)
    return [row for row in pair.rows if row.status in living and row.order_id.startswith(OUR_PREFIXES)]


def late_row(pair: Pair) -> LedgerOrder | None:
    """Return the bot's one live row of an order beside rows of ours in the same trade; None where it is not so."""
    ours = own_rows(pair)
    live = [row for row in pair.rows if row.status is StatusClass.WORKING or row.word == PARTIALLY_FILLED]
    bots = [row for row in live if row not in ours]
    if not ours or len(bots) != 1 or bots[0].order_id in pair.weak:
        return None
    return bots[0] if len({(row.profile_id, row.trade_id) for row in (*ours, *bots)}) == 1 else None


def _named(row: LedgerOrder, chain: Chain | None) -> str | None:
    """Return which order of a chain a row names by an id of the venue."""
    ids = chain.ids if chain is not None else ()
    return next((name for name in (row.exchange_order_id, row.order_id) if name in ids), None)


def _some_of(own: Sequence[LedgerOrder], left: Decimal, executed: Decimal) -> list[LedgerOrder] | None:
    """Return which of our rows to cancel, the later first, so that the rest is what was executed."""
    canceled: list[LedgerOrder] = []
    total = left + sum((row.qty for row in own), Decimal(0))
    for row in reversed(own):
        if total - executed <= NOTHING:
            break
        total -= row.qty
        canceled.append(row)
    return canceled if abs(total - executed) <= NOTHING else None
