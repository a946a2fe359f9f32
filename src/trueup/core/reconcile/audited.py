"""What the audit says of a heal: the intent before it, and what it did, with its proof."""

from collections.abc import Mapping
from decimal import Decimal

from trueup.core.audit import AuditDecision, AuditDraft, settled
from trueup.core.decimals import cut_quantity, round_price
from trueup.core.reconcile.changes import Change, NewRow, RowChange
from trueup.core.times import iso

ADDED, CHANGED = "added", "changed"
"""What a heal did to its row."""


def announced(change: Change, run_id: str, actor: str, plan_hash: str = "", *, dry_run: bool = False) -> AuditDraft:
    """Return the audit row of a heal before it is made: PENDING_HEAL, or DRY_RUN.

    `filled_qty` is all that the row will book then. A row without trade or symbol has empty ones in the audit.
    """
    proof, of = change.proof, change if isinstance(change, NewRow) else change.before
    return AuditDraft(
        batch_id=run_id,
        profile_id=change.profile_id,
        symbol=of.symbol or "",
        trade_id=change.trade_id or "",
        decision=AuditDecision.DRY_RUN if dry_run else AuditDecision.PENDING_HEAL,
        reason=f"heal:{proof.rule}",
        dry_run=dry_run,
        actor=actor,
        plan_hash=plan_hash,
        exchange_order_id=proof.exchange_order_id or change.exchange_order_id or of.exchange_order_id,
        exchange_client_order_id=proof.client_order_id or of.client_order_id,
        backfill_order_id=change.order_id,
        filled_qty=cut_quantity(change.executed),
        filled_price=_price(change),
        filled_at=_time(change),
        metadata={**proof.as_json(), "change": ADDED if of is change else CHANGED, "status": change.status},
    )


def healed(pending: AuditDraft, applied_at: str, **facts: object) -> AuditDraft:
    """Return the row that says that a heal was made."""
    return settled(pending, AuditDecision.HEALED, pending.reason.replace("heal:", "healed:", 1), applied_at, **facts)


def rule_of(reason: object) -> str:
    """Return the rule that the reason of a heal's audit row names."""
    return str(reason).partition(":")[2]


def columns_of(metadata: Mapping[str, object], name: str) -> dict[str, object]:
    """Return the columns before or after a heal, as its audit row keeps them."""
    found = metadata.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def _price(change: Change) -> Decimal | None:
    if not change.executed:
        return None
    price = change.before.price if isinstance(change, RowChange) and change.price is None else change.price
    return round_price(price) if price is not None else None


def _time(change: Change) -> str | None:
    if not change.executed:
        return None
    if isinstance(change, NewRow):
        return iso(change.time_ms)
    ms = change.filled_ms if change.filled_ms is not None else change.before.order_ms
    return iso(ms) if ms is not None else None
