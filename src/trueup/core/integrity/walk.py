"""Walking one trade from its orders to its history, and one position from the orders to its row.

A walk names what is wrong; what cannot be read is said and never taken for right. Quantities within 1e-8 are equal.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.integrity.kinds import MOST_ROWS, Finding, Kind, RowRef, Unknown
from trueup.core.integrity.rows import HistoryRow, PositionRow, ref_of
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.repair.slices import Slice, action_of, slices_of
from trueup.core.symbols import Symbols
from trueup.core.times import iso

SymbolsOf = Callable[[str], Symbols]
"""How the account of a profile spells its markets."""

PositionKey = tuple[str, str, Side]
"""A profile, a symbol's token, and the side."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the orders hold open of one symbol and side: base quantity, a spelling of the symbol, some of its trades."""

    symbol: str
    qty: Decimal
    trades: tuple[str, ...]

    def more(self, other: "Held") -> "Held":
        """Return both together."""
        return Held(self.symbol, self.qty + other.qty, (self.trades + other.trades)[:MOST_ROWS])


@dataclass(slots=True)
class TradeWalk:
    """What one trade id's rows show: anomalies, what cannot be known, what is open, and the symbols in doubt."""

    findings: list[Finding] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    held: list[tuple[PositionKey, Held]] = field(default_factory=list)
    doubtful: set[tuple[str, str]] = field(default_factory=set)


@exactly
def walk_trade(
    trade_id: str,
    orders: Iterable[LedgerOrder],
    history: Iterable[HistoryRow],
    symbols_of: SymbolsOf,
    parts: Collection[str] = ("trade_history",),
) -> TradeWalk:
    """Walk all rows of one trade id, of whatever profile; `parts` names the tables that the ledger has beside orders.

    A history row of a profile without orders of this trade belongs to the profile that lacks one, if there is one.
    """
    walk = TradeWalk()
    by_profile: dict[str, list[LedgerOrder]] = defaultdict(list)
    for row in orders:
        if row.status is not StatusClass.DEAD:
            by_profile[row.profile_id].append(row)
    told = _history_of(by_profile, history)
    for profile_id in sorted({*by_profile, *told}):
        walk_profile = _Walker(walk, profile_id, trade_id, symbols_of(profile_id))
        walk_profile.orders(by_profile.get(profile_id, []))
        if "trade_history" in parts:
            walk_profile.history(told.get(profile_id, []))
    return walk


def _history_of(profiles: Collection[str], rows: Iterable[HistoryRow]) -> Mapping[str, list[HistoryRow]]:
    """Return the history rows by the profile whose trade they are about."""
    told: dict[str, list[HistoryRow]] = defaultdict(list)
    strangers: list[HistoryRow] = []
    for row in sorted(rows, key=lambda found: found.id):
        if row.profile_id is not None and row.profile_id in profiles:
            told[row.profile_id].append(row)
        else:
            strangers.append(row)
    for row in strangers:
        lacking = [name for name in sorted(profiles) if not told.get(name)]
        told[lacking[0] if lacking else row.profile_id or ""].append(row)
    return told


class _Walker:
    """One profile's rows of one trade id."""

    def __init__(self, walk: TradeWalk, profile_id: str, trade_id: str, symbols: Symbols) -> None:
        self.walk, self.profile_id, self.trade_id, self.symbols = walk, profile_id, trade_id, symbols
        self.pieces: list[tuple[Slice, list[LedgerOrder]]] = []
        self.unreadable = False

    def orders(self, rows: Sequence[LedgerOrder]) -> None:
        """Walk the orders."""
        for row in rows:
            problem = _unreadable(row)
            if problem:
                self.unreadable = True
                self._unknown(row.symbol, [row], problem)
        for piece in slices_of(rows, self.symbols):
            mine = [row for row in rows if row.symbol and self.symbols.token(row.symbol) == piece.token]
            filled = [row for row in mine if _counts(row)]
            self.pieces.append((piece, filled))
            self._piece(piece, filled)

    def _piece(self, piece: Slice, rows: Sequence[LedgerOrder]) -> None:
        if piece.defect is not None:
            self.walk.doubtful.add((self.profile_id, piece.token))
            if not self.unreadable:
                self._unknown(piece.symbol, rows, f"trade {self.trade_id}: {piece.detail}")
            return
        exits = [row for row in rows if action_of(row, piece.entry_side) is Action.EXIT]
        if piece.entry_qty <= NOTHING and exits:
            self._find(
                Kind.ORPHAN_EXIT, piece.symbol, _refs(exits),
                f"{plain(piece.exit_qty)} {piece.symbol} left trade {self.trade_id}, and no filled ENTRY row of it is"
                " in the orders",
            )  # fmt: skip
        elif piece.exit_qty - piece.entry_qty > NOTHING:
            self._find(
                Kind.OVER_EXIT, piece.symbol, _refs(exits),
                f"trade {self.trade_id} left {plain(piece.exit_qty)} {piece.symbol} of {plain(piece.entry_qty)}",
            )  # fmt: skip
        self._in_order(piece, rows)
        if piece.holds_something:
            key = (self.profile_id, piece.token, piece.entry_side)
            self.walk.held.append((key, Held(piece.symbol, piece.open_qty, (self.trade_id,))))

    def _in_order(self, piece: Slice, rows: Sequence[LedgerOrder]) -> None:
        late = late_entry(rows, piece.entry_side)
        if late is not None:
            row, entered, left = late
            at = iso(row.time_ms or 0)
            self._find(
                Kind.OUT_OF_ORDER_LIFECYCLE, piece.symbol, (ref_of(row),),
                f"trade {self.trade_id}: the entry {row.order_id} at {at} comes when {plain(left)} had left of"
                f" {plain(entered)} {piece.symbol}",
            )  # fmt: skip

    def history(self, rows: Sequence[HistoryRow]) -> None:
        """Walk from the orders to the history."""
        readable = [row for row in rows if not row.defect]
        for row in rows:
            if row.defect:
                self.walk.unknown.append(
                    Unknown(
                        self.profile_id, row.symbol, self.trade_id, (row.ref,), f"history row {row.id}: {row.defect}"
                    )
                )
        if not self.pieces:
            if not self.unreadable:
                self._nothing_entered(readable, None)
            return
        for piece, mine in self._by_piece(rows):
            if piece.defect is None:
                self._told(piece, mine)

    def _by_piece(self, rows: Sequence[HistoryRow]) -> Iterator[tuple[Slice, list[HistoryRow]]]:
        """Give each piece the rows of its symbol; the others go to the first that has none."""
        pieces = [piece for piece, _ in self.pieces]
        found: dict[str, list[HistoryRow]] = {piece.token: [] for piece in pieces}
        others: list[HistoryRow] = []
        for row in rows:
            token = self.symbols.token(row.symbol) if row.symbol else ""
            found.get(token, others).append(row)
        for row in others:
            bare = [token for token in found if not found[token]]
            found[bare[0] if bare else pieces[0].token].append(row)
        for piece in pieces:
            yield piece, found[piece.token]

    def _told(self, piece: Slice, rows: Sequence[HistoryRow]) -> None:
        if piece.entry_qty <= NOTHING:
            self._nothing_entered([row for row in rows if not row.defect], piece.symbol)
            return
        if len(rows) > 1:
            self._find(
                Kind.DUPLICATE_HISTORY, piece.symbol, tuple(row.ref for row in rows[:MOST_ROWS]),
                f"trade {self.trade_id} has {len(rows)} history rows",
            )  # fmt: skip
        if not rows and not piece.holds_something:
            self._find(
                Kind.MISSING_HISTORY, piece.symbol, _refs(self._rows_of(piece)),
                f"trade {self.trade_id} is closed ({plain(piece.exit_qty)} of {plain(piece.entry_qty)}"
                f" {piece.symbol} left), and no history row tells of it",
            )  # fmt: skip
        for row in rows:
            wrong = [] if row.defect else list(self._differences(piece, row))
            if wrong:
                self._find(
                    Kind.HISTORY_MISMATCH, piece.symbol, (row.ref,),
                    f"history row {row.id} of trade {self.trade_id}: {'; '.join(wrong)}",
                )  # fmt: skip

    def _differences(self, piece: Slice, row: HistoryRow) -> Iterator[str]:
        """Say where a history row is not what the orders say; a quantity that a closed trade's row lacks is one."""
        if row.profile_id != self.profile_id:
            yield f"it says profile {row.profile_id or '(none)'}, the orders {self.profile_id}"
        if row.symbol and self.symbols.token(row.symbol) != piece.token:
            yield f"it says {row.symbol}, the orders {piece.symbol}"
        if row.side is not None and row.side is not piece.entry_side:
            yield f"it says {_way(row.side)}, the orders {_way(piece.entry_side)}"
        told = (("entry_qty", row.entry_qty, piece.entry_qty), ("exit_qty", row.exit_qty, piece.exit_qty))
        for name, said, is_so in told:
            if said is None and not piece.holds_something:
                yield f"it says no {name}, the orders {plain(is_so)}"
            elif said is not None and abs(said - is_so) > max(NOTHING, piece.cut):
                yield f"{name} is {plain(said)}, in the orders {plain(is_so)}"
        if row.closed and piece.holds_something:
            yield f"it says closed, and {plain(piece.open_qty)} {piece.symbol} are open"

    def _nothing_entered(self, rows: Sequence[HistoryRow], symbol: str | None) -> None:
        """Name the rows that tell of a trade which never entered; one that tells of nothing is what was taken back."""
        telling = [row for row in rows if not row.is_empty]
        if telling:
            named = telling[0].symbol or symbol
            self._find(
                Kind.MISSING_ENTRY_ORDER, named, tuple(row.ref for row in telling[:MOST_ROWS]),
                f"history row {telling[0].id} names trade {self.trade_id}, and the orders hold no filled ENTRY row of"
                " it",
            )  # fmt: skip
        if len(rows) > 1:
            self._find(
                Kind.DUPLICATE_HISTORY, rows[0].symbol or symbol, tuple(row.ref for row in rows[:MOST_ROWS]),
                f"trade {self.trade_id} has {len(rows)} history rows",
            )  # fmt: skip

    def _rows_of(self, piece: Slice) -> Sequence[LedgerOrder]:
        return next(rows for known, rows in self.pieces if known is piece)

    def _find(self, kind: Kind, symbol: str | None, rows: tuple[RowRef, ...], what: str) -> None:
        trade = self.trade_id
        self.walk.findings.append(Finding(kind, self.profile_id or None, symbol, trade, rows, f"{what}."))

    def _unknown(self, symbol: str | None, rows: Sequence[LedgerOrder], what: str) -> None:
        self.walk.unknown.append(Unknown(self.profile_id, symbol, self.trade_id, _refs(rows), f"{what}."))
        token = self.symbols.token(symbol) if symbol else ""
        self.walk.doubtful.add((self.profile_id, token))


def _unreadable(row: LedgerOrder) -> str:
    """Return why a row of a trade cannot be walked, empty where it can."""
    if row.defect is not None:
        return row.detail
    if row.status is StatusClass.FILLED and row.qty > NOTHING and not row.symbol:
        return f"order {row.order_id}: it has no symbol"
    return ""


def _counts(row: LedgerOrder) -> bool:
    return row.status is StatusClass.FILLED and row.defect is None and row.qty > NOTHING


def late_entry(rows: Iterable[LedgerOrder], entry_side: Side) -> tuple[LedgerOrder, Decimal, Decimal] | None:
    """Return the first entry that comes when the exits had reached or passed the entries, with both sums until then.

    Rows are walked in canonical time, at equal times entries first.
    """
    entered = left = Decimal(0)
    for row in sorted(rows, key=lambda row: _canonical(row, entry_side)):
        if action_of(row, entry_side) is Action.EXIT:
            left += row.qty
            continue
        if left > 0 and left >= entered - NOTHING:
            return row, entered, left
        entered += row.qty
    return None


def _canonical(row: LedgerOrder, entry_side: Side) -> tuple[int, bool, str]:
    return (row.time_ms or 0, action_of(row, entry_side) is Action.EXIT, row.order_id)


def _refs(rows: Iterable[LedgerOrder]) -> tuple[RowRef, ...]:
    return tuple(ref_of(row) for row in sorted(rows, key=lambda row: row.order_id)[:MOST_ROWS])


def _way(side: Side) -> str:
    return "long" if side is Side.BUY else "short"


@exactly
def walk_positions(
    held: Mapping[PositionKey, Held],
    rows: Iterable[PositionRow],
    doubtful: Collection[tuple[str, str]],
    symbols_of: SymbolsOf,
) -> tuple[list[Finding], list[Unknown]]:
    """Compare what the orders hold with the positions rows; a symbol in doubt (token '' is every one) is left alone.

    Rows of one symbol that are spelt differently count together.
    """
    findings: list[Finding] = []
    unknown: list[Unknown] = []
    told: dict[PositionKey, list[PositionRow]] = defaultdict(list)
    unsure = set(doubtful)
    for row in rows:
        token = symbols_of(row.profile_id).token(row.symbol)
        if row.defect:
            what = f"positions row {row.ref.id}: {row.defect}."
            unknown.append(Unknown(row.profile_id, row.symbol, None, (row.ref,), what))
            unsure.add((row.profile_id, token))
        elif row.qty > NOTHING:
            told[row.profile_id, token, row.side].append(row)
    for key in sorted({*held, *told}):
        if (key[0], key[1]) in unsure or (key[0], "") in unsure:
            continue
        found = _position(key, held.get(key), told.get(key, []))
        if found is not None:
            findings.append(found)
    return findings, unknown


def _position(key: PositionKey, held: Held | None, rows: Sequence[PositionRow]) -> Finding | None:
    profile_id, _, side = key
    refs, said = tuple(row.ref for row in rows), sum((row.qty for row in rows), Decimal(0))
    way = _way(side)
    if held is None:
        what = f"the positions row says {way} {plain(said)} {rows[0].symbol}, and the orders hold nothing open of it."
        return Finding(Kind.GHOST_POSITION, profile_id, rows[0].symbol, None, refs, what)
    trade = held.trades[0] if len(held.trades) == 1 else None
    orders = f"the orders hold {way} {plain(held.qty)} {held.symbol} open ({_listed(held.trades)})"
    if not rows:
        what = f"{orders}, and no positions row says so."
        return Finding(Kind.MISSING_POSITION, profile_id, held.symbol, trade, (), what)
    if abs(held.qty - said) > NOTHING:
        what = f"{orders}, and the positions row says {plain(said)}."
        return Finding(Kind.POSITION_MISMATCH, profile_id, held.symbol, trade, refs, what)
    return None


def _listed(trades: Sequence[str]) -> str:
    more = f" and {len(trades) - 3} more" if len(trades) > 3 else ""
    return f"{', '.join(trades[:3])}{more}"
