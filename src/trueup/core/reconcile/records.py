"""Breaks as they persist: one record for each disagreement, with its identity, its age and its confirmations.

A break keeps its record while it lasts; it resolves when a conclusive look does not see it, and an inconclusive look
changes nothing. A look counts as a confirmation only if the venue was read later than at the look before.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from trueup.core.breaks import Break
from trueup.core.decimals import plain
from trueup.core.times import iso


class BreakState(StrEnum):
    """How a break stands."""

    OPEN = "open"
    WAITING = "waiting"
    CONFIRMED = "confirmed"
    UNRESOLVED = "unresolved"
    QUARANTINED = "quarantined"
    ACKNOWLEDGED = "acknowledged"
    HEALED = "healed"
    RESOLVED = "resolved"
    WOULD_HEAL = "would_heal"
    """As a dry run says it; no record is ever kept so."""

    @property
    def over(self) -> bool:
        """Say whether the break is over."""
        return self in (BreakState.HEALED, BreakState.RESOLVED)

    @property
    def remains(self) -> bool:
        """Say whether the break is neither over nor taken over by a person."""
        return not self.over and self is not BreakState.ACKNOWLEDGED

    @property
    def ends(self) -> bool:
        """Say whether the break is over, or would be without the dry run."""
        return self.over or self is BreakState.WOULD_HEAL


_TAKEN_OVER = re.compile(r"(?P<at>\S+Z) (?P<owner>.+?): (?P<reason>.*)")


@dataclass(frozen=True, slots=True)
class BreakRecord:
    """One break across runs, as its table has it: quantities as plain text, notional in quote currency.

    `as_of_ms` is the venue's time of the newest look, `first_seen_ms` and `last_seen_ms` are ours; `owner` is the
    person who took the break over, `resolution` how it ended or, line by line, who took it over. `detail` holds the
    words for people.
    """

    break_id: str
    kind: str
    scope: str
    account: str
    state: BreakState
    profile_id: str | None = None
    symbol: str | None = None
    trade_id: str | None = None
    exchange_order_id: str | None = None
    reason: str = ""
    ledger_qty: str | None = None
    venue_qty: str | None = None
    notional: Decimal | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    confirmations: int = 0
    as_of_ms: int | None = None
    owner: str | None = None
    resolution: str | None = None
    first_run_id: str | None = None
    last_run_id: str | None = None
    first_seen_ms: int = 0
    last_seen_ms: int = 0
    resolved_ms: int | None = None

    @property
    def history(self) -> list[dict[str, str]]:
        """Return who took the break over and why, the first one first."""
        found = (_TAKEN_OVER.fullmatch(line) for line in (self.resolution or "").splitlines())
        return [{"at": one["at"], "owner": one["owner"], "reason": one["reason"]} for one in found if one is not None]

    def as_json(self, now_ms: int) -> dict[str, object]:
        """Return the record for printing, with its age in milliseconds."""
        return {
            "break_id": self.break_id, "kind": self.kind, "state": self.state.value, "scope": self.scope,
            "account": self.account, "profile_id": self.profile_id, "symbol": self.symbol, "trade_id": self.trade_id,
            "exchange_order_id": self.exchange_order_id, "ledger": self.ledger_qty, "venue": self.venue_qty,
            "notional": plain(self.notional) if self.notional is not None else None, "reason": self.reason,
            "confirmations": self.confirmations, "owner": self.owner, "resolution": self.resolution,
            "history": self.history, "first_seen": iso(self.first_seen_ms), "last_seen": iso(self.last_seen_ms),
            "resolved_at": iso(self.resolved_ms) if self.resolved_ms is not None else None,
            "age_ms": (self.resolved_ms or now_ms) - self.first_seen_ms, "detail": dict(self.detail),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sighting:
    """A break as one look sees it: what becomes of it, why, and what it is worth in quote currency.

    `counts` False is a look that holds the confirmations: it saw the break, and something is waited for. `resets` is
    one that saw that what was confirmed is not so, although a break is there. `settled` False says that what it is
    about is younger than the settle window, so that it may only be late.
    """

    found: Break
    state: BreakState
    reason: str = ""
    notional: Decimal | None = None
    counts: bool = True
    resets: bool = False
    settled: bool = True


def advance(
    records: Mapping[str, BreakRecord],
    sightings: Iterable[Sighting],
    conclusive: Callable[[BreakRecord], bool],
    *,
    run_of: Callable[[Break | BreakRecord], str | None],
    as_of_ms: int,
    now_ms: int,
) -> list[BreakRecord]:
    """Return the records as they are after a look: new, still there, or over; untouched ones are left out.

    `records` are the account's open ones and those seen again; `conclusive` says whether the look could have seen a
    record's break; `run_of` gives the run that looked.
    """
    seen: dict[str, BreakRecord] = {}
    for sighting in sightings:
        key = sighting.found.break_id
        seen[key] = _seen(records.get(key), sighting, run_of(sighting.found), as_of_ms, now_ms)
    gone = [
        replace(
            record, state=BreakState.RESOLVED, resolution=record.resolution or "no longer seen", resolved_ms=now_ms,
            as_of_ms=as_of_ms, last_run_id=run_of(record),
        )
        for key, record in records.items()
        if key not in seen and not record.state.over and conclusive(record)
    ]  # fmt: skip
    return [*seen.values(), *gone]


def _seen(
    record: BreakRecord | None, sighting: Sighting, run_id: str | None, as_of_ms: int, now_ms: int
) -> BreakRecord:
    found = sighting.found
    scope = f"profile:{found.profile_id}" if found.profile_id is not None else f"account:{found.account}"
    fresh = record is None or record.state.over
    first_ms, first_run, owner = now_ms, run_id, None
    if record is not None and not fresh:
        first_ms, first_run, owner = record.first_seen_ms, record.first_run_id, record.owner
    count = record.confirmations if record is not None and not fresh and not sighting.resets else 0
    if sighting.counts and not sighting.resets:
        count = confirmations(record, as_of_ms)
    state = sighting.state
    if record is not None and not fresh and record.state is BreakState.ACKNOWLEDGED and not state.ends:
        state = BreakState.ACKNOWLEDGED
    return BreakRecord(
        break_id=found.break_id, kind=found.kind.value, scope=scope, account=found.account, state=state,
        profile_id=found.profile_id, symbol=found.symbol, trade_id=found.trade_id,
        exchange_order_id=found.exchange_order_id, reason=sighting.reason,
        ledger_qty=plain(found.ledger) if found.ledger is not None else None,
        venue_qty=plain(found.venue) if found.venue is not None else None, notional=sighting.notional,
        detail={"what": found.detail, "settled": sighting.settled}, confirmations=count,
        as_of_ms=_newest(record, as_of_ms), owner=owner,
        resolution="healed" if state is BreakState.HEALED else None, first_run_id=first_run, last_run_id=run_id,
        first_seen_ms=first_ms, last_seen_ms=now_ms, resolved_ms=now_ms if state.over else None,
    )  # fmt: skip


def _newest(record: BreakRecord | None, as_of_ms: int) -> int:
    """Return the newest reading of the venue so far: an older one that comes later must not be counted again."""
    known = record.as_of_ms if record is not None and record.as_of_ms is not None else as_of_ms
    return max(known, as_of_ms)


def confirmations(record: BreakRecord | None, as_of_ms: int) -> int:
    """Return how many looks agree, this one included: each on a newer reading of the venue."""
    if record is None or record.state.over:
        return 1
    newer = record.as_of_ms is None or as_of_ms > record.as_of_ms
    return record.confirmations + 1 if newer else record.confirmations
