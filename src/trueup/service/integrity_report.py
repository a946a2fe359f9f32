"""The report on lifecycles: orders, positions and history walked against each other; nothing is changed.

The database finds what is suspicious, the core names what is wrong of it, and findings go by one after the other, so
that memory grows with the open trades and not with the history.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from trueup.core.integrity.kinds import Finding, Kind, RowRef, Unknown
from trueup.core.integrity.naming import is_bots
from trueup.core.integrity.rows import HISTORY, POSITIONS, ref_of
from trueup.core.integrity.rules import is_blank
from trueup.core.integrity.walk import Held, PositionKey, walk_positions, walk_trade
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.symbols import Symbols
from trueup.core.tags import TagReader
from trueup.ports.lifecycle import IllNamed, LifecycleReading, TradeRows
from trueup.service.app import App
from trueup.service.gather import choose_profiles
from trueup.service.progress import Progress, silent

UNKNOWN_LISTED = 1000
"""So many of what cannot be known are listed; all are counted."""

_LEFT_OUT = {
    HISTORY: "no table trade_history that trueup can read (see `trueup integrity status`): nothing is said of it",
    POSITIONS: "no table positions that trueup can read (see `trueup integrity status`): nothing is said of it",
}


_WHOSE = (
    "nothing says whether it is the bot's: no source, and no tag of its profile (`trueup integrity backfill --assign`"
    " or `--manual` decides it)"
)


@dataclass(slots=True)
class IntegrityReport:
    """What the walk found; it walks once, when it is first asked.

    `unknown` are rows that cannot be read, or of which nothing says whose they are; as long as there are any the report
    is inconclusive.
    """

    app: App
    profiles: tuple[str, ...] | None = None
    progress: Progress = silent
    unknown: list[Unknown] = field(default_factory=list)
    unknown_count: int = 0
    left_out: list[str] = field(default_factory=list)
    history_without_id: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _walked: bool = False

    def findings(self) -> Iterator[Finding]:
        """Walk, and yield the anomalies one after the other; the counts are complete at the end."""
        self.unknown, self.unknown_count, self._counts = [], 0, Counter()
        known = {profile.profile_id for profile in self.app.ledger.profiles()}
        with self.app.lifecycle.reading(self.profiles) as reading:
            walk = _Walk(self.app, reading, self)
            for found in walk.all():
                if self._in_scope(found.profile_id):
                    name = found.profile_id or None
                    finding = replace(found, profile_id=name, stranger=name not in known)
                    self._counts[finding.kind.value] += 1
                    yield finding
        self._walked = True

    def add_unknown(self, items: Sequence[Unknown]) -> None:
        """Take what cannot be known."""
        mine = [item for item in items if self._in_scope(item.profile_id)]
        self.unknown_count += len(mine)
        self.unknown += mine[: UNKNOWN_LISTED - len(self.unknown)]

    def _in_scope(self, profile_id: str | None) -> bool:
        return self.profiles is None or profile_id in self.profiles

    def _complete(self) -> None:
        if not self._walked:
            for _ in self.findings():
                pass

    @property
    def counts(self) -> dict[str, int]:
        """Return how many anomalies there are of each kind; kinds without any are left out."""
        self._complete()
        return {kind.value: self._counts[kind.value] for kind in Kind if self._counts[kind.value]}

    @property
    def clean(self) -> bool:
        """Say whether nothing is wrong and everything is known."""
        self._complete()
        return not self.counts and not self.unknown_count

    @property
    def exit_code(self) -> int:
        """Return 0 for a clean ledger, 1 for anomalies, 3 where rows cannot be read."""
        self._complete()
        return 3 if self.unknown_count else 1 if self.counts else 0

    def summary(self) -> dict[str, object]:
        """Return what stands beside the findings, for printing."""
        return {
            "clean": self.clean,
            "counts": self.counts,
            "unknown_count": self.unknown_count,
            "unknown": [item.as_json() for item in self.unknown],
            "left_out": list(self.left_out),
            "history_without_trade_id": self.history_without_id,
            "profiles": list(self.profiles) if self.profiles is not None else None,
        }


def report(app: App, profiles: Sequence[str] | None = None, progress: Progress = silent) -> IntegrityReport:
    """Return the report on some profiles, or on every row of the ledger whatever its profile."""
    if profiles:
        choose_profiles(app, profiles)
    return IntegrityReport(app, tuple(sorted(set(profiles))) if profiles else None, progress)


class SpellingOf:
    """How each profile's account spells its markets; profiles without an account spell them as everybody does."""

    def __init__(self, app: App) -> None:
        self.profiles = [profile.profile_id for profile in app.ledger.profiles()]
        named = {profile.profile_id: profile.account for profile in app.ledger.profiles()}
        only = next(iter(app.accounts.values())) if len(app.accounts) == 1 else None
        accounts = {name: app.accounts.get(account or "", only) for name, account in named.items()}
        self._symbols = {name: account.symbols for name, account in accounts.items() if account is not None}
        self._usual = only.symbols if only is not None else Symbols()

    def __call__(self, profile_id: str) -> Symbols:
        """Return the spelling of a profile's account."""
        return self._symbols.get(profile_id, self._usual)


class _Walk:
    """One walk over one moment of the ledger."""

    def __init__(self, app: App, reading: LifecycleReading, report: IntegrityReport) -> None:
        self._reading, self._report = reading, report
        self._symbols_of = SpellingOf(app)
        self._tags = TagReader(app.backfill.policy.tag_prefix, self._symbols_of.profiles)
        self._held: dict[PositionKey, Held] = {}
        self._doubtful: set[tuple[str, str]] = set()

    def all(self) -> Iterator[Finding]:
        report, parts = self._report, self._reading.parts
        report.left_out = [words for part, words in sorted(_LEFT_OUT.items()) if part not in parts]
        report.progress("walking the trades")
        for number, trade in enumerate(self._reading.suspects()):
            if number % 500 == 0:
                report.progress("walking the trades", number)
            yield from self._trade(trade)
        report.progress("walking the positions")
        if POSITIONS in parts:
            found, unknown = walk_positions(self._held, self._reading.positions(), self._doubtful, self._symbols_of)
            report.add_unknown(unknown)
            yield from found
        report.progress("looking at trade ids")
        for row in self._reading.unnamed():
            yield from self._unnamed(row)
        report.history_without_id = self._reading.history_without_id()

    def _trade(self, trade: TradeRows) -> Iterator[Finding]:
        yield from map(_ill_named, trade.ill)
        if trade.too_many:
            what = f"trade {trade.trade_id} has {trade.too_many} rows, which are too many to be of one trade."
            self._report.add_unknown([Unknown(None, None, trade.trade_id, (), what)])
            return
        walk = walk_trade(trade.trade_id, trade.orders, trade.history, self._symbols_of, self._reading.parts)
        self._report.add_unknown(walk.unknown)
        self._doubtful |= walk.doubtful
        for key, held in walk.held:
            known = self._held.get(key)
            self._held[key] = held if known is None else known.more(held)
        yield from walk.findings

    def _unnamed(self, row: LedgerOrder) -> Iterator[Finding]:
        if not is_bots(row, self._tags, source_kept=self._reading.source_kept):
            if row.source is None and row.status is not StatusClass.WORKING:
                what = f"the {row.word.replace('_', ' ')} order {row.order_id} has no trade id, and {_WHOSE}."
                self._report.add_unknown([Unknown(row.profile_id, row.symbol, None, (ref_of(row),), what)])
            return
        if row.status is StatusClass.UNKNOWN:
            unknown = Unknown(row.profile_id, row.symbol, None, (ref_of(row),), f"{row.detail}.")
            self._report.add_unknown([unknown])
            return
        what = f"the {row.word.replace('_', ' ')} order {row.order_id} is the bot's, and has no trade id."
        yield Finding(Kind.BLANK_TRADE_ID, row.profile_id, row.symbol, None, (ref_of(row),), what)


def _ill_named(found: IllNamed) -> Finding:
    blank = is_blank(found.trade_id)
    rows = tuple(RowRef(found.table, name) for name in found.ids)
    number = f"{found.count} rows have" if found.count > 1 else f"row {found.ids[0]} has"
    said = f"{number} the trade id {found.trade_id!r} in {found.table}"
    what = f"{said}: nothing but white space." if blank else f"{said}, which is not of the form of one."
    kind = Kind.BLANK_TRADE_ID if blank else Kind.MALFORMED_TRADE_ID
    return Finding(kind, found.profile_id, found.symbol, None if blank else found.trade_id, rows, what)
