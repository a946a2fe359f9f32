"""Money at risk: what the open breaks were worth after each of the recent runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trueup.core.decimals import exactly, read_decimal
from trueup.core.reconcile.records import BreakState
from trueup.core.times import read_time
from trueup.service.reconcile_report import INCONCLUSIVE

_OVER = frozenset(state.value for state in BreakState if state.over)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was open when a run ended: epoch ms, the breaks' worth in quote currency, their number.

    `unpriced` counts those whose worth is not known.
    """

    at_ms: int
    notional: Decimal
    breaks: int
    unpriced: int


@exactly
def exposure_over(runs: Sequence[Mapping[str, Any]]) -> list[Exposure]:
    """Return the exposure after each run, oldest first; runs are summaries, in any order.

    A break that several profiles' runs tell of (one of their account) counts once. It begins with the first moment at
    which every profile was heard: before that, the sum would grow with the hearing alone. What an inconclusive run does
    not tell of stays as it was; dry runs and those about a part of a profile say nothing of what is open.
    """
    told = sorted((run for run in runs if _tells(run)), key=lambda run: (str(run["ended_at"]), str(run["instance_id"])))
    profiles = {str(run["instance_id"]) for run in told}
    open_now: dict[str, dict[str, Decimal | None]] = {}
    found: list[Exposure] = []
    for run in told:
        known = open_now.get(str(run["instance_id"]), {}) if run["status"] == INCONCLUSIVE else {}
        open_now[str(run["instance_id"])] = _after(known, run.get("breaks") or ())
        if len(open_now) == len(profiles):
            each = {name: worth for of_one in open_now.values() for name, worth in of_one.items()}
            total = sum((worth for worth in each.values() if worth is not None), Decimal(0))
            unpriced = sum(worth is None for worth in each.values())
            found.append(Exposure(read_time(run["ended_at"]), total, len(each), unpriced))
    return found


def _tells(run: Mapping[str, Any]) -> bool:
    scope = run.get("scope") or {}
    partial = bool(scope.get("symbols") or scope.get("trade_ids"))
    return bool(run.get("ended_at")) and not partial and not run.get("dry_run") and not run.get("skipped_reason")


def _after(known: Mapping[str, Decimal | None], breaks: Iterable[Mapping[str, Any]]) -> dict[str, Decimal | None]:
    """Return what is open, with its worth, after breaks were told of."""
    found = dict(known)
    for item in breaks:
        name, worth = str(item.get("break_id")), item.get("notional")
        if item.get("state") in _OVER:
            found.pop(name, None)
        else:
            found[name] = read_decimal(str(worth)) if worth is not None else None
    return found
