"""What `backfill run` did, for people: gates, coverage, rows, refusals, validation, and the command to type next."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trueup.core.audit import AuditRow
from trueup.core.decimals import plain
from trueup.core.errors import TrueupError
from trueup.core.repair.decisions import Decision, Outcome
from trueup.core.repair.rows import ExitRow
from trueup.service.backfill_report import BackfillReport, ProfileReport
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.views import gates
from trueup.surfaces.cli.views.checks import oddities
from trueup.surfaces.cli.words import as_of, command, count, counts, coverage_line, moment, nobodys, price_of

_ENDINGS: Mapping[str, Piece] = {
    "DRY_RUN": ("proposed", GOOD),
    "PENDING_APPLY": ("pending", WARN),
    "APPLIED": ("booked", GOOD),
    "SKIP_EXISTING": ("there already", FAINT),
}


def show(report: BackfillReport, program: Sequence[str], scope: Sequence[str]) -> None:
    """Print the report; `program` and `scope` are the words of the command that made it, for the next one."""
    if report.plan_expected is not None:
        say(("REFUSED", BAD), f": {report.plan_refused}. Nothing was booked; what follows is the plan as it is now.")
        say()
    attempted = [entry for entry in report.profiles.values() if entry.skipped_reason is None]
    for entries in _by_account(attempted):
        _account(entries)
        for entry in entries:
            _profile(entry, refused=report.plan_expected is not None)
            say()
    skipped = [entry for entry in report.profiles.values() if entry.skipped_reason is not None]
    if skipped:
        gates.show(skipped, program)
        say()
    _unended(report)
    _ending(report)
    _next(report, program, scope)


def _by_account(entries: Iterable[ProfileReport]) -> list[list[ProfileReport]]:
    groups: dict[str, list[ProfileReport]] = {}
    for entry in entries:
        groups.setdefault(entry.snapshot.account if entry.snapshot else "", []).append(entry)
    return [groups[name] for name in sorted(groups)]


def _account(entries: Sequence[ProfileReport]) -> None:
    """Print what the profiles of an account share: its snapshot and the rows that could not be used."""
    first = entries[0]
    if first.snapshot is None:
        return
    say("account ", (first.snapshot.account, STRONG), f"  {as_of(first.snapshot)}")
    if first.venue_error is not None:
        say(("UNREADABLE ", BAD), first.venue_error, indent=2)
    else:
        say("coverage: ", *coverage_line(first.snapshot), indent=2)
    if first.evidence is not None:
        oddities(first.snapshot, first.evidence)
        told = {"booked before": first.evidence.booked, "outside the look-back": first.evidence.outside_lookback}
        if any(told.values()):
            say(f"executions left out: {counts({name: n for name, n in told.items() if n})}", indent=2)


def _profile(entry: ProfileReport, *, refused: bool) -> None:
    kind = "dry run" if entry.dry_run else "apply"
    batch = entry.batch_id if entry.audit else None
    say("profile ", (entry.profile.profile_id, STRONG), f"  {kind}  {batch or 'nothing recorded'}")
    for batch, rows in sorted(entry.interrupted.items()):
        say(
            ("INTERRUPTED ", WARN),
            f"{batch} ended before it booked its {count(rows, 'row')}: nothing of it is there, it is decided anew",
            indent=2,
        )
    if entry.error is not None:
        _error(entry.error)
    if entry.plan is None:
        return
    plan = entry.plan
    unmanaged = f", and {plan.unmanaged} of symbols that it does not manage" if plan.unmanaged else ""
    say(f"{count(plan.candidates, 'open trade')}{unmanaged}", indent=2)
    told = {"unmatched": plan.unmatched, **{f"out of scope ({why})": number for why, number in plan.dropped.items()}}
    if any(told.values()):
        say(f"executions that prove nothing here: {counts({name: n for name, n in told.items() if n})}", indent=2)
    _rows(plan.rows, _ended(entry), refused=refused)
    _refusals([decision for decision in plan.decisions if decision.outcome is not Outcome.BOOK])
    _validation(entry)


def _error(error: TrueupError) -> None:
    say(("error: ", BAD), error.what, indent=2)
    for line in (*error.do.splitlines(), *getattr(error, "__notes__", ())):
        say(line, indent=2)


def _ended(entry: ProfileReport) -> dict[str, AuditRow]:
    """Return how each row ended, by its order id."""
    return {str(row["backfill_order_id"]): row for row in entry.final_rows if row["backfill_order_id"]}


def _rows(rows: Sequence[ExitRow], ended: Mapping[str, AuditRow], *, refused: bool) -> None:
    if not rows:
        return
    say()
    say((f"{count(len(rows), 'row')} proposed", STRONG), indent=2)
    names = (Column("trade"), Column("symbol"), Column("side"), Column("qty", number=True))
    more = (Column("price", number=True), Column("time"), Column("state"))
    proof = (Column("proof", below=True), Column("by", below=True))
    lines: list[list[Piece]] = [
        [
            row.trade_id, row.symbol, row.side.value, plain(row.qty), price_of(row), moment(row.filled_ms),
            _state(ended.get(row.order_id), refused=refused), row.exchange_order_id, row.matched_by,
        ]
        for row in rows
    ]  # fmt: skip
    table((*names, *more, *proof), lines)


def _state(row: AuditRow | None, *, refused: bool) -> Piece:
    if row is None:
        return ("not applied", WARN) if refused else ("not recorded", BAD)
    if row["reason"] == "already_exists":
        return _ENDINGS["SKIP_EXISTING"]
    return _ENDINGS.get(str(row["decision"]), (f"{row['decision']} {row['reason']}", BAD))


def _refusals(decisions: Sequence[Decision]) -> None:
    if not decisions:
        return
    say()
    say((f"{len(decisions)} not booked", STRONG), indent=2)
    columns = (
        Column("trade"), Column("symbol"), Column("open", number=True), Column("decision"),
        Column("reason", below=True), Column("why", below=True),
    )  # fmt: skip
    shared = {why: number for why, number in Counter(map(_why, decisions)).items() if number > 1}
    rows = [_refusal(decision, shared) for decision in decisions]
    wide = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    table(columns[:wide], [row[:wide] for row in rows])
    for why, number in shared.items():
        say((f"×{number} ", WARN), why, indent=2)


def _why(decision: Decision) -> str:
    detail = decision.metadata.get("detail")
    return f"{decision.reason}: {decision.why} ({detail})" if detail else f"{decision.reason}: {decision.why}"


def _refusal(decision: Decision, shared: Mapping[str, int]) -> list[Piece]:
    """Return the row of a refusal; what is the same for several trades is told once, below the table."""
    facts = decision.metadata
    left = plain(decision.exit.qty) if decision.exit is not None else str(facts.get("remaining", ""))
    if decision.trade.defect is not None:
        left = "unknown"
    why = "" if _why(decision) in shared else _why(decision).removeprefix(f"{decision.reason}: ")
    trade = decision.trade
    return [trade.trade_id, trade.symbol, left, (decision.outcome.value, WARN), decision.reason, why]


def _validation(entry: ProfileReport) -> None:
    found = entry.validation
    if found is None:
        return
    say()
    if found.unexpected:
        say(("post-fix validation FAILED", BAD), f": not as planned are {', '.join(found.unexpected)}", indent=2)
    else:
        say(("post-fix validation passed", GOOD), ": the repaired trades are as planned", indent=2)
    if found.still_open:
        listed = ", ".join(f"{trade} {qty}" for trade, qty in found.still_open)
        say(f"still open: {listed}", indent=2)


def _unended(report: BackfillReport) -> None:
    """Print what is wrong with the record of the runs: earlier ones that were killed, and this one."""
    for run_id in report.left_unended:
        say(("KILLED ", WARN), f"{run_id} never said how it ended; it is on record as INCONCLUSIVE now")
    if report.unrecorded is not None:
        say(("NOT RECORDED ", BAD), f"how this run ended could not be written: {report.unrecorded.what}")


def _ending(report: BackfillReport) -> None:
    entries = [entry for entry in report.profiles.values() if entry.skipped_reason is None]
    if not entries and not report.exit_code:
        flags = sorted({gates.FLAGS[entry.skipped_reason or ""] for entry in report.profiles.values()})
        say(("NOTHING LOOKED AT", WARN), f": {' and '.join(flags)} left out every profile. This is no clean answer.")
        return
    rows = sum(len(entry.plan.rows) for entry in entries if entry.plan)
    inserted = sum(len(entry.inserted) for entry in entries)
    skipped = len(report.profiles) - len(entries)
    failed = sum(entry.error is not None for entry in entries)
    reasons = [reason for entry in entries for reason in entry.unresolved_reasons]
    style = {"OK": GOOD, "MISMATCH": BAD}.get(report.status, WARN)
    done = f"{rows} proposed" if report.dry_run else f"{inserted} of {count(rows, 'row')} booked"
    if report.plan_expected is not None:
        done = f"plan REFUSED: nothing booked, nothing recorded; {count(rows, 'row')} would be proposed now"
    say(
        (report.status, style),
        f" ({'dry run' if report.dry_run else 'apply'}): {count(len(entries), 'profile')}, {done}, "
        f"{len(reasons)} unresolved{_by_reason(reasons)}{f', {failed} FAILED' if failed else ''}"
        f"{f', {skipped} not looked at' if skipped else ''}",
        (nobodys(report.unknown_symbols), WARN),
    )
    if entries:
        say("plan hash ", (report.plan_hash, STRONG))


def _by_reason(reasons: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for reason in reasons:
        name = reason.partition(":")[0]
        counted[name] = counted.get(name, 0) + 1
    return f" ({counts(dict(sorted(counted.items())))})" if counted else ""


def _next(report: BackfillReport, program: Sequence[str], scope: Sequence[str]) -> None:
    """Say the command that comes next: review again, apply this plan, or how to take back what was booked."""
    entries = report.profiles.values()
    if report.plan_expected is not None:
        say(("REFUSED", BAD), f": {report.plan_refused}. Nothing was booked.")
        say("Review it again: ", (command(program, "backfill", "run", *scope, "--dry-run"), STRONG))
    elif any(entry.error is not None and entry.plan is not None for entry in entries):
        say(("FAILED", BAD), ": see the error above; mend it, then run the dry run again.")
    elif report.dry_run and any(entry.plan and entry.plan.rows for entry in entries):
        words = ("backfill", "run", *scope, "--apply", "--plan", report.plan_hash)
        say("Apply exactly this: ", (command(program, *words), STRONG))
    for entry in entries:
        if entry.inserted and entry.batch_id is not None:
            say("Take it back: ", (command(program, "backfill", "revert", entry.batch_id, "--reason", "..."), STRONG))
