"""What a cycle tells the log: how it began and ended, what it found, healed, and left to a person."""

from trueup.core.decimals import plain
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.core.snapshot import FeedState
from trueup.service.cycle import Cycle
from trueup.service.events import log, within
from trueup.service.reconcile_report import RunReport

_WORST = ("OK", "MISMATCH", "INCONCLUSIVE")


def tell_cycle(cycle: Cycle, venue_calls: int) -> None:
    """Tell what a cycle found: feeds that were not read in full, each run, each break that is new or over."""
    snapshot = cycle.snapshot
    for feed, cover in snapshot.all_feeds().items():
        if cover.given and cover.state is not FeedState.COMPLETE:
            log(
                "feed_incomplete", account=cycle.account, feed=feed.value, state=cover.state.value, reason=cover.reason,
            )  # fmt: skip
    for run in cycle.runs.values():
        with within(run_id=run.run_id):
            _tell_run(cycle, run)
    runs = list(cycle.runs.values())
    status = max((run.status for run in runs), key=_WORST.index)
    duration = max((run.ended_ms or run.started_ms) - run.started_ms for run in runs)
    log("cycle_ended", account=cycle.account, status=status, duration_ms=duration, venue_calls=venue_calls)


def _tell_run(cycle: Cycle, run: RunReport) -> None:
    for record in run.breaks:
        _tell_break(cycle, record)
    for effect in run.heals:
        if not run.dry_run:
            found = cycle.healing.get(effect.order_id)
            log(
                "break_healed", break_id=found.break_id if found is not None else "",
                kind=found.kind.value if found is not None else "", rule=effect.rule, order_id=effect.order_id,
            )  # fmt: skip
    if run.watchdog:
        total = run.parity.total
        profile = next(p for p in cycle.members if p.profile_id == run.profile_id)
        capital = profile.allocated_capital
        log(
            "watchdog_paused", profile_id=run.profile_id, notional=plain(total) if total is not None else None,
            capital=plain(capital) if capital is not None else None,
        )  # fmt: skip
    if run.resumed:
        log("watchdog_resumed", profile_id=run.profile_id, clean_cycles=cycle.app.reconcile.policy.clean_cycles)
    counts = run.counts()
    log(
        "run_ended", kind="reconcile", scope=f"profile:{run.profile_id}", status=run.status, found=counts["found"],
        healed=counts["healed"], unresolved=counts["unresolved"] + counts["quarantined"],
    )  # fmt: skip


def _tell_break(cycle: Cycle, record: BreakRecord) -> None:
    before = cycle.records.get(record.break_id)
    if record.state is BreakState.RESOLVED:
        log("break_resolved", break_id=record.break_id, kind=record.kind, resolution=record.resolution)
    elif before is None or before.state.over:
        log(
            "break_found", break_id=record.break_id, kind=record.kind, symbol=record.symbol, trade_id=record.trade_id,
            state=record.state.value, reason=record.reason,
        )  # fmt: skip
    if record.state is BreakState.QUARANTINED and (before is None or before.state is not BreakState.QUARANTINED):
        log("break_quarantined", break_id=record.break_id, kind=record.kind, reason=record.reason)
