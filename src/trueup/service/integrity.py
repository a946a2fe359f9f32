"""The phases of lifecycle integrity as a person runs them: snapshot, apply, validate, rollback, status.

One of them runs at a time, under the lease `integrity`. What a phase does is put on record object by object, each in
the transaction that does it, so that a phase that was cut short is completed by running it again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial

from trueup.core.errors import CannotKnow, Refused, TrueupError
from trueup.core.integrity.phases import (
    BEGUN,
    ENDED,
    SCOPE,
    STOPPED,
    Kind,
    Phase,
    Standing,
    State,
    may,
    next_step,
)
from trueup.core.integrity.rules import RULES
from trueup.ports import Baseline, Breaking, Doing, Done, Lease, Step
from trueup.service.app import App
from trueup.service.integrity_report import IntegrityReport, report
from trueup.service.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a phase did, object by object, and where the ledger stands after it."""

    phase: Phase
    dry_run: bool
    batch_id: str
    done: tuple[Done, ...]
    warnings: tuple[str, ...]
    standing: Standing

    @property
    def next_step(self) -> tuple[str | None, str]:
        """Return the command to run next, None where nothing is left to do, and why."""
        if self.dry_run and any(done.state.startswith("would_") for done in self.done):
            return f"trueup integrity {self.phase}", "This was a dry run; without --dry-run it is done."
        return next_step(self.standing)

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {
            "phase": self.phase.value, "dry_run": self.dry_run, "batch_id": self.batch_id,
            "done": [asdict(done) for done in self.done], "warnings": list(self.warnings),
            **standing_json(self.standing), "next": next_json(self.next_step),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot, what it warns of, and where the ledger stands after it; `kept` is False for a dry run."""

    baseline: Baseline
    kept: bool
    warnings: tuple[str, ...]
    standing: Standing

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        found = self.baseline
        return {
            "phase": Phase.SNAPSHOT.value, "dry_run": not self.kept, "number": found.number, "at": found.at,
            "audit_head": found.audit_head, "tables": found.tables, "without_trade_id": found.without_trade_id,
            "breaking": [breaking_json(item) for item in found.breaking], "warnings": list(self.warnings),
            **standing_json(self.standing),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """Where the ledger stands, and the newest entries of the record."""

    standing: Standing
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, object]:
        """Return it as `--format json` prints it."""
        return {**standing_json(self.standing), "record": [asdict(step) for step in self.steps]}


def breaking_json(item: Breaking) -> dict[str, object]:
    """Return the rows that break a rule as JSON has them."""
    return {
        "rule": item.rule, "table": item.table, "total": item.total, "rows": dict(item.rows),
        "working": item.working, "samples": list(item.samples), "working_samples": list(item.working_samples),
    }  # fmt: skip


def standing_json(standing: Standing) -> dict[str, object]:
    """Return where a ledger stands as every answer has it."""
    return {
        "stage": standing.stage.value,
        "snapshot": {"number": standing.snapshot, "at": standing.snapshot_at} if standing.snapshot else None,
        "writable": standing.writable,
        "running": standing.last if standing.running else None,
        "cut_short": standing.cut_short,
        "objects": [
            {**asdict(thing), "kind": thing.kind.value, "state": thing.state.value} for thing in standing.things
        ],
        "left_out": list(standing.left_out),
        "next": next_json(next_step(standing)),
    }


def next_json(step: tuple[str | None, str]) -> dict[str, object]:
    """Return what to run next as every answer has it."""
    return {"command": step[0], "why": step[1]}


def require_leave(phase: Phase, standing: Standing, *, clean: bool | None = None) -> None:
    """Refuse a phase that is not allowed now, and say why."""
    leave = may(phase, standing, clean=clean)
    if not leave.allowed:
        raise Refused(leave.why, leave.do)


def status(app: App) -> Status:
    """Return where the ledger stands, by what the database has now."""
    return Status(app.integrity.standing(), tuple(app.integrity.steps(limit=20)))


def take_snapshot(app: App, *, keep: bool) -> Taken:
    """Count what there is, and keep it as the baseline under the next number."""
    batch_id = app.clock.new_id("INTG")
    if not keep:
        baseline = app.integrity.snapshot(app.actor, batch_id, keep=False)
    else:
        with _alone(app, 0.0):
            baseline = app.integrity.snapshot(app.actor, batch_id, keep=True)
    said = tuple(warnings_of(baseline.breaking, baseline.standing))
    return Taken(baseline, keep, said, app.integrity.standing())


def apply(app: App, *, wait_s: float, dry_run: bool, progress: Progress = silent) -> Answer:
    """Add the rules and indexes that are missing; Refused without a snapshot."""
    before = app.integrity.standing()
    require_leave(Phase.APPLY, before)
    progress("counting the rows that break the rules")
    breaking = app.integrity.breaking()
    with _running(app, Phase.APPLY, wait_s, dry_run=dry_run) as doing:
        names = [thing.name for thing in before.things]
        done = _each(app.integrity.add, names, doing, progress)
    after = app.integrity.standing()
    said = (*warnings_of(breaking, after), *_kept_rules(after))
    return Answer(Phase.APPLY, dry_run, doing.batch_id, done, said, after)


def validate(app: App, *, wait_s: float, dry_run: bool, progress: Progress = silent) -> Answer:
    """Make the rules hold for every row; Refused while the report is not clean, or apply is not complete."""
    before = app.integrity.standing()
    require_leave(Phase.VALIDATE, before)
    progress("looking for rows that break the rules")
    _require_kept(app.integrity.breaking())
    _require_clean(report(app, None, progress), before)
    with _running(app, Phase.VALIDATE, wait_s, dry_run=dry_run) as doing:
        done = _each(app.integrity.validate, [thing.name for thing in before.rules], doing, progress)
    return Answer(Phase.VALIDATE, dry_run, doing.batch_id, done, (), app.integrity.standing())


def _require_clean(found: IntegrityReport, standing: Standing) -> None:
    """Refuse a report that is not clean, and say what it counts; CannotKnow where rows cannot be read."""
    clean = found.clean
    if found.unknown_count:
        raise CannotKnow(
            f"The report is inconclusive: {found.unknown_count} rows or trades cannot be read, or told whose.",
            "See `trueup integrity report`, which names them.",
        )
    leave = may(Phase.VALIDATE, standing, clean=clean)
    if not leave.allowed:
        counts = ", ".join(f"{number} {kind}" for kind, number in found.counts.items())
        raise Refused(f"{leave.why} It counts {counts}.", leave.do)


def rollback(app: App, *, wait_s: float, dry_run: bool, progress: Progress = silent) -> Answer:
    """Drop the rules that apply added; the indexes stay."""
    before = app.integrity.standing()
    require_leave(Phase.ROLLBACK, before)
    with _running(app, Phase.ROLLBACK, wait_s, dry_run=dry_run) as doing:
        done = _each(app.integrity.drop, [thing.name for thing in before.things], doing, progress)
    after = app.integrity.standing()
    return Answer(Phase.ROLLBACK, dry_run, doing.batch_id, done, tuple(_kept_rules(after)), after)


def warnings_of(breaking: Sequence[Breaking], standing: Standing) -> Iterator[str]:
    """Yield what a bot may run into: orders that still work and break a rule."""
    by_constraint = any(thing.kind is Kind.CONSTRAINT for thing in standing.things)
    for item in breaking:
        if not item.working or not by_constraint:
            continue
        bound = any(thing.name == item.rule and thing.stands for thing in standing.things)
        advice = "Correct them now, or roll back" if bound else "Correct them before apply, or let them end first"
        named = ", ".join(item.working_samples)
        more = " and more" if item.working > len(item.working_samples) else ""
        yield (
            f"{item.rule}: {item.working} of {item.table}'s rows that break it still work ({named}{more}). On Postgres"
            f" the rule refuses every update of such a row, also of its other columns. {advice}."
        )


def _kept_rules(standing: Standing) -> Iterator[str]:
    for thing in standing.rules:
        if thing.state is not State.MISSING and thing.changed:
            yield f"{thing.name} on {thing.table} was changed since trueup added it, and stays; drop it by hand."


def _require_kept(breaking: Sequence[Breaking]) -> None:
    """Refuse where rows break a rule: of profiles that the report does not look at, too."""
    broken = [item for item in breaking if item.total]
    if broken:
        words = {rule.name: rule.words for rule in RULES}
        said = "; ".join(
            f"{item.rule} ({words[item.rule]}) is broken by {item.total} of {item.table}'s rows, among them"
            f" {', '.join(item.samples)}"
            for item in broken
        )
        raise Refused(
            f"Old rows break the rules: {said}.",
            "Blank ids are cleared by `trueup integrity backfill`; correct the others in the ledger.",
        )


@contextmanager
def _alone(app: App, wait_s: float) -> Iterator[Lease]:
    with app.leases.hold(SCOPE, wait_s) as lease:
        if lease is None:
            raise Refused(
                "Another phase of `trueup integrity` is running.", "Let it end; `trueup integrity status` looks on."
            )
        yield lease


@contextmanager
def _running(app: App, phase: Phase, wait_s: float, *, dry_run: bool) -> Iterator[Doing]:
    """Run a phase: that it began and ended is on record, but for a dry run."""
    with _alone(app, 0.0) as lease:
        doing = Doing(phase, app.actor, app.clock.new_id("INTG"), lease, wait_s, dry_run)
        if dry_run:
            yield doing
            return
        record = partial(app.integrity.record, phase, "phase", phase, actor=app.actor, batch_id=doing.batch_id)
        record(state=BEGUN)
        try:
            yield doing
        except TrueupError as error:
            with suppress(TrueupError):
                record(state=STOPPED, detail={"why": error.what})
            raise
        record(state=ENDED)


def _each(
    act: Callable[[str, Doing], Done], names: Sequence[str], doing: Doing, progress: Progress
) -> tuple[Done, ...]:
    done: list[Done] = []
    for place, name in enumerate(names):
        progress(name, place, len(names))
        done.append(act(name, doing))
    return tuple(done)
