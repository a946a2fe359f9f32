"""What a cycle tells an incident: the facts of each break that tell its class, and what else the steps depend on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from trueup.core.alerts import Severity
from trueup.core.decimals import exactly, read_decimal
from trueup.core.holdings import Holdings
from trueup.core.incidents.classes import BreakFacts
from trueup.core.incidents.incident import Incident, Stage
from trueup.core.incidents.steps import Look
from trueup.core.orders import Action, LedgerOrder, StatusClass
from trueup.core.reconcile.matching import OUR_PREFIXES
from trueup.core.reconcile.parity import notional_of
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.repair.slices import OWN_EXITS, Slice, said_action
from trueup.service.cycle import Cycle

_OURS = tuple({*OWN_EXITS, *OUR_PREFIXES})
_OF_MISMATCHES = frozenset({"exchange_state_mismatch", "parity_watchdog", "incident"})
"""Alerts that tell of the incident itself; the watchdog's stays until trading is resumed."""


def look_of(cycle: Cycle, known: Incident | None) -> Look:
    """Return a cycle as an incident sees it; `known` is the one that is open."""
    records = {record.break_id: record for run in cycle.runs.values() for record in run.breaks}
    left = [record for record in records.values() if _counts(cycle, record)]
    waiting = [r for r in records.values() if not r.state.over and r not in left and not _is_taken(r)]
    over = [r for r in records.values() if r.state.over and known is not None and r.break_id in known.breaks]
    rows = _rows_of(cycle, [*left, *over])
    whole = cycle.request.symbols is None and cycle.request.trade_ids is None
    here = {profile.profile_id for profile in cycle.gathered.profiles if profile.enabled}
    told = cycle.gathered.venue_error is None and not cycle.unclear and not waiting
    ran = all(run.error is None and run.skipped_reason is None for run in cycle.runs.values())
    return Look(
        account=cycle.account, at_ms=cycle.now_ms, as_of_ms=cycle.snapshot.as_of_ms,
        run_ids=tuple(run.run_id for run in cycle.runs.values()),
        left=tuple(_facts(cycle, record, rows) for record in left),
        over=tuple(_facts(cycle, record, rows) for record in over),
        complete=whole and told and ran and here <= set(cycle.runs),
        exposure=exposure_of(cycle, known), alerts=_alerts(cycle, known), may_flatten=_may_flatten(cycle),
    )  # fmt: skip


def _counts(cycle: Cycle, record: BreakRecord) -> bool:
    """Say whether a break is a mismatch: not over, not a person's, and not one that only the settle window holds."""
    if record.state.over or _is_taken(record):
        return False
    young = record.state is BreakState.WAITING and not record.detail.get("settled", True)
    return not young or cycle.now_ms - record.first_seen_ms >= cycle.app.reconcile.policy.settle_ms


def _is_taken(record: BreakRecord) -> bool:
    return record.state is BreakState.ACKNOWLEDGED


def _rows_of(cycle: Cycle, records: Iterable[BreakRecord]) -> dict[tuple[str, str], list[LedgerOrder]]:
    """Return the ledger's rows of the trades that breaks name, by profile and trade id."""
    trades = sorted({(r.profile_id, r.trade_id) for r in records if r.profile_id and r.trade_id})
    found: dict[tuple[str, str], list[LedgerOrder]] = defaultdict(list)
    for row in cycle.app.ledger.rows_of_trades(trades) if trades else ():
        found[row.profile_id, row.trade_id or ""].append(row)
    return found


def _facts(cycle: Cycle, record: BreakRecord, rows: dict[tuple[str, str], list[LedgerOrder]]) -> BreakFacts:
    mine = rows.get((record.profile_id or "", record.trade_id or ""), [])
    repaired = record.state is BreakState.HEALED or any(row.order_id.startswith(_OURS) for row in mine)
    gone = record.state is BreakState.RESOLVED
    old = cycle.now_ms - record.first_seen_ms >= cycle.app.reconcile.policy.settle_ms
    return BreakFacts(
        break_id=record.break_id, kind=record.kind, profile_id=record.profile_id, symbol=record.symbol,
        token=cycle.snapshot.symbols.token(record.symbol or ""), ledger_qty=_number(record.ledger_qty),
        venue_qty=_number(record.venue_qty), notional=record.notional,
        settled=bool(record.detail.get("settled", old)) or old,
        caught_up=gone and not repaired and not _wrote(cycle, record), repaired=repaired, twins=_twins(mine),
        reversed=_reversed(mine), stale_write=bool(record.detail.get("stale_write")),
    )  # fmt: skip


def _wrote(cycle: Cycle, record: BreakRecord) -> bool:
    """Say whether trueup wrote to the profile since a break was seen first: then it did not go away by itself."""
    here = [record.profile_id] if record.profile_id is not None else cycle.here
    return cycle.app.journal.wrote_since(here, record.first_seen_ms)


def _twins(rows: Sequence[LedgerOrder]) -> bool:
    """Say whether two rows of the bot book one execution: by its id, or alike in everything."""
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        if row.status is not StatusClass.FILLED or row.defect is not None or row.order_id.startswith(_OURS):
            continue
        name = row.exchange_order_id or row.client_order_id
        key: tuple[object, ...] = (name,) if name else (row.side, row.qty, row.price, row.time_ms)
        if key in seen:
            return True
        seen.add(key)
    return False


def _reversed(rows: Sequence[LedgerOrder]) -> bool:
    """Say whether an exit stands before the trade's first entry."""
    times: dict[Action, list[int]] = {Action.ENTRY: [], Action.EXIT: []}
    for row in rows:
        if row.status is StatusClass.FILLED and row.defect is None and row.time_ms is not None:
            action = said_action(row)
            if action is not None:
                times[action].append(row.time_ms)
    exits, entries = times[Action.EXIT], times[Action.ENTRY]
    return bool(exits) and bool(entries) and min(exits) < min(entries)


@exactly
def exposure_of(cycle: Cycle, known: Incident | None) -> Decimal | None:
    """Return what is at risk in the running canary; None where none runs or a price is not known."""
    if known is None or known.running is None or known.plan is None:
        return None
    return at_risk(cycle, known.plan.stages[known.running.stage - 1])


@exactly
def at_risk(cycle: Cycle, stage: Stage) -> Decimal | None:
    """Return the notional of the open trades of a stage's profile and symbols; None where a price is not known."""
    holdings = Holdings(cycle.snapshot)
    tokens = None if stage.symbols is None else {cycle.snapshot.symbols.token(name) for name in stage.symbols}
    found = [
        _notional(trade, holdings)
        for trade in cycle.gathered.facts.slices
        if trade.profile_id == stage.profile_id and trade.is_open and (tokens is None or trade.token in tokens)
    ]
    return sum((item for item in found if item is not None), Decimal(0)) if None not in found else None


def _notional(trade: Slice, holdings: Holdings) -> Decimal | None:
    if trade.defect is not None:
        return None
    return notional_of(trade, holdings.of(trade.symbol))


def _alerts(cycle: Cycle, known: Incident | None) -> tuple[str, ...]:
    """Return what is not quiet around the account since the cycle before: it is asked only where somebody watches."""
    if known is None or (known.clean_since_ms is None and known.running is None):
        return ()
    scopes = {f"account:{cycle.account}", *(f"profile:{name}" for name in cycle.here)}
    since_ms = cycle.now_ms - int(cycle.app.reconcile.interval_s * 1000)
    loud = Severity.WARNING.rank
    return tuple(
        sorted(
            {
                alert.kind
                for alert in cycle.app.outbox.page(200)
                if alert.scope in scopes and alert.kind not in _OF_MISMATCHES and alert.severity.rank >= loud
                and alert.last_seen_ms >= since_ms
            }
        )
    )  # fmt: skip


def _may_flatten(cycle: Cycle) -> bool:
    return cycle.gathered.account.venue().actions is not None


def _number(text: str | None) -> Decimal | None:
    return read_decimal(text) if text is not None else None
