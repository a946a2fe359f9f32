"""Incidents at work in every cycle: opened, contained, classified, confirmed, and a canary watched.

A run only tightens. What people do to an incident is in `leading`.
"""

from trueup.core.errors import Refused
from trueup.core.incidents.incident import EndCanary, Incident, Move, Step, Tighten
from trueup.core.incidents.steps import opened, seen
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.cycle import Cycle
from trueup.service.events import log
from trueup.service.incident_facts import look_of

KIND = "incident"
_TRIES = 3


def attend(cycle: Cycle) -> None:
    """Lead the account's incident one look further, and open one at the first mismatch; a dry run does neither."""
    if cycle.request.dry_run:
        return
    for attempt in range(_TRIES):
        try:
            _attend(cycle)
        except Refused:
            if attempt == _TRIES - 1:
                raise
            continue  # a person changed the incident meanwhile: what they did counts, and is looked at
        return


def _attend(cycle: Cycle) -> None:
    app, rules = cycle.app, cycle.app.safety.policy
    kept = app.incidents.open_in(cycle.account)
    look = look_of(cycle, kept.incident if kept is not None else None)
    if kept is None:
        if not look.left:
            return
        move, version = opened(look, app.clock.new_id("INC"), rules), None
    else:
        move, version = seen(kept.incident, look, rules), kept.version
        if move == Move(kept.incident):
            _name(cycle, kept.incident)
            return
    done = app.incidents.commit(move, version, look.at_ms, cycle.lease)
    _name(cycle, done.incident)
    tell(app, move, done.incident)


def _name(cycle: Cycle, incident: Incident) -> None:
    for run in cycle.runs.values():
        run.incident_id = incident.incident_id


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
