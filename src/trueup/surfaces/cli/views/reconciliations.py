"""What a reconciliation found and did, for people: run by run, then one line a break and one a heal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trueup.core.decimals import plain
from trueup.core.reconcile.records import BreakState
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import as_of, command, count, counts, coverage_line

if TYPE_CHECKING:
    from trueup.core.reconcile.records import BreakRecord
    from trueup.service.reconcile_report import ReconcileReport, RunReport

_STYLES = {
    BreakState.HEALED: GOOD, BreakState.RESOLVED: GOOD, BreakState.QUARANTINED: BAD, BreakState.ACKNOWLEDGED: FAINT,
}  # fmt: skip
_LISTED = 20


def show(report: "ReconcileReport", program: Sequence[str]) -> None:
    """Print the report."""
    for run in report.runs:
        _run(run)
        say()
    for name, error in sorted(report.homeless.items()):
        say(("UNKNOWN ", WARN), (f"profile {name}", STRONG), f": {error.what}")
        say(error.do, indent=2)
        say()
    _ending(report, program)


def _run(run: "RunReport") -> None:
    style = {"OK": GOOD, "MISMATCH": BAD}.get(run.status, WARN)
    looked = as_of(run.snapshot) if run.snapshot is not None else "the venue was not read"
    say("profile ", (run.profile_id, STRONG), f"  account {run.account}; {looked}; {run.run_id}  ", (run.status, style))
    if run.skipped_reason is not None:
        say(("SKIPPED ", WARN), f"{run.skipped_reason}: another run holds the account", indent=2)
    if run.error is not None:
        say(("ERROR ", BAD), run.error.what, indent=2)
        say(run.error.do, indent=2)
    for why, names in _by_reason(run.unclear).items():
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        say(("UNKNOWN ", WARN), (", ".join(names[:_LISTED]) + more, STRONG), f": {why}", indent=2)
    if run.snapshot is not None and run.skipped_reason is None:
        say("coverage: ", *coverage_line(run.snapshot), indent=2)
    for text in run.notes:
        say(f"note: {text}", indent=2)
    records(run.breaks, run.ended_ms or run.started_ms)
    _heals(run)
    _equity(run)
    if run.watchdog:
        say(("PAUSED ", BAD), "the mismatch is too large a share of the capital (parity_watchdog)", indent=2)
    if run.resumed:
        say(("RESUMED ", GOOD), "the watchdog's own pause is over", indent=2)


def records(found: "Sequence[BreakRecord]", now_ms: int) -> None:
    """Print breaks, one a line."""
    columns = (
        Column("break"), Column("state"), Column("symbol"), Column("ledger", number=True), Column("venue", number=True),
        Column("profile"), Column("trade"), Column("age", number=True), Column("id", below=True),
        Column("why", below=True),
    )  # fmt: skip
    table(columns, [_record(record, now_ms) for record in found])


def one(record: "BreakRecord", now_ms: int) -> None:
    """Print one break with everything that is known of it."""
    for name, value in record.as_json(now_ms).items():
        if isinstance(value, Mapping):
            for key, text in value.items():
                say(f"{key}: {text}", indent=2)
        elif value is not None and value != "":
            say((f"{name}: ", STRONG), str(value))


def _record(record: "BreakRecord", now_ms: int) -> list[Piece]:
    style = _STYLES.get(record.state, WARN)
    return [
        (record.kind, BAD), (record.state.value, style), record.symbol or "-", record.ledger_qty or "-",
        record.venue_qty or "-", record.profile_id or "-", record.trade_id or "-",
        _age((record.resolved_ms or now_ms) - record.first_seen_ms), record.break_id, record.reason,
    ]  # fmt: skip


def _age(ms: int) -> str:
    seconds = max(ms, 0) // 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _heals(run: "RunReport") -> None:
    columns = (Column("healed" if not run.dry_run else "would heal"), Column("trade"), Column("rule"),
               Column("change", below=True))  # fmt: skip
    rows: list[list[Piece]] = [
        [(effect.order_id, GOOD), effect.trade_id or "-", effect.rule, _changes(effect.before, effect.after)]
        for effect in run.heals
    ]
    table(columns, rows)
    if run.parity.closed:
        say(("closed ", GOOD), f"{count(run.parity.closed, 'ghost')} by a synthetic exit", indent=2)
    entry = run.backfill
    if entry is not None and (entry.inserted or (entry.plan is not None and entry.plan.rows)):
        done = f"booked {count(len(entry.inserted), 'exit')}" if entry.inserted else "would book exits (dry run)"
        say("backfill ", (entry.batch_id or "", STRONG), f": {done}", indent=2)


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    from trueup.service.reconcile_report import shown

    old, new = shown(before), shown(after)
    changed = [(name, old.get(name), value) for name, value in new.items() if old.get(name) != value]
    return ", ".join(f"{name}: {_told(was)} → {_told(value)}" for name, was, value in changed)


def _told(value: object) -> str:
    return "-" if value is None else str(value)


def _equity(run: "RunReport") -> None:
    tie = run.equity
    if tie is None or tie.exchange is None or tie.internal is None:
        return
    difference, unexplained = tie.difference, tie.unexplained
    assert difference is not None
    assert unexplained is not None
    say(
        f"equity in {tie.currency}: exchange {plain(tie.exchange)}, books {plain(tie.internal)}, difference"
        f" {plain(difference)}, unexplained {plain(unexplained)}",
        indent=2,
    )


def _by_reason(unclear: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for what, why in unclear:
        reasons.setdefault(why, []).append(what)
    return reasons


def _ending(report: "ReconcileReport", program: Sequence[str]) -> None:
    document = report.as_json()["summary"]
    assert isinstance(document, dict)
    style = {"OK": GOOD, "MISMATCH": BAD}.get(report.status, WARN)
    parts = {name: document.get(name, 0) for name in ("healed", "waiting", "quarantined", "unresolved")}
    shown = counts({name: number for name, number in parts.items() if number})
    say((report.status, style), f": {count(document.get('found', 0), 'break')}" + (f" ({shown})" if shown else ""))
    if report.dry_run and any(run.heals for run in report.runs):
        say("Heal them: ", (command(program, "reconcile"), STRONG))
    healed = next((run.run_id for run in report.runs if run.heals and not run.dry_run), None)
    if healed is not None:
        say("Take a run's heals back: ", (command(program, "backfill", "revert", healed, "--reason", "TEXT"), STRONG))
