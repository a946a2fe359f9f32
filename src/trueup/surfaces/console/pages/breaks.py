"""Breaks: what ledger and venue disagree on, and taking one over."""

from trueup.core.breaks import BreakKind
from trueup.core.errors import ConfigurationError, UnknownName, nearest
from trueup.core.reconcile.records import BreakState
from trueup.service.breaks import audit_about
from trueup.service.gather import choose_profiles
from trueup.surfaces.api.reconciling import BreakFilter
from trueup.surfaces.console.door import Leave, View, Visit, acts, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging
from trueup.surfaces.console.rendering import segment

_KINDS = tuple(kind.value for kind in BreakKind)
_STATES = tuple(state.value for state in BreakState)


def breaks(visit: Visit) -> View:
    """List the breaks that are not over, or those of a profile, kind or state."""
    profile, kind, state = visit.asked("profile"), visit.asked("kind"), visit.asked("state")
    if profile is not None:
        choose_profiles(visit.app, [profile])
    for given, known, what in ((kind, _KINDS, "kind"), (state, _STATES, "state")):
        if given is not None and given not in known:
            raise ConfigurationError(f"There is no {what} {given!r}.", nearest(given, known))
    wanted = BreakFilter(instance_id=profile, kind=kind, state=state)
    total, found = visit.console.options.reconciling.breaks(visit.app, wanted, visit.page(), PAGE_SIZE)
    asked = {"profile": profile, "kind": kind, "state": state}
    return View(
        "breaks.html",
        {
            "found": found, "paging": Paging("/console/breaks", visit.page(), total, asked), "asked": asked,
            "kinds": _KINDS, "states": _STATES, "profiles": [p.profile_id for p in visit.app.ledger.profiles()],
        },
    )  # fmt: skip


def one_break(visit: Visit) -> View:
    """Show a break: what it is, how it stands, and what the audit says of its trade."""
    found = visit.console.options.reconciling.found_break(visit.app, visit.named("break_id"))
    if found is None:
        raise UnknownName("There is no such break.", "The list of breaks names them.")
    audit = audit_about(visit.app, found["profile_id"], found["trade_id"])
    over = found["state"] in (BreakState.HEALED, BreakState.RESOLVED)
    return View("break.html", {"found": found, "audit": audit[::-1][:PAGE_SIZE], "over": over})


def take_over(visit: Visit) -> Leave:
    """Take a break over, with the reason."""
    name = visit.named("break_id")
    visit.console.options.reconciling.take_over(visit.app, name, visit.given("reason"))
    visit.tell("The break is yours now. The loop goes on looking at it, and tells nobody of it.")
    return Leave(f"/console/breaks/{segment(name)}")


ROUTES = (
    reads("/breaks", breaks),
    reads("/breaks/{break_id}", one_break),
    acts("/breaks/{break_id}/acknowledge", take_over),
)
