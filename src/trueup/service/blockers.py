"""What stands in the way of a canary: a mode on its path that is not the incident's own and forbids its orders.

Invariant 10: a canary lifts what its incident put in force, and nothing else; what people added they take back.
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from trueup.core.errors import Refused
from trueup.core.gate import Intent, Question
from trueup.core.incidents.incident import Incident, Stage, Step
from trueup.core.modes import Mode, effective
from trueup.service.app import App
from trueup.service.gate import Spelling
from trueup.service.modes import path_to


@dataclass(frozen=True, slots=True)
class Blocker:
    """A mode that a canary does not lift: who put it in force, when and why, and the command that takes it back."""

    scope: str
    mode: Mode
    actor: str
    at: str
    reason: str
    command: str

    def __str__(self) -> str:
        by = f", set by {self.actor} at {self.at}: {self.reason}" if self.actor else ""
        return f"{self.scope} is in {self.mode.name}{by}"


def blocker_of(app: App, incident: Incident, stages: Iterable[Stage]) -> Blocker | None:
    """Return what would keep stages from trading although they are signed off; None where nothing does."""
    lifts, beneath = incident.lifts, incident.beneath
    found = next((found for stage in stages if (found := _of_stage(app, stage, lifts)) is not None), None)
    if found is None or found.scope not in beneath:
        return found
    told = f"{found.reason}; below it stands {beneath[found.scope].name}, which the command leaves to the incident"
    return replace(found, reason=told)


def blocks_running(app: App, stage: Stage, canary_id: str) -> str:
    """Say what keeps the stage that runs from trading, by what its canary lifts; blank where nothing does."""
    found = _of_stage(app, stage, None, canary_id)
    return str(found) if found is not None else ""


def ahead(incident: Incident) -> tuple[Stage, ...]:
    """Return the stages whose way has to be free now: the one that runs, and those that are not signed off yet."""
    if incident.plan is None:
        return ()
    return incident.plan.stages[incident.running.stage - 1 if incident.running is not None else 0 :]


def blocker_ahead(app: App, incident: Incident) -> Blocker | None:
    """Return what stands in the way back of an incident whose books are confirmed; None where nothing does.

    Before a canary is proposed its stages are not known: then every profile counts that the incident is about.
    """
    if incident.step not in (Step.CONFIRMING, Step.CANARY):
        return None
    if incident.plan is not None:
        return blocker_of(app, incident, ahead(incident))
    known = {profile.profile_id for profile in app.ledger.profiles() if profile.enabled}
    names = sorted({item.profile_id for item in incident.breaks.values() if item.profile_id} & known)
    return blocker_of(app, incident, (Stage(name, None, Decimal(0), 0) for name in names))


def require_free(app: App, incident: Incident) -> None:
    """Refuse a sign-off of a canary that could not trade, or that could not have traded."""
    found = blocker_of(app, incident, ahead(incident))
    if found is not None:
        raise Refused(
            f"{found}. It is not of {incident.incident_id}: the canary could not trade.",
            f"Take it back: {found.command}",
        )


def _of_stage(app: App, stage: Stage, lifts: Mapping[str, int] | None, canary_id: str = "") -> Blocker | None:
    """Return the strictest mode on a stage's path that pauses it and is not lifted: by `lifts`, or by its canary's."""
    for symbol in stage.symbols or ("*",):
        asked = Question(stage.profile_id, symbol, "", Intent.OPEN)
        _, facts = app.gate.read(asked, Spelling(app.accounts))
        lifted = lifts
        if lifted is None:
            if facts.canary is None or facts.canary.canary_id != canary_id:
                return None
            lifted = facts.canary.lifts
        kept = {scope: one.mode for scope, one in facts.modes.items() if lifted.get(scope) != one.seq}
        mode, origin = effective(kept, facts.path)
        if mode.paused:
            return _blocker(app, origin, mode)
    return None


def _blocker(app: App, scope: str, mode: Mode) -> Blocker:
    least = app.modes.least(scope, path_to(app, scope))
    command = f"trueup mode set {min(least, mode).name} --scope {shlex.quote(scope)} --reason TEXT"
    newest = app.modes.of_scope(scope, 1)
    if not newest:
        return Blocker(scope, mode, "", "", "", command)
    return Blocker(scope, mode, newest[0].actor, newest[0].at, newest[0].reason, command)
