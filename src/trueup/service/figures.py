"""The figures of the whole set-up at one moment, for metrics and health."""

from collections.abc import Mapping
from dataclasses import dataclass

from trueup.core.errors import TrueupError
from trueup.core.modes import Mode, effective, path_of
from trueup.ports import Profile
from trueup.ports.figures import Measured
from trueup.service.app import App


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is measured, the enabled profiles with their accounts' names, and the modes in force."""

    now_ms: int
    measured: Measured
    profiles: Mapping[str, str]
    modes: Mapping[str, Mode]

    def mode_of(self, profile_id: str) -> Mode:
        """Return the strictest mode on a profile's path."""
        return effective(self.modes, path_of(self.profiles[profile_id], profile_id))[0]


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
    profiles = {profile.profile_id: _account_name(app, profile) for profile in app.ledger.profiles() if profile.enabled}
    accounts = sorted({*app.accounts, *profiles.values()})
    return Standing(app.clock.now_ms(), app.figures.measured(accounts), profiles, app.modes.current())


def _account_name(app: App, profile: Profile) -> str:
    try:
        return app.account_of(profile).name
    except TrueupError:
        return profile.account or ""
