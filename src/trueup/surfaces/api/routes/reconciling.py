"""Runs of the loop: asked for, and their results; and the breaks that they found."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from trueup.core.errors import UnknownName, nearest
from trueup.service.app import App
from trueup.service.gather import choose_profiles
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Call, Doing, Guarded, Reading, needs
from trueup.surfaces.api.models.parts import Name, Page
from trueup.surfaces.api.models.reconciling import (
    BreakItem,
    BreaksQuery,
    ReconcileAsked,
    ReconcileStarted,
    ResultsQuery,
    RunResult,
    RunStatus,
    TakeOverAsked,
)
from trueup.surfaces.api.reconciling import BreakFilter, Document, Wanted

router = APIRouter(route_class=Guarded)
RESULTS = "/reconcile/results"


@router.post(
    "/reconcile", status_code=202, response_model=ReconcileStarted, tags=["reconcile"], **needs(Permission.ACT)
)
def reconcile(asked: ReconcileAsked, call: Doing) -> Response:
    """Ask for a run of one profile; its result is at the place that the answer names, PENDING until it ends."""
    app, loop = call.app, call.options.reconciling
    wanted = Wanted(asked.instance_id, _tuple(asked.symbols), _tuple(asked.trade_ids), asked.dry_run)

    def start() -> ReconcileStarted:
        _require_instance(app, asked.instance_id)
        run_id = call.background.start(lambda: loop.start(app, wanted), lambda name: loop.finish(app, name, wanted))
        return ReconcileStarted(
            reconcile_id=run_id,
            instance_id=asked.instance_id,
            status=RunStatus.PENDING,
            result=f"{RESULTS}/{run_id}",
        )

    return call.once(asked, start, 202, lambda started: str(started.result))


@router.get(RESULTS, tags=["reconcile"], **needs(Permission.READ))
def results(call: Reading, asked: Annotated[ResultsQuery, Query()]) -> Page[RunResult]:
    """List runs, newest first."""
    _require_instance(call.app, asked.instance_id)
    status = asked.status.value if asked.status is not None else None
    total, found = call.options.reconciling.runs(call.app, asked.instance_id, status, asked.page, asked.page_size)
    items = [RunResult.model_validate(run) for run in found]
    return Page[RunResult](page=asked.page, page_size=asked.page_size, total=total, items=items)


@router.get(f"{RESULTS}/{{reconcile_id}}", tags=["reconcile"], **needs(Permission.READ))
def result(call: Reading, reconcile_id: Annotated[Name, Path()]) -> RunResult:
    """Show one run."""
    found = call.options.reconciling.run(call.app, reconcile_id)
    if found is None:
        raise UnknownName("There is no such run.", f"GET {RESULTS} lists them.")
    return RunResult.model_validate(found)


@router.get("/breaks", tags=["breaks"], **needs(Permission.READ))
def breaks(call: Reading, asked: Annotated[BreaksQuery, Query()]) -> Page[BreakItem]:
    """List the breaks that are not resolved, or those in one state."""
    _require_instance(call.app, asked.instance_id)
    if asked.account is not None and asked.account not in call.app.accounts:
        raise UnknownName("There is no such account.", nearest(asked.account, call.app.accounts))
    state = asked.state.value if asked.state is not None else None
    wanted = BreakFilter(asked.instance_id, asked.account, asked.kind, state)
    total, found = call.options.reconciling.breaks(call.app, wanted, asked.page, asked.page_size)
    items = [BreakItem.model_validate(item) for item in found]
    return Page[BreakItem](page=asked.page, page_size=asked.page_size, total=total, items=items)


@router.get("/breaks/{break_id}", tags=["breaks"], **needs(Permission.READ))
def one_break(call: Reading, break_id: Annotated[Name, Path()]) -> BreakItem:
    """Show one break."""
    return BreakItem.model_validate(_known_break(call, break_id))


@router.post("/breaks/{break_id}/acknowledge", response_model=BreakItem, tags=["breaks"], **needs(Permission.ACT))
def acknowledge(break_id: Annotated[Name, Path()], asked: TakeOverAsked, call: Doing) -> Response:
    """Take a break over: it is yours to settle, and is kept with your name and the reason."""

    def work() -> BreakItem:
        _known_break(call, break_id)
        return BreakItem.model_validate(call.options.reconciling.take_over(call.app, break_id, asked.reason))

    return call.once(asked, work)


def _known_break(call: Call, break_id: str) -> Document:
    found = call.options.reconciling.found_break(call.app, break_id)
    if found is None:
        raise UnknownName("There is no such break.", "GET /breaks lists them.")
    return found


def _require_instance(app: App, instance_id: str | None) -> None:
    if instance_id is not None:
        choose_profiles(app, [instance_id])


def _tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return tuple(names) if names is not None else None
