"""One trade's story for people: the decision first, then what led to it in the order of time."""

from typing import TYPE_CHECKING

from trueup.core.decimals import plain
from trueup.core.repair.decisions import Outcome
from trueup.surfaces.cli.output import FAINT, GOOD, STRONG, WARN, Piece, say
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import as_of, coverage_line, moment

if TYPE_CHECKING:
    from trueup.core.repair.decisions import Decision
    from trueup.service.explain import Explanation, Moment

_SOURCES = {"ledger": STRONG, "venue": "cyan", "audit": FAINT}


def show(found: "Explanation") -> None:
    """Print the story."""
    piece, snapshot = found.slice, found.gathered.snapshot
    symbol = f"  {piece.symbol}" if piece else ""
    say("trade ", (found.trade_id, STRONG), f"{symbol}  profile {found.profile.profile_id}, account {snapshot.account}")
    if piece is not None:
        quantities = f"entered {plain(piece.entry_qty)}, exited {plain(piece.exit_qty)}"
        say(f"{piece.entry_side.value} side; {quantities}, ", (f"open {plain(piece.open_qty)}", STRONG), indent=2)
    if found.gathered.venue_error is not None:
        say(("UNREADABLE ", WARN), found.gathered.venue_error.what, indent=2)
    else:
        say(f"{as_of(snapshot)}; coverage: ", *coverage_line(snapshot), indent=2)
    say()
    for decision, (outcome, reason, why) in zip(found.decisions, found.verdicts, strict=True):
        _verdict(decision, outcome, reason, why)
    if not found.decisions:
        say("Nothing to decide: the ledger has nothing open of this trade.")
    say()
    names = ("time", "from", "what", "qty", "price", "open after", "id", "fate")
    numbers = frozenset({"qty", "price", "open after"})
    table(
        [Column(name, number=name in numbers, below=name in ("id", "fate")) for name in names],
        [_row(m) for m in found.timeline],
        indent=0,
    )


def _verdict(decision: "Decision", outcome: str, reason: str, why: str) -> None:
    booked = decision.outcome is Outcome.BOOK
    say((outcome, GOOD if booked else WARN), f" {reason}: {why}")
    row = decision.exit
    if row is not None:
        price = plain(row.price) if row.price_source != "none" else "no price"
        say(f"EXIT {row.side.value} {plain(row.qty)} at {price}, {moment(row.filled_ms)}", indent=2)
        say(f"proof: {row.exchange_order_id}, by {row.matched_by}", indent=2)
    if decision.metadata.get("detail"):
        say(str(decision.metadata["detail"]), indent=2)


def _row(entry: "Moment") -> list[Piece]:
    return [
        moment(entry.at_ms), (entry.source, _SOURCES.get(entry.source, "")), entry.what, entry.qty or "",
        entry.price or "", entry.open_after or "", entry.identity, entry.fate or "",
    ]  # fmt: skip
