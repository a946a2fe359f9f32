"""Incidents at work in every cycle: opened, contained, classified, confirmed, and a canary watched.

A run only tightens. What people do to an incident is in `leading`.
"""

from collections.abc import Callable

from trueup.core.errors import ChangedMeanwhile
from trueup.core.incidents.incident import EndCanary, Incident, Move, Step, Tighten
from trueup.core.incidents.steps import Look, opened, seen
from trueup.ports import Lease
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.cycle import Cycle
from trueup.service.events import log
from trueup.service.incident_facts import look_of
from trueup.service.switching import enforce_scope

KIND = "incident"
_TRIES = 3


def attend(cycle: Cycle) -> None:
    """Lead the account's incident one look further, and open one at the first mismatch; a dry run does neither."""
    if cycle.request.dry_run:
        return
    found = lead(cycle.app, cycle.account, lambda known: look_of(cycle, known), cycle.lease)
    if found is not None:
        for run in cycle.runs.values():
            run.incident_id = found.incident_id


def lead(
    app: App, account: str, look_at: Callable[[Incident | None], Look], lease: Lease | None = None
) -> Incident | None:
    """Take a look into the account's incident, and return it; None where there is none and no mismatch.

    Where a person changed the incident meanwhile, what they did counts, and the look is taken in anew. Refused where
    the lease was lost: whoever has it now looks by itself.
    """
    for attempt in range(_TRIES):
        kept = app.incidents.open_in(account)
        known = kept.incident if kept is not None else None
        look = look_at(known)
        if known is None and not look.left:
            return None
        rules = app.safety.policy
        move = opened(look, app.clock.new_id("INC"), rules) if known is None else seen(known, look, rules)
        if known is not None and move == Move(known):
            return known
        try:
            done = app.incidents.commit(move, kept.version if kept is not None else None, look.at_ms, lease)
        except ChangedMeanwhile:
            if attempt == _TRIES - 1:
                raise
            continue
        tell(app, move, done.incident)
        for act in move.acts:
            if isinstance(act, Tighten):
                enforce_scope(app, act.scope)
        return done.incident
    raise AssertionError("unreachable")


def tell(app: App, move: Move, incident: Incident) -> None:
    """Tell the log and the people what became of an incident."""
    name, scope = incident.incident_id, incident.scope
    for entry in move.entries:
        log("incident_moved", incident_id=name, scope=scope, step=entry.step.value, what=entry.what, actor=entry.actor)
    key = f"{KIND}:{name}"
    if incident.step is Step.RESTORED:
        resolve_alert(app, key, f"{name}: trading in {scope} is restored.")
        return
    tightened = [act for act in move.acts if isinstance(act, Tighten)]
    ended = [act for act in move.acts if isinstance(act, EndCanary) and act.outcome != "passed"]
    if tightened or ended or any(entry.what in ("opened", "came back") for entry in move.entries):
        told = "; ".join(f"{entry.what}: {entry.reason}" for entry in move.entries)
        severity = "critical" if incident.untrusted or ended else "warning"
        raise_alert(app, KIND, key, scope, severity, f"{name} in {scope}: {told}")
