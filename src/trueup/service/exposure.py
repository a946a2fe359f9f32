"""Money at risk: what the open breaks were worth after each of the recent runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trueup.core.decimals import exactly, read_decimal
from trueup.core.reconcile.records import BreakState
from trueup.core.times import read_time

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
    which every profile was heard: before that, the sum would grow with the hearing alone. Dry runs, inconclusive ones
    and those about a part of a profile say nothing of what is open.
    """
    told = sorted((run for run in runs if _tells(run)), key=lambda run: (str(run["ended_at"]), str(run["instance_id"])))
    profiles = {str(run["instance_id"]) for run in told}
    open_now: dict[str, dict[str, Decimal | None]] = {}
    found: list[Exposure] = []
    for run in told:
        open_now[str(run["instance_id"])] = dict(_open(run.get("breaks") or ()))
        if len(open_now) == len(profiles):
            each = {name: worth for of_one in open_now.values() for name, worth in of_one.items()}
            total = sum((worth for worth in each.values() if worth is not None), Decimal(0))
            unpriced = sum(worth is None for worth in each.values())
            found.append(Exposure(read_time(run["ended_at"]), total, len(each), unpriced))
    return found


def _tells(run: Mapping[str, Any]) -> bool:
    scope = run.get("scope") or {}
    partial = bool(scope.get("symbols") or scope.get("trade_ids"))
    return (
        run.get("status") in ("OK", "MISMATCH") and not run.get("dry_run") and bool(run.get("ended_at")) and not partial
    )


def _open(breaks: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Decimal | None]]:
    for found in breaks:
        if found.get("state") not in _OVER:
            worth = found.get("notional")
            yield str(found.get("break_id")), read_decimal(str(worth)) if worth is not None else None
