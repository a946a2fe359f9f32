"""The gates of the EXIT backfill, in their order: why a profile is skipped before anything is read for it."""

from trueup.core.modes import effective, path_of
from trueup.ports import Profile
from trueup.service.app import App

DISABLED = "disabled"
NOT_ALLOWLISTED = "profile_not_allowlisted"
PAUSE_REQUIRED = "pause_required"
AUDIT_MISSING = "audit_table_missing"
LEASE_HELD = "lease_held"

HARMLESS = frozenset({DISABLED, NOT_ALLOWLISTED})
"""Gates that are an operator's choice and not a fault."""


def left_out(app: App, profile: Profile) -> str | None:
    """Return which of the operator's choices leaves a profile out, None where none does."""
    config = app.backfill
    if not config.enabled:
        return DISABLED
    return NOT_ALLOWLISTED if config.allowlist and profile.profile_id not in config.allowlist else None


def skipped_reason(app: App, profile: Profile) -> str | None:
    """Return the first gate that stops a profile, None where all are open; the lease comes last, elsewhere."""
    reason = left_out(app, profile)
    if reason is not None:
        return reason
    if app.backfill.require_pause:
        mode, _ = effective(app.modes.current(), pause_scopes(app, profile))
        if not mode.paused:
            return PAUSE_REQUIRED
    return None if app.journal.audit_exists() else AUDIT_MISSING


def pause_scopes(app: App, profile: Profile) -> tuple[str, ...]:
    """Return the scopes of which one must pause trading for a profile."""
    return path_of(app.account_of(profile).name, profile.profile_id)


def allowlisted_strangers(app: App) -> list[str]:
    """Return the names in the allowlist that no profile has: whom they mean is never repaired."""
    known = {profile.profile_id for profile in (*app.ledger.profiles(), *app.configured)}
    return sorted(app.backfill.allowlist - known)
