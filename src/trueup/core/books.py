"""What follows from the orders: positions, the history of a trade, and the capital that is at work."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.repair.slices import Slice, action_of, average_price
from trueup.core.symbols import Symbols

LEDGER_PRICE = "ledger"
_WEAKEST_FIRST = ("none", "last_evidence", "mark", "limit", "order", "fills", LEDGER_PRICE)


@dataclass(frozen=True, slots=True)
class Position:
    """What the ledger holds of one symbol on one side: base quantity, and the average entry price where it is known."""

    symbol: str
    token: str
    side: Side
    qty: Decimal
    avg_entry_price: Decimal | None


@exactly
def positions_of(slices: Iterable[Slice]) -> list[Position]:
    """Return the positions that open slices make up, by symbol and side."""
    groups: dict[tuple[str, Side], list[Slice]] = defaultdict(list)
    for piece in slices:
        if piece.holds_something and piece.defect is None:
            groups[piece.token, piece.entry_side].append(piece)
    return [_position(groups[key]) for key in sorted(groups)]


def _position(slices: Sequence[Slice]) -> Position:
    qty = sum((piece.open_qty for piece in slices), Decimal(0))
    prices = [piece.entry_price for piece in slices]
    value = sum((piece.open_qty * (piece.entry_price or 0) for piece in slices), Decimal(0))
    price = value / qty if all(known is not None for known in prices) else None
    return Position(slices[0].symbol, slices[0].token, slices[0].entry_side, qty, price)


@dataclass(frozen=True, slots=True)
class ExitFacts:
    """What our audit knows of one EXIT row: where its price is from, and its fee in quote currency (None: unknown)."""

    price_source: str
    fee_quote: Decimal | None


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """The history of one trade: base quantities, quote prices, epoch milliseconds; None is unknown.

    `closed_ms` is None while something is open; `fees` counts the exits whose fee is known.
    """

    trade_id: str
    symbol: str
    user_id: str | None
    side: Side
    entry_qty: Decimal
    exit_qty: Decimal
    entry_price: Decimal | None
    exit_price: Decimal | None
    fees: Decimal | None
    realized_pnl: Decimal | None
    price_source: str
    opened_ms: int
    closed_ms: int | None


@exactly
def record_of(piece: Slice, rows: Iterable[LedgerOrder], facts: Mapping[str, ExitFacts]) -> TradeRecord:
    """Return a trade's history from its rows and what our audit knows of its EXIT rows, by order id.

    Profit is unknown where any exit has no price: a price is never invented.
    """
    exits = [
        row
        for row in rows
        if row.status is StatusClass.FILLED and row.defect is None and action_of(row, piece.entry_side) is Action.EXIT
    ]
    known = [facts[row.order_id].fee_quote for row in exits if row.order_id in facts]
    paid = [fee for fee in known if fee is not None]
    fees = sum(paid, Decimal(0)) if paid and len(paid) == len(known) else None
    exit_price = average_price(exits)
    pnl = None
    if exit_price is not None and piece.entry_price is not None:
        per_unit = exit_price - piece.entry_price
        pnl = piece.exit_qty * (per_unit if piece.entry_side is Side.BUY else -per_unit) - (fees or Decimal(0))
    sources = [facts[row.order_id].price_source if row.order_id in facts else LEDGER_PRICE for row in exits]
    closed = not piece.is_open
    return TradeRecord(
        trade_id=piece.trade_id, symbol=piece.symbol, user_id=piece.user_id, side=piece.entry_side,
        entry_qty=piece.entry_qty, exit_qty=piece.exit_qty, entry_price=piece.entry_price, exit_price=exit_price,
        fees=fees, realized_pnl=pnl, price_source=min(sources, key=_strength, default="none"),
        opened_ms=piece.opened_ms, closed_ms=piece.newest_ms if closed else None,
    )  # fmt: skip


def _strength(source: str) -> int:
    return _WEAKEST_FIRST.index(source) if source in _WEAKEST_FIRST else 0


@exactly
def fee_in_quote(
    fee: Decimal | None, asset: str | None, price: Decimal | None, symbol: str, symbols: Symbols
) -> Decimal | None:
    """Return a fee in quote currency, None where its asset is neither the symbol's base nor its quote."""
    if fee is None or asset is None:
        return None
    name, base = symbols.asset(asset), symbols.base_asset(symbol)
    if name == base:
        return fee * price if price is not None and price > 0 else None
    return fee if symbols.token(symbol).endswith(name) else None


@dataclass(frozen=True, slots=True)
class Capital:
    """A profile's capital in quote currency; None is unknown."""

    allocated: Decimal | None
    reserved: Decimal | None
    deployed: Decimal | None
    available: Decimal | None


@exactly
def capital_of(
    allocated: Decimal | None, slices: Iterable[Slice], working: Iterable[tuple[Decimal | None, Decimal | None]]
) -> Capital:
    """Return what open slices deploy and working entry orders (quantity, price) reserve of the allocated capital."""
    deployed: Decimal | None = Decimal(0)
    for piece in slices:
        if piece.is_open and deployed is not None:
            price = piece.entry_price if piece.defect is None else None
            deployed = deployed + piece.open_qty * price if price is not None else None
    reserved: Decimal | None = Decimal(0)
    for qty, price in working:
        reserved = None if reserved is None or qty is None or price is None else reserved + qty * price
    if allocated is None or deployed is None or reserved is None:
        return Capital(allocated, reserved, deployed, None)
    return Capital(allocated, reserved, deployed, allocated - deployed - reserved)
