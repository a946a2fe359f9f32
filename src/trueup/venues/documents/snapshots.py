"""From what the files of an export hold to one snapshot.

Invariant 5 (Unknown is not flat; not found is not absent): a row that cannot be read is named and left out, a
position or balance that cannot be read makes its symbol or asset unknown, and a section that cannot be read
makes its feed failed; nothing of it reads as flat, and the rest of the export still counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import (
    Coverage,
    EventKind,
    Feed,
    FeedState,
    Fill,
    Leg,
    Malformed,
    Snapshot,
    VenueEvent,
    VenueOrder,
)
from trueup.core.symbols import Symbols
from trueup.core.times import iso
from trueup.venues.documents.coverage import NULL, without_section, worst
from trueup.venues.documents.parts import CLOCK, Part, Section, part_of_answers
from trueup.venues.rows.balances import answer_in, emptiness_of, read_balances
from trueup.venues.rows.contracts import Contracts, read_contracts
from trueup.venues.rows.events import read_event
from trueup.venues.rows.fields import Row, identifier, printable, shown, symbol_of
from trueup.venues.rows.fills import read_fill
from trueup.venues.rows.orders import IDS, read_order
from trueup.venues.rows.positions import read_leg

LATEST_MS = 253_402_214_400_000
_ONE_OF_EACH = (Feed.POSITIONS, Feed.BALANCES)


@dataclass(slots=True)
class _Draft:
    """The snapshot in the making."""

    symbols: Symbols
    contracts: Contracts
    covered: dict[Feed, list[Coverage]] = field(default_factory=dict)
    orders: list[VenueOrder] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    events: list[VenueEvent] = field(default_factory=list)
    balances: dict[str, Decimal] | None = None
    unknown_symbols: dict[str, str] = field(default_factory=dict)
    unknown_assets: dict[str, str] = field(default_factory=dict)
    malformed: list[Malformed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def cover(self, feed: Feed, state: FeedState, reason: str) -> None:
        self.covered.setdefault(feed, []).append(Coverage(state, reason))

    def doubt(self, symbol: str, why: str) -> None:
        """Make a symbol's position unknown.

        A ledger may spell a contract without its settlement (BTCUSDT for BTC/USDT:USDT), so that name is unknown too.
        """
        for spelling in (symbol, symbol.partition(":")[0]):
            self.unknown_symbols.setdefault(spelling, why)

    def leave_out(self, feed: Feed, where: str, why: str, row_id: str = "") -> None:
        self.malformed.append(Malformed(feed.value, where, why, row_id))


def snapshot_of_answers(account: str, document: Row, symbols: Symbols) -> Snapshot:
    """Return the snapshot of what a venue answered, put together as one document in the file format.

    What is read here is what a file with the same content gives; CannotKnow where the document has no `as_of`.
    """
    return snapshot_of(account, account, [part_of_answers(account, document)], symbols)


def snapshot_of(account: str, path: str, parts: list[Part], symbols: Symbols) -> Snapshot:
    """Return the snapshot of an export; CannotKnow where its files contradict each other."""
    sections = [section for part in parts for section in part.sections]
    _refuse_two_of(sections, path)
    declared = _declared(parts, path)
    as_of_ms, source, notes = _as_of(parts, path)
    contracts, problems = read_contracts(
        [entry for part in parts for entry in part.contract_sizes],
        [entry for part in parts for entry in part.markets],
        (row for section in sections if section.feed is Feed.POSITIONS for row in section.rows),
        symbols,
    )
    if not sections:
        notes.append(f"{path} holds no feed, so nothing is known of the account.")
    draft = _Draft(symbols, contracts, malformed=problems, notes=notes)
    for section in sections:
        _read_section(draft, section, declared.get(section.feed))
    for part in parts:
        for symbol, why in part.unknown_symbols.items():
            draft.doubt(symbol, why)
        for asset, why in part.unknown_assets.items():
            draft.unknown_assets.setdefault(symbols.asset(asset), why)
            (draft.balances or {}).pop(symbols.asset(asset), None)
    for at, events in (entry for part in parts for entry in part.events):
        _read_events(draft, at, events)
    return Snapshot(
        account=account,
        as_of_ms=as_of_ms,
        as_of_source=source,
        coverage=_coverage(draft, declared),
        orders=tuple(draft.orders),
        fills=tuple(draft.fills),
        legs=tuple(draft.legs),
        events=tuple(draft.events),
        balances=draft.balances,
        unknown_symbols=draft.unknown_symbols,
        unknown_assets=draft.unknown_assets,
        malformed=tuple(draft.malformed),
        notes=tuple(draft.notes),
        symbols=symbols,
    )


def _refuse_two_of(sections: list[Section], path: str) -> None:
    for feed in _ONE_OF_EACH:
        places = [section.at for section in sections if section.feed is feed]
        if len(places) > 1:
            raise CannotKnow(
                f"{path}: {feed} are given twice, in {' and '.join(places)}.",
                "Which of them is the present cannot be told: keep one.",
            )


def _declared(parts: list[Part], path: str) -> dict[Feed, Coverage]:
    declared: dict[Feed, Coverage] = {}
    for part in parts:
        for feed, coverage in part.declared.items():
            if declared.setdefault(feed, coverage) != coverage:
                raise CannotKnow(f"{path}: the coverage of {feed} is declared twice, differently.", "Keep one of them.")
    return declared


def _as_of(parts: list[Part], path: str) -> tuple[int, str, list[str]]:
    """Return "now", where it is from, and the notes so far; of several times the earliest counts.

    The earliest, because an export is only as new as its oldest part: what another part knows of later times
    is then refused as later than now, instead of being held against an older position.
    """
    notes = [note for part in parts for note in part.notes]
    given = {part.as_of_ms for part in parts if part.as_of_ms is not None}
    if len(given) > 1:
        notes.append(f"{path}: as_of differs between the files; the earliest, {iso(min(given))}, counts.")
    if given:
        return min(given), "venue" if all(part.by_venue for part in parts) else CLOCK, notes
    oldest = min([part for part in parts if part.sections] or parts, key=lambda part: part.modified_ms)
    if not 0 < oldest.modified_ms < LATEST_MS:
        raise CannotKnow(f"{oldest.file} has no as_of, and its modification time is impossible.", "Add an as_of.")
    when = iso(oldest.modified_ms)
    notes.append(f"{oldest.file} has no as_of: its modification time, {when}, stands in.")
    return oldest.modified_ms, "file_time", notes


def _coverage(draft: _Draft, declared: Mapping[Feed, Coverage]) -> dict[Feed, Coverage]:
    covered = {feed: worst(parts) for feed, parts in draft.covered.items()}
    missing = {feed: without_section(entry) for feed, entry in declared.items() if feed not in covered}
    return covered | missing


def _read_section(draft: _Draft, section: Section, declared: Coverage | None) -> None:
    """Read one section: its coverage first, then its rows."""
    expected: type = dict if section.feed is Feed.BALANCES else list
    if declared is not None:
        draft.covered.setdefault(section.feed, []).append(declared)
    if section.value is None:
        draft.cover(section.feed, FeedState.FAILED, NULL)
        return
    failure = _failure(section, expected)
    if failure is not None:
        draft.cover(section.feed, FeedState.FAILED, failure)
        draft.leave_out(section.feed, section.at, failure)
        return
    if section.gap and declared is None:
        draft.cover(section.feed, FeedState.PARTIAL, section.gap)
    draft.covered.setdefault(section.feed, [Coverage(FeedState.COMPLETE)])
    _READERS[section.feed](draft, section)


def _failure(section: Section, expected: type) -> str | None:
    """Return why a section's value cannot be the feed, or None."""
    value = section.value
    answer = answer_in(value) if isinstance(value, Mapping) else None
    said = f" (the venue's own words: {answer})" if answer else ""
    if not isinstance(value, expected):
        wanted = "an object of asset and amount" if expected is dict else "a list"
        return f"it is {shown(value)} where {wanted} is expected{said}"
    if isinstance(value, Mapping):
        empty = emptiness_of(value)
        return f"it looks like a venue's raw answer or error{said}" if answer else empty
    return None


def _id_of(row: object) -> str:
    """Return the id of a row as far as it can be read; by that of an order its fills are set aside with it."""
    try:
        return identifier(row, IDS) or "" if isinstance(row, Mapping) else ""
    except ValueError:
        return ""


def _place(at: str, row: object) -> str:
    """Return where a row stands, with its id where it has one."""
    name = _id_of(row)
    return f"{at} (id {printable(name)})" if name else at


def _checked(row: object) -> Row:
    if not isinstance(row, Mapping):
        raise ValueError(f"the row is {shown(row)}, not an object")
    return row


def _read_orders(draft: _Draft, section: Section) -> None:
    for at, row in _with_legs(section):
        where = _place(at, row)
        try:
            order = read_order(_checked(row), where, section.orders, draft.symbols, draft.contracts)
            draft.orders.append(order)
        except ValueError as error:
            draft.leave_out(section.feed, where, str(error), _id_of(row))


def _with_legs(section: Section) -> Iterator[tuple[str, object]]:
    """Yield the orders of a section with the orders that Alpaca nests in them (`legs`).

    An order of several symbols (class mleg) has none of its own and is only the wrapper of its legs.
    """
    todo = [(f"{section.at}[{index}]", row) for index, row in enumerate(section.rows)]
    todo.reverse()
    while todo:
        at, row = todo.pop()
        legs = row.get("legs") if isinstance(row, Mapping) else None
        wraps = isinstance(row, Mapping) and row.get("order_class") == "mleg" and not row.get("symbol")
        if not (legs and wraps):
            yield at, row
        if isinstance(legs, list):
            todo += reversed([(f"{at}.legs[{index}]", leg) for index, leg in enumerate(legs)])
        elif legs is not None:
            yield f"{at}.legs", legs


def _read_fills(draft: _Draft, section: Section) -> None:
    others: Counter[str] = Counter()
    for index, row in enumerate(section.rows):
        where = _place(f"{section.at}[{index}]", row)
        try:
            checked = _checked(row)
            activity = checked.get("activity_type", "FILL")
            if not isinstance(activity, str):
                raise ValueError(f"activity_type is {shown(activity)}, not text")
            if activity.upper() != "FILL":
                others[printable(activity)] += 1
            else:
                draft.fills.append(read_fill(checked, where, draft.symbols, draft.contracts))
        except ValueError as error:
            draft.leave_out(section.feed, where, str(error))
    if others:
        named = ", ".join(f"{count} × {name}" for name, count in sorted(others.items()))
        draft.notes.append(f"{section.at}: activities that are no fills are ignored: {named}.")


def _read_events(draft: _Draft, at: str, events: object) -> None:
    """Read what happened beside orders; one that cannot be read and may change quantities puts its symbol in doubt."""
    if not isinstance(events, list):
        draft.malformed.append(Malformed("events", at, f"it is {shown(events)} where a list is expected"))
        return
    for index, row in enumerate(events):
        where = _place(f"{at}[{index}]", row)
        try:
            draft.events.append(read_event(_checked(row), where, draft.symbols))
        except ValueError as error:
            draft.malformed.append(Malformed("events", where, str(error)))
            if not _is_harmless(row):
                _doubt_symbol(draft, row, f"{where}: {error}")


def _is_harmless(row: object) -> bool:
    """Say whether an event that cannot be read is at least known to change no quantity."""
    kind = row.get("kind") if isinstance(row, Mapping) else None
    return isinstance(kind, str) and kind in set(EventKind) and not EventKind(kind).changes_quantities


def _read_positions(draft: _Draft, section: Section) -> None:
    for index, row in enumerate(section.rows):
        where = _place(f"{section.at}[{index}]", row)
        try:
            draft.legs.append(read_leg(_checked(row), where, draft.symbols, draft.contracts))
        except ValueError as error:
            draft.leave_out(Feed.POSITIONS, where, str(error))
            _doubt_symbol(draft, row, f"{where}: {error}")


def _doubt_symbol(draft: _Draft, row: object, why: str) -> None:
    """Make the symbol of an unreadable position unknown, or the whole feed where nothing tells the symbol."""
    try:
        symbol = symbol_of(_checked(row), draft.symbols)
    except ValueError:
        draft.cover(Feed.POSITIONS, FeedState.PARTIAL, why)
        return
    draft.doubt(symbol, why)


def _read_balances(draft: _Draft, section: Section) -> None:
    assert isinstance(section.value, Mapping)
    read = read_balances(section.value, section.at, draft.symbols)
    draft.balances = read.amounts
    draft.unknown_assets = read.unknown
    draft.malformed += read.malformed
    if read.gap:
        draft.cover(Feed.BALANCES, FeedState.PARTIAL, read.gap)


_READERS = {
    Feed.POSITIONS: _read_positions,
    Feed.BALANCES: _read_balances,
    Feed.OPEN_ORDERS: _read_orders,
    Feed.CLOSED_ORDERS: _read_orders,
    Feed.FILLS: _read_fills,
}
