"""The figures of the whole set-up at one moment, for metrics and health."""

from collections.abc import Mapping
from dataclasses import dataclass

from trueup.core.errors import TrueupError
from trueup.core.modes import Mode
from trueup.ports.figures import Measured
from trueup.service.app import App
from trueup.service.posture import Stand, stand


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is measured, the enabled profiles with their accounts' names, and the modes in force."""

    now_ms: int
    measured: Measured
    profiles: Mapping[str, str]
    modes: Mapping[str, Mode]
    stand: Stand

    def mode_of(self, profile_id: str) -> Mode:
        """Return the mode that holds for a profile, dead-man included."""
        return self.stand.of(f"profile:{profile_id}").mode


def keep_venue_calls(app: App, account: str | None = None) -> None:
    """Add this process's calls to its venues to the figures, those of one account or all; later, where that fails."""
    counts = app.meter.take(account)
    if not counts:
        return
    try:
        app.figures.count_venue(counts)
    except TrueupError:
        app.meter.put_back(counts)


def standing(app: App) -> Standing:
    """Return how everything stands; CannotKnow where the database cannot be read."""
    keep_venue_calls(app)
    held = stand(app)
    profiles = {name: held.homes[name][0] for name, profile in held.profiles.items() if profile.enabled}
    accounts = sorted({*app.accounts, *profiles.values()})
    return Standing(held.now_ms, app.figures.measured(accounts), profiles, held.scopes, held)
