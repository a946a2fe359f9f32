"""Plans of the backfill that one person proposes, another approves, and somebody applies: each step is kept.

Four eyes: where they are wanted, a plan is applied only if somebody other than those who
proposed it approved it since, and nobody declined it later. What is applied is exactly the plan that was approved, by
its hash, which covers every row: a world that has changed makes another plan.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueup.core.audit import AuditRow
from trueup.core.errors import ConfigurationError, Refused, UnknownName
from trueup.core.people import same_person
from trueup.core.times import iso
from trueup.ports import SignOff
from trueup.service.app import App
from trueup.service.backfill import BackfillRequest, run_backfill
from trueup.service.backfill_report import BackfillReport

PREFIX = "plan:"
PROPOSED, APPROVED, DECLINED, APPLIED = "propose", "approve", "decline", "apply"
_LISTED = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that was proposed: its newest dry run's profiles, symbols, batches and note, and every step since.

    `state` is proposed, approved, declined or applied; `skipped` says why profiles were left out.
    """

    plan_hash: str
    profiles: tuple[str, ...] | None
    symbols: tuple[str, ...] | None
    batches: tuple[str, ...]
    skipped: Mapping[str, str]
    note: str
    proposed: SignOff
    steps: tuple[SignOff, ...]

    @property
    def state(self) -> str:
        """Return how the plan stands."""
        return _state(self.steps)

    @property
    def proposers(self) -> frozenset[str]:
        """Return who proposed the plan since it was last applied."""
        return _proposers(self.steps)

    @property
    def applied_batches(self) -> tuple[str, ...]:
        """Return the batches that applies of this plan made, oldest first."""
        found = (_read(step.note).get("batches", ()) for step in self.steps if step.step == APPLIED)
        return tuple(str(batch) for batches in found for batch in batches)


def propose(
    app: App, profiles: Sequence[str] | None, symbols: Sequence[str] | None = None, note: str = "", wait: float = 0.0
) -> BackfillReport:
    """Make a dry run, and put its plan on record as proposed; a dry run that left every profile out proposes nothing.

    Refused by no gate: why a profile was left out is in the report.
    """
    request = BackfillRequest(
        tuple(profiles) if profiles else None, tuple(symbols) if symbols else None, apply=False, wait_seconds=wait
    )
    report = run_backfill(app, request)
    batches = [entry.batch_id for entry in report.profiles.values() if entry.batch_id is not None]
    if batches:
        said = {
            "profiles": list(request.profiles) if request.profiles else None,
            "symbols": list(request.symbols) if request.symbols else None,
            "batches": batches,
            "skipped": {
                name: entry.skipped_reason or str(entry.error)
                for name, entry in report.profiles.items()
                if entry.skipped_reason is not None or entry.error is not None
            },
            "note": note.strip(),
        }
        app.sign_offs.add(_step(app, report.plan_hash, PROPOSED, json.dumps(said, ensure_ascii=False)))
    return report


def approve(app: App, plan_hash: str, note: str = "") -> Plan:
    """Approve a plan that is proposed; Refused for one's own where four eyes are wanted."""

    def check(steps: Sequence[SignOff]) -> None:
        _require_proposed(steps, plan_hash)
        if app.safety.policy.four_eyes and any(same_person(app.actor, one) for one in _proposers(steps)):
            raise Refused("You proposed this plan, so that somebody else has to approve it.", "Ask another approver.")

    app.sign_offs.add(_step(app, plan_hash, APPROVED, note.strip()), check)
    return plan_of(app, plan_hash)


def decline(app: App, plan_hash: str, note: str) -> Plan:
    """Decline a plan that is proposed, with the reason; an approval that was given counts no more."""
    if not note.strip():
        raise ConfigurationError("A reason is needed.", "Say why the plan is declined; it is kept with the plan.")
    app.sign_offs.add(_step(app, plan_hash, DECLINED, note.strip()), lambda steps: _require_proposed(steps, plan_hash))
    return plan_of(app, plan_hash)


def apply(app: App, plan_hash: str, wait: float = 0.0) -> BackfillReport:
    """Apply exactly this plan; Refused where it lacks its approval, or where the plan is another one by now."""
    plan = plan_of(app, plan_hash)
    if plan.state == APPLIED:
        raise Refused("This plan was applied already.", "Make a new dry run.")
    if app.safety.policy.four_eyes and plan.state != APPROVED:
        raise Refused(f"This plan is not approved: it is {word(plan.state)}.", "An approver has to approve it first.")
    if plan.state == DECLINED:
        raise Refused("This plan was declined.", "Make a new dry run, or ask who declined it.")
    report = run_backfill(
        app, BackfillRequest(plan.profiles, plan.symbols, apply=True, plan=plan_hash, wait_seconds=wait)
    )
    if report.plan_expected is not None:
        raise Refused(
            "Nothing was booked: the plan is stale. Since it was proposed, the ledger or the venue has changed.",
            "Make a new dry run, and review what is proposed now.",
        )
    batches = [entry.batch_id for entry in report.profiles.values() if entry.batch_id is not None]
    if batches:
        app.sign_offs.add(_step(app, plan_hash, APPLIED, json.dumps({"batches": batches})))
    return report


def run_asked(app: App, request: BackfillRequest) -> BackfillReport:
    """Do a run that somebody asks for by the hash of a dry run of their own, and not by a plan of the console.

    Where four eyes are wanted and the console has the same plan, it is bound by what was decided there: Refused while
    it waits for its approval or where it was declined; an approval is used up by the apply.
    """
    steps: Sequence[SignOff] = ()
    if request.apply and request.plan is not None and app.safety.policy.four_eyes:
        steps = app.sign_offs.about(f"{PREFIX}{request.plan}")
        state = _state(steps)
        if state not in (APPROVED, APPLIED):
            raise Refused(
                f"This plan is in the console, and is not approved: it is {word(state)}.",
                "An approver has to approve it there first.",
            )
    report = run_backfill(app, request)
    batches = [entry.batch_id for entry in report.profiles.values() if entry.inserted and entry.batch_id is not None]
    if steps and batches and request.plan is not None:
        app.sign_offs.add(_step(app, request.plan, APPLIED, json.dumps({"batches": batches})))
    return report


def plan_of(app: App, plan_hash: str) -> Plan:
    """Return a plan that was ever proposed; UnknownName where there is none of the hash."""
    steps = app.sign_offs.about(f"{PREFIX}{plan_hash}")
    proposals = [step for step in steps if step.step == PROPOSED]
    if not proposals:
        raise UnknownName(f"There is no plan {plan_hash!r}.", "Make a dry run; its plan is then on record.")
    said = _read(proposals[-1].note)
    return Plan(
        plan_hash, _names(said.get("profiles")), _names(said.get("symbols")), _names(said.get("batches")) or (),
        said.get("skipped") or {}, str(said.get("note") or ""), proposals[-1], tuple(steps),
    )  # fmt: skip


def plans(app: App, limit: int = 20) -> list[Plan]:
    """Return the plans that were proposed last, newest first."""
    newest = dict.fromkeys(step.subject for step in app.sign_offs.newest(PREFIX, PROPOSED, _LISTED))
    return [plan_of(app, subject.removeprefix(PREFIX)) for subject in list(newest)[:limit]]


def rows_of(app: App, plan: Plan) -> list[AuditRow]:
    """Return what the plan's dry run decided, row by row, as the audit has it."""
    return [row for batch in plan.batches for row in app.journal.audit_rows(batch)]


def word(state: str) -> str:
    """Return how a plan stands, in a word for people."""
    return {PROPOSED: "proposed", APPROVED: "approved", DECLINED: "declined", APPLIED: "applied"}[state]


def _step(app: App, plan_hash: str, step: str, note: str) -> SignOff:
    return SignOff(f"{PREFIX}{plan_hash}", step, app.actor, note, iso(app.clock.now_ms()))


def _since_applied(steps: Sequence[SignOff]) -> list[SignOff]:
    applied = [number for number, step in enumerate(steps) if step.step == APPLIED]
    return list(steps[applied[-1] + 1 :] if applied else steps)


def _state(steps: Sequence[SignOff]) -> str:
    """Return how a plan stands since it was last applied: a new proposal reopens what was declined, and only that."""
    state = APPLIED
    for step in _since_applied(steps):
        if step.step != PROPOSED or state != APPROVED:
            state = step.step
    return state


def _proposers(steps: Sequence[SignOff]) -> frozenset[str]:
    return frozenset(step.actor for step in _since_applied(steps) if step.step == PROPOSED)


def _require_proposed(steps: Sequence[SignOff], plan_hash: str) -> None:
    if not steps:
        raise UnknownName(f"There is no plan {plan_hash!r}.", "Make a dry run; its plan is then on record.")
    if _state(steps) == APPLIED:
        raise Refused("This plan was applied already.", "There is nothing left to decide about it.")


def _read(note: str) -> dict[str, Any]:
    try:
        found = json.loads(note)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _names(said: Any) -> tuple[str, ...] | None:
    return tuple(str(name) for name in said) if said else None
