"""Executions of the venue that nothing attributes to an open trade: told for information, and never as a break."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from trueup.core.decimals import plain
from trueup.core.repair.attribution import Attribution
from trueup.core.repair.evidence import Evidence
from trueup.core.repair.plan import AccountPlan
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.scope import Reading, Scope, read_scope
from trueup.core.tags import TagReader
from trueup.core.times import iso
from trueup.service.gather import Gathered

UNMATCHED = "unmatched"
SEVERAL_TRADES = "quarantined: it names several trades"
MAYBE_BOOKED = "quarantined: an exit without an id may have booked it"
_OUT_OF_SCOPE = "out of scope: "
_COMMON = 2


@dataclass(frozen=True, slots=True)
class Unattributed:
    """One execution within the look-back that the ledger has not booked, and why it proves nothing."""

    evidence: Evidence
    why: str

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        row = self.evidence
        return {
            "exchange_order_id": row.exchange_order_id,
            "client_order_id": row.client_order_id,
            "symbol": row.symbol,
            "side": row.side.value,
            "qty": plain(row.qty),
            "price": plain(row.price) if row.price is not None else None,
            "at": iso(row.time_ms),
            "why": self.why,
        }


def unattributed(
    gathered: Gathered,
    plan: AccountPlan,
    policy: BackfillPolicy,
    tokens: frozenset[str] | None,
    profiles: Collection[str],
) -> list[Unattributed]:
    """Return what nobody's open trade took of an account's executions, oldest first; None is every symbol.

    An execution that a tag gives to a profile is told only where that profile is among those asked for.
    """
    reader = TagReader(policy.tag_prefix, gathered.facts.known_profiles)
    found: list[Unattributed] = []
    for token, rows in plan.evidence.rows.items():
        if tokens is not None and token not in tokens:
            continue
        attribution = plan.attributions.get(token)
        readings = ((row, read_scope(row, reader, policy)) for row in rows)
        found += _without_trade(readings, profiles) if attribution is None else _untaken(attribution, profiles)
    return sorted(found, key=lambda item: (item.evidence.time_ms, item.evidence.exchange_order_id))


def likely_prefix(found: Iterable[Unattributed], profiles: Iterable[str], prefix: str) -> str | None:
    """Return the prefix that unattributed rows have in place of ours before a known profile; None where none is common.

    `mm-bot1-T1-exit` looks like a tag of bot1 under another prefix. One row may be a coincidence, and is no hint.
    """
    marks = [(mark, f"{mark}{name.lower()}{mark}") for name in profiles for mark in "-:"]
    seen: Counter[str] = Counter()
    for row in (item.evidence for item in found if item.why == _OUT_OF_SCOPE + Scope.UNATTRIBUTED.value):
        texts = {"-": (row.client_order_id or "").strip().lower(), ":": (row.sub_tag or "").strip().lower()}
        begins = {texts[mark].partition(named)[0] for mark, named in marks if named in texts[mark]}
        seen.update(begins - {"", prefix.lower()})
    common = [(number, name) for name, number in seen.items() if number >= _COMMON]
    return max(common)[1] if common else None


def _without_trade(rows: Iterable[tuple[Evidence, Reading]], profiles: Collection[str]) -> Iterator[Unattributed]:
    for row, reading in rows:
        if reading.owner is None or reading.owner in profiles:
            yield Unattributed(row, _scope(reading) or "no open trade of this symbol")


def _untaken(found: Attribution, profiles: Collection[str]) -> Iterator[Unattributed]:
    for row, owner in found.unassigned:
        if owner is None or owner in profiles:
            yield Unattributed(row, UNMATCHED)
    for row, trades in found.conflicts:
        if any(profile in profiles for profile, _ in trades):
            yield Unattributed(row, SEVERAL_TRADES)
    for row, (profile, _) in found.doubtful:
        if profile in profiles:
            yield Unattributed(row, MAYBE_BOOKED)
    for row, reading in found.dropped:
        if reading.owner is None or reading.owner in profiles:
            yield Unattributed(row, _scope(reading))


def _scope(reading: Reading) -> str:
    return "" if reading.scope is Scope.KEPT else f"{_OUT_OF_SCOPE}{reading.scope.value}"
