"""What was already booked of each exchange order: by rows of the ledger, and by our own audit.

Invariant 2 (Once): evidence is consumed once, ever. What any ledger row or earlier batch booked of an exchange order
is subtracted before the order can prove anything else.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.symbols import Symbols
from trueup.core.tags import comparable


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

    `symbols` are the spellings under which rows name the order. `unknown` says why it cannot be told how much they
    booked, so that the order proves nothing; it is empty where it can.
    """

    rows: dict[str, Decimal] = field(default_factory=dict)
    trades: set[tuple[str, str]] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)
    unknown: str = ""

    @property
    def qty(self) -> Decimal:
        """Return the base quantity booked by all rows."""
        return sum(self.rows.values(), Decimal(0))

    def add(self, row_id: str, qty: Decimal, profile_id: str, trade_id: str | None) -> None:
        """Count one row, once however often it is named."""
        self.rows[row_id] = max(qty, self.rows.get(row_id, qty))
        if trade_id:
            self.trades.add((profile_id, trade_id))

    def with_all_of(self, other: "Booked") -> "Booked":
        """Return what both count, rows that stand in both once."""
        both = Booked(dict(self.rows), self.trades | other.trades, self.symbols | other.symbols)
        both.unknown = self.unknown or other.unknown
        for row_id, qty in other.rows.items():
            both.add(row_id, qty, "", None)
        return both


NOTHING_BOOKED = Booked()
UNREADABLE = "a ledger row that books it cannot be read"
WITHOUT_SYMBOL = "a ledger row without a symbol names it, and may mean an order of another symbol"
ANY_SYMBOL = ""
"""The token of ledger rows without a symbol: what they booked of an order of that id cannot be told."""

_ByToken = dict[str, Booked]


@dataclass(frozen=True, slots=True)
class BookedIndex:
    """What was booked, by exchange order id, or client order id where that is all a row has; then by symbol token.

    Client order ids are compared as the tags of `tag_prefix` are: what attributes an order must find its booking.
    """

    symbols: Symbols = field(default_factory=Symbols)
    tag_prefix: str = ""
    by_order: dict[str, _ByToken] = field(default_factory=dict)
    by_client: dict[tuple[Side, str], _ByToken] = field(default_factory=dict)

    def of(self, symbol: str, side: Side, exchange_order_id: str, client_order_id: str | None) -> Booked:
        """Return what was booked of one exchange order.

        A row whose spelling of the symbol may mean the same market, or that has no symbol, leaves it unknown.
        """
        first = self._under(symbol, self.by_order.get(exchange_order_id))
        client = comparable(self.tag_prefix, client_order_id) if client_order_id else None
        second = self._under(symbol, self.by_client.get((side, client)) if client else None)
        return first.with_all_of(second) if first.symbols and second.symbols else first if first.symbols else second

    def _under(self, symbol: str, found: _ByToken | None) -> Booked:
        """Return what was booked under a symbol, of what was booked under any."""
        if found is None:
            return NOTHING_BOOKED
        if ANY_SYMBOL in found:
            return Booked(symbols={ANY_SYMBOL}, unknown=WITHOUT_SYMBOL)
        elsewhere = {other for booked in found.values() for other in booked.symbols}
        meant = self.symbols.namesakes(symbol, elsewhere)
        if meant:
            return Booked(symbols=elsewhere, unknown=f"the ledger books it under {meant[0]}, which may mean {symbol}")
        return found.get(self.symbols.token(symbol), NOTHING_BOOKED)


@exactly
def booked_index(
    rows: Iterable[LedgerOrder], applied: Iterable[Applied], symbols: Symbols, tag_prefix: str
) -> BookedIndex:
    """Index what the ledger's filled rows and our audit have booked of exchange orders.

    A row books the order that its `order_id` or `exchange_order_id` names; a row without an exchange order id also
    the order of its client order id (`_sides` says on which side). A row that our audit applied counts once, also
    where somebody changed or removed it since.
    """
    by_order: dict[str, _ByToken] = defaultdict(lambda: defaultdict(Booked))
    by_client: dict[tuple[Side, str], _ByToken] = defaultdict(lambda: defaultdict(Booked))
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if row.status in (StatusClass.WORKING, StatusClass.DEAD):
            continue
        token = symbols.token(row.symbol) if row.symbol is not None else ANY_SYMBOL
        entries = [by_order[name][token] for name in {row.order_id, row.exchange_order_id} if name]
        if row.client_order_id and not row.exchange_order_id:
            client = comparable(tag_prefix, row.client_order_id)
            entries += [by_client[side, client][token] for side in _sides(row)]
        row_id = row.order_id if row.order_id and row.order_id not in seen else f"{row.order_id} row {number}"
        seen.add(row.order_id)
        for entry in entries:
            entry.add(row_id, row.qty, row.profile_id, row.trade_id)
            entry.symbols.add(row.symbol or ANY_SYMBOL)
            entry.unknown = entry.unknown or (UNREADABLE if row.defect is not None else "")
    for item in applied:
        entry = by_order[item.exchange_order_id][symbols.token(item.symbol)]
        entry.add(item.order_id, item.qty, item.profile_id, item.trade_id)
        entry.symbols.add(item.symbol)
    return BookedIndex(symbols, tag_prefix, dict(by_order), dict(by_client))


def _sides(row: LedgerOrder) -> Iterable[Side]:
    """Return the sides of the venue's orders that a row may have booked by its client order id.

    Some bots write the side of the position into its exit (long), so that an exit may be of either side, as is a row
    whose own side cannot be read.
    """
    return Side if row.side is None or row.action is Action.EXIT else (row.side,)
