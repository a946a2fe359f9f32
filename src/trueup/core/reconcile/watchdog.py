"""The integrity watchdog: when a mismatch is too large to trade on, and when its own pause may end by itself.

Invariant 10 (Tighten freely, loosen only through gates): it never ends what a person paused, never before the minimum,
never inside the cooldown, and an inconclusive run is never a clean one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly, plain
from trueup.core.modes import Mode
from trueup.core.reconcile.policy import ReconcilePolicy

SOURCE = "parity_watchdog"
"""The source of the watchdog's pauses and resumes in the modes' history."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The mode in force at a profile's own scope, who set it and when (epoch milliseconds)."""

    mode: Mode
    previous: Mode
    source: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class RunFact:
    """What counts of a run: when it ended (epoch milliseconds), how, and how many breaks it found."""

    ended_ms: int
    status: str
    found: int

    @property
    def clean(self) -> bool:
        """Say whether the run saw everything and found nothing."""
        return self.status == "OK" and self.found == 0


@exactly
def must_pause(notional: Decimal | None, capital: Decimal | None, rules: ReconcilePolicy) -> str | None:
    """Return why a profile must be paused: its mismatch is beyond its share of the capital; None where it need not.

    Without allocated capital there is no share, and without a price no notional: nothing is said then.
    """
    if notional is None or capital is None or notional <= capital * rules.max_notional_ratio:
        return None
    return f"mismatch of {plain(notional)} over {plain(rules.max_notional_ratio)} of the capital of {plain(capital)}"


def keeps_paused(
    pause: Pause | None, runs: Sequence[RunFact], last_resume_ms: int | None, now_ms: int, rules: ReconcilePolicy
) -> str | None:
    """Return why the watchdog does not resume a profile now; None where it does.

    `runs` are the profile's runs, oldest first; `last_resume_ms` is when the watchdog last resumed it.
    """
    if pause is None or not pause.mode.paused:
        return "not paused"
    if not rules.auto_resume:
        return "automatic resume is turned off"
    if pause.source != SOURCE:
        return f"paused by {pause.source}, not by the watchdog"
    if now_ms - pause.since_ms < rules.min_pause_ms:
        return "the minimum pause is not over"
    if last_resume_ms is not None and now_ms - last_resume_ms < rules.cooldown_ms:
        return "the last automatic resume is too near"
    streak = 0
    for run in reversed([run for run in runs if run.ended_ms > pause.since_ms]):
        if not run.clean:
            break
        streak += 1
    return None if streak >= rules.clean_cycles else f"{streak} of {rules.clean_cycles} clean runs since the pause"
