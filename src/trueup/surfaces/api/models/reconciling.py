"""Runs of the reconciliation loop, and the breaks that they found."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from trueup.core.reconcile.records import BreakState
from trueup.surfaces.api.models.parts import (
    Amount,
    Answer,
    Asked,
    FeedCoverage,
    Moment,
    Name,
    PageQuery,
    Reason,
    SymbolName,
    UnknownThing,
)


class RunStatus(StrEnum):
    """How a run ended, or that it has not yet."""

    PENDING = "PENDING"
    OK = "OK"
    MISMATCH = "MISMATCH"
    INCONCLUSIVE = "INCONCLUSIVE"


class ReconcileAsked(Asked):
    """A run that is asked for."""

    instance_id: Name = Field(description="The profile.")
    symbols: list[SymbolName] | None = Field(
        default=None, min_length=1, max_length=200, description="These symbols alone."
    )
    trade_ids: list[Name] | None = Field(default=None, min_length=1, max_length=200, description="These trades alone.")
    dry_run: bool = Field(default=False, description="Write nothing to the ledger; no figure counts the run.")


class ReconcileStarted(Answer):
    """A run that was put on record and will be done."""

    reconcile_id: str
    instance_id: str
    status: RunStatus
    result: str = Field(description="Where its result will be.")


class ResultsQuery(PageQuery):
    """Which runs."""

    instance_id: Name | None = Field(default=None, description="Of this profile alone.")
    status: RunStatus | None = Field(default=None, description="Those alone that ended so.")


class RunScope(Answer):
    """What a run was about; null is all of the profile."""

    profile: str | None = None
    symbols: list[str] | None = None
    trade_ids: list[str] | None = None


class Explained(Answer):
    """What explains the difference between the venue's equity and the ledger's."""

    fees: Amount | None = None
    funding: Amount | None = None
    transfers: Amount | None = None
    open_breaks: Amount | None = None
    unexplained: Amount | None = None


class TakenOver(Answer):
    """Who took a break over, when and why."""

    at: Moment
    owner: str
    reason: str


class BreakItem(Answer):
    """Records that should agree and do not."""

    break_id: str
    kind: str
    state: str | None = None
    scope: str | None = None
    account: str | None = None
    profile_id: str | None = None
    symbol: str | None = None
    trade_id: str | None = None
    exchange_order_id: str | None = None
    ledger: str | None = Field(default=None, description="What the ledger says.")
    venue: str | None = Field(default=None, description="What the venue says.")
    notional: Amount | None = None
    reason: str | None = None
    confirmations: int | None = None
    owner: str | None = None
    resolution: str | None = None
    history: list[TakenOver] = Field(default_factory=list, description="Who took it over, the first one first.")
    first_seen: Moment | None = None
    last_seen: Moment | None = None
    resolved_at: Moment | None = None
    age_ms: int | None = None
    detail: dict[str, Any] | str | None = None


class Counts(Answer):
    """What a run found, by what became of it."""

    found: int = 0
    healed: int = 0
    would_heal: int = Field(default=0, description="Of a dry run: what would be healed.")
    quarantined: int = 0
    waiting: int = 0
    unresolved: int = 0
    acknowledged: int = 0
    resolved: int = 0
    parity_mismatch_trades: int = 0
    parity_quarantined_trades: int = 0
    parity_auto_closed_trades: int = 0
    missing_from_exchange: int = 0
    missing_in_db: int = 0


class Heal(Answer):
    """A row of the ledger that a run corrected or added."""

    order_id: str
    trade_id: str | None = None
    rule: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class RunBackfill(Answer):
    """What the EXIT backfill did within a run."""

    skipped_reason: str | None = Field(default=None, description="The gate that stopped it.")
    batch_id: str | None = None
    dry_run: bool
    proposed_rows: int
    inserted_rows: int
    error: str | None = None


class RunResult(Answer):
    """A run; what is not known before its end is null until then."""

    reconcile_id: str
    instance_id: str | None = None
    account: str | None = None
    cycle_id: str | None = None
    status: RunStatus
    dry_run: bool | None = None
    scope: RunScope | None = None
    timestamp: Moment | None = Field(default=None, description="When the venue's claims are of.")
    started_at: Moment | None = None
    ended_at: Moment | None = None
    duration_ms: int | None = None
    exchange_equity: Amount | None = None
    internal_equity: Amount | None = None
    difference: Amount | None = Field(default=None, description="Exchange less internal.")
    equity_currency: str | None = None
    explained_by: Explained | None = None
    equity_notes: list[str] = Field(default_factory=list)
    coverage: dict[str, FeedCoverage] = Field(default_factory=dict)
    breaks: list[BreakItem] = Field(default_factory=list)
    counts: Counts = Field(default_factory=Counts)
    parity_max_mismatch_notional_usd: Amount | None = None
    parity_total_mismatch_notional_usd: Amount | None = None
    watchdog_triggered: bool | None = None
    incident_id: str | None = Field(default=None, description="The incident that is open in the account.")
    resumed: bool | None = Field(default=None, description="Whether the watchdog's pause ended with this run.")
    heals: list[Heal] = Field(default_factory=list)
    closes: list[dict[str, Any]] = Field(default_factory=list, description="Synthetic exits of ghosts.")
    backfill: RunBackfill | None = None
    unclear: list[UnknownThing] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    skipped_reason: str | None = Field(default=None, description="Why the run was not done, lease_held for example.")
    error: str | None = None
    venue_calls: int | None = None


class BreaksQuery(PageQuery):
    """Which breaks; without a state those that are not resolved."""

    instance_id: Name | None = Field(default=None, description="Of this profile alone.")
    account: Name | None = Field(default=None, description="Of this account alone.")
    kind: Name | None = Field(default=None, description="Of this kind alone.")
    state: BreakState | None = Field(default=None, description="In this state alone.")


class TakeOverAsked(Asked):
    """A break that a person takes over."""

    reason: Reason
