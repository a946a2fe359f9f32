"""Open slices: what the ledger believes is still open of each trade (entries less exits)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.orders import MALFORMED_LEDGER_ROW, Action, LedgerOrder, Side, StatusClass
from trueup.core.symbols import Symbols

REPAIR_PREFIX = "BFILL-"
"""What the ids of our repairs' rows begin with."""

OWN_EXITS = (REPAIR_PREFIX, "PRTY-")
"""What the ids of all exits of our own begin with: of proven ones, and of confirmed ghosts."""


@dataclass(frozen=True, slots=True)
class NamelessExit:
    """An EXIT row that names no order of the venue: base quantity, quote price (None is unknown), epoch milliseconds.

    Which execution it books cannot be told by an id, so that its likeness speaks. `partial` says that the row itself
    is of an order that was filled in part: it books the beginning of what that order executes.
    """

    qty: Decimal
    price: Decimal | None
    time_ms: int
    partial: bool = False

    def may_book(self, qty: Decimal, price: Decimal | None, time_ms: int, grace_ms: int) -> bool:
        """Say whether the row may be the booking of an execution: quantity and price alike, times within the grace.

        A price that either of them does not know is no difference. Of an order that was filled in part the rest may
        have come at any later time and price.
        """
        if self.partial:
            return self.qty <= qty and self.time_ms <= time_ms + grace_ms
        alike = self.price is None or price is None or abs(self.price - price) <= price * _SAME_PRICE
        return self.qty == qty and alike and abs(self.time_ms - time_ms) <= grace_ms


_SAME_PRICE = Decimal("0.0001")
"""Bots and venues round the average of several fills differently."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One trade's books: quantities in base units, times in epoch milliseconds.

    `open_qty` is what is still open, negative where more was exited than entered. `token` is the symbol's token.
    `bot_newest_ms` is the newest row that the bot itself wrote: the rows of our repairs are left out, so that a
    repair changes nothing about what older evidence may prove. `working` says that an order of the trade may still
    fill; `defect` that its rows cannot be read or do not say what it is, so that its quantity is unknown, and
    `side_unclear` that nothing but the side of its entry is: what it holds, signed, is the same by either reading.
    `entry_price` is the volume-weighted price of the entries, None where one of them has no price. `fingerprint`
    changes with every change of the trade's filled or working rows. `nameless` are its exits that name no order of the
    venue. `newest_id` is the order id of the newest row. `cut` is what the ledger's columns may have cut from our own
    exits: no more than that is not open.
    """

    profile_id: str
    trade_id: str
    symbol: str
    token: str
    user_id: str | None
    entry_side: Side
    entry_qty: Decimal
    exit_qty: Decimal
    open_qty: Decimal
    newest_ms: int
    bot_newest_ms: int
    opened_ms: int
    entry_price: Decimal | None = None
    working: bool = False
    defect: str | None = None
    side_unclear: bool = False
    detail: str = ""
    fingerprint: str = ""
    nameless: tuple[NamelessExit, ...] = ()
    newest_id: str = ""
    cut: Decimal = Decimal(0)

    @property
    def holds_something(self) -> bool:
        """Say whether more than nothing is open."""
        return self.open_qty > max(NOTHING, self.cut)

    @property
    def is_open(self) -> bool:
        """Say whether the trade is a candidate: something is open, or its rows cannot be read."""
        return self.holds_something or self.defect is not None

    @property
    def exit_side(self) -> Side:
        """Return the side of the orders that close the trade."""
        return self.entry_side.opposite

    @property
    def position_known(self) -> bool:
        """Say whether `signed_open` is what the trade holds."""
        return self.defect is None or self.side_unclear

    @property
    def signed_open(self) -> Decimal:
        """Return the open quantity, negative for a short trade."""
        return self.open_qty if self.entry_side is Side.BUY else self.open_qty.copy_negate()


@exactly
def slices_of(rows: Iterable[LedgerOrder], symbols: Symbols) -> list[Slice]:
    """Return the slices of all trades that the rows name, by profile, trade and symbol, open or not.

    Rows without trade id or symbol, and quantities up to 1e-8, belong to no slice (a working order blocks its trade
    whatever its symbol). The order of the rows does not matter.
    """
    trades: dict[tuple[str, str], list[LedgerOrder]] = defaultdict(list)
    for row in rows:
        if row.trade_id is not None and row.status is not StatusClass.DEAD:
            trades[row.profile_id, row.trade_id].append(row)
    twins = _names_with_blanks(trades)
    return [piece for key in sorted(trades) for piece in _trade_slices(trades[key], symbols, twins.get(key, ""))]


def _names_with_blanks(trades: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the trades of a profile whose ids differ in the blanks around them alone, with what is wrong about it."""
    padded = {(profile, trade.strip()) for profile, trade in trades if trade != trade.strip()}
    spelt: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for profile, trade in trades if padded else ():
        if (profile, trade.strip()) in padded:
            spelt[profile, trade.strip()].append((profile, trade))
    return {
        key: "the profile has trades whose ids differ in blanks alone: " + ", ".join(repr(k[1]) for k in sorted(keys))
        for keys in spelt.values()
        if len(keys) > 1
        for key in keys
    }


def _trade_slices(rows: list[LedgerOrder], symbols: Symbols, doubt: str) -> list[Slice]:
    working = any(row.status is StatusClass.WORKING for row in rows)
    nameless = [row for row in rows if row.defect and not row.symbol]
    by_token: dict[str, list[LedgerOrder]] = defaultdict(list)
    for row in rows:
        if row.status is not StatusClass.WORKING and row.symbol and (row.defect or row.qty > NOTHING):
            by_token[symbols.token(row.symbol)].append(row)
    mark = fingerprint(rows)
    doubts = _spellings_of_one_market(by_token, symbols) if len(by_token) > 1 else {}
    return [
        piece
        for token in sorted(by_token)
        if (piece := _slice(by_token[token] + nameless, token, working, mark, doubts.get(token, doubt))) is not None
    ]


def _spellings_of_one_market(by_token: Mapping[str, list[LedgerOrder]], symbols: Symbols) -> dict[str, str]:
    """Return the tokens of one trade whose rows may be of the market of another one of its tokens, with the reason."""
    spelt = {row.symbol for rows in by_token.values() for row in rows if row.symbol}
    found = {name: symbols.namesakes(name, spelt) for name in sorted(spelt)}
    return {
        symbols.token(name): f"rows of the trade are spelt {name} and {meant[0]}, which may be one market"
        for name, meant in found.items()
        if meant
    }


def _slice(rows: list[LedgerOrder], token: str, working: bool, mark: str, doubt: str) -> Slice | None:
    """Return one slice of the rows of one trade and symbol; `doubt` is why they may not say what is open of it."""
    good = sorted((row for row in rows if row.defect is None), key=_by_time)
    defective = sorted((row for row in rows if row.defect is not None), key=lambda row: row.order_id)
    entry_side = _entry_side(good)
    if entry_side is None and not defective:
        return None
    entry_side = entry_side or Side.BUY
    entries = [row for row in good if action_of(row, entry_side) is Action.ENTRY]
    exits = [row for row in good if action_of(row, entry_side) is Action.EXIT]
    entered = sum((row.qty for row in entries), Decimal(0))
    left = sum((row.qty for row in exits), Decimal(0))
    first = (entries or good or defective)[0]
    defect = max((row.defect for row in defective if row.defect), default=None)
    side_unclear = abs(entered - left) > NOTHING and _first_is_unclear(good)
    readable = defect is None and not doubt
    if side_unclear:
        doubt = "; ".join(filter(None, (doubt, FIRST_UNCLEAR)))
    return Slice(
        profile_id=first.profile_id,
        trade_id=first.trade_id or "",
        symbol=next(row.symbol for row in (*entries, *good, *defective) if row.symbol),
        token=token,
        user_id=first.user_id,
        entry_side=entry_side,
        entry_qty=entered,
        exit_qty=left,
        open_qty=entered - left,
        newest_ms=max((row.time_ms or 0 for row in good), default=0),
        bot_newest_ms=max((row.time_ms or 0 for row in good if not row.order_id.startswith(OWN_EXITS)), default=0),
        opened_ms=min((row.time_ms or 0 for row in entries or good), default=0),
        entry_price=average_price(entries),
        working=working,
        defect=defect or (MALFORMED_LEDGER_ROW if doubt else None),
        side_unclear=side_unclear and readable,
        detail="; ".join(filter(None, (*(row.detail for row in defective), doubt))),
        fingerprint=mark,
        nameless=tuple(
            NamelessExit(row.qty, row.price or None, row.time_ms or 0, partial=row.word == "partially_filled")
            for row in exits
            if not row.exchange_order_id and not row.client_order_id
        ),
        newest_id=good[-1].order_id if good else "",
        cut=sum((row.cut for row in exits), Decimal(0)),
    )


def _by_time(row: LedgerOrder) -> tuple[int, str]:
    return (row.time_ms or 0, row.order_id)


def _entry_side(rows: list[LedgerOrder]) -> Side | None:
    """Return the side of the first ENTRY in time; where none is named, what the exits or the first row imply."""
    for row in rows:
        if row.action is Action.ENTRY:
            return row.side
    for row in rows:
        if said_action(row) is Action.EXIT and row.side:
            return row.side.opposite
    return rows[0].side if rows else None


FIRST_UNCLEAR = "buys and sells stand at the trade's first moment, and no row says which of them is the entry"


def _first_is_unclear(rows: list[LedgerOrder]) -> bool:
    """Say whether rows in time, none of which says what it does, begin with both sides at one moment."""
    if any(said_action(row) is not None for row in rows):
        return False
    return len({row.side for row in rows if row.time_ms == rows[0].time_ms}) > 1


def said_action(row: LedgerOrder) -> Action | None:
    """Return what a row says that it does; a row of our repairs is an exit, also where the table has no action."""
    if row.action is None and row.order_id.startswith(OWN_EXITS):
        return Action.EXIT
    return row.action


def action_of(row: LedgerOrder, entry_side: Side) -> Action:
    """Return what a row does to its trade: as it says, else by its side against the trade's entry side."""
    return said_action(row) or (Action.ENTRY if row.side is entry_side else Action.EXIT)


@exactly
def average_price(rows: Iterable[LedgerOrder]) -> Decimal | None:
    """Return the volume-weighted price of rows; None where a row has no price or there is no row."""
    qty = value = Decimal(0)
    for row in rows:
        if row.price is None:
            return None
        qty += row.qty
        value += row.qty * row.price
    return value / qty if qty else None


def fingerprint(rows: Iterable[LedgerOrder], without: frozenset[str] = frozenset()) -> str:
    """Return a digest of a trade's filled and working rows, leaving out some by their order ids.

    Times are part of it: they say which side entered, and which evidence is too old.
    """
    parts = sorted(
        "|".join(
            (
                row.order_id, row.status, row.side or "", row.action or "", plain(row.qty),
                plain(row.price) if row.price is not None else "", row.symbol or "", row.defect or "",
                str(row.time_ms),
            )
        )
        for row in rows
        if row.order_id not in without and row.status in (StatusClass.FILLED, StatusClass.WORKING, StatusClass.UNKNOWN)
    )  # fmt: skip
    return sha256("\n".join(parts).encode()).hexdigest()
