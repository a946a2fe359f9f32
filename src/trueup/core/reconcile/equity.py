"""The equity tie-out: what the venue says an account is worth, what the books say, and what explains the difference.

Every part that cannot be known is None with a note; nothing is estimated in silence. All amounts are in one quote
currency: an account that trades against several has no single equity here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly, plain
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import EventKind, Feed, Snapshot


@dataclass(frozen=True, slots=True)
class TieOut:
    """An account's equity at one moment, in `currency`; None is unknown, and `notes` say why."""

    exchange: Decimal | None = None
    internal: Decimal | None = None
    fees: Decimal | None = None
    funding: Decimal | None = None
    transfers: Decimal | None = None
    open_breaks: Decimal | None = None
    currency: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> Decimal | None:
        """Return exchange less internal."""
        if self.exchange is None or self.internal is None:
            return None
        return self.exchange - self.internal

    @property
    def unexplained(self) -> Decimal | None:
        """Return what of the difference nothing explains."""
        parts = (self.fees, self.funding, self.transfers, self.open_breaks)
        if self.difference is None:
            return None
        return self.difference - sum((part for part in parts if part is not None), Decimal(0))

    @exactly
    def as_json(self) -> dict[str, object]:
        """Return the tie-out by the names of the interface."""
        return {
            "exchange_equity": _plain(self.exchange),
            "internal_equity": _plain(self.internal),
            "difference": _plain(self.difference),
            "equity_currency": self.currency,
            "explained_by": {
                "fees": _plain(self.fees), "funding": _plain(self.funding), "transfers": _plain(self.transfers),
                "open_breaks": _plain(self.open_breaks), "unexplained": _plain(self.unexplained),
            },
            "equity_notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BooksFacts:
    """What the books say of the profiles of an account: allocated capital, realized profit, and the open trades.

    `realized` None is unknown: a closed trade without a price has no profit that anybody knows.
    """

    allocated: Sequence[Decimal | None]
    realized: Decimal | None
    slices: tuple[Slice, ...]


@exactly
def tie_out(snapshot: Snapshot, books: BooksFacts, broken: Mapping[str, Decimal]) -> TieOut:
    """Return the tie-out; `broken` is what the venue holds beyond the ledger of each symbol, base units, by token."""
    currency = _currency(snapshot, books.slices)
    marks = marks_of(snapshot)
    notes: list[str] = []
    if currency is None:
        return TieOut(notes=("the account trades against several currencies, or none is known",))
    exchange = _exchange(snapshot, currency, marks, notes)
    internal = _internal(books, marks, notes)
    unpriced = sorted(token for token, qty in broken.items() if qty and token not in marks)
    open_breaks = None
    if unpriced:
        notes.append(f"open breaks: no price of {', '.join(unpriced)} is known")
    else:
        open_breaks = sum((qty * marks[token] for token, qty in broken.items() if qty), Decimal(0))
    return TieOut(
        exchange, internal, _fees(snapshot, currency, notes), _amounts(snapshot, currency, EventKind.FUNDING),
        _amounts(snapshot, currency, EventKind.TRANSFER), open_breaks, currency, tuple(notes),
    )  # fmt: skip


def marks_of(snapshot: Snapshot) -> dict[str, Decimal]:
    """Return a price of each symbol by token: the venue's mark, else that of its newest execution."""
    marks: dict[str, Decimal] = {}
    for fill in sorted(snapshot.fills, key=lambda each: (each.time_ms, each.id)):
        if fill.price is not None:
            marks[snapshot.symbols.token(fill.symbol)] = fill.price
    for leg in snapshot.legs:
        if leg.mark_price is not None:
            marks[snapshot.symbols.token(leg.symbol)] = leg.mark_price
    return marks


def _currency(snapshot: Snapshot, slices: Iterable[Slice]) -> str | None:
    """Return the one currency that everything is quoted in."""
    symbols = snapshot.symbols
    names = {piece.symbol for piece in slices if piece.is_open} | {leg.symbol for leg in snapshot.legs}
    names |= {order.symbol for order in snapshot.orders}
    quotes = {quote for name in names if (quote := symbols.quote_asset(name)) is not None}
    if not quotes and names and all(symbols.quote_asset(name) is None for name in names):
        return "USD" if "USD" in (snapshot.balances or {}) else None
    return next(iter(quotes)) if len(quotes) == 1 else None


def _exchange(snapshot: Snapshot, currency: str, marks: Mapping[str, Decimal], notes: list[str]) -> Decimal | None:
    """Return cash and what is held at its marks; contracts are worth what no snapshot says."""
    if snapshot.balances is None or not snapshot.feed(Feed.BALANCES).complete:
        notes.append("exchange: the balances are not known")
        return None
    positions = snapshot.feed(Feed.POSITIONS)
    if snapshot.unknown_assets or (positions.given and (not positions.complete or snapshot.unknown_symbols)):
        notes.append(f"exchange: the {'balances' if snapshot.unknown_assets else 'positions'} are not known")
        return None
    total = snapshot.balances.get(currency, Decimal(0))
    symbols = snapshot.symbols
    if positions.given:
        for leg in snapshot.legs:
            token = symbols.token(leg.symbol)
            if leg.qty and (token not in marks or ":" in leg.symbol):
                notes.append(f"exchange: what the position in {leg.symbol} is worth is not known")
                return None
            total += leg.qty * marks.get(token, Decimal(0))
        return total
    for asset, amount in sorted(snapshot.balances.items()):
        if asset != currency and amount:
            mark = marks.get(symbols.token(f"{asset}/{currency}"))
            if mark is None:
                notes.append(f"exchange: no price of {asset} in {currency} is known")
                return None
            total += amount * mark
    return total


def _internal(books: BooksFacts, marks: Mapping[str, Decimal], notes: list[str]) -> Decimal | None:
    """Return allocated capital, realized profit, and open trades at the same marks."""
    if any(amount is None for amount in books.allocated):
        notes.append("internal: a profile has no allocated capital")
        return None
    if books.realized is None:
        notes.append("internal: the profit of a closed trade is not known")
        return None
    total = sum((amount for amount in books.allocated if amount is not None), Decimal(0)) + books.realized
    for piece in books.slices:
        if not piece.is_open:
            continue
        mark = marks.get(piece.token)
        if piece.defect is not None or piece.entry_price is None or mark is None:
            notes.append(f"internal: what {piece.trade_id} is worth is not known")
            return None
        total += (mark - piece.entry_price) * piece.signed_open
    return total


def _fees(snapshot: Snapshot, currency: str, notes: list[str]) -> Decimal | None:
    """Return the fees that the venue took in the currency, negative; those in another asset are in what is held."""
    if not snapshot.feed(Feed.FILLS).complete:
        notes.append("fees: the fills are not known")
        return None
    paid = [
        f.fee for f in snapshot.fills if f.fee is not None and snapshot.symbols.asset(f.fee_asset or "") == currency
    ]
    return -sum(paid, Decimal(0)) + sum(_changes(snapshot, currency, EventKind.FEE), Decimal(0))


def _amounts(snapshot: Snapshot, currency: str, kind: EventKind) -> Decimal:
    return sum(_changes(snapshot, currency, kind), Decimal(0))


def _changes(snapshot: Snapshot, currency: str, kind: EventKind) -> list[Decimal]:
    return [
        event.amount
        for event in snapshot.events
        if event.kind is kind and event.amount is not None and snapshot.symbols.asset(event.asset or "") == currency
    ]


def _plain(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None
