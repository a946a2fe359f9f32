"""What is at risk in a stage of a canary: what its profile holds, and what its working orders may still open.

A canary's limit is held by two sums: what a reading shows, which is told here, and what the gate granted since. So a
grant may be forgotten only when the reading would show its order, whatever became of it: `covered_until` says when.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.holdings import Holdings
from trueup.core.incidents.incident import Stage
from trueup.core.orders import Action, LedgerOrder, StatusClass
from trueup.core.reconcile.parity import notional_of
from trueup.core.repair.slices import Slice, said_action
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.symbols import Symbols


@dataclass(frozen=True, slots=True)
class AtRisk:
    """What is at risk, in quote currency; None where it cannot be priced, and then `unpriced` names what.

    `passing` says that it is only a working order without a price, which fills or goes away.
    """

    notional: Decimal | None
    unpriced: str = ""
    passing: bool = False


@exactly
def at_risk(
    stage: Stage, slices: Iterable[Slice], rows: Iterable[LedgerOrder], symbols: Symbols, seen: Snapshot | None = None
) -> AtRisk:
    """Return what is at risk in a stage: its profile's open trades, and the rest of its orders that may still open.

    Each at the mark of what was `seen` of the venue, or where it has none at the ledger's own price; an order at the
    higher of the two.
    """
    tokens = None if stage.symbols is None else frozenset(map(symbols.token, stage.symbols))
    holdings = Holdings(seen) if seen is not None else None
    mine = {(piece.trade_id, piece.token): piece for piece in slices if piece.profile_id == stage.profile_id}
    total, unpriced = Decimal(0), ""
    for _, trade in sorted(mine.items()):
        if not trade.is_open or (tokens is not None and trade.token not in tokens):
            continue
        worth = notional_of(trade, holdings.of(trade.symbol) if holdings is not None else None)
        if worth is None or trade.defect is not None:
            return AtRisk(None, f"what {stage.profile_id} holds in {trade.trade_id}")
        total += worth
    working = _working(seen) if seen is not None else None
    for row in (row for row in rows if row.profile_id == stage.profile_id and _may_fill(row, working)):
        token = symbols.token(row.symbol or "")
        if (tokens is not None and token and token not in tokens) or _closes(
            row, mine.get((row.trade_id or "", token))
        ):
            continue
        mark = holdings.of(row.symbol).mark_price if holdings is not None and row.symbol else None
        price = max((price for price in (row.order_price, row.price, mark) if price is not None), default=None)
        rest = row.order_qty - row.qty if row.order_qty is not None else Decimal(0)
        if price is None or rest <= 0:
            unpriced = unpriced or f"the working order {row.order_id} of {stage.profile_id}"
        else:
            total += rest * price
    return AtRisk(None, unpriced, passing=True) if unpriced else AtRisk(total)


def shows_orders(seen: Snapshot) -> bool:
    """Say whether an order that works would stand in a reading: else none that was granted is known to be in it."""
    return seen.feed(Feed.OPEN_ORDERS).complete


def _working(seen: Snapshot) -> frozenset[str] | None:
    """Return the names of the orders that the venue lists as working; None where it does not list them all."""
    if not shows_orders(seen):
        return None
    names = {name for order in seen.orders if order.working for name in (order.id, order.client_order_id)}
    return frozenset(name for name in names if name)


def _may_fill(row: LedgerOrder, working: frozenset[str] | None) -> bool:
    """Say whether an order may still execute: one that was filled in part, where the venue lists it or it says so."""
    if row.status is StatusClass.WORKING:
        return True
    if row.word != "partially_filled":
        return False
    names = {name for name in (row.exchange_order_id, row.client_order_id) if name}
    if working is not None and names:
        return bool(names & working)
    return row.order_qty is not None and row.order_qty > row.qty


def _closes(row: LedgerOrder, trade: Slice | None) -> bool:
    """Say whether an order is known to close; one that says nothing, of a trade that is not known, may open."""
    action = said_action(row) or row.order_action
    if action is None and trade is not None and row.order_side is not None:
        return row.order_side is trade.exit_side
    return action is Action.EXIT


def covered_until(as_of_ms: int, began_ms: int, lease_ms: int, settle_ms: int, clocks_ms: int) -> int:
    """Return up to when the order of a grant was sent, or never will be, and stands in what was read (epoch ms).

    A reading is as old as the venue says, and no newer than the moment at which we began to read. An order is sent
    within the lease of its grant and shows within the settle window; `clocks_ms` is how far the clock of who asks for
    a grant may be from ours.
    """
    return min(as_of_ms, began_ms) - lease_ms - settle_ms - clocks_ms
