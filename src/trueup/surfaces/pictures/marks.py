"""What is drawn of a trade's story: marks by kind and lane, the steps of the open quantity, and the words above."""

import textwrap
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.core.repair.decisions import Outcome
from trueup.service.explain import Explanation, Moment
from trueup.surfaces.story import Telling, nothing_to_decide, without_repetitions

_STAR = "M0,-1.5L.38,-.5L1.43,-.46L.6,.2L.88,1.21L0,.62L-.88,1.21L-.6,.2L-1.43,-.46L-.38,-.5Z"
_LINE_CHARACTERS = 150
_VERDICTS = 4
_NUMBER_CHARACTERS = 11


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mark: its name in the legend, the lane that it stands in, its shape and its colour."""

    name: str
    lane: str
    shape: str
    colour: str


ENTRY = Kind("entry in the ledger", "ledger", "triangle-up", "#0072B2")
EXIT = Kind("exit in the ledger", "ledger", "triangle-down", "#0072B2")
OTHER = Kind("order, not filled or not readable", "ledger", "cross", "#6B7280")
PROVES = Kind("execution, proves this trade", "venue", "diamond", "#00795B")
KNOWN = Kind("execution, booked", "venue", "diamond", "#0072B2")
QUARANTINED = Kind("execution, quarantined", "venue", "diamond", "#C1121F")
UNMATCHED = Kind("execution, unmatched", "venue", "diamond", "#D98E04")
ASKED = Kind("order, nothing executed", "venue", "cross", "#6B7280")
FOREIGN = Kind("execution, out of scope", "venue", "diamond", "#9CA3AF")
PROPOSED = Kind("exit that is proposed", "proposed", _STAR, "#C2410C")
REHEARSED = Kind("audit: dry run", "audit", "circle", "#8B5CF6")
BOOKED = Kind("audit: booked", "audit", "square", "#5B21B6")
REFUSED = Kind("audit: refused or skipped", "audit", "cross", "#5B21B6")
UNDONE = Kind("audit: reverted, interrupted", "audit", "triangle-left", "#BE185D")
KINDS = (
    ENTRY, EXIT, OTHER, PROVES, KNOWN, QUARANTINED, UNMATCHED, FOREIGN, ASKED, PROPOSED, REHEARSED, BOOKED, REFUSED,
    UNDONE,
)  # fmt: skip
LANES = ("ledger", "venue", "proposed", "audit")

_FATES = {
    "assigned": PROVES, "booked": KNOWN, "quarantined": QUARANTINED, "unmatched": UNMATCHED, "not": UNMATCHED,
    "nothing": ASKED,
}  # fmt: skip
_DECISIONS = {
    "DRY_RUN": REHEARSED, "APPLIED": BOOKED, "HEALED": BOOKED, "REAPPLIED": BOOKED, "SKIP_EXISTING": BOOKED,
    "REVERTED": UNDONE, "INTERRUPTED": UNDONE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark: when (epoch ms), its kind, and its label."""

    at_ms: int
    kind: Kind
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is open from a moment on (epoch ms)."""

    at_ms: int
    open_qty: Decimal


def marks_of(found: Explanation) -> list[Mark]:
    """Return every mark of a story; what has no time is not drawn."""
    tellings = without_repetitions(found.timeline)
    marks = [_mark(told, told.moment.at_ms) for told in tellings if told.moment.at_ms is not None]
    for decision in found.decisions:
        row = decision.exit
        if row is not None and decision.outcome is Outcome.BOOK:
            label = f"{row.side.value} {_at(plain(row.qty), plain(row.price) if row.price else None)}"
            marks.append(Mark(row.filled_ms, PROPOSED, f"{label}, {row.matched_by}"))
    return marks


def _mark(telling: Telling, at_ms: int) -> Mark:
    moment = telling.moment
    if moment.source == "audit":
        decision, _, reason = moment.what.partition(": ")
        often = f" ×{telling.times}" if telling.times > 1 else ""
        return Mark(at_ms, _DECISIONS.get(decision, REFUSED), f"{decision} {reason}{often}")
    side = "sell" if " sell" in f" {moment.what}" else "buy"
    label = f"{side} {_at(moment.qty, moment.price)}" if moment.qty is not None else moment.what
    if moment.source == "venue":
        kind = _FATES.get((moment.fate or "").split(" ")[0].rstrip(":"), FOREIGN)
        return Mark(at_ms, kind, label)
    return Mark(at_ms, _ledger_kind(moment), label)


def _at(qty: str | None, price: str | None) -> str:
    return f"{short(qty or '')} at {short(price)}" if price else short(qty or "")


def short(number: str) -> str:
    """Cut a number with many decimal places, and show that it was cut."""
    return number if len(number) <= _NUMBER_CHARACTERS else f"{number[: _NUMBER_CHARACTERS - 1]}…"


def _ledger_kind(moment: Moment) -> Kind:
    if moment.open_after is None:
        return OTHER
    return ENTRY if moment.what.startswith("ENTRY") else EXIT


def believed(found: Explanation) -> list[Step]:
    """Return the steps of what the ledger believes to be open, from nothing on."""
    steps = [
        Step(m.at_ms, Decimal(m.open_after)) for m in found.timeline if m.open_after is not None and m.at_ms is not None
    ]
    return [Step(steps[0].at_ms, Decimal(0)), *steps] if steps else []


def repaired(found: Explanation) -> list[Step]:
    """Return the steps of what would be open with the proposed exits, from just before the first of them on."""
    exits = [d.exit for d in found.decisions if d.exit is not None and d.outcome is Outcome.BOOK]
    if not exits:
        return []
    start = min(row.filled_ms for row in exits)
    changes = [(row.filled_ms, -row.qty) for row in exits]
    before = left = Decimal(0)
    for step in believed(found):
        changes.append((step.at_ms, step.open_qty - before))
        before = step.open_qty
    steps: list[Step] = []
    for at_ms, change in sorted(changes, key=lambda item: item[0]):
        if at_ms >= start and not steps:
            steps.append(Step(at_ms, left))
        left += change
        if at_ms >= start:
            steps.append(Step(at_ms, left))
    return steps


def series_of(found: Explanation) -> tuple[str, str]:
    """Return what the two lines are called: without the exits that are proposed, and with them."""
    unread = found.slice is not None and found.slice.defect is not None
    return ("by the rows that can be read" if unread else "what the ledger believes", "with the proposed exits")


def title_of(found: Explanation) -> str:
    """Return the title: which trade, of what, and whose."""
    return f"{found.trade_id}  ·  {found.symbol or 'unknown symbol'}  ·  profile {found.profile.profile_id}"


def words_of(found: Explanation) -> list[str]:
    """Return the lines under the title: each decision with its reason in words."""
    if found.gathered.venue_error is not None:
        said = [f"The venue could not be read: {found.gathered.venue_error.what}"]
    else:
        said = []
    verdicts = Counter(found.verdicts)
    for (outcome, reason, why), number in list(verdicts.items())[:_VERDICTS]:
        said.append(f"{outcome} {reason}{f' ×{number}' if number > 1 else ''}: {why}")
    if len(verdicts) > _VERDICTS:
        said.append(f"… and {len(verdicts) - _VERDICTS} more decisions")
    if not verdicts:
        said.append(nothing_to_decide(found))
    return [line for text in said for line in textwrap.wrap(text, _LINE_CHARACTERS)]
