"""What one file of an export holds, before its rows are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trueup.core.errors import CannotKnow, nearest
from trueup.core.snapshot import Coverage, Feed
from trueup.venues.documents.coverage import read_coverage
from trueup.venues.documents.shapes import (
    ORDER_KINDS,
    Kind,
    feed_of_orders,
    kind_of_name,
    kinds_of_rows,
    page_gap,
)
from trueup.venues.documents.strict_json import EXPORT_AGAIN, shown_path
from trueup.venues.rows.balances import answer_in
from trueup.venues.rows.fields import Row, moment, printable, shown
from trueup.venues.rows.orders import OrderList

DOCUMENT_KEYS = frozenset(
    {
        *Feed,
        "as_of",
        "as_of_source",
        "contract_sizes",
        "coverage",
        "events",
        "exchange",
        "markets",
        "notes",
        "unknown_assets",
        "unknown_symbols",
        "venue",
    }
)
CLOCK = "clock"
"""The `as_of_source` of a document whose "now" is not by the venue's clock."""
NOTED_KEYS = 5

WHAT_IS_READ = (
    'trueup reads its own document ({"positions": […], "closed_orders": […], …}), and lists of '
    "orders, positions or fills as Alpaca's API and ccxt's unified methods return them."
)


@dataclass(frozen=True, slots=True)
class Section:
    """One feed's data as it stands in a file; `at` names the place, `gap` says why it may not be all."""

    feed: Feed
    value: object
    at: str
    orders: OrderList = field(default_factory=OrderList)
    gap: str = ""

    @property
    def rows(self) -> list[object]:
        """Return the rows of a section that is a list, none of any other."""
        return self.value if isinstance(self.value, list) else []


@dataclass(slots=True)
class Part:
    """One file of an export; contract sizes and markets come with the place where they stand."""

    file: str
    modified_ms: int
    as_of_ms: int | None = None
    sections: list[Section] = field(default_factory=list)
    declared: dict[Feed, Coverage] = field(default_factory=dict)
    contract_sizes: list[tuple[str, object]] = field(default_factory=list)
    markets: list[tuple[str, object]] = field(default_factory=list)
    events: list[tuple[str, object]] = field(default_factory=list)
    by_venue: bool = True
    unknown_symbols: dict[str, str] = field(default_factory=dict)
    unknown_assets: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_part(path: Path, value: object, modified_ms: int, *, alone: bool) -> Part:
    """Tell what a file holds, CannotKnow where nothing tells; `alone` says that it is the whole export."""
    part = Part(shown_path(path), modified_ms)
    name = printable(path.name)
    named = kind_of_name(path.stem)
    if isinstance(value, list):
        _read_list(part, _kind_of_list(part.file, value, named), value, name)
    elif not isinstance(value, Mapping):
        raise CannotKnow(f"{part.file} holds {shown(value)}, neither an object nor a list.", EXPORT_AGAIN)
    elif named is not None and DOCUMENT_KEYS.isdisjoint(value):
        _read_named(part, named, value, name)
    else:
        _read_document(part, value, "" if alone else f"{name}: ")
    return part


def part_of_answers(label: str, document: Row) -> Part:
    """Return what a document holds that was put together from a venue's answers; messages call it by the label."""
    part = Part(label, 0)
    _read_document(part, document, "")
    return part


def _kind_of_list(file: str, rows: list[object], named: Kind | None) -> Kind:
    kinds = kinds_of_rows(rows)
    if len(kinds) > 1:
        raise CannotKnow(
            f"{file}: the list holds rows of several kinds ({', '.join(sorted(kinds))}).",
            "Export each kind by itself.",
        )
    if kinds:
        kind = kinds.pop()
        return named if kind is Kind.ORDERS and named in ORDER_KINDS else kind
    if named is not None:
        return named
    if not rows:
        raise CannotKnow(
            f"{file}: an empty list does not say what it is empty of.",
            "Name the file positions.json, open_orders.json, closed_orders.json or fills.json.",
        )
    raise CannotKnow(f"{file}: nothing in the list looks like an order, a position or a fill.", WHAT_IS_READ)


def _read_list(part: Part, kind: Kind, rows: list[object], name: str) -> None:
    if kind in ORDER_KINDS:
        feed = feed_of_orders(kind, rows)
        status_counts = OrderList(open=feed is Feed.OPEN_ORDERS, mixed=kind is not Kind.CLOSED_ORDERS)
        part.sections.append(Section(feed, rows, name, status_counts, page_gap(kind, rows)))
    elif kind is Kind.FILLS:
        part.sections.append(Section(Feed.FILLS, rows, name, gap=page_gap(kind, rows)))
    else:
        _read_named(part, kind, rows, name)


def _read_named(part: Part, kind: Kind, value: object, name: str) -> None:
    """Take a file's value for what its name says; whether it is of the right type shows when it is read."""
    if kind is Kind.MARKETS:
        part.markets.append((name, value))
    elif kind is Kind.CONTRACT_SIZES:
        part.contract_sizes.append((name, value))
    else:
        part.sections.append(Section(Feed.CLOSED_ORDERS if kind is Kind.ORDERS else Feed(kind), value, name))


def _read_document(part: Part, document: Row, prefix: str) -> None:
    if DOCUMENT_KEYS.isdisjoint(document) and (answer := answer_in(document)) is not None:
        raise CannotKnow(f"{part.file} looks like a venue's raw answer or error ({answer}).", WHAT_IS_READ)
    part.as_of_ms = _as_of(part.file, document.get("as_of"))
    part.declared = read_coverage(document.get("coverage"), part.file)
    for feed in Feed:
        if feed in document:
            orders = OrderList(open=feed is Feed.OPEN_ORDERS)
            part.sections.append(Section(feed, document[feed], f"{prefix}{feed}", orders))
    for key, found in (
        ("contract_sizes", part.contract_sizes),
        ("markets", part.markets),
        ("events", part.events),
    ):
        if document.get(key) is not None:
            found.append((f"{prefix}{key}", document[key]))
    part.by_venue = document.get("as_of_source") != CLOCK
    part.unknown_symbols = _reasons(part.file, "unknown_symbols", document.get("unknown_symbols"))
    part.unknown_assets = _reasons(part.file, "unknown_assets", document.get("unknown_assets"))
    part.notes = _own_notes(document.get("notes"))
    part.notes += _notes_on_keys(part.file, [key for key in document if key not in DOCUMENT_KEYS])


def _reasons(file: str, key: str, value: object) -> dict[str, str]:
    """Return why the named symbols or assets are unknown; a document says so of what it cannot vouch for."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CannotKnow(f"{file}: {key} is {shown(value)}, not an object.", 'Write {"BTC/USD": "why"}.')
    return {name: printable(str(why), 300) if isinstance(why, str) else shown(why) for name, why in value.items()}


def _own_notes(notes: object) -> list[str]:
    return [printable(note, 300) for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _as_of(file: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        return moment("as_of", value)
    except ValueError as error:
        raise CannotKnow(f"{file}: {error}.", 'Write "as_of": "2026-01-02T03:04:05Z".') from None


def _notes_on_keys(file: str, unknown: list[str]) -> list[str]:
    notes = [
        f"{file}: the key {key} is not known and is ignored. {nearest(key, DOCUMENT_KEYS)}"
        for key in map(printable, unknown[:NOTED_KEYS])
    ]
    more = len(unknown) - NOTED_KEYS
    return [*notes, f"{file}: {more} more unknown keys are ignored."] if more > 0 else notes
