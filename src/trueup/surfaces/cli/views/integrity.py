"""The phases of lifecycle integrity for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.core.integrity.phases import Phase, Standing, State, next_step
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, remark, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import short_time

if TYPE_CHECKING:
    from trueup.service.integrity import Answer, Status, Taken

_STATES = {State.MISSING: BAD, State.UNFINISHED: BAD, State.NOT_VALID: WARN, State.VALID: GOOD}
_DONE = {"kept": FAINT, "absent": FAINT, "would_build": WARN}
_PHASES = {Phase.APPLY: "Apply", Phase.VALIDATE: "Validate", Phase.ROLLBACK: "Rollback"}


def show_snapshot(taken: "Taken", program: Sequence[str]) -> None:
    """Print a snapshot."""
    found = taken.baseline
    kept = "" if taken.kept else " (dry run: not kept)"
    say((f"Snapshot {found.number}", STRONG), f"{kept}  {short_time(found.at)}")
    rows: list[list[Piece]] = [
        [name, profile, str(number), str(found.without_trade_id.get(name, {}).get(profile, 0))]
        for name, profiles in found.tables.items()
        for profile, number in profiles.items()
    ]
    numbers = (Column("rows", number=True), Column("without trade id", number=True))
    table((Column("table"), Column("profile"), *numbers), rows, indent=0)
    say()
    broken: list[list[Piece]] = [
        [item.rule, (str(item.total), WARN if item.total else GOOD), str(item.working), ", ".join(item.samples)]
        for item in found.breaking
    ]
    counted = (Column("rows that break it", number=True), Column("working", number=True))
    table((Column("rule"), *counted, Column("among them", below=True)), broken, indent=0)
    _end(taken.standing, taken.warnings, next_step(taken.standing), program)


def show_answer(answer: "Answer", program: Sequence[str]) -> None:
    """Print what a phase did."""
    dry = " (dry run: taken back)" if answer.dry_run else ""
    say((f"{_PHASES[answer.phase]}{dry}", STRONG), f"  {answer.batch_id}")
    rows: list[list[Piece]] = [
        [done.name, done.table, done.kind, (done.state, _DONE.get(done.state, GOOD)), f"{done.took_ms} ms",
         str(done.detail.get("note", ""))]
        for done in answer.done
    ]  # fmt: skip
    names = ("object", "table", "kind", "became")
    table((*map(Column, names), Column("took", number=True), Column("note", below=True)), rows, indent=0)
    _end(answer.standing, answer.warnings, answer.next_step, program)


def show_status(found: "Status", program: Sequence[str]) -> None:
    """Print where the ledger stands."""
    standing = found.standing
    say("Stage: ", (standing.stage.value, STRONG))
    if standing.running:
        say((f"A phase runs right now: {standing.last}.", WARN))
    if standing.cut_short is not None:
        say((f"The last {standing.cut_short} was cut short; running it again completes it.", BAD))
    if standing.snapshot is not None:
        say(f"Snapshot {standing.snapshot}, {short_time(standing.snapshot_at or '')}")
    rows: list[list[Piece]] = [
        [thing.name, thing.table, thing.kind.value, (thing.state.value, _STATES[thing.state]), _whose(thing.ours),
         f"changed since trueup added it: {thing.says}" if thing.changed else thing.says]
        for thing in standing.things
    ]  # fmt: skip
    table((*map(Column, ("object", "table", "kind", "state", "whose")), Column("says", below=True)), rows, indent=0)
    _end(standing, (), next_step(standing), program)


def _whose(ours: bool) -> str:
    return "trueup" if ours else ""


def _end(standing: Standing, warnings: Sequence[str], step: tuple[str | None, str], program: Sequence[str]) -> None:
    for text in standing.left_out:
        say(("left out: ", WARN), text)
    for text in warnings:
        remark(text)
    command, why = step
    say()
    if command is None:
        say("Next: ", ("nothing", STRONG), f". {why}")
        return
    say("Next: ", (" ".join([*program, *command.split()[1:]]), STRONG))
    say(f"  {why}")
