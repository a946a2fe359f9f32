"""What people do to incidents: look, note, repair, propose the way back, sign off, abort.

Invariant 10: whatever loosens goes through `ways`, and is put on record with its sign-off in one transaction.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import plain, read_decimal
from trueup.core.errors import ChangedMeanwhile, ConfigurationError, Refused, UnknownName, nearest
from trueup.core.incidents.exposure import at_risk
from trueup.core.incidents.incident import Incident, Move, Stage
from trueup.core.incidents.ways import (
    Item,
    Next,
    Read,
    SignOff,
    aborted,
    awaited,
    checklist,
    next_of,
    noted,
    proposed,
    require_read,
    require_signer,
    signed_off,
    started_repair,
)
from trueup.core.incidents.written import plan_hash, plan_json, running_json, verdict_json
from trueup.core.repair.slices import slices_of
from trueup.core.times import iso
from trueup.ports import Kept, Line
from trueup.service.app import App
from trueup.service.blockers import blocker_ahead, require_free
from trueup.service.incident_facts import covered_by
from trueup.service.incidents import tell

_MINUTE_MS = 60_000
_LONGEST_MINUTES = 10_080
_FORM = "Write it as PROFILE:SYMBOLS:LIMIT:MINUTES, for example p1:BTC/USD:500:30; * is all symbols."
_TRIES = 3


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident as people see it: with its story, its checklist and what is to be done next."""

    incident: Incident
    story: tuple[Line, ...]
    checklist: tuple[Item, ...]
    next: Next

    @property
    def plan_hash(self) -> str | None:
        """Return the hash of the canary that is proposed, by which a sign-off names it; None where none is."""
        plan = self.incident.plan
        return plan_hash(self.incident.incident_id, plan) if plan is not None else None

    def _plan(self) -> dict[str, object] | None:
        plan = self.incident.plan
        return {**plan_json(plan), "plan_hash": self.plan_hash} if plan is not None else None

    def as_json(self) -> dict[str, object]:
        """Return the view for printing and for the ticket."""
        return {
            **summary_json(self.incident),
            "plan": self._plan(),
            "canary": running_json(self.incident.running) if self.incident.running is not None else None,
            "next": {
                "what": self.next.what, "why": self.next.why, "commands": list(self.next.commands),
                "waiting": self.next.waiting,
            },
            "checklist": [
                {"step": item.step.value, "what": item.what, "done": item.done, "detail": item.detail}
                for item in self.checklist
            ],
            "breaks": sorted(self.incident.breaks),
            "story": [
                {
                    "seq": line.seq, "step": line.step, "what": line.what, "actor": line.actor, "reason": line.reason,
                    "run_ids": list(line.run_ids), "at": line.at,
                }
                for line in self.story
            ],
        }  # fmt: skip


def summary_json(incident: Incident) -> dict[str, object]:
    """Return an incident in a list."""
    verdict = incident.verdict
    return {
        "incident_id": incident.incident_id, "account": incident.account, "scope": incident.scope,
        "step": incident.step.value, "stage": incident.running.stage if incident.running is not None else None,
        "opened_at": iso(incident.opened_ms),
        "closed_at": iso(incident.closed_ms) if incident.closed_ms is not None else None,
        "classification": verdict_json(verdict) if verdict is not None else None,
        "contained": [
            {"scope": item.scope, "mode": item.mode.name, "before": item.before.name, "in_force": item.seq > 0}
            for item in incident.contained
        ],
        "runs": incident.runs, "returns": incident.returns, "untrusted": incident.untrusted or None,
        "run_ids": list(incident.run_ids),
    }  # fmt: skip


def incidents_page(
    app: App, *, only_open: bool = False, page: int = 1, page_size: int = 50
) -> tuple[int, list[Incident]]:
    """Return how many incidents there are, and one page of them, newest first."""
    return app.incidents.page(only_open=only_open, page=page, page_size=page_size)


def show_incident(app: App, incident_id: str | None = None) -> IncidentView:
    """Return an incident; without an id the only one that is open."""
    return _view(app, _kept(app, incident_id).incident)


def note(app: App, incident_id: str | None, text: str) -> IncidentView:
    """Attach a note to an incident."""
    said = _reason(text, "A note needs a text.")
    return _move(app, incident_id, lambda incident: noted(incident, app.actor, said))


def start_repair(app: App, incident_id: str | None, reason: str) -> IncidentView:
    """Begin the repair of an incident; what repairs its class is what `next` says then."""
    why = _reason(reason)
    return _move(app, incident_id, lambda incident: started_repair(incident, app.actor, why, app.safety.policy))


@dataclass(frozen=True, slots=True)
class StageAsked:
    """A stage as somebody wrote it, part by part: symbols with commas, * for all of them."""

    profile_id: str
    symbols: str
    limit: str
    minutes: str

    def __str__(self) -> str:
        return f"{self.profile_id}:{self.symbols}:{self.limit}:{self.minutes}"


def propose_canary(app: App, incident_id: str | None, stages: Sequence[str | StageAsked], reason: str) -> IncidentView:
    """Propose the way back in stages, each PROFILE:SYMBOLS:LIMIT:MINUTES; symbols with commas, * for all."""
    why = _reason(reason)

    def propose(incident: Incident) -> Move:
        plan = [read_stage(app, incident, stage) for stage in stages]
        return proposed(incident, plan, app.actor, why, app.clock.now_ms(), app.safety.policy)

    return _move(app, incident_id, propose)


def sign_off(
    app: App, incident_id: str | None, reason: str, reviewed: str | Read | None = None, *, by_token: bool = True
) -> IncidentView:
    """Sign the next step of an incident off: the first stage of its canary, the next one, or the restoration.

    `reviewed` is what somebody read: the `next_sign_off`, or the plan's hash with the stage; Refused where it is
    another one by now. `by_token` says that a token told who signs; where four eyes are wanted, nothing less tells two
    people apart.
    """
    why = _reason(reason)

    def sign(incident: Incident) -> Move:
        if isinstance(reviewed, str) and reviewed != next_sign_off(incident):
            raise Refused(
                f"{incident.incident_id} has moved on since you read it. Nothing was signed off.",
                "Load the page again, and read what waits for a sign-off now.",
            )
        require_signer(incident, app.actor, app.safety.policy, by_token=by_token)
        if isinstance(reviewed, Read):
            require_read(incident, reviewed, app.safety.policy)
        require_free(app, incident)
        now_ms = app.clock.now_ms()
        exposure = _exposure(app, incident)
        covered_ms = covered_by(app, now_ms, now_ms)
        word = SignOff(app.actor, why, app.clock.new_id("CAN"), app.clock.now_ms(), exposure, covered_ms)
        return signed_off(incident, word, app.safety.policy)

    return _move(app, incident_id, sign)


def abort_canary(app: App, incident_id: str | None, reason: str) -> IncidentView:
    """End a canary at once, or take its proposal back; trading is as contained as before."""
    why = _reason(reason)
    return _move(app, incident_id, lambda incident: aborted(incident, app.actor, why))


def next_sign_off(incident: Incident) -> str:
    """Name what a sign-off would let happen: of which proposal, and which of its steps; blank where there is none."""
    if incident.plan is None:
        return ""
    return f"{incident.plan.proposed_ms}-{awaited(incident)}"


def read_stage(app: App, incident: Incident, asked: str | StageAsked) -> Stage:
    """Read PROFILE:SYMBOLS:LIMIT:MINUTES; a symbol may hold a colon, and a stage reaches no further than the incident.

    ConfigurationError names what is wrong.
    """
    profiles = {profile.profile_id: profile for profile in app.ledger.profiles()}
    parts = _parts(asked, profiles) if isinstance(asked, str) else asked
    told = f"The stage {str(asked)!r}"
    if parts.profile_id not in profiles:
        raise UnknownName(f"{told} begins with no profile.", nearest(parts.profile_id, profiles))
    try:
        limit, minutes = read_decimal(parts.limit), read_decimal(parts.minutes)
    except ValueError:
        raise ConfigurationError(f"{told}: its limit and minutes are no numbers.", _FORM) from None
    if not (limit > 0 and 0 < minutes <= _LONGEST_MINUTES and int(minutes * _MINUTE_MS)):
        raise ConfigurationError(f"{told}: limit and minutes are more than 0, minutes up to {_LONGEST_MINUTES}.", _FORM)
    if not profiles[parts.profile_id].enabled:
        raise Refused(
            f"{told}: {parts.profile_id} is disabled, so that no run looks at what it trades.",
            "Enable the profile first, or leave it out.",
        )
    names = tuple(part.strip() for part in parts.symbols.split(",") if part.strip())
    if not names:
        raise ConfigurationError(f"{told} names no symbol.", _FORM)
    if app.account_of(profiles[parts.profile_id]).name != incident.account:
        raise ConfigurationError(
            f"{parts.profile_id} is not of {incident.account}, where {incident.incident_id} is.", _FORM
        )
    return Stage(parts.profile_id, None if "*" in names else names, limit, int(minutes * _MINUTE_MS))


def _parts(text: str, profiles: Collection[str]) -> StageAsked:
    owners = sorted((name for name in profiles if text.startswith(f"{name}:")), key=len)
    parts = text.removeprefix(f"{owners[-1]}:").rsplit(":", 2) if owners else []
    if not owners and text not in profiles:
        return StageAsked(text.partition(":")[0], "", "", "")
    if len(parts) != 3:
        raise ConfigurationError(f"The stage {text!r} is not whole.", _FORM)
    return StageAsked(owners[-1], *parts)


def _exposure(app: App, incident: Incident) -> Decimal:
    """Return what is at risk in the next stage already, by the ledger alone.

    Refused where it is beyond the stage's limit, or where a price is not known.
    """
    plan = incident.plan
    number = incident.running.stage + 1 if incident.running is not None else 1
    if plan is None or number > len(plan.stages):
        return Decimal(0)
    stage = plan.stages[number - 1]
    symbols = app.accounts[incident.account].symbols
    slices = slices_of(app.ledger.open_trade_rows([stage.profile_id]), symbols)
    working = app.ledger.orders_to_compare(
        [stage.profile_id], app.clock.now_ms(), (), (), app.backfill.policy.tag_prefix
    )  # fmt: skip
    found = at_risk(stage, slices, working, symbols)
    if found.notional is None:
        raise Refused(
            f"{found.unpriced[0].upper()}{found.unpriced[1:]} cannot be priced, so that no limit can hold.",
            "Close the trade, cancel the order, or leave its symbol out of the stage.",
        )
    if found.notional > stage.limit:
        raise Refused(
            f"{stage.profile_id} has {plain(found.notional)} at risk already, over the stage's limit of"
            f" {plain(stage.limit)}.",
            "Propose a canary with a limit that holds it: trueup canary abort, then trueup canary propose.",
        )
    return found.notional


def _move(app: App, incident_id: str | None, decide: Callable[[Incident], Move]) -> IncidentView:
    """Decide on an incident as it is and put it on record; where a run moved it meanwhile, decide anew."""
    for attempt in range(_TRIES):
        kept = _kept(app, incident_id)
        if not kept.incident.is_open:
            raise Refused(f"{kept.incident.incident_id} is closed.", "A new mismatch opens a new one.")
        move = decide(kept.incident)
        try:
            done = app.incidents.commit(move, kept.version, app.clock.now_ms())
        except ChangedMeanwhile:
            if attempt == _TRIES - 1:
                raise
            continue
        tell(app, move, done.incident)
        return _view(app, done.incident)
    raise AssertionError("unreachable")


def _kept(app: App, incident_id: str | None) -> Kept:
    if incident_id is not None:
        found = app.incidents.get(incident_id)
        if found is None:
            _, known = app.incidents.page(page_size=20)
            raise UnknownName(
                f"There is no incident {incident_id!r}.", nearest(incident_id, [item.incident_id for item in known])
            )
        return found
    total, open_ones = app.incidents.page(only_open=True, page_size=2)
    if total != 1:
        told = "No incident is open." if not total else f"{total} incidents are open."
        raise ConfigurationError(told, "Name one: see `trueup incident list`.")
    found = app.incidents.get(open_ones[0].incident_id)
    assert found is not None
    return found


def _view(app: App, incident: Incident) -> IncidentView:
    now_ms, rules = app.clock.now_ms(), app.safety.policy
    return IncidentView(
        incident, tuple(app.incidents.story(incident.incident_id)), tuple(checklist(incident, now_ms, rules)),
        next_step(app, incident),
    )  # fmt: skip


def next_step(app: App, incident: Incident) -> Next:
    """Return what is to be done now; what stands in the way of a canary comes first."""
    following = next_of(incident, app.clock.now_ms(), app.safety.policy)
    found = blocker_ahead(app, incident)
    if found is None:
        return following
    why = f"It is not of {incident.incident_id}, and a canary could not trade. {following.what} {following.why}"
    return Next(
        f"Take back what stands in the way: {found}.", why, (found.command, *following.commands), following.waiting
    )


def _reason(text: str, what: str = "A reason is needed.") -> str:
    if not text.strip():
        raise ConfigurationError(what, "Write it down; it is kept in the incident's story.")
    return text.strip()
