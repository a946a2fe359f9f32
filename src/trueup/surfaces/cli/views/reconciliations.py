"""What a reconciliation found and did, for people: run by run, then one line a break and one a heal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trueup.core.decimals import plain
from trueup.core.reconcile.records import BreakState
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import as_of, command, count, counts, coverage_line, moment, price_of, short_time

if TYPE_CHECKING:
    from trueup.core.reconcile.changes import Effect
    from trueup.core.reconcile.records import BreakRecord
    from trueup.core.repair.rows import ExitRow
    from trueup.service.reconcile_report import ReconcileReport, RunReport

_STYLES = {
    BreakState.HEALED: GOOD, BreakState.WOULD_HEAL: GOOD, BreakState.RESOLVED: GOOD,
    BreakState.QUARANTINED: BAD, BreakState.ACKNOWLEDGED: FAINT,
}  # fmt: skip
_LISTED = 20
_OUTCOMES = ("healed", "would_heal", "acknowledged", "waiting", "quarantined", "unresolved")


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
    document = record.as_json(now_ms)
    ages = {"first_seen": record.first_seen_ms, "last_seen": record.last_seen_ms, "resolved_at": record.resolved_ms}
    for name, at_ms in ages.items():
        document[name] = f"{moment(at_ms)}, {_age(now_ms - at_ms)} ago" if at_ms is not None else None
    if record.history:
        document.pop("resolution")
    for name, value in document.items():
        if name == "age_ms":
            continue
        if isinstance(value, list):
            for one in value:
                say(("taken over: ", STRONG), f"{short_time(one['at'])} by {one['owner']}: {one['reason']}")
        elif isinstance(value, Mapping):
            for key, text in value.items():
                say(f"{key}: {text}", indent=2)
        elif value is not None and value != "":
            say((f"{name}: ", STRONG), str(value))


def _record(record: "BreakRecord", now_ms: int) -> list[Piece]:
    style = _STYLES.get(record.state, WARN)
    return [
        (record.kind, BAD), (_words(record.state.value), style), record.symbol or "-", record.ledger_qty or "-",
        record.venue_qty or "-", record.profile_id or "-", record.trade_id or "-",
        _age((record.resolved_ms or now_ms) - record.first_seen_ms), record.break_id, record.reason,
    ]  # fmt: skip


def _words(state: str) -> str:
    return state.replace("_", " ")


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
        [(effect.order_id, GOOD), effect.trade_id or "-", effect.rule, _told_of(effect)] for effect in run.heals
    ]
    rows += [[(row.order_id, GOOD), row.trade_id, row.matched_by, _closing(row)] for row in run.closes]
    table(columns, rows)
    if run.parity.closed:
        say(("closed ", GOOD), f"{count(run.parity.closed, 'ghost')} by a synthetic exit", indent=2)
    entry = run.backfill
    if entry is not None and (entry.inserted or (entry.plan is not None and entry.plan.rows)):
        done = f"booked {count(len(entry.inserted), 'exit')}" if entry.inserted else "would book exits (dry run)"
        say("backfill ", (entry.batch_id or "", STRONG), f": {done}", indent=2)


def _told_of(effect: "Effect") -> str:
    """Say what a heal did to its row."""
    return _changes(effect.before, effect.after) if effect.before else _new_row(effect.after)


def _new_row(after: Mapping[str, object]) -> str:
    """Say in one line what a row that was added books, or what is ordered by it."""
    from trueup.core.times import read_time
    from trueup.service.reconcile_report import shown

    said = shown(after)
    qty = next((said[name] for name in ("qty", "quantity", "order_qty") if said.get(name) is not None), "?")
    price = f" at {said['price']}" if said.get("price") not in (None, "0") else ""
    times = [after[name] for name in ("filled_at", "timestamp") if after.get(name) is not None]
    try:
        when = f", {moment(read_time(times[0]))}" if times else ""
    except ValueError:
        when = f", {times[0]}"
    status = "" if str(said.get("status")).lower() == "filled" else f" ({said.get('status')})"
    return f"new row: {str(said.get('side')).lower()} {qty} {said.get('symbol')}{price}{when}{status}"


def _closing(row: "ExitRow") -> str:
    price = f"at {price_of(row)}" if row.price_source != "none" else "at no known price"
    return f"new row: {row.side.value} {plain(row.qty)} {row.symbol} {price}, {moment(row.filled_ms)}"


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
    parts = {_words(name): document.get(name, 0) for name in _OUTCOMES}
    shown = counts({name: number for name, number in parts.items() if number})
    say((report.status, style), f": {count(document.get('found', 0), 'break')}" + (f" ({shown})" if shown else ""))
    healed = [run.run_id for run in report.runs if run.heals or run.closes]
    if report.dry_run and healed:
        say("Heal them: ", (command(program, "reconcile"), STRONG))
    for run_id in healed if not report.dry_run else ():
        say("Take a run's heals back: ", (command(program, "backfill", "revert", run_id, "--reason", "TEXT"), STRONG))
