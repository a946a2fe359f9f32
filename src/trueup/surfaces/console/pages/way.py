"""An incident as the pages show it: how far it is, and what the console offers to whom."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trueup.core.incidents.classes import Pattern
from trueup.core.incidents.incident import Incident, Step
from trueup.core.incidents.ways import Item, Next, passing
from trueup.core.people import same_person
from trueup.service.leading import next_sign_off, next_step
from trueup.surfaces.console.door import Visit
from trueup.surfaces.console.rendering import segment

STAGES = 6
"""So many rows has the form of a canary."""

_OPEN_ROWS = 2


class State(StrEnum):
    """How a step, or a stage, stands."""

    DONE = "done"
    NOW = "now"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Mark:
    """One step of the way, and how it stands."""

    step: str
    state: State


@dataclass(frozen=True, slots=True)
class StageShown:
    """One stage of a canary, and how it stands."""

    number: int
    profile_id: str
    symbols: str
    limit: Decimal
    minutes: Decimal
    state: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One incident and what the visitor can do about it here; `offers` changes with what is offered.

    `sign` is the label of the sign-off that waits, blank where none does; `no_sign` says why the visitor is not the
    one to give it.
    """

    incident: Incident
    next: Next
    marks: tuple[Mark, ...]
    words: str
    stages: tuple[StageShown, ...]
    passing: tuple[Item, ...]
    repair: bool
    backfill: bool
    propose: bool
    sign: str
    no_sign: str
    reviewed: str
    abort: str
    profiles: tuple[str, ...] = ()
    symbols: str = "*"
    rows: tuple[int, ...] = tuple(range(1, _OPEN_ROWS + 1))
    more_rows: tuple[int, ...] = tuple(range(_OPEN_ROWS + 1, STAGES + 1))

    @property
    def href(self) -> str:
        """Return the address of its page."""
        return f"/console/incidents/{segment(self.incident.incident_id)}"

    @property
    def offers(self) -> str:
        """Return a word for what is offered now."""
        return (
            f"{self.incident.step}{'-' + self.reviewed if self.reviewed else ''}{'-open' if self.next.waiting else ''}"
        )

    @property
    def acting(self) -> str:
        """Return what the button of the next step says; blank where the console has none for it."""
        if self.repair:
            return "Start the repair"
        return "Propose a canary" if self.propose else self.sign


def shown(visit: Visit, incident: Incident) -> Shown:
    """Return an incident as its visitor sees it."""
    app = visit.app
    now_ms, rules = app.clock.now_ms(), app.safety.policy
    following = next_step(app, incident)
    propose = incident.step is Step.CONFIRMING and not following.waiting and incident.plan is None
    sign = _sign(incident) if incident.plan is not None and incident.is_open and not following.waiting else ""
    return Shown(
        incident, following, marks_of(incident), words_of_step(incident), _stages(incident),
        tuple(passing(incident, now_ms, rules)) if incident.running is not None else (),
        repair=incident.step is Step.CLASSIFIED, backfill=_missing(incident) and incident.step is Step.REPAIRING,
        propose=propose, sign=sign, no_sign=_no_sign(visit, incident) if sign else "",
        reviewed=next_sign_off(incident), abort=_abort(incident),
        profiles=_profiles(visit, incident) if propose else (), symbols=_symbols(incident),
    )  # fmt: skip


def marks_of(incident: Incident) -> tuple[Mark, ...]:
    """Return every step and how it stands."""
    here = incident.step.rank
    over = incident.step is Step.RESTORED
    return tuple(
        Mark(
            step.value,
            State.DONE if step.rank < here or over else State.NOW if step.rank == here else State.AHEAD,
        )
        for step in Step
    )  # fmt: skip


def words_of_step(incident: Incident) -> str:
    """Return where an incident stands, in words."""
    running, plan = incident.running, incident.plan
    if running is not None and plan is not None:
        return f"canary, stage {running.stage} of {len(plan.stages)}"
    told = {
        Step.CLASSIFIED: "classified, to be repaired", Step.REPAIRING: "being repaired",
        Step.CONFIRMING: "canary proposed" if plan is not None else "being confirmed",
    }  # fmt: skip
    return told.get(incident.step, incident.step.value)


def _stages(incident: Incident) -> tuple[StageShown, ...]:
    plan, running = incident.plan, incident.running
    if plan is None:
        return ()
    at = running.stage if running is not None else 0
    return tuple(
        StageShown(
            number, stage.profile_id, ", ".join(stage.symbols) if stage.symbols is not None else "all symbols",
            stage.limit, Decimal(stage.duration_ms) / 60_000,
            "passed" if number <= incident.stages_done or (number == at and running and running.passed)
            else "runs" if number == at else "not yet",
        )
        for number, stage in enumerate(plan.stages, 1)
    )  # fmt: skip


def _sign(incident: Incident) -> str:
    running, plan = incident.running, incident.plan
    assert plan is not None
    number = running.stage + 1 if running is not None else 1
    return f"Sign stage {number} off" if number <= len(plan.stages) else "Sign the restoration off"


def _no_sign(visit: Visit, incident: Incident) -> str:
    assert incident.plan is not None
    mine = same_person(visit.app.actor, incident.plan.proposed_by)
    if mine and visit.app.safety.policy.four_eyes:
        return "You proposed this canary, so that somebody else signs it off: an approver."
    return "" if visit.may("sign") else "An approver signs this off."


def _abort(incident: Incident) -> str:
    if not incident.is_open:
        return ""
    return "Abort the canary" if incident.running is not None else "Take the proposal back" if incident.plan else ""


def _missing(incident: Incident) -> bool:
    verdict = incident.verdict
    return verdict is None or verdict.unclear or Pattern.MISSING in (verdict.primary, verdict.secondary)


def _profiles(visit: Visit, incident: Incident) -> tuple[str, ...]:
    """Return the account's enabled profiles, those that the incident is about first."""
    app = visit.app
    touched = {item.profile_id for item in incident.breaks.values()}
    names = [p.profile_id for p in app.ledger.profiles() if p.enabled and app.account_of(p).name == incident.account]
    return tuple(sorted(names, key=lambda name: (name not in touched, name)))


def _symbols(incident: Incident) -> str:
    """Return the symbol that a first stage would name: the only one that the incident is about."""
    found = {item.symbol for item in incident.breaks.values() if item.symbol}
    return found.pop() if len(found) == 1 else ""
