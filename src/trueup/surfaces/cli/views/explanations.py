"""One trade's story for people: the decision first, then what led to it in the order of time."""

from typing import TYPE_CHECKING

from trueup.core.decimals import plain
from trueup.core.repair.decisions import Outcome
from trueup.surfaces.cli.output import FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import as_of, coverage_line, moment, price_of
from trueup.surfaces.story import Telling, nothing_to_decide, without_repetitions

if TYPE_CHECKING:
    from trueup.core.repair.decisions import Decision
    from trueup.core.repair.rows import ExitRow
    from trueup.service.explain import Explanation

_SOURCES = {"ledger": STRONG, "venue": "cyan", "audit": FAINT}


def show(found: "Explanation") -> None:
    """Print the story."""
    piece, snapshot = found.slice, found.gathered.snapshot
    symbol = f"  {found.symbol}" if found.symbol else ""
    say("trade ", (found.trade_id, STRONG), f"{symbol}  profile {found.profile.profile_id}, account {snapshot.account}")
    if piece is not None:
        if piece.defect is None:
            quantities = f"entered {plain(piece.entry_qty)}, exited {plain(piece.exit_qty)}"
            say(f"{piece.entry_side.value} side; {quantities}, ", (f"open {plain(piece.open_qty)}", STRONG), indent=2)
        else:
            say(("what is open is not known", WARN), ": rows of the trade cannot be read", indent=2)
    if found.gathered.venue_error is not None:
        say(("UNREADABLE ", WARN), found.gathered.venue_error.what, indent=2)
    else:
        say(f"{as_of(snapshot)}; coverage: ", *coverage_line(snapshot), indent=2)
    say()
    _verdicts(found)
    say()
    names = ("time", "from", "what", "qty", "price", "open after", "id", "fate")
    numbers = frozenset({"qty", "price", "open after"})
    columns = [Column(name, number=name in numbers, below=name in ("id", "fate")) for name in names]
    table(columns, [_row(telling) for telling in without_repetitions(found.timeline)], indent=0)


def _verdicts(found: "Explanation") -> None:
    """Print each verdict once, then the rows that they are about."""
    if not found.decisions:
        say(nothing_to_decide(found))
    details = {
        (v, str(d.metadata.get("detail") or "")): v for d, v in zip(found.decisions, found.verdicts, strict=True)
    }
    for (verdict, detail), (outcome, reason, why) in details.items():
        number = found.verdicts.count(verdict)
        times = f" ×{number}" if number > 1 else ""
        say((outcome, GOOD if outcome == Outcome.BOOK else WARN), f" {reason}{times}: {why}")
        if detail:
            say(detail, indent=2)
    names = (Column("exit"), Column("side"), Column("qty", number=True), Column("price", number=True), Column("time"))
    rows = [_exit(decision, decision.exit) for decision in found.decisions if decision.exit is not None]
    table((*names, Column("proof", below=True), Column("by", below=True)), rows)
    for one in found.taken_back:
        say(("taken back ", WARN), f"{one.order_id} of {one.batch_id}, by a person: no run writes it again.", indent=2)
        say(f"Put it back: trueup backfill reapply {one.batch_id} --reason TEXT", indent=2)


def _exit(decision: "Decision", row: "ExitRow") -> list[Piece]:
    booked = decision.outcome is Outcome.BOOK
    return [
        ("proposed", GOOD) if booked else ("withheld", WARN), row.side.value, plain(row.qty), price_of(row),
        moment(row.filled_ms), row.exchange_order_id, row.matched_by,
    ]  # fmt: skip


def _row(telling: Telling) -> list[Piece]:
    entry = telling.moment
    again = f" (×{telling.times}, until {moment(telling.last_ms)})" if telling.times > 1 else ""
    return [
        moment(entry.at_ms), (entry.source, _SOURCES.get(entry.source, "")), entry.what + again, entry.qty or "",
        entry.price or "", entry.open_after or "", entry.identity, entry.fate or "",
    ]  # fmt: skip
