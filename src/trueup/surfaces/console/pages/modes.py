"""Modes: how much trading is allowed, and changing it."""

from trueup.core.errors import ConfigurationError
from trueup.core.modes import GLOBAL, Mode, read_mode, read_scope
from trueup.service.modes import set_mode, show_modes
from trueup.surfaces.console.door import Leave, View, Visit, acts, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE

_MEANINGS = {
    Mode.NORMAL: "trading is free", Mode.CLOSE_ONLY: "orders that reduce only",
    Mode.SAFE_MODE: "no new orders; looking and repairing go on", Mode.FLATTEN: "close what is open, then nothing",
    Mode.HALT: "nothing at all",
}  # fmt: skip


def modes(visit: Visit) -> View:
    """Show the modes in force, what they come to for each profile, and the newest changes."""
    found = show_modes(visit.app, history=PAGE_SIZE)
    profiles = sorted(found.profiles)
    scopes = [GLOBAL, *(f"account:{name}" for name in sorted(visit.app.accounts)), *(f"profile:{p}" for p in profiles)]
    return View(
        "modes.html",
        {
            "scopes": sorted(found.scopes.items(), key=lambda item: (item[0] != GLOBAL, item[0])),
            "profiles": sorted(found.profiles.items()), "dead": found.dead, "history": found.history, "known": scopes,
            "meanings": {mode.name: _MEANINGS[mode] for mode in Mode},
        },
    )  # fmt: skip


def change(visit: Visit) -> Leave:
    """Put a mode in force; to loosen one needs a tick of its own, and the service's leave."""
    scope = visit.given("symbol_scope") or visit.given("scope")
    mode, where = read_mode(visit.given("mode")), read_scope(scope)
    standing = visit.app.modes.current().get(where, Mode.NORMAL)
    if mode < standing and visit.given("loosen") != "yes":
        raise ConfigurationError(
            f"{where} is in {standing.name}, and {mode.name} lets more trading happen. Nothing was changed.",
            "If that is what you want, go back and tick the box beside it.",
        )
    done = set_mode(visit.app, mode.name, where, visit.given("reason"))
    visit.tell(f"{done.scope} is in {done.mode.name} now; it was in {done.previous.name}.")
    return Leave("/console/modes")


ROUTES = (reads("/modes", modes), acts("/modes", change))
