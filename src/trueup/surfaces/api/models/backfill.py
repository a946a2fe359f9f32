"""The EXIT backfill: what is asked of it and what it reports."""

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from trueup.surfaces.api.models.audit import AuditItem
from trueup.surfaces.api.models.parts import (
    Amount,
    Answer,
    Asked,
    FeedCoverage,
    MalformedRow,
    Moment,
    Name,
    Quarantined,
    SymbolName,
    WaitSeconds,
)


class BackfillAsked(Asked):
    """A run of the backfill: a dry run, or the apply of a plan that was reviewed."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"properties": {"apply": {"const": False}, "plan": {"type": "null"}}},
                {"properties": {"apply": {"const": True}, "plan": {"type": "string"}}, "required": ["apply", "plan"]},
            ]
        }
    )

    instance_ids: list[Name] | None = Field(
        default=None, min_length=1, max_length=200, description="These profiles; every enabled one if left out."
    )
    symbols: list[SymbolName] | None = Field(default=None, min_length=1, max_length=200)
    trade_ids: list[Name] | None = Field(default=None, min_length=1, max_length=200)
    apply: bool = Field(default=False, description="Book what is proven; it needs the plan.")
    plan: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="The plan hash of the dry run that was reviewed."
    )
    wait_seconds: WaitSeconds = 0

    @model_validator(mode="after")
    def _needs_a_plan(self) -> "BackfillAsked":
        if self.apply is not (self.plan is not None):
            raise ValueError("an apply needs the plan that was reviewed, and a dry run takes none")
        return self


class NoGoSample(Answer):
    """A trade that stays unresolved, with the facts."""

    trade_id: str | None
    symbol: str | None
    reason: str
    metadata: dict[str, Any]


class EvidenceReport(Answer):
    """What the venue's executions came to."""

    unmatched: int
    out_of_scope: dict[str, int]
    outside_lookback: int
    already_booked: int
    malformed: list[MalformedRow]
    quarantined: list[Quarantined]
    notes: list[str]


class Interrupted(Answer):
    """A batch of an earlier run that ended before it was applied."""

    batch_id: str
    rows: int


class StillOpen(Answer):
    """A trade that is open after the repair."""

    trade_id: str
    open_qty: Amount


class ValidationReport(Answer):
    """The post-fix validation."""

    ok: bool
    still_open: list[StillOpen]
    unexpected: list[str]


class ProposedOrder(Answer):
    """An EXIT row as it is proposed, by the ledger's column names."""

    order_id: str
    profile_id: str
    trade_id: str
    symbol: str
    side: str
    qty: Amount
    price: Amount
    exchange_order_id: str | None


class ProfileBackfill(Answer):
    """One profile's part of the report."""

    profile_id: str
    attempted: bool
    skipped_reason: str | None = Field(description="The gate that stopped it.")
    batch_id: str | None
    dry_run: bool
    plan_hash: str | None
    open_trade_candidates: int
    unmanaged_trades: int
    proposed_rows: int
    inserted_rows: int
    no_go_trades: int
    no_go_reason_counts: dict[str, int]
    no_go_samples: list[NoGoSample]
    skip_reason_counts: dict[str, int]
    coverage: dict[str, FeedCoverage]
    as_of: Moment | None
    as_of_source: str | None
    evidence: EvidenceReport
    interrupted: list[Interrupted]
    validation: ValidationReport | None
    error: str | None
    audit: list[AuditItem]
    orders: list[ProposedOrder]


class BackfillSummary(Answer):
    """The counted outcomes, and what is unresolved and why."""

    status: str
    run_id: str | None
    dry_run: bool
    profiles: int
    skipped_profiles: dict[str, int]
    open_trade_candidates: int
    proposed_rows: int
    inserted_rows: int
    decisions: dict[str, int]
    unresolved: dict[str, int]
    interrupted_batches: list[str]
    left_unended: list[str]
    unknown_symbols: list[str] = Field(description="Symbols asked for that no account knows.")
    errors: dict[str, str]
    error: str | None
    plan_refused: bool
    plan_expected: str | None
    plan_refusal: str | None


class BackfillDocument(Answer):
    """What a run of the backfill did."""

    profiles: list[ProfileBackfill]
    plan_hash: str | None = Field(
        description="Give this back to apply exactly this plan; null where the backfill is disabled."
    )
    summary: BackfillSummary
