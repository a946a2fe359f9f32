"""What a check found, and one trade explained."""

from typing import Any

from pydantic import Field

from trueup.surfaces.api.models.parts import (
    Amount,
    Answer,
    FeedCoverage,
    MalformedRow,
    Moment,
    Name,
    Quarantined,
    Query,
    SymbolName,
    UnknownThing,
)
from trueup.surfaces.api.models.reconciling import RunStatus


class CheckQuery(Query):
    """What is checked; both may be repeated, and left out they mean all."""

    instance_id: list[Name] = Field(default_factory=list, max_length=200, description="These profiles.")
    symbol: list[SymbolName] = Field(default_factory=list, max_length=200, description="These symbols.")


class CheckedAccount(Answer):
    """What was read of an account."""

    account: str
    profiles: list[str]
    as_of: Moment
    as_of_source: str
    coverage: dict[str, FeedCoverage]
    open_trades: int
    unknown: list[UnknownThing]
    malformed: list[MalformedRow]
    quarantined: list[Quarantined]
    unmatched: list[dict[str, Any]] = Field(description="Executions that prove nothing about an open trade.")
    likely_tag_prefix: str | None
    outside_lookback: int = Field(default=0, description="Executions that are older than the look-back.")
    notes: list[str]
    error: str | None


class HomelessProfile(Answer):
    """A profile whose account is not known."""

    profile_id: str
    error: str


class FoundBreak(Answer):
    """A disagreement between ledger and venue, as it is at this moment."""

    break_id: str
    kind: str
    account: str
    profile_id: str | None
    symbol: str | None
    trade_id: str | None
    exchange_order_id: str | None
    ledger: Amount | None
    venue: Amount | None
    detail: str


class CheckSummary(Answer):
    """The counts of a check."""

    breaks: int
    by_kind: dict[str, int]
    unmatched: int
    unknown: int
    unknown_symbols: list[str] = Field(description="Symbols asked for that no account knows.")


class CheckDocument(Answer):
    """What a check found; it changes nothing."""

    status: RunStatus
    accounts: list[CheckedAccount]
    homeless: list[HomelessProfile]
    breaks: list[FoundBreak]
    rows_without_trade_id: int
    summary: CheckSummary


class ExplainQuery(Query):
    """Whose trade."""

    instance_id: Name | None = Field(default=None, description="Where several profiles have a trade of that id.")


class TimelineEntry(Answer):
    """One moment of a trade's story."""

    at: Moment | None
    source: str = Field(description="ledger, venue or audit.")
    what: str
    id: str
    qty: Amount | None
    price: Amount | None
    open_after: Amount | None
    fate: str | None


class TradeDecision(Answer):
    """What is decided about a trade, and why."""

    decision: str
    reason: str
    why: str
    order_id: str | None
    qty: Amount | None
    metadata: dict[str, Any]


class TakenBack(Answer):
    """A row that a repair or a heal wrote and that a person took back: no run writes it again."""

    order_id: str
    batch_id: str
    reverted_at: Moment


class Explained(Answer):
    """One trade's story."""

    trade_id: str
    profile_id: str
    account: str
    symbol: str | None
    entry_qty: Amount | None
    exit_qty: Amount | None
    open_qty: Amount | None
    coverage: dict[str, FeedCoverage]
    as_of: Moment
    error: str | None = Field(description="Why the venue could not be read.")
    timeline: list[TimelineEntry]
    decisions: list[TradeDecision]
    taken_back: list[TakenBack] = Field(default_factory=list)
