"""The audit of the EXIT backfill, and its batches."""

from typing import Any

from pydantic import Field

from trueup.surfaces.api.models.parts import Amount, Answer, Asked, Moment, Name, PageQuery, Query, Reason, WaitSeconds


class AuditItem(Answer):
    """A row of the audit; a row that somebody changed is shown as it is."""

    seq: int
    batch_id: str | None
    profile_id: str | None
    symbol: str | None
    trade_id: str | None
    exchange_order_id: str | None
    exchange_client_order_id: str | None
    backfill_order_id: str | None
    filled_qty: Amount | None
    filled_price: Amount | None
    filled_at: Moment | None
    dry_run: bool | str | None
    decision: str | None
    reason: str | None
    metadata: dict[str, Any]
    created_at: Moment | None
    applied_at: Moment | None
    reverted_at: Moment | None
    actor: str | None
    plan_hash: str | None
    prev_hash: str | None
    hash: str | None


class AuditQuery(PageQuery):
    """Which rows, newest first."""

    batch_id: Name | None = Field(default=None, description="Of this batch alone.")


class VerifyQuery(Query):
    """How to check the chain."""

    expect_head: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="A head seen earlier; also finds a tail that was cut off."
    )


class FirstBroken(Answer):
    """Where the chain is broken."""

    seq: int | None
    reason: str


class AuditVerified(Answer):
    """Whether the chain is whole; the head is the hash of its newest row."""

    ok: bool
    rows: int
    head: str
    first_broken: FirstBroken | None


class BatchItem(Answer):
    """One batch of the backfill."""

    batch_id: str
    profile_id: str
    state: str = Field(
        description="dry_run, applied, reverted, partly_reverted, pending, interrupted or nothing_booked."
    )
    created_at: Moment
    actor: str
    rows: int
    decisions: dict[str, int]


class BatchesQuery(PageQuery):
    """Which batches, newest first."""

    instance_id: Name | None = Field(default=None, description="Of this profile alone.")


class BatchDetail(BatchItem):
    """One batch with its rows."""

    audit: list[AuditItem]


class UndoAsked(Asked):
    """A batch that is to be taken back, or put in force again."""

    reason: Reason
    wait_seconds: WaitSeconds = 0


class Undone(Answer):
    """What a revert or reapply changed."""

    batch_id: str
    changed: list[str] = Field(description="The order ids whose status changed.")
    unchanged: list[str] = Field(description="Those that were in that state already.")
    audit: list[AuditItem]
