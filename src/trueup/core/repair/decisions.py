"""The decision table: the cases of a trade, tried from the top, each with its reason and why it stands there.

The trade's cases come first and book nothing; then what evidence covers is proposed; then the cases of what remains.
The tables are data, and the documentation is printed from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from trueup.core.decimals import NOTHING, plain
from trueup.core.holdings import Holding
from trueup.core.integrity.rules import REFUSED_BY_RULE, Rule, what_to_do
from trueup.core.orders import MALFORMED_LEDGER_ROW, Side
from trueup.core.repair.attribution import Assigned
from trueup.core.repair.excess import Excess
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.repair.rows import ExitRow, dust_row, evidence_row
from trueup.core.repair.slices import Slice


class Outcome(StrEnum):
    """What is decided; BOOK is written as DRY_RUN, or as PENDING_APPLY and then APPLIED or SKIP_EXISTING."""

    BOOK = "BOOK"
    NO_GO = "NO_GO"
    SKIP_PENDING_ORDER = "SKIP_PENDING_ORDER"
    SKIP_ACTIVE_POSITION = "SKIP_ACTIVE_POSITION"


ELIGIBLE = "eligible"
ALREADY_EXISTS = "already_exists"
REVERTED_BY_OPERATOR = "reverted_by_operator"
POSITION_UNKNOWN = "venue_position_unknown"
EVIDENCE_INCOMPLETE = "venue_evidence_incomplete"
NOT_FLAT = "exchange_not_flat"
OVERSHOOT = "would_overshoot_venue"
PROVEN = "The venue's evidence proves it."
SAME_ID = "row_id_not_unique"
SAME_ID_WHY = "Another row of this plan has the same id; the ledger could hold only one of them."
TAKEN_BACK = "An operator took this row back; only `backfill reapply` puts it in force again."
INCONCLUSIVE_REASONS = frozenset({POSITION_UNKNOWN, EVIDENCE_INCOMPLETE, MALFORMED_LEDGER_ROW})
"""The reasons that say that a feed or a ledger row which the answer needed could not be read."""


@dataclass(slots=True)
class Situation:
    """All that one trade's decision depends on; what evidence covers and what remains follow from it.

    `reverted` are the profile, trade and exchange order ids of rows that an operator took back, `refused_by` the rule
    of lifecycle integrity that lets no row of the trade in.
    """

    trade: Slice
    assigned: list[Assigned]
    holding: Holding
    orders_complete: bool
    conflict: bool
    doubtful: bool
    unmatched: int
    policy: BackfillPolicy
    excess: Excess
    as_of: str
    reverted: frozenset[tuple[str, str, str]]
    refused_by: Rule | None = None
    flat: bool = field(init=False)
    proposed: list[ExitRow] = field(init=False)
    remaining: Decimal = field(init=False)

    def __post_init__(self) -> None:
        """Cover the trade with its evidence, oldest first, each up to the remainder; flat is at most dust held.

        What an operator took back covers only what no other evidence does.
        """
        self.flat = self.holding.is_flat(self.policy.dust_abs)
        left = self.trade.open_qty
        self.proposed = []
        back = self.reverted and {item for item in self.assigned if self.is_reverted(item.evidence.exchange_order_id)}
        for item in sorted(self.assigned, key=back.__contains__) if back else self.assigned:
            row = evidence_row(self.trade, item, min(item.evidence.qty, left))
            if row.qty > NOTHING and left > NOTHING:
                self.proposed.append(row)
                left -= row.qty
        if back:
            self.proposed.sort(key=attrgetter("filled_ms", "exchange_order_id"))
        self.remaining = left

    def is_reverted(self, exchange_order_id: str) -> bool:
        """Say whether an operator took back what the trade had booked of an exchange order."""
        return (self.trade.profile_id, self.trade.trade_id, exchange_order_id) in self.reverted

    @property
    def covered(self) -> Decimal:
        """Return what the evidence covers, of what may be booked where any of it may."""
        free = [row.qty for row in self.proposed if not self.is_reverted(row.exchange_order_id)]
        return sum(free, Decimal(0)) if free else self.trade.open_qty - self.remaining

    @property
    def has_remainder(self) -> bool:
        """Say whether more than nothing stays open."""
        return self.remaining > NOTHING

    @property
    def dust_threshold(self) -> Decimal:
        """Return the size up to which the remainder is dust."""
        return self.policy.dust_threshold(self.trade.open_qty)

    @property
    def dust_at_flat(self) -> bool:
        """Say whether the remainder is dust at a venue proven flat."""
        return self.remaining <= self.dust_threshold and self.flat

    @property
    def held_whole(self) -> bool:
        """Say whether nothing of the trade was exited, and what the venue holds is nearer to all of it than to none."""
        held = self.holding.signed if self.trade.entry_side is Side.BUY else -self.holding.signed
        return not self.proposed and self.trade.exit_qty <= NOTHING and held * 2 > self.trade.open_qty

    @property
    def dust_explained(self) -> bool:
        """Say whether the ledger's excess covers the whole trade, up to the dust that a flat venue may hold."""
        return self.excess.covers(self.trade, self.trade.open_qty - self.policy.dust_abs)

    @property
    def overshoots(self) -> bool:
        """Say whether booking the evidence would take the ledger past the venue's position."""
        return bool(self.proposed) and not self.excess.covers(self.trade, self.covered)


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: the reason's name, when it holds, what is decided, and why."""

    name: str
    holds: Callable[[Situation], bool]
    outcome: Outcome
    when: str
    why: str
    reason: Callable[[Situation], str] | None = None

    def says(self, s: Situation) -> str:
        """Return the reason for one trade: the case's name, with a quantity where it tells one."""
        return self.reason(s) if self.reason is not None else self.name


class Decision(NamedTuple):
    """What is decided for a trade or a part of it, and why in a sentence.

    `exit` is the row to book, or the row that may not be booked; `used` counts the evidence rows that the trade uses
    and `remaining` is what they leave open.
    """

    trade: Slice
    outcome: Outcome
    reason: str
    exit: ExitRow | None
    why: str
    situation: Situation
    used: int
    remaining: Decimal

    @property
    def metadata(self) -> dict[str, object]:
        """Return what the audit keeps of the decision: the row's proof, and for a refusal what was weighed."""
        booking = _row_facts(self.situation, self.exit) if self.exit is not None else {}
        if self.outcome is Outcome.BOOK:
            return booking
        return booking | _facts(self.situation, self.used, self.remaining)


def _not_flat(s: Situation) -> str:
    return f"{NOT_FLAT}:{plain(s.holding.gross)}"


TRADE_CASES: tuple[Case, ...] = (
    Case(
        "pending_order_blocker",
        lambda s: s.trade.working,
        Outcome.SKIP_PENDING_ORDER,
        "the trade has a working order",
        "The order may still fill and close the trade by itself.",
    ),
    Case(
        "unreadable_rows",
        lambda s: s.trade.defect is not None,
        Outcome.NO_GO,
        "rows of the trade cannot be read, or their quantity columns disagree",
        "What is open of the trade is not known, so nothing can be proven about it.",
        lambda s: s.trade.defect or "",
    ),
    Case(
        POSITION_UNKNOWN,
        lambda s: s.holding.unknown is not None,
        Outcome.NO_GO,
        "the position feed is not complete",
        "Unknown is not flat.",
    ),
    Case(
        EVIDENCE_INCOMPLETE,
        lambda s: s.has_remainder and not s.orders_complete,
        Outcome.NO_GO,
        "a remainder, and the order feed is not complete",
        "The missing evidence may be in the part of the feed that was not read.",
    ),
    Case(
        NOT_FLAT,
        lambda s: s.policy.flatness is Flatness.FLAT and not s.flat,
        Outcome.SKIP_ACTIVE_POSITION,
        "`flat` policy, symbol not flat",
        "The `flat` policy books nothing while the venue still holds the symbol.",
        _not_flat,
    ),
    Case(
        OVERSHOOT,
        lambda s: s.policy.flatness is Flatness.EXPLAINED and s.overshoots,
        Outcome.SKIP_ACTIVE_POSITION,
        "`explained` policy, would overshoot",
        "The exit would take the ledger's position past the venue's.",
        lambda s: f"{OVERSHOOT}:{plain(s.excess.left[s.trade.token])}",
    ),
)

REMAINDER_CASES: tuple[Case, ...] = (
    Case(
        "attribution_conflict",
        lambda s: s.conflict,
        Outcome.NO_GO,
        "evidence names this trade and another one",
        "A row that names two open trades proves neither.",
    ),
    Case(
        "evidence_may_be_booked",
        lambda s: s.doubtful,
        Outcome.NO_GO,
        "an exit of the trade that names no order is like an execution that would prove this one",
        "The bot may have booked that execution without its id; booked again, it would count twice.",
    ),
    Case(
        NOT_FLAT,
        lambda s: s.dust_at_flat and s.held_whole,
        Outcome.SKIP_ACTIVE_POSITION,
        "a whole trade within the dust threshold, and the venue holds more than half of it",
        "It is no remainder of anything: a small position that is really there is not written off.",
        _not_flat,
    ),
    Case(
        OVERSHOOT,
        lambda s: s.dust_at_flat and s.policy.flatness is Flatness.EXPLAINED and not s.dust_explained,
        Outcome.SKIP_ACTIVE_POSITION,
        "`explained` policy, remainder within the dust threshold, would overshoot",
        "Writing off the remainder would take the ledger's position past the venue's.",
        lambda s: f"{OVERSHOOT}:{plain(s.excess.left[s.trade.token])}",
    ),
    Case(
        ELIGIBLE,
        lambda s: s.dust_at_flat,
        Outcome.BOOK,
        "remainder within the dust threshold, symbol flat",
        "The venue is proven flat, so what is left of the trade is rounding or a fee taken in the base asset.",
    ),
    Case(
        NOT_FLAT,
        lambda s: not s.flat and not s.proposed,
        Outcome.SKIP_ACTIVE_POSITION,
        "a remainder, symbol not flat, no evidence used",
        "The venue still holds the symbol and nothing says that this trade was closed.",
        _not_flat,
    ),
    Case(
        "dust_remainder_blocked_exchange_not_flat",
        lambda s: s.remaining <= s.dust_threshold,
        Outcome.SKIP_ACTIVE_POSITION,
        "remainder within the dust threshold, symbol not flat",
        "Dust is written off only at a venue proven flat.",
    ),
    Case(
        "missing_fill_evidence_for_large_remainder",
        lambda _: True,
        Outcome.NO_GO,
        "any other remainder",
        "More is open than evidence covers; it is not guessed.",
    ),
)


def decide(s: Situation, ids: set[str]) -> list[Decision]:
    """Decide one trade; what is booked is taken from the excess, and its ids are added to `ids`.

    `ids` are those of the rows that the plan has already: a trade id that stands for two symbols can give one id twice.
    """
    for case in TRADE_CASES:
        if case.holds(s):
            return [_refusal(s, case, used=0, remaining=s.trade.open_qty)]
    decisions = [_booking(s, row, ids) for row in s.proposed]
    if s.has_remainder:
        case = next(case for case in REMAINDER_CASES if case.holds(s))
        if case.outcome is Outcome.BOOK and any(d.outcome is Outcome.NO_GO for d in decisions):
            return decisions
        if case.outcome is Outcome.BOOK:
            last = s.assigned[-1] if s.assigned else None
            decisions.append(_booking(s, dust_row(s.trade, s.remaining, last), ids, case.why))
        else:
            decisions.append(_refusal(s, case, used=len(s.proposed), remaining=s.remaining))
    for decision in decisions:
        if decision.outcome is Outcome.BOOK and decision.exit is not None:
            s.excess.take(s.trade, decision.exit.qty)
            ids.add(decision.exit.order_id)
    return decisions


def _booking(s: Situation, row: ExitRow, ids: set[str], why: str = PROVEN) -> Decision:
    if row.order_id in ids:
        return Decision(s.trade, Outcome.NO_GO, SAME_ID, row, SAME_ID_WHY, s, 0, s.trade.open_qty)
    if s.is_reverted(row.exchange_order_id):
        return Decision(s.trade, Outcome.NO_GO, REVERTED_BY_OPERATOR, row, TAKEN_BACK, s, 0, s.trade.open_qty)
    if s.refused_by is not None:
        reason, why = (
            f"{REFUSED_BY_RULE}:{s.refused_by.name}",
            f"The ledger takes no row of it: {what_to_do(s.refused_by)}.",
        )
        return Decision(s.trade, Outcome.NO_GO, reason, row, why, s, 0, s.trade.open_qty)
    return Decision(s.trade, Outcome.BOOK, ELIGIBLE, row, why, s, len(s.proposed), s.remaining)


def _refusal(s: Situation, case: Case, used: int, remaining: Decimal) -> Decision:
    return Decision(s.trade, case.outcome, case.says(s), None, case.why, s, used, remaining)


def _row_facts(s: Situation, row: ExitRow) -> dict[str, object]:
    return {
        "action": "EXIT",
        "status": "filled",
        "matchedBy": row.matched_by,
        "exchangeSubTag": row.sub_tag,
        "price_source": row.price_source,
        "evidenceQty": plain(row.evidence_qty),
        "fee": plain(row.fee) if row.fee is not None else None,
        "feeAsset": row.fee_asset,
        "asOf": s.as_of,
    }


def _facts(s: Situation, used: int, remaining: Decimal) -> dict[str, object]:
    known = s.holding.unknown is None
    detail = s.trade.detail or s.holding.unknown
    return {
        "openQty": plain(s.trade.open_qty),
        "evidenceRows": len(s.assigned),
        "evidenceRowsUsed": used,
        "remaining": plain(remaining),
        "dustThreshold": plain(s.dust_threshold),
        "unmatchedEvidenceCount": s.unmatched,
        "exchangeOpenQty": plain(s.holding.gross) if known else None,
        "symbolIsFlat": s.flat if known else None,
        "flatness": s.policy.flatness.value,
        "dustAbsQty": plain(s.policy.dust_abs),
        "dustRelPct": plain(s.policy.dust_rel),
        "requireStrongAttribution": s.policy.strong_attribution,
        "allowHeuristicMatch": s.policy.heuristic_match,
        "lookbackMs": s.policy.lookback_ms,
        "graceMs": s.policy.grace_ms,
    } | ({"detail": detail} if detail else {})
