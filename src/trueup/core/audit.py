"""The audit's hash chain: every row's hash covers its content and the hash of the row before.

`reverted_at` is outside the hash, since it changes; what it must be follows from the REVERTED and REAPPLIED rows.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from trueup.core.decimals import plain, read_decimal
from trueup.core.repair.decisions import Decision, Outcome
from trueup.core.times import iso

GENESIS = "0" * 64
"""What the first row has for the hash before it."""

HASHED = (
    "seq", "batch_id", "profile_id", "symbol", "trade_id", "exchange_order_id", "exchange_client_order_id",
    "backfill_order_id", "filled_qty", "filled_price", "filled_at", "dry_run", "decision", "reason", "metadata",
    "actor", "plan_hash", "created_at", "applied_at",
)  # fmt: skip
"""The columns that a row's hash covers, in this order, before the previous hash."""


class AuditDecision(StrEnum):
    """What an audit row records."""

    DRY_RUN = "DRY_RUN"
    PENDING_APPLY = "PENDING_APPLY"
    APPLIED = "APPLIED"
    SKIP_EXISTING = "SKIP_EXISTING"
    NO_GO = "NO_GO"
    SKIP_PENDING_ORDER = "SKIP_PENDING_ORDER"
    SKIP_ACTIVE_POSITION = "SKIP_ACTIVE_POSITION"
    INTERRUPTED = "INTERRUPTED"
    REVERTED = "REVERTED"
    REAPPLIED = "REAPPLIED"
    PENDING_HEAL = "PENDING_HEAL"
    HEALED = "HEALED"
    TRADE_ID_SET = "TRADE_ID_SET"
    TRADE_ID_REVERTED = "TRADE_ID_REVERTED"
    HISTORY_ADDED = "HISTORY_ADDED"
    HISTORY_REMOVED = "HISTORY_REMOVED"


PENDING = frozenset({AuditDecision.PENDING_APPLY, AuditDecision.PENDING_HEAL})
"""What announces a write: a later row of the batch says how it ended."""

DONE = frozenset({AuditDecision.APPLIED, AuditDecision.HEALED})
"""What was written to the ledger, and can be taken back."""

TAKES_BACK = frozenset({AuditDecision.REVERTED, AuditDecision.TRADE_ID_REVERTED, AuditDecision.HISTORY_REMOVED})
"""What takes back what an earlier row of the audit did, which that row then tells by its `reverted_at`."""

_SWITCHES = TAKES_BACK | {AuditDecision.REAPPLIED}

WROTE = DONE | {AuditDecision.REVERTED, AuditDecision.REAPPLIED}
"""What changed the ledger's bookings."""

CHANGES = WROTE | TAKES_BACK | {AuditDecision.TRADE_ID_SET, AuditDecision.HISTORY_ADDED}
"""What changed the ledger in any way."""

ENDED = DONE | {AuditDecision.SKIP_EXISTING, AuditDecision.INTERRUPTED, AuditDecision.NO_GO}
"""How what was announced can end."""


@dataclass(frozen=True, slots=True)
class AuditDraft:
    """An audit row before it has its place in the chain: decimals exact, times ISO 8601 with Z."""

    batch_id: str
    profile_id: str
    symbol: str
    trade_id: str
    decision: AuditDecision
    reason: str
    dry_run: bool
    actor: str
    plan_hash: str
    exchange_order_id: str | None = None
    exchange_client_order_id: str | None = None
    backfill_order_id: str | None = None
    filled_qty: Decimal | None = None
    filled_price: Decimal | None = None
    filled_at: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    applied_at: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An audit row as it is stored: every column in its canonical text, so that both databases hash alike."""

    columns: Mapping[str, str | bool | None]

    @property
    def seq(self) -> int:
        """Return the row's place in the chain; -1 where it cannot be read."""
        text = str(self.columns.get("seq"))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1

    def __getitem__(self, column: str) -> str | bool | None:
        """Return one column."""
        return self.columns.get(column)

    def as_json(self) -> dict[str, object]:
        """Return the row with its metadata as an object, for printing."""
        shown: dict[str, object] = dict(self.columns)
        shown["seq"] = self.seq
        shown["metadata"] = json.loads(str(self.columns.get("metadata") or "{}"))
        return shown


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and no blanks: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chained(draft: AuditDraft, seq: int, prev_hash: str, created_at: str) -> AuditRow:
    """Return a draft as the row that follows in the chain."""
    columns: dict[str, str | bool | None] = {
        "seq": str(seq), "batch_id": draft.batch_id, "profile_id": draft.profile_id, "symbol": draft.symbol,
        "trade_id": draft.trade_id, "exchange_order_id": draft.exchange_order_id,
        "exchange_client_order_id": draft.exchange_client_order_id, "backfill_order_id": draft.backfill_order_id,
        "filled_qty": _plain(draft.filled_qty), "filled_price": _plain(draft.filled_price),
        "filled_at": draft.filled_at, "dry_run": draft.dry_run, "decision": draft.decision.value,
        "reason": draft.reason, "metadata": canonical_json(draft.metadata), "actor": draft.actor,
        "plan_hash": draft.plan_hash, "created_at": created_at, "applied_at": draft.applied_at,
        "reverted_at": None, "prev_hash": prev_hash,
    }  # fmt: skip
    return AuditRow({**columns, "hash": row_hash(columns)})


def _plain(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def row_hash(columns: Mapping[str, str | bool | None]) -> str:
    """Return the hash of a row's content and of the hash before it."""
    content = [columns.get(name) for name in HASHED]
    return sha256(canonical_json([*content, columns.get("prev_hash")]).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of checking the chain: how many rows, the head, and the first broken row with the reason.

    `broken_seq` is the place in the chain where a row is missing or wrong.
    """

    rows: int
    head: str
    broken_seq: int | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Say whether the chain is whole."""
        return not self.reason


def verify(
    rows: Iterable[AuditRow], expect_head: str | None = None, after: tuple[int, str] = (0, GENESIS)
) -> Verification:
    """Check the chain in the order of `seq` and name the first row that is broken; `after` is where the rows begin.

    A changed `reverted_at` is found by what the rows that take back and put in force again say it must be. A cut-off
    tail is found only by `expect_head`, the head that an earlier run recorded.
    """
    (count, head), seen = after, False
    expected: dict[int, str | None] = {}
    actual: dict[int, str | bool | None] = {}
    for row in rows:
        count += 1
        reason = _break_in(row, count, head)
        if reason:
            return Verification(count, head, _place(row, count), reason)
        head = str(row["hash"])
        seen = seen or head == expect_head
        actual[row.seq] = row["reverted_at"]
        if row["decision"] in _SWITCHES:
            reverted = row["created_at"] if row["decision"] in TAKES_BACK else None
            expected[_links_to(row)] = str(reverted) if reverted is not None else None
    for seq in sorted(actual):
        if actual[seq] != expected.get(seq):
            return Verification(count, head, seq, f"reverted_at is {actual[seq]}, recorded is {expected.get(seq)}")
    if expect_head is not None and expect_head not in (head, GENESIS) and not seen:
        return Verification(count, head, count + 1, f"the expected head {expect_head} is not in the chain")
    return Verification(count, head)


def _place(row: AuditRow, count: int) -> int:
    """Return the seq to name: the row's own, or the place where a row is missing before it."""
    return count if row.seq < 0 or row.seq > count else row.seq


def _break_in(row: AuditRow, place: int, head: str) -> str:
    if row.seq != place:
        return f"seq {row['seq']} stands where {place} belongs: a row was removed, added or renumbered"
    if row["prev_hash"] != head:
        return "prev_hash is not the hash of the row before"
    if row["hash"] != row_hash(row.columns):
        return "its hash does not fit its content"
    return ""


def _links_to(row: AuditRow) -> int:
    """Return the seq of the APPLIED row that a REVERTED or REAPPLIED row is about."""
    about = json.loads(str(row["metadata"])).get("appliedSeq")
    return about if isinstance(about, int) else -1


def draft_of(decision: Decision, batch_id: str, actor: str, plan_hash: str, *, dry_run: bool) -> AuditDraft:
    """Return the audit row of a decision: DRY_RUN or PENDING_APPLY for a booking, else the refusal itself."""
    booked = decision.outcome is Outcome.BOOK
    recorded = AuditDecision.DRY_RUN if dry_run else AuditDecision.PENDING_APPLY
    row = decision.exit
    return AuditDraft(
        batch_id=batch_id,
        profile_id=decision.trade.profile_id,
        symbol=decision.trade.symbol,
        trade_id=decision.trade.trade_id,
        decision=recorded if booked else AuditDecision(decision.outcome.value),
        reason=decision.reason,
        dry_run=dry_run,
        actor=actor,
        plan_hash=plan_hash,
        exchange_order_id=row.exchange_order_id if row else None,
        exchange_client_order_id=row.client_order_id if row else None,
        backfill_order_id=row.order_id if row else None,
        filled_qty=row.qty if row else None,
        filled_price=row.price if row else None,
        filled_at=iso(row.filled_ms) if row else None,
        metadata=decision.metadata,
    )


def settled(
    draft: AuditDraft, decision: AuditDecision, reason: str, applied_at: str | None, **more: object
) -> AuditDraft:
    """Return the row that records how a pending row ended."""
    metadata = {**draft.metadata, **more}
    return replace(draft, decision=decision, reason=reason, applied_at=applied_at, metadata=metadata)


def closing(row: AuditRow, reason: str, **more: object) -> AuditDraft:
    """Return the INTERRUPTED row that closes a pending one which was never applied."""
    return AuditDraft(
        batch_id=str(row["batch_id"]),
        profile_id=str(row["profile_id"]),
        symbol=str(row["symbol"]),
        trade_id=str(row["trade_id"]),
        decision=AuditDecision.INTERRUPTED,
        reason=reason,
        dry_run=False,
        actor=str(row["actor"]),
        plan_hash=str(row["plan_hash"]),
        exchange_order_id=_text(row["exchange_order_id"]),
        backfill_order_id=_text(row["backfill_order_id"]),
        filled_qty=_number(row["filled_qty"]),
        filled_price=_number(row["filled_price"]),
        metadata={"pendingSeq": row.seq, **more},
    )


def _text(value: str | bool | None) -> str | None:
    return str(value) if value is not None else None


def _number(value: str | bool | None) -> Decimal | None:
    return read_decimal(str(value)) if value is not None else None
