"""What a reconciliation says at its end: every profile's run, and the exit code.

Invariant 13 (Said): a run ends with its coverage, its counted outcomes, and what is unresolved and why.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.breaks import BreakKind
from trueup.core.decimals import plain, read_decimal
from trueup.core.errors import ConfigurationError, TrueupError
from trueup.core.reconcile.changes import Effect
from trueup.core.reconcile.equity import TieOut
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.repair.rows import ExitRow
from trueup.core.snapshot import Snapshot
from trueup.core.times import iso
from trueup.service.backfill_report import ProfileReport, coverage_json

OK, MISMATCH, INCONCLUSIVE = "OK", "MISMATCH", "INCONCLUSIVE"
LEASE_HELD = "lease_held"


@dataclass(frozen=True, slots=True)
class ParityCounts:
    """What the parity heartbeat saw of one profile; notionals in quote currency, None where no price is known."""

    mismatched: int = 0
    quarantined: int = 0
    closed: int = 0
    largest: Decimal | None = None
    total: Decimal | None = None


@dataclass(slots=True)
class RunReport:
    """One profile's run; `unclear` names what could not be compared, with the reason; times epoch milliseconds.

    `skipped_reason` says why nothing was done; `closes` are the synthetic exits that were booked, or would be without
    the dry run. `breaks` are the profile's, and in the account's first run those that nobody owns; `beside` are such
    ones that another run tells of, of symbols of which this profile holds some.
    """

    run_id: str
    profile_id: str
    account: str
    cycle_id: str
    dry_run: bool
    started_ms: int
    scope: Mapping[str, object] = field(default_factory=dict)
    ended_ms: int | None = None
    snapshot: Snapshot | None = None
    breaks: list[BreakRecord] = field(default_factory=list)
    beside: list[BreakRecord] = field(default_factory=list)
    heals: list[Effect] = field(default_factory=list)
    closes: list[ExitRow] = field(default_factory=list)
    unclear: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parity: ParityCounts = field(default_factory=ParityCounts)
    backfill: ProfileReport | None = None
    equity: TieOut | None = None
    watchdog: bool = False
    resumed: bool = False
    incident_id: str | None = None
    skipped_reason: str | None = None
    error: TrueupError | None = None

    @property
    def found(self) -> int:
        """Return how many breaks the run found, healed ones included."""
        return sum(record.state is not BreakState.RESOLVED for record in self.breaks)

    @property
    def remaining(self) -> list[BreakRecord]:
        """Return the breaks that are neither over nor taken over by a person."""
        return [record for record in self.breaks if record.state.remains]

    @property
    def status(self) -> str:
        """Return OK where nothing remains, MISMATCH where something does, INCONCLUSIVE where something is not known."""
        if self.error is not None or self.unclear or self.skipped_reason is not None:
            return INCONCLUSIVE
        return MISMATCH if self.remaining or self.beside else OK

    def as_json(self) -> dict[str, object]:
        """Return the run's summary, as `GET /reconcile/results` and `reconcile --format json` show it."""
        ended = self.ended_ms if self.ended_ms is not None else self.started_ms
        tie = self.equity or TieOut()
        return {
            "reconcile_id": self.run_id,
            "instance_id": self.profile_id,
            "account": self.account,
            "cycle_id": self.cycle_id,
            "status": self.status,
            "dry_run": self.dry_run,
            "scope": dict(self.scope),
            "timestamp": iso(self.snapshot.as_of_ms) if self.snapshot is not None else None,
            "started_at": iso(self.started_ms),
            "ended_at": iso(ended),
            "duration_ms": ended - self.started_ms,
            **tie.as_json(),
            "coverage": coverage_json(self.snapshot) if self.snapshot is not None else {},
            "breaks": [record.as_json(ended) for record in self.breaks],
            "counts": self.counts(),
            "parity_max_mismatch_notional_usd": _plain(self.parity.largest),
            "parity_total_mismatch_notional_usd": _plain(self.parity.total),
            "incident_id": self.incident_id,
            "watchdog_triggered": self.watchdog,
            "resumed": self.resumed,
            "heals": [_effect(effect) for effect in self.heals],
            "closes": [_close(row) for row in self.closes],
            "backfill": self._backfill(),
            "unclear": [{"what": what, "why": why} for what, why in self.unclear],
            "notes": list(self.notes),
            "skipped_reason": self.skipped_reason,
            "error": str(self.error) if self.error is not None else None,
        }

    def counts(self) -> dict[str, int]:
        """Return the counted outcomes: each break that was found is counted under one of its states."""
        states = Counter(record.state for record in self.breaks)
        mine = (BreakState.RESOLVED, BreakState.ACKNOWLEDGED)
        kinds = Counter(record.kind for record in self.breaks if record.state not in mine)
        return {
            "found": self.found,
            "healed": states[BreakState.HEALED],
            "would_heal": states[BreakState.WOULD_HEAL],
            "quarantined": states[BreakState.QUARANTINED],
            "waiting": states[BreakState.WAITING] + states[BreakState.OPEN] + states[BreakState.CONFIRMED],
            "unresolved": states[BreakState.UNRESOLVED],
            "acknowledged": states[BreakState.ACKNOWLEDGED],
            "resolved": states[BreakState.RESOLVED],
            "parity_mismatch_trades": self.parity.mismatched,
            "parity_quarantined_trades": self.parity.quarantined,
            "parity_auto_closed_trades": self.parity.closed,
            "missing_from_exchange": kinds[BreakKind.MISSING_FROM_EXCHANGE.value],
            "missing_in_db": kinds[BreakKind.MISSING_IN_DB.value],
        }

    def _backfill(self) -> dict[str, object] | None:
        entry = self.backfill
        if entry is None:
            return None
        return {
            "skipped_reason": entry.skipped_reason, "batch_id": entry.batch_id, "dry_run": entry.dry_run,
            "proposed_rows": len(entry.plan.rows) if entry.plan is not None else 0,
            "inserted_rows": len(entry.inserted), "error": str(entry.error) if entry.error is not None else None,
        }  # fmt: skip


def _plain(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _effect(effect: Effect) -> dict[str, object]:
    return {
        "order_id": effect.order_id, "trade_id": effect.trade_id, "rule": effect.rule,
        "before": shown(effect.before), "after": shown(effect.after),
    }  # fmt: skip


def _close(row: ExitRow) -> dict[str, object]:
    return {
        "order_id": row.order_id, "trade_id": row.trade_id, "symbol": row.symbol, "side": row.side.value,
        "qty": plain(row.qty), "price": plain(row.price), "price_source": row.price_source,
        "filled_at": iso(row.filled_ms),
    }  # fmt: skip


_NUMBERS = frozenset({"qty", "quantity", "order_qty", "price"})


def shown(columns: Mapping[str, object]) -> dict[str, object]:
    """Return columns as people read them: numbers plain, whatever zeros the database adds."""
    return {name: _shown(name, value) for name, value in columns.items()}


def _shown(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        # A float, as the audit keeps it without loss.
        return _number(value.get("float"))
    return _number(value) if name in _NUMBERS else value


def _number(value: object) -> object:
    try:
        return plain(read_decimal(value)) if value is not None else None
    except ValueError:
        return value


@dataclass(slots=True)
class ReconcileReport:
    """The report of one command: the runs of all its profiles, by id.

    `homeless` are the profiles whose account is not known, with the reason; `unknown_symbols` and `unknown_trades` what
    was asked for and nothing knows, `nobody` that nothing else was; `left_unended` the runs that were killed and that
    this one ended on record.
    """

    dry_run: bool
    runs: list[RunReport] = field(default_factory=list)
    homeless: dict[str, TrueupError] = field(default_factory=dict)
    unknown_symbols: list[str] = field(default_factory=list)
    unknown_trades: list[str] = field(default_factory=list)
    nobody: bool = False
    left_unended: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Return 3 where something is not known, 1 where a break remains or a lease was held, else 0.

        2 where all that was asked for is unknown, or nothing could be read since the settings are wrong.
        """
        if self.runs and all(isinstance(run.error, ConfigurationError) for run in self.runs):
            return 2
        if self.homeless or any(r.status == INCONCLUSIVE and r.skipped_reason != LEASE_HELD for r in self.runs):
            return 3
        if any(run.status != OK for run in self.runs):
            return 1
        return 2 if self.nobody else 0

    @property
    def status(self) -> str:
        """Return OK, MISMATCH or INCONCLUSIVE."""
        return {0: OK, 1: MISMATCH, 2: OK if self.nobody else INCONCLUSIVE, 3: INCONCLUSIVE}[self.exit_code]

    def as_json(self) -> dict[str, object]:
        """Return the document that `reconcile --format json` prints."""
        totals: Counter[str] = Counter()
        for run in self.runs:
            totals.update(run.counts())
        return {
            "status": self.status,
            "dry_run": self.dry_run,
            "runs": [run.as_json() for run in self.runs],
            "homeless": [{"profile_id": name, "error": str(error)} for name, error in sorted(self.homeless.items())],
            "unknown_symbols": list(self.unknown_symbols),
            "unknown_trades": list(self.unknown_trades),
            "summary": {"runs": len(self.runs), "left_unended": list(self.left_unended), **dict(totals)},
        }
