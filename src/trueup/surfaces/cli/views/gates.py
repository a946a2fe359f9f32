"""The gates that skipped profiles, for people: what each means, and how it is opened."""

from collections import defaultdict
from collections.abc import Sequence

from trueup.service.backfill_report import ProfileReport
from trueup.service.gates import AUDIT_MISSING, DISABLED, HARMLESS, LEASE_HELD, NOT_ALLOWLISTED, PAUSE_REQUIRED
from trueup.surfaces.cli.output import FAINT, STRONG, WARN, say
from trueup.surfaces.cli.words import command

_LISTED = 10
_COMMANDS = 3
_MEANINGS = {
    DISABLED: "the EXIT backfill is switched off",
    NOT_ALLOWLISTED: "the allowlist does not name it",
    PAUSE_REQUIRED: "trading is not paused, so a fill could arrive in the middle of the repair",
    AUDIT_MISSING: "the audit table is missing, and nothing is booked without it",
    LEASE_HELD: "another run holds this account",
}

FLAGS = {
    DISABLED: "ENABLE_RECON_EXIT_BACKFILL (false)",
    NOT_ALLOWLISTED: "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST",
}
"""The flags by which an operator leaves profiles out."""


def show(skipped: Sequence[ProfileReport], program: Sequence[str]) -> None:
    """Print the skipped profiles, by the gate that skipped them."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for entry in skipped:
        by_reason[entry.skipped_reason or ""].append(entry.profile.profile_id)
    for reason, profiles in by_reason.items():
        more = f" and {len(profiles) - _LISTED} more" if len(profiles) > _LISTED else ""
        style = FAINT if reason in HARMLESS else WARN
        say(("skipped ", style), (", ".join(profiles[:_LISTED]) + more, STRONG), f": {reason}")
        say(f"{_MEANINGS.get(reason, reason)}.", indent=2)
        for line in _how_to_open(reason, profiles, program):
            say(line, indent=2)


def _how_to_open(reason: str, profiles: Sequence[str], program: Sequence[str]) -> list[str]:
    if reason == DISABLED:
        return ["Switch it on: ENABLE_RECON_EXIT_BACKFILL=true, or enable_recon_exit_backfill = true under [backfill]."]
    if reason == NOT_ALLOWLISTED:
        return ["Name it in RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST, separated by commas; an empty list is everybody."]
    if reason == AUDIT_MISSING:
        return [f"Create it: {command(program, 'init')}"]
    if reason == LEASE_HELD:
        return ["Try again, or wait for it with --wait 60."]
    scopes = [f"profile:{name}" for name in profiles] if len(profiles) <= _COMMANDS else ["global"]
    reason_given = ("--reason", "ghosts in the ledger")
    return [
        f"Pause it: {command(program, 'mode', 'set', 'SAFE_MODE', '--scope', scope, *reason_given)}" for scope in scopes
    ]
