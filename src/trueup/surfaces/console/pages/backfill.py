"""The EXIT backfill: dry run, review, approval, apply; its batches, and taking one back."""

from collections.abc import Callable, Sequence

from trueup.core.audit import AuditRow
from trueup.core.people import same_person
from trueup.ports import UndoResult
from trueup.service import approvals, undo
from trueup.service.app import App
from trueup.service.approvals import Plan
from trueup.service.audit import batch_of, list_batches
from trueup.service.backfill_report import BackfillReport
from trueup.service.gates import left_out, skipped_reason
from trueup.service.tokens import Permission
from trueup.surfaces.console.door import Leave, View, Visit, acts, reads
from trueup.surfaces.console.pages.lists import PAGE_SIZE, Paging
from trueup.surfaces.console.rendering import segment

_WAIT_SECONDS = 10.0
_CHECKBOXES = 40


def backfill(visit: Visit) -> View:
    """Show what can be repaired, the plans that were proposed, and the batches."""
    app = visit.app
    enabled = [profile for profile in app.ledger.profiles() if profile.enabled]
    gates = {profile.profile_id: left_out(app, profile) or skipped_reason(app, profile) for profile in enabled}
    found = list_batches(app)
    start = (visit.page() - 1) * PAGE_SIZE
    return View(
        "backfill.html",
        {
            "gates": gates, "boxes": len(gates) <= _CHECKBOXES, "plans": approvals.plans(app),
            "batches": found[start : start + PAGE_SIZE],
            "paging": Paging("/console/backfill", visit.page(), len(found)), "four_eyes": app.safety.policy.four_eyes,
        },
    )  # fmt: skip


def propose(visit: Visit) -> View | Leave:
    """Make a dry run, and propose its plan."""
    profiles = [*visit.form.get("profile", ()), *_names(visit.given("profiles"))]
    report = approvals.propose(visit.app, profiles, _names(visit.given("symbols")), visit.given("note"), _WAIT_SECONDS)
    if any(entry.batch_id is not None for entry in report.profiles.values()):
        return Leave(f"/console/backfill/plans/{report.plan_hash}")
    return View("skipped.html", {"report": report}, status=409)


def plan(visit: Visit) -> View:
    """Show a plan: what it would book and on which proof, what it would not and why, and how it stands."""
    found = approvals.plan_of(visit.app, visit.named("plan_hash"))
    rows = approvals.rows_of(visit.app, found)
    batches = {batch.batch_id: batch for batch in list_batches(visit.app)} if found.applied_batches else {}
    applied = [batches[name] for name in found.applied_batches if name in batches]
    return View(
        "plan.html",
        {
            "plan": found, "booked": [row for row in rows if row["decision"] == "DRY_RUN"],
            "left": [row for row in rows if row["decision"] != "DRY_RUN"], "applied": applied,
            "four_eyes": visit.app.safety.policy.four_eyes,
            "mine": any(same_person(visit.app.actor, one) for one in found.proposers),
        },
    )  # fmt: skip


def approve(visit: Visit) -> Leave:
    """Approve a plan that somebody else proposed."""
    found = approvals.approve(visit.app, visit.named("plan_hash"), visit.given("note"))
    visit.tell("The plan is approved. An operator can apply it now, as long as nothing changes.")
    return _to(found)


def decline(visit: Visit) -> Leave:
    """Decline a plan, with the reason."""
    found = approvals.decline(visit.app, visit.named("plan_hash"), visit.given("note"))
    visit.tell("The plan is declined.")
    return _to(found)


def apply(visit: Visit) -> Leave:
    """Apply exactly the plan that was reviewed; one that has changed is refused."""
    name = visit.named("plan_hash")
    report = approvals.apply(visit.app, name, _WAIT_SECONDS)
    for note in _told(report):
        visit.tell(note)
    return Leave(f"/console/backfill/plans/{segment(name)}")


def _told(report: BackfillReport) -> list[str]:
    """Say how an apply ended, profile by profile."""
    said: list[str] = []
    for name, entry in sorted(report.profiles.items()):
        if entry.error is not None:
            said.append(f"{name}: {entry.error}")
        elif entry.skipped_reason is not None:
            said.append(f"{name} was left out: {entry.skipped_reason}.")
        else:
            said.append(f"{name}: {_number(entry.inserted, 'row')} booked.")
        if entry.validation is not None and entry.validation.unexpected:
            said.append(f"{name}: not as planned: {', '.join(entry.validation.unexpected)}.")
    return said


def batch(visit: Visit) -> View:
    """Show a batch, and offer to take it back or to put it in force again."""
    summary, rows = batch_of(visit.app, visit.named("batch_id"))
    shown: list[AuditRow] = rows[::-1]
    able = {
        "revert": summary.state in ("applied", "partly_reverted"),
        "reapply": summary.state in ("reverted", "partly_reverted"),
    }
    return View("batch.html", {"batch": summary, "rows": shown, "able": able})


def revert(visit: Visit) -> Leave:
    """Take a batch back."""
    return _undo(visit, undo.revert, "taken back")


def reapply(visit: Visit) -> Leave:
    """Put a batch in force again."""
    return _undo(visit, undo.reapply, "put in force again")


def _undo(visit: Visit, act: Callable[[App, str, str, float], UndoResult], done: str) -> Leave:
    name = visit.named("batch_id")
    result = act(visit.app, name, visit.given("reason"), _WAIT_SECONDS)
    more = f"; {_number(result.unchanged, 'row')} {'was' if len(result.unchanged) == 1 else 'were'} so already"
    visit.tell(f"{_number(result.changed, 'row')} {done}{more if result.unchanged else ''}.")
    return Leave(f"/console/backfill/batches/{segment(name)}")


def _to(found: Plan) -> Leave:
    return Leave(f"/console/backfill/plans/{segment(found.plan_hash)}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(things: Sequence[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"


ROUTES = (
    reads("/backfill", backfill),
    acts("/backfill/plans", propose),
    reads("/backfill/plans/{plan_hash}", plan),
    acts("/backfill/plans/{plan_hash}/approve", approve, Permission.SIGN),
    acts("/backfill/plans/{plan_hash}/decline", decline, Permission.SIGN),
    acts("/backfill/plans/{plan_hash}/apply", apply),
    reads("/backfill/batches/{batch_id}", batch),
    acts("/backfill/batches/{batch_id}/revert", revert),
    acts("/backfill/batches/{batch_id}/reapply", reapply),
)
