"""What a backfill run says at its end: every profile's counts, rows and reasons, and the exit code.

Invariant 13 (Said): a run ends with its coverage, its counted outcomes, and what is unresolved and why.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.audit import AuditDecision, AuditRow
from trueup.core.decimals import exactly, plain
from trueup.core.errors import TrueupError
from trueup.core.repair.decisions import INCONCLUSIVE_REASONS, Outcome
from trueup.core.repair.evidence import EvidenceBook
from trueup.core.repair.plan import ProfilePlan, document_hash
from trueup.core.repair.rows import row_as_columns
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import Coverage, Snapshot
from trueup.core.times import iso
from trueup.ports import Profile, RepairResult
from trueup.service.gates import HARMLESS
from trueup.service.gather import Gathered

STILL_OPEN = Decimal("1e-6")
"""The post-fix validation lists open lifecycles over this size."""

INCONCLUSIVE = "INCONCLUSIVE"

_SAMPLES = 5
_ROW_DECISIONS = frozenset({AuditDecision.DRY_RUN, AuditDecision.PENDING_APPLY})


@dataclass(frozen=True, slots=True)
class Validation:
    """The post-fix validation: what is still open, and which repaired trades are not as the plan said."""

    still_open: tuple[tuple[str, str], ...] = ()
    unexpected: tuple[str, ...] = ()


@exactly
def still_open(slices: Iterable[Slice], plan: ProfilePlan, result: RepairResult) -> Validation:
    """Compare what is open after a repair with what the plan left open."""
    found = {(s.trade_id, s.token): s for s in slices}
    now_open = {key: s.open_qty for key, s in found.items() if s.holds_something and s.open_qty > STILL_OPEN}
    cut = {key: s.cut for key, s in found.items()}
    inserted = set(result.inserted)
    expected: dict[tuple[str, str], Decimal] = {}
    for decision in plan.decisions:
        row, trade = decision.exit, decision.trade
        if row is not None and row.order_id in inserted:
            key = (trade.trade_id, trade.token)
            expected[key] = expected.get(key, trade.open_qty) - row.qty
    unexpected = {
        trade for (trade, token), left in expected.items()
        if abs(now_open.get((trade, token), Decimal(0)) - left) > STILL_OPEN + cut.get((trade, token), 0)
    }  # fmt: skip
    listed = tuple((trade, plain(qty)) for (trade, _), qty in sorted(now_open.items()))
    return Validation(listed, tuple(sorted(unexpected)))


@dataclass(slots=True)
class ProfileReport:
    """One profile's part of the report; its JSON has the field names of the interface."""

    profile: Profile
    dry_run: bool
    skipped_reason: str | None = None
    batch_id: str | None = None
    plan: ProfilePlan | None = None
    snapshot: Snapshot | None = None
    evidence: EvidenceBook | None = None
    venue_error: str | None = None
    audit: list[AuditRow] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    interrupted: dict[str, int] = field(default_factory=dict)
    validation: Validation | None = None
    error: TrueupError | None = None

    def take_plan(self, plan: ProfilePlan, gathered: Gathered, evidence: EvidenceBook) -> None:
        """Take in what was decided."""
        self.plan, self.snapshot, self.evidence = plan, gathered.snapshot, evidence
        self.venue_error = gathered.venue_error.what if gathered.venue_error is not None else None

    def take_audit(self, rows: Sequence[AuditRow]) -> None:
        """Take in audit rows as they were written."""
        self.audit += rows

    def retake_batch(self, rows: Sequence[AuditRow]) -> None:
        """Take in a batch as the audit has it, in place of what was taken in of it before."""
        self.audit = [row for row in self.audit if row["batch_id"] != self.batch_id] + list(rows)
        applied = [row for row in rows if row["decision"] == AuditDecision.APPLIED]
        self.inserted = [str(row["backfill_order_id"]) for row in applied]

    def take_interrupted(self, rows: Iterable[AuditRow]) -> None:
        """Take in the pending rows of runs that ended before they were applied."""
        self.interrupted = dict(Counter(str(row["batch_id"]) for row in rows))

    @property
    def final_rows(self) -> list[AuditRow]:
        """Return the rows that say how each decision ended: pending ones are superseded by what followed."""
        ended = {row["backfill_order_id"] for row in self.audit if row["decision"] not in _ROW_DECISIONS}
        own = [row for row in self.audit if row["batch_id"] == self.batch_id]
        return [row for row in own if row["decision"] not in _ROW_DECISIONS or row["backfill_order_id"] not in ended]

    @property
    def unresolved(self) -> list[AuditRow]:
        """Return the NO_GO and SKIP rows that remain."""
        return [row for row in self.final_rows if str(row["decision"]).startswith(("NO_GO", "SKIP"))]

    @property
    def unresolved_reasons(self) -> list[str]:
        """Return why each of them remains; where nothing was recorded, as the plan has it."""
        if self.batch_id is None and self.plan is not None:
            return [decision.reason for decision in self.plan.decisions if decision.outcome is not Outcome.BOOK]
        return [str(row["reason"]) for row in self.unresolved]

    @property
    def exit_code(self) -> int:
        """Return this profile's part in the exit code: 3 inconclusive, 1 unresolved or skipped, 0 done."""
        if self.skipped_reason is not None:
            return 0 if self.skipped_reason in HARMLESS else 1
        if self.error is not None:
            return self.error.exit_code
        decided = {d.reason for d in self.plan.decisions} if self.plan is not None else set()
        if self.venue_error or decided & INCONCLUSIVE_REASONS:
            return 3
        failed = self.validation is not None and bool(self.validation.unexpected)
        return 1 if self.unresolved or failed else 0

    def as_json(self) -> dict[str, object]:
        """Return the profile's document."""
        plan = self.plan or ProfilePlan(self.profile.profile_id)
        no_go = [row for row in self.unresolved if row["decision"] == AuditDecision.NO_GO]
        return {
            "profile_id": self.profile.profile_id,
            "attempted": self.skipped_reason is None and self.plan is not None,
            "skipped_reason": self.skipped_reason,
            "batch_id": self.batch_id,
            "dry_run": self.dry_run,
            "plan_hash": plan.plan_hash if self.plan else None,
            "open_trade_candidates": plan.candidates,
            "unmanaged_trades": plan.unmanaged,
            "proposed_rows": len(plan.rows),
            "inserted_rows": len(self.inserted),
            "no_go_trades": len({(row["trade_id"], row["symbol"]) for row in no_go}),
            "no_go_reason_counts": _counted(no_go),
            "no_go_samples": [_sample(row) for row in no_go[:_SAMPLES]],
            "skip_reason_counts": _counted(r for r in self.unresolved if r["decision"] != AuditDecision.NO_GO),
            "coverage": coverage_json(self.snapshot) if self.snapshot else {},
            "as_of": iso(self.snapshot.as_of_ms) if self.snapshot else None,
            "as_of_source": self.snapshot.as_of_source if self.snapshot else None,
            "evidence": self._evidence_json(plan),
            "interrupted": [{"batch_id": name, "rows": rows} for name, rows in sorted(self.interrupted.items())],
            "validation": self._validation_json(),
            "error": str(self.error) if self.error is not None else None,
            "audit": [row.as_json() for row in self.audit],
            "orders": [row_as_columns(row) for row in plan.rows],
        }

    def _evidence_json(self, plan: ProfilePlan) -> dict[str, object]:
        book, snapshot = self.evidence or EvidenceBook(), self.snapshot
        malformed = [*(snapshot.malformed if snapshot else ()), *book.malformed]
        return {
            "unmatched": plan.unmatched,
            "out_of_scope": dict(plan.dropped),
            "outside_lookback": book.outside_lookback,
            "already_booked": book.booked,
            "malformed": [{"feed": str(m.feed), "where": m.where, "why": m.why} for m in malformed],
            "quarantined": [{"exchange_order_id": c.exchange_order_id, "why": c.why} for c in book.conflicts],
            "notes": [*(snapshot.notes if snapshot else ()), *([self.venue_error] if self.venue_error else [])],
        }

    def _validation_json(self) -> dict[str, object] | None:
        if self.validation is None:
            return None
        return {
            "ok": not self.validation.unexpected,
            "still_open": [{"trade_id": trade, "open_qty": qty} for trade, qty in self.validation.still_open],
            "unexpected": list(self.validation.unexpected),
        }


def _counted(rows: Iterable[AuditRow]) -> dict[str, int]:
    return dict(sorted(Counter(str(row["reason"]) for row in rows).items()))


def _sample(row: AuditRow) -> dict[str, object]:
    shown = row.as_json()
    return {name: shown[name] for name in ("trade_id", "symbol", "reason", "metadata")}


def coverage_json(snapshot: Snapshot) -> dict[str, object]:
    """Return a snapshot's coverage by feed, for printing."""
    return {feed.value: _coverage_json(cover) for feed, cover in snapshot.all_feeds().items()}


def _coverage_json(cover: Coverage) -> dict[str, object]:
    return {
        "state": cover.state.value,
        "since": iso(cover.since_ms) if cover.since_ms is not None else None,
        "reason": cover.reason or None,
    }


@dataclass(slots=True)
class BackfillReport:
    """The report of a whole run; `plan_expected` is set where the reviewed plan is not the plan any more.

    `left_unended` names the runs that were killed and that this run ended on record; `unrecorded` says why this run's
    own end is not on record; `unknown_symbols` are the symbols asked for that no account knows.
    """

    dry_run: bool
    profiles: dict[str, ProfileReport] = field(default_factory=dict)
    plan_hash: str = field(default_factory=lambda: document_hash(()))
    plan_expected: str | None = None
    run_id: str | None = None
    left_unended: list[str] = field(default_factory=list)
    unrecorded: TrueupError | None = None
    unknown_symbols: list[str] = field(default_factory=list)

    @property
    def plan_refused(self) -> str:
        """Return why the plan that was asked for is refused; empty where none was, or it is this one."""
        if self.plan_expected is None:
            return ""
        if self.plan_expected and self.plan_hash.startswith(self.plan_expected.strip().lower()):
            return f"{self.plan_expected} is only the beginning of the plan hash; give all of it"
        return f"the plan is not {self.plan_expected} any more, or was never that"

    @property
    def exit_code(self) -> int:
        """Return 3 where a needed feed failed, 1 where something remains or was refused, else 0."""
        worst = max((entry.exit_code for entry in self.profiles.values()), default=0)
        if self.unrecorded is not None:
            return 3
        return max(worst, 1) if self.plan_expected is not None else worst

    @property
    def status(self) -> str:
        """Return the run's status: OK, MISMATCH or INCONCLUSIVE."""
        if self.exit_code in (2, 3):
            return INCONCLUSIVE
        proposed = any(entry.plan and entry.plan.rows for entry in self.profiles.values()) and self.dry_run
        return "MISMATCH" if self.exit_code or proposed else "OK"

    def summary(self) -> dict[str, object]:
        """Return the counted outcomes, and what is unresolved and why."""
        entries = list(self.profiles.values())
        decisions = Counter(str(row["decision"]) for entry in entries for row in entry.final_rows)
        reasons = Counter(reason for entry in entries for reason in entry.unresolved_reasons)
        skipped = Counter(entry.skipped_reason for entry in entries if entry.skipped_reason)
        return {
            "status": self.status,
            "run_id": self.run_id,
            "dry_run": self.dry_run,
            "profiles": len(entries),
            "skipped_profiles": dict(sorted(skipped.items())),
            "open_trade_candidates": sum(entry.plan.candidates for entry in entries if entry.plan),
            "proposed_rows": sum(len(entry.plan.rows) for entry in entries if entry.plan),
            "inserted_rows": sum(len(entry.inserted) for entry in entries),
            "decisions": dict(sorted(decisions.items())),
            "unresolved": dict(sorted(reasons.items())),
            "unknown_symbols": list(self.unknown_symbols),
            "interrupted_batches": sorted({name for entry in entries for name in entry.interrupted}),
            "left_unended": list(self.left_unended),
            "errors": {name: str(e.error) for name, e in sorted(self.profiles.items()) if e.error is not None},
            "error": str(self.unrecorded) if self.unrecorded is not None else None,
            "plan_refused": self.plan_expected is not None,
            "plan_expected": self.plan_expected,
            "plan_refusal": self.plan_refused or None,
        }

    def as_json(self) -> dict[str, object]:
        """Return the document that `backfill run --format json` prints."""
        return {
            "profiles": [self.profiles[name].as_json() for name in sorted(self.profiles)],
            "plan_hash": self.plan_hash,
            "summary": self.summary(),
        }
