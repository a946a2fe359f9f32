"""The plan of one account: from facts to decisions, with nothing read and nothing written.

All profiles of an account are planned on one snapshot, since two of them could each stay within the venue's truth and
overshoot it together. Invariants 3 (Conservation), 4 (Never past the truth), 5 (Unknown is not flat) and 9
(Deterministic) are kept here: the same facts in any order give the same decisions and the same plan hash.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from operator import attrgetter

from trueup.core.decimals import exactly
from trueup.core.holdings import Holding, Holdings
from trueup.core.integrity.rules import NO_RULES, RulesInForce
from trueup.core.repair.attribution import Attribution, attribute
from trueup.core.repair.booked import BookedIndex
from trueup.core.repair.chains import OrderKey
from trueup.core.repair.decisions import ALREADY_EXISTS, Decision, Outcome, Situation, decide
from trueup.core.repair.evidence import EvidenceBook, evidence_of
from trueup.core.repair.excess import excess_of, ledger_positions
from trueup.core.repair.naming import SettledTrade
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import PositionReach, order_feed_reach
from trueup.core.repair.rows import ExitRow, row_as_columns
from trueup.core.repair.scope import Scope
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import Snapshot
from trueup.core.tags import TagReader
from trueup.core.times import iso


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which trades of an account a run is about; None is all."""

    profiles: frozenset[str]
    tokens: frozenset[str] | None = None
    trade_ids: frozenset[str] | None = None

    def includes(self, trade: Slice) -> bool:
        """Say whether a run is about a trade."""
        return (
            trade.profile_id in self.profiles
            and (self.tokens is None or trade.token in self.tokens)
            and (self.trade_ids is None or trade.trade_id in self.trade_ids)
        )


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Everything that the decisions about one account depend on.

    `known_profiles` are the ids of all profiles, of any account; `managed` the tokens that each profile of this
    account manages (None is every symbol); `slices` the slices of all profiles of the account; `reverted` the
    profile, trade and exchange order ids of rows that an operator took back; `settled` the trades that trueup repaired;
    `spelt` the profile and the lower-case id of trades, open or not, of which a sub-tag is the whole id; `withheld` the
    orders, by symbol token and id, of which nothing may be booked, although they were executed; `rules` those of
    lifecycle integrity that the ledger binds.
    """

    snapshot: Snapshot
    slices: tuple[Slice, ...]
    booked: BookedIndex
    known_profiles: frozenset[str]
    managed: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    reverted: frozenset[tuple[str, str, str]] = frozenset()
    settled: tuple[SettledTrade, ...] = ()
    spelt: frozenset[tuple[str, str]] = frozenset()
    withheld: frozenset[OrderKey] = frozenset()
    rules: RulesInForce = NO_RULES


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """The decisions about one profile.

    `candidates` counts its open trades of managed symbols, `unmanaged` those of others; `dropped` counts evidence
    out of scope, by reason.
    """

    profile_id: str
    decisions: tuple[Decision, ...] = ()
    candidates: int = 0
    unmanaged: int = 0
    unmatched: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> list[ExitRow]:
        """Return the rows that are proposed."""
        return [d.exit for d in self.decisions if d.outcome is Outcome.BOOK and d.exit is not None]

    @property
    def plan_hash(self) -> str:
        """Return the digest of what the plan would do and what it refuses."""
        parts = sorted(json.dumps(_signature(decision), sort_keys=True) for decision in self.decisions)
        return sha256("\n".join([self.profile_id, *parts]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """The plans of an account's profiles, the evidence that they rest on, and its attribution by symbol token."""

    profiles: Mapping[str, ProfilePlan]
    evidence: EvidenceBook
    attributions: Mapping[str, Attribution] = field(default_factory=dict)


@exactly
def plan_account(facts: AccountFacts, wanted: Wanted, policy: BackfillPolicy) -> AccountPlan:
    """Plan the repairs of one account."""
    evidence = _without(evidence_of(facts.snapshot, facts.booked, policy), facts.withheld)
    candidates = [s for s in facts.slices if s.is_open and _is_managed(s, facts)]
    attributions = _attributions([s for s in facts.slices if s.is_open], evidence, facts, policy)
    decisions = _decisions([s for s in candidates if wanted.includes(s)], attributions, facts, policy)
    profiles = _profile_plans(wanted, decisions, attributions, facts)
    return AccountPlan(profiles, evidence, attributions)


def _without(evidence: EvidenceBook, withheld: Collection[OrderKey]) -> EvidenceBook:
    if not withheld:
        return evidence
    rows = {
        token: [row for row in found if (token, row.exchange_order_id) not in withheld]
        for token, found in evidence.rows.items()
    }
    return replace(evidence, rows=rows)


def _is_managed(trade: Slice, facts: AccountFacts) -> bool:
    tokens = facts.managed.get(trade.profile_id)
    return tokens is None or trade.token in tokens


def _attributions(
    candidates: list[Slice], evidence: EvidenceBook, facts: AccountFacts, policy: BackfillPolicy
) -> dict[str, Attribution]:
    reader = TagReader(policy.tag_prefix, facts.known_profiles)
    by_token: dict[str, list[Slice]] = defaultdict(list)
    for trade in candidates:
        by_token[trade.token].append(trade)
    settled: dict[str, list[SettledTrade]] = defaultdict(list)
    for past in facts.settled:
        settled[past.token].append(past)
    reach = order_feed_reach(facts.snapshot)
    return {
        token: attribute(
            evidence.rows.get(token, []),
            by_token[token],
            settled[token],
            reader,
            policy,
            reach,
            reverted=facts.reverted,
            spelt=facts.spelt,
        )
        for token in sorted(by_token)
    }


def _decisions(
    trades: list[Slice], attributions: Mapping[str, Attribution], facts: AccountFacts, policy: BackfillPolicy
) -> dict[str, list[Decision]]:
    """Decide the trades in the order of their newest rows, oldest first: that is the order that takes the excess."""
    holdings = Holdings(facts.snapshot)
    held = {key: holdings.of(key[1]) for key in {(t.token, t.symbol) for t in trades}}
    unknown = {token for (token, _), holding in held.items() if holding.unknown is not None}
    venue = {token: holding.signed for (token, _), holding in held.items() if token not in unknown}
    positions = PositionReach(facts.snapshot, policy.grace_ms)
    excess = excess_of(ledger_positions(facts.slices, positions), venue)
    counted = {token: _Counted(attributions[token]) for token in {trade.token for trade in trades}}
    reach, as_of = order_feed_reach(facts.snapshot), iso(facts.snapshot.as_of_ms)
    decisions: dict[str, list[Decision]] = defaultdict(list)
    ids: set[str] = set()
    doubtful = {token: {key for _, key in found.doubtful} for token, found in attributions.items()}
    for trade in sorted(trades, key=attrgetter("newest_ms", "profile_id", "trade_id", "token")):
        found = attributions[trade.token]
        key = (trade.profile_id, trade.trade_id)
        silent = positions.why_not(trade)
        situation = Situation(
            trade=trade,
            assigned=found.assigned.get(key, []),
            holding=held[trade.token, trade.symbol] if silent is None else Holding(unknown=silent),
            orders_complete=reach is not None and reach <= trade.newest_ms - policy.grace_ms,
            conflict=key in found.blocked,
            doubtful=key in doubtful[trade.token],
            unmatched=counted[trade.token].unmatched(trade.profile_id),
            policy=policy,
            excess=excess,
            as_of=as_of,
            reverted=facts.reverted,
            refused_by=facts.rules.refusing_row(trade.trade_id),
        )
        decisions[trade.profile_id] += decide(situation, ids)
    return decisions


def _profile_plans(
    wanted: Wanted,
    decisions: Mapping[str, list[Decision]],
    attributions: Mapping[str, Attribution],
    facts: AccountFacts,
) -> dict[str, ProfilePlan]:
    """Return the plan of each profile that a run is about; costs the facts once, however many profiles share them."""
    own: dict[str, list[Slice]] = defaultdict(list)
    for trade in facts.slices:
        if trade.is_open:
            own[trade.profile_id].append(trade)
    counted = {token: _Counted(attribution) for token, attribution in attributions.items()}
    plans: dict[str, ProfilePlan] = {}
    for profile in sorted(wanted.profiles):
        managed = [trade for trade in own[profile] if _is_managed(trade, facts)]
        counts = [counted[token] for token in sorted({trade.token for trade in managed})]
        dropped = sum((count.dropped(profile) for count in counts), Counter[str]())
        plans[profile] = ProfilePlan(
            profile_id=profile,
            decisions=tuple(decisions.get(profile, ())),
            candidates=len(managed),
            unmanaged=len(own[profile]) - len(managed),
            unmatched=sum(count.unmatched(profile) for count in counts),
            dropped=dict(sorted(dropped.items())),
        )
    return plans


class _Counted:
    """How many rows of a symbol's evidence were given to whom, and how many were not, as each profile sees them."""

    def __init__(self, attribution: Attribution) -> None:
        self._dropped = Counter(reading.scope.value for _, reading in attribution.dropped)
        self._unassigned = Counter(owner for _, owner in attribution.unassigned)
        self._assigned: Counter[str] = Counter()
        for (profile, _), items in attribution.assigned.items():
            self._assigned[profile] += len(items)
        self._given = self._assigned.total()

    def unmatched(self, profile_id: str) -> int:
        """Return how many rows in scope of a profile no trade took."""
        return self._unassigned[None] + self._unassigned[profile_id]

    def dropped(self, profile_id: str) -> Counter[str]:
        """Return how many rows are out of a profile's scope, by reason; those given to others are foreign."""
        return self._dropped + Counter({Scope.FOREIGN.value: self._given - self._assigned[profile_id]})


def mark_existing(plan: ProfilePlan, existing: frozenset[str]) -> ProfilePlan:
    """Return the plan with the reason `already_exists` for rows whose id the ledger has already."""
    return replace(
        plan,
        decisions=tuple(
            d._replace(reason=ALREADY_EXISTS)
            if d.outcome is Outcome.BOOK and d.exit is not None and d.exit.order_id in existing
            else d
            for d in plan.decisions
        ),
    )


def document_hash(plans: Iterable[ProfilePlan]) -> str:
    """Return the plan hash of a whole run: of all its profiles' plans."""
    lines = sorted(f"{plan.profile_id}:{plan.plan_hash}" for plan in plans)
    return sha256("\n".join(lines).encode()).hexdigest()


def _signature(decision: Decision) -> dict[str, object]:
    booked = decision.outcome is Outcome.BOOK
    return {
        "trade_id": decision.trade.trade_id,
        "symbol": decision.trade.token,
        "outcome": decision.outcome.value,
        "reason": "" if booked else decision.reason,
        "row": row_as_columns(decision.exit) if decision.exit is not None else None,
    }
