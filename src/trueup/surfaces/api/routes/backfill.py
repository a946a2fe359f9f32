"""The EXIT backfill: dry run, apply of a reviewed plan, revert, reapply, and its batches."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from trueup.ports import UndoResult
from trueup.service import undo
from trueup.service.app import App
from trueup.service.approvals import run_asked
from trueup.service.audit import batch_json, batch_of, list_batches
from trueup.service.backfill import BackfillRequest
from trueup.service.backfill_report import BackfillReport
from trueup.service.gates import DISABLED
from trueup.service.gather import choose_profiles
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Doing, Guarded, KeyedCall, Reading, needs
from trueup.surfaces.api.models.audit import BatchDetail, BatchesQuery, BatchItem, UndoAsked, Undone
from trueup.surfaces.api.models.backfill import BackfillAsked, BackfillDocument
from trueup.surfaces.api.models.parts import Name, Page
from trueup.surfaces.api.problems import Kind, ProblemError
from trueup.surfaces.api.routes.audit import audit_item

router = APIRouter(route_class=Guarded, prefix="/backfill", tags=["backfill"])
BatchId = Annotated[Name, Path()]


@router.post("/run", response_model=BackfillDocument, **needs(Permission.ACT))
def run(asked: BackfillAsked, call: Doing) -> Response:
    """Plan the missing exits; with `apply` and the plan that was reviewed, book exactly that plan.

    A plan that is not the plan any more is refused, and nothing is booked; so is one that waits in the console for its
    approval, where four eyes are wanted.
    """
    request = BackfillRequest(
        profiles=tuple(asked.instance_ids) if asked.instance_ids else None,
        symbols=tuple(asked.symbols) if asked.symbols else None,
        trade_ids=tuple(asked.trade_ids) if asked.trade_ids else None,
        apply=asked.apply,
        plan=asked.plan,
        wait_seconds=float(asked.wait_seconds),
    )
    return call.once(asked, lambda: _document(run_asked(call.app, request)))


@router.get("/batches", **needs(Permission.READ))
def batches(call: Reading, asked: Annotated[BatchesQuery, Query()]) -> Page[BatchItem]:
    """List the batches, newest first."""
    wanted = [asked.instance_id] if asked.instance_id is not None else None
    if wanted is not None:
        choose_profiles(call.app, wanted)
    found = list_batches(call.app, wanted)
    shown = found[(asked.page - 1) * asked.page_size : asked.page * asked.page_size]
    items = [BatchItem.model_validate(batch_json(batch)) for batch in shown]
    return Page[BatchItem](page=asked.page, page_size=asked.page_size, total=len(found), items=items)


@router.get("/batches/{batch_id}", **needs(Permission.READ))
def batch(call: Reading, batch_id: BatchId) -> BatchDetail:
    """Show one batch with the audit's rows of it."""
    summary, rows = batch_of(call.app, batch_id)
    return BatchDetail.model_validate({**batch_json(summary), "audit": [audit_item(row) for row in rows]})


@router.post("/{batch_id}/revert", response_model=Undone, **needs(Permission.ACT))
def revert(batch_id: BatchId, asked: UndoAsked, call: Doing) -> Response:
    """Take an applied batch back: its rows become canceled. Refused where a trade has changed since."""
    return _undo(call, asked, batch_id, undo.revert)


@router.post("/{batch_id}/reapply", response_model=Undone, **needs(Permission.ACT))
def reapply(batch_id: BatchId, asked: UndoAsked, call: Doing) -> Response:
    """Put a reverted batch in force again. Refused where a trade has changed since, or past the venue's position."""
    return _undo(call, asked, batch_id, undo.reapply)


def _undo(
    call: KeyedCall, asked: UndoAsked, batch_id: str, act: Callable[[App, str, str, float], UndoResult]
) -> Response:
    def work() -> Undone:
        done = act(call.app, batch_id, asked.reason, float(asked.wait_seconds))
        return Undone(
            batch_id=done.batch_id,
            changed=list(done.changed),
            unchanged=list(done.unchanged),
            audit=[audit_item(row) for row in done.audit],
        )

    return call.once(asked, work)


def _document(report: BackfillReport) -> BackfillDocument:
    if report.profiles and all(entry.skipped_reason == DISABLED for entry in report.profiles.values()):
        if not report.dry_run:
            told = "Nothing was booked: the backfill is disabled."
            raise ProblemError(Kind.REFUSED, told, "Set ENABLE_RECON_EXIT_BACKFILL=true for the server.")
        return BackfillDocument.model_validate({**report.as_json(), "plan_hash": None})
    if report.plan_expected is not None:
        raise ProblemError(
            Kind.REFUSED,
            f"Nothing was booked: {report.plan_refused}.",
            f"Review it again with a dry run; the plan is {report.plan_hash} now.",
        )
    return BackfillDocument.model_validate(report.as_json())
