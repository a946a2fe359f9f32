"""Batches for people and programs: the list of them, and what a revert or reapply did."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trueup.core.reconcile.audited import CHANGED
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import command, count, counts, short_time

if TYPE_CHECKING:
    from trueup.core.audit import AuditRow
    from trueup.ports import BatchSummary, UndoResult

_STYLES = {
    "applied": GOOD,
    "pending": BAD,
    "interrupted": BAD,
    "partly_reverted": WARN,
    "dry_run": FAINT,
    "nothing_booked": FAINT,
}


def show(found: Sequence["BatchSummary"]) -> None:
    """Print the list."""
    if not found:
        say("There is no batch yet. `trueup backfill run --dry-run` makes one.")
        return
    names = ("batch", "profile", "state", "when", "by")
    rows: list[list[Piece]] = [
        [
            batch.batch_id, batch.profile_id, (batch.state, _STYLES.get(batch.state, "")),
            short_time(batch.created_at), batch.actor, str(batch.rows), counts(batch.decisions),
        ]
        for batch in found
    ]  # fmt: skip
    table((*map(Column, names), Column("rows", number=True), Column("decisions", below=True)), rows, indent=0)


def undone_json(result: "UndoResult") -> dict[str, object]:
    """Return what a revert or reapply did as `--format json` prints it."""
    return {
        "batch_id": result.batch_id, "changed": list(result.changed), "unchanged": list(result.unchanged),
        "audit": [row.as_json() for row in result.audit],
    }  # fmt: skip


def show_undone(result: "UndoResult", program: Sequence[str], *, back: bool) -> None:
    """Print what a revert or reapply did, and how to turn it round."""
    state, was = ("canceled", "were canceled already") if back else ("filled again", "were in force already")
    if any(_is_changed(row) for row in result.audit):
        state = "taken back" if back else "put in force again"
    for row in result.audit:
        say(f"{row['backfill_order_id']} {_became(row, back=back)}", indent=2)
    say((f"{count(len(result.changed), 'row')} {state}", STRONG), f"; {len(result.unchanged)} {was}.")
    if result.changed:
        other = "reapply" if back else "revert"
        say(f"To turn it round: {command(program, 'backfill', other, result.batch_id, '--reason', '...')}")


def _became(row: "AuditRow", *, back: bool) -> str:
    """Return what became of a row: one that a heal changed says again what it said before, or what the heal wrote."""
    if _is_changed(row):
        return "as it was before the heal" if back else "as the heal left it"
    return "canceled" if back else "filled again"


def _is_changed(row: "AuditRow") -> bool:
    return bool(json.loads(str(row["metadata"])).get("change") == CHANGED)
