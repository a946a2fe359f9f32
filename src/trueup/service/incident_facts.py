"""What a cycle tells an incident: the facts of each break that tell its class, and what else the steps depend on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from trueup.core.alerts import Severity
from trueup.core.audit import verify
from trueup.core.decimals import NOTHING, exactly, read_decimal
from trueup.core.gate import silence
from trueup.core.incidents.classes import BreakFacts
from trueup.core.incidents.exposure import AtRisk, at_risk, covered_until, shows_orders
from trueup.core.incidents.incident import Incident
from trueup.core.incidents.steps import Look
from trueup.core.orders import Action, LedgerOrder, StatusClass
from trueup.core.reconcile.matching import OUR_PREFIXES
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.repair.slices import OWN_EXITS, said_action
from trueup.core.times import read_time
from trueup.service.alerts import raise_alert
from trueup.service.app import App
from trueup.service.blockers import blocks_running
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
    risk = _at_risk(cycle, known)
    return Look(
        account=cycle.account, at_ms=cycle.now_ms, as_of_ms=cycle.snapshot.as_of_ms,
        run_ids=tuple(run.run_id for run in cycle.runs.values()),
        left=tuple(_facts(cycle, record, rows) for record in left),
        over=tuple(_facts(cycle, record, rows) for record in over),
        complete=whole and told and ran and here <= set(cycle.runs) and not risk.passing,
        exposure=risk.notional, covered_ms=_covered_ms(cycle), alerts=_alerts(cycle, known),
        healthy=known is None or _is_alive(cycle), may_flatten=_may_flatten(cycle), audit_broken=bool(_audit(cycle)),
        blocked=_blocked(cycle, known),
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
        reversed=_reversed(mine), stale_write=_stale(cycle, record),
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


@exactly
def _stale(cycle: Cycle, record: BreakRecord) -> bool:
    """Say whether the rows of an order say less than had executed a settle window before they were written last.

    Only fills say when each part executed, and only rows with updated_at when they were written: else it is not known.
    """
    name, token = record.exchange_order_id, cycle.snapshot.symbols.token
    rows = [row for row in cycle.rows if name and row.exchange_order_id == name and row.profile_id == record.profile_id]
    written_ms = max((at for row in rows if (at := _written_ms(row)) is not None), default=None)
    if written_ms is None or any(row.defect is not None for row in rows):
        return False
    known_ms = written_ms - cycle.app.reconcile.policy.settle_ms
    fills = {
        (fill.id, fill.qty)
        for fill in cycle.snapshot.fills
        if fill.order_id == name and fill.time_ms < known_ms and token(fill.symbol) == token(record.symbol or "")
    }
    return sum((qty for _, qty in fills), Decimal(0)) > sum((row.qty for row in rows), NOTHING)


def _written_ms(row: LedgerOrder) -> int | None:
    try:
        return read_time(row.written) if row.written is not None else None
    except ValueError:
        return None


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


def _at_risk(cycle: Cycle, known: Incident | None) -> AtRisk:
    """Return what is at risk in the running canary."""
    if known is None or known.running is None or known.plan is None:
        return AtRisk(None)
    stage = known.plan.stages[known.running.stage - 1]
    anew = cycle.touched
    rows = {row.order_id: row for row in cycle.rows if (row.profile_id, row.trade_id or "") not in anew}
    rows |= {row.order_id: row for row in cycle.gathered.rows if (row.profile_id, row.trade_id or "") in anew}
    return at_risk(stage, cycle.gathered.facts.slices, rows.values(), cycle.snapshot.symbols, cycle.snapshot)


def _blocked(cycle: Cycle, known: Incident | None) -> str:
    """Say what keeps the running canary from trading; blank where nothing does."""
    if known is None or known.running is None or known.plan is None:
        return ""
    return blocks_running(cycle.app, known.plan.stages[known.running.stage - 1], known.running.canary_id)


def _covered_ms(cycle: Cycle) -> int:
    """Return up to when the orders that the gate granted are in what this cycle read; 0 where none is known to be."""
    if not shows_orders(cycle.snapshot):
        return 0
    return covered_by(cycle.app, cycle.snapshot.as_of_ms, cycle.gathered.began_ms)


def covered_by(app: App, as_of_ms: int, began_ms: int) -> int:
    """Return up to when granted orders are in a reading: of the venue's time, begun at ours (epoch ms)."""
    rules = app.safety.deadman
    return covered_until(as_of_ms, began_ms, rules.lease_ms, app.reconcile.policy.settle_ms, rules.timeout_ms)


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


def _is_alive(cycle: Cycle) -> bool:
    """Say whether the loop looked at the account without a silence, as the dead-man sees it."""
    beats = cycle.app.heartbeats.beats([f"account:{cycle.account}"]).values()
    return silence(beats, cycle.now_ms, cycle.app.safety.deadman) is None


def _audit(cycle: Cycle) -> str:
    """Return what is wrong with the audit's rows since the head that the run before recorded; they are told at once."""
    head = cycle.app.runs.last_head(min(cycle.runs)) if cycle.runs else None
    if head is None:
        return ""
    found = cycle.app.journal.audit_after(head)
    if found is None:
        why = f"its row with the hash {head}, which the run before recorded, is gone"
    else:
        after, rows = found
        checked = verify(rows, after=(after, head))
        if checked.ok:
            return ""
        why = f"seq {checked.broken_seq}: {checked.reason}"
    told = f"The audit is broken: {why}. See `trueup audit verify`."
    raise_alert(cycle.app, "audit_broken", "audit_broken", f"account:{cycle.account}", "critical", told)
    return why


def _may_flatten(cycle: Cycle) -> bool:
    return cycle.gathered.account.venue().actions is not None


def _number(text: str | None) -> Decimal | None:
    return read_decimal(text) if text is not None else None
