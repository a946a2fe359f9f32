"""A trade's story without its repetitions: what `explain` prints and draws."""

from collections.abc import Iterable
from dataclasses import dataclass

from trueup.service.explain import Explanation, Moment

_REPEATABLE = ("DRY_RUN", "NO_GO", "SKIP")


@dataclass(frozen=True, slots=True)
class Telling:
    """A moment, how often it happened in a row, and when it did so last (epoch ms)."""

    moment: Moment
    times: int
    last_ms: int | None


def nothing_to_decide(found: Explanation) -> str:
    """Say why there is no decision about a trade."""
    if found.working:
        orders = "an order of it is" if found.working == 1 else f"{found.working} orders of it are"
        return f"Nothing to decide: nothing of this trade is open, and {orders} still working."
    return "Nothing to decide: the ledger has nothing open of this trade."


def without_repetitions(timeline: Iterable[Moment]) -> list[Telling]:
    """Return the moments in their order; what run after run decided alike is told once.

    Only decisions that changed nothing are put together, and only while nothing else happened in between.
    """
    told: list[Telling] = []
    places: dict[tuple[str, str | None, str | None], int] = {}
    for moment in timeline:
        repeatable = moment.source == "audit" and moment.what.startswith(_REPEATABLE)
        if not repeatable:
            places.clear()
            told.append(Telling(moment, 1, moment.at_ms))
            continue
        key = (moment.what, moment.qty, moment.price)
        if key in places:
            before = told[places[key]]
            told[places[key]] = Telling(before.moment, before.times + 1, moment.at_ms)
        else:
            places[key] = len(told)
            told.append(Telling(moment, 1, moment.at_ms))
    return told
