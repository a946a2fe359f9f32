"""What was already booked of each exchange order: by rows of the ledger, and by our own audit.

Invariant 2 (Once): evidence is consumed once, ever. What any ledger row or earlier batch booked of an exchange order
is subtracted before the order can prove anything else.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.orders import LedgerOrder, Side, StatusClass
from trueup.core.symbols import Symbols


@dataclass(frozen=True, slots=True)
class Applied:
    """A repair of an earlier batch that was not reverted, as our audit has it."""

    profile_id: str
    trade_id: str
    symbol: str
    exchange_order_id: str
    order_id: str
    qty: Decimal


@dataclass(slots=True)
class Booked:
    """What was booked of one exchange order: base quantity by ledger row, and the trades that it was booked to.

    `unknown` says that a row which names the order cannot be read, so that the order proves nothing.
    """

    rows: dict[str, Decimal] = field(default_factory=dict)
    trades: set[tuple[str, str]] = field(default_factory=set)
    unknown: bool = False

    @property
    def qty(self) -> Decimal:
        """Return the base quantity booked by all rows."""
        return sum(self.rows.values(), Decimal(0))

    def add(self, row_id: str, qty: Decimal, profile_id: str, trade_id: str | None) -> None:
        """Count one row, once however often it is named."""
        self.rows[row_id] = max(qty, self.rows.get(row_id, qty))
        if trade_id:
            self.trades.add((profile_id, trade_id))


NOTHING_BOOKED = Booked()
ANY_SYMBOL = ""
"""The token of ledger rows without a symbol: what they booked of an order of that id cannot be told."""


@dataclass(frozen=True, slots=True)
class BookedIndex:
    """What was booked, by symbol token and exchange order id, and by client order id where that is all a row has."""

    by_order: dict[tuple[str, str], Booked] = field(default_factory=dict)
    by_client: dict[tuple[str, Side, str], Booked] = field(default_factory=dict)

    def of(self, token: str, side: Side, exchange_order_id: str, client_order_id: str | None) -> Booked:
        """Return what was booked of one exchange order."""
        first = self.by_order.get((token, exchange_order_id))
        if (ANY_SYMBOL, exchange_order_id) in self.by_order:
            return Booked(unknown=True)
        second = self.by_client.get((token, side, client_order_id)) if client_order_id else None
        if first is None or second is None:
            return first or second or NOTHING_BOOKED
        both = Booked(dict(first.rows), first.trades | second.trades, first.unknown or second.unknown)
        for row_id, qty in second.rows.items():
            both.add(row_id, qty, "", None)
        return both


@exactly
def booked_index(rows: Iterable[LedgerOrder], applied: Iterable[Applied], symbols: Symbols) -> BookedIndex:
    """Index what the ledger's filled rows and our audit have booked of exchange orders.

    A row books the order that its `order_id` or `exchange_order_id` names; a row without an exchange order id also
    the order of its client order id, on either side where its own side cannot be read. A row that our audit applied
    counts once, also where somebody changed or removed it since.
    """
    by_order: dict[tuple[str, str], Booked] = defaultdict(Booked)
    by_client: dict[tuple[str, Side, str], Booked] = defaultdict(Booked)
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if row.status in (StatusClass.WORKING, StatusClass.DEAD):
            continue
        token = symbols.token(row.symbol) if row.symbol is not None else ANY_SYMBOL
        entries = [by_order[token, name] for name in {row.order_id, row.exchange_order_id} if name]
        if row.client_order_id and not row.exchange_order_id:
            entries += [by_client[token, side, row.client_order_id] for side in ([row.side] if row.side else Side)]
        row_id = row.order_id if row.order_id and row.order_id not in seen else f"{row.order_id} row {number}"
        seen.add(row.order_id)
        for entry in entries:
            entry.add(row_id, row.qty, row.profile_id, row.trade_id)
            entry.unknown = entry.unknown or row.defect is not None
    for item in applied:
        entry = by_order[symbols.token(item.symbol), item.exchange_order_id]
        entry.add(item.order_id, item.qty, item.profile_id, item.trade_id)
    return BookedIndex(dict(by_order), dict(by_client))
