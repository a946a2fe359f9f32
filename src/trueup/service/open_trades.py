"""What a worker remembers of an account's open trades between cycles, so that a cycle costs what changed.

The first reading is a full one, and so is one now and then, which proves that what was remembered is still right. In
between, the trades of rows that changed since the last watermark are read, and those that were open then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.orders import LedgerOrder
from trueup.core.repair.naming import SettledTrade
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols
from trueup.ports import Realized
from trueup.service.app import App
from trueup.service.events import log

TradeKey = tuple[str, str]
OpenSlices = frozenset[tuple[str, str, str, Decimal]]
"""Profile, trade, token and open quantity of slices."""

_AUDIT_ROWS = 1000
"""So many new rows of the audit are looked through for the account's own; beyond, everything is read anew."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What the audit says of repairs: trades that were repaired, and evidence whose booking was taken back."""

    settled: tuple[SettledTrade, ...] = ()
    reverted: frozenset[tuple[str, str, str]] = frozenset()


def read_repairs(app: App, profile_ids: Sequence[str], symbols: Symbols) -> Repairs:
    """Read what the audit says of the repairs of profiles."""
    settled = (SettledTrade(p, t, symbols.token(s), at) for p, t, s, at in app.journal.settled(profile_ids))
    return Repairs(tuple(settled), app.journal.reverted(profile_ids))


@dataclass(slots=True)
class OpenTrades:
    """The memory of one account; `watermark` None is that nothing is remembered yet."""

    account: str
    watermark: str | None = None
    keys: frozenset[TradeKey] = frozenset()
    full_at_ms: int = 0
    realized: Realized | None = None
    profiles: frozenset[str] = field(default_factory=frozenset)
    audited: int = 0
    audited_profiles: frozenset[str] = field(default_factory=frozenset)
    known_repairs: Repairs | None = None

    def rows(self, app: App, profile_ids: Sequence[str], symbols: Symbols, *, full: bool) -> list[LedgerOrder]:
        """Return the rows of every trade that may be open, by a full reading or by what changed."""
        now_ms = app.clock.now_ms()
        same = frozenset(profile_ids) == self.profiles
        due = now_ms - self.full_at_ms >= app.reconcile.full_check_s * 1000
        forgets = False
        changed = app.ledger.changed_trades(profile_ids, self.watermark if same else None, now_ms)
        if full or due or not same or self.watermark is None or changed.trades is None:
            rows = app.ledger.open_trade_rows(profile_ids)
            found = _open(slices_of(rows, symbols))
            if same and self.watermark is not None and changed.trades is not None:
                self._prove(app, changed.trades, symbols, found)
            self.full_at_ms, self.realized = now_ms, None
            forgets = changed.watermark is not None and not self._can_hold(app, symbols, found)
        else:
            rows = app.ledger.rows_of_trades(sorted(self.keys | changed.trades))
            found = _open(slices_of(rows, symbols))
        self.keys = _keys(found)
        self.watermark, self.profiles = None if forgets else changed.watermark, frozenset(profile_ids)
        return rows

    def profit(self, app: App, profile_ids: Sequence[str]) -> Decimal | None:
        """Return the realized profit of profiles: what was known, and what closed since."""
        known = self.realized
        if known is None or known.profit is None:
            self.realized = app.ledger.realized(profile_ids)
        else:
            more = app.ledger.realized(profile_ids, known.newest)
            total = known.profit + more.profit if more.profit is not None else None
            self.realized = Realized(total, more.newest or known.newest)
        return self.realized.profit

    def repairs(self, app: App, profile_ids: Sequence[str], symbols: Symbols) -> Repairs:
        """Return what the audit says of repairs; read anew once it has a row more about one of the profiles.

        Whatever changes the answer appends a row, in the same transaction and under the lock of the chain.
        """
        wanted, length = frozenset(profile_ids), app.journal.length()
        new = length - self.audited
        stale = self.known_repairs is None or wanted != self.audited_profiles or not 0 <= new <= _AUDIT_ROWS
        if not stale and new:
            stale = any(row["profile_id"] in wanted for row in app.journal.audit_between(self.audited + 1, length))
        if stale or self.known_repairs is None:
            self.known_repairs = read_repairs(app, profile_ids, symbols)
        self.audited, self.audited_profiles = length, wanted
        return self.known_repairs

    def _can_hold(self, app: App, symbols: Symbols, found: OpenSlices) -> bool:
        """Say whether open trades can be read again by their ids: those with blanks around them cannot."""
        return not found or _open(slices_of(app.ledger.rows_of_trades(sorted(_keys(found))), symbols)) == found

    def _prove(self, app: App, changed: frozenset[TradeKey], symbols: Symbols, found: OpenSlices) -> None:
        """Compare what was remembered with a full reading, and say so where they differ."""
        remembered = _open(slices_of(app.ledger.rows_of_trades(sorted(self.keys | changed)), symbols))
        if remembered != found:
            names = sorted({trade for _, trade, _, _ in remembered ^ found})
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            log("full_check_differed", account=self.account, detail=", ".join(names[:5]) + more)


def _keys(found: OpenSlices) -> frozenset[TradeKey]:
    return frozenset((profile, trade) for profile, trade, _, _ in found)


def _open(slices: Sequence[Slice]) -> OpenSlices:
    """Return what of some slices may be open, or cannot be read."""
    return frozenset(
        (piece.profile_id, piece.trade_id, piece.token, piece.open_qty)
        for piece in slices
        if piece.is_open or piece.open_qty < 0
    )
