"""How much trading is allowed: the status that bots ask for, pause and resume, and the modes themselves."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from trueup.core.errors import Refused
from trueup.core.modes import Mode, read_mode
from trueup.service.flattening import flatten_scope, wake_for
from trueup.service.modes import change_json, set_mode, show_modes
from trueup.service.rehearsing import rehearse
from trueup.service.tokens import Permission
from trueup.service.trading import pause, resume, trading
from trueup.surfaces.api.doors import Call, Doing, Guarded, Reading, needs
from trueup.surfaces.api.models.trading import (
    ModeAsked,
    ModeChanged,
    ModeRehearsed,
    ModesView,
    PauseAsked,
    ResumeAsked,
    TradingQuery,
    TradingStatus,
)
from trueup.surfaces.api.problems import ProblemError

router = APIRouter(route_class=Guarded, tags=["trading"])


@router.get("/internal/trading/status", **needs(Permission.READ))
def trading_status(call: Reading, asked: Annotated[TradingQuery, Query()]) -> TradingStatus:
    """Say whether trading is allowed in a scope: PAUSED in SAFE_MODE and stricter."""
    return TradingStatus.model_validate(trading(call.app, asked.scope).as_json())


@router.post("/internal/trading/pause", response_model=TradingStatus, **needs(Permission.ACT))
def trading_pause(asked: PauseAsked, call: Doing) -> Response:
    """Pause trading in a scope; a stricter mode that is in force stays."""
    return call.once(
        asked,
        lambda: TradingStatus.model_validate(pause(call.app, asked.reason, asked.scope, asked.mode).as_json()),
    )


@router.post("/internal/trading/resume", response_model=TradingStatus, **needs(Permission.ACT))
def trading_resume(asked: ResumeAsked, call: Doing) -> Response:
    """Set a scope to NORMAL; refused below what an open incident demands of it. A wider scope may still pause it."""
    return call.once(asked, lambda: TradingStatus.model_validate(resume(call.app, asked.reason, asked.scope).as_json()))


@router.get("/modes", **needs(Permission.READ))
def modes(call: Reading) -> ModesView:
    """Show the modes in force by scope, what they come to for each profile, and the newest changes."""
    return ModesView.model_validate(show_modes(call.app).as_json())


@router.post("/modes", response_model=ModeChanged | ModeRehearsed, **needs(Permission.ACT))
def set_a_mode(asked: ModeAsked, call: Doing) -> Response:
    """Put a mode in force for a scope; to loosen is refused below what an open incident demands of it.

    FLATTEN cancels the scope's orders and closes its positions, in the background: GET /modes says how far it is.
    """
    if asked.dry_run:
        return call.once(asked, lambda: _rehearsed(call, asked))
    return call.once(asked, lambda: ModeChanged.model_validate(_set(call, asked)))


def _set(call: Call, asked: ModeAsked) -> dict[str, object]:
    change = set_mode(call.app, asked.mode, asked.scope, asked.reason)
    if change.mode is Mode.FLATTEN:
        try:
            call.background.start(lambda: change.scope, lambda scope: _flatten(call, scope))
        except ProblemError:
            wake_for(call.app, change.scope)
    return change_json(change)


def _flatten(call: Call, scope: str) -> None:
    flatten_scope(call.app, scope)


def _rehearsed(call: Call, asked: ModeAsked) -> ModeRehearsed:
    if read_mode(asked.mode) is not Mode.FLATTEN:
        raise Refused(f"{asked.mode} sends nothing: there is nothing to rehearse.", "Leave dry_run out.")
    accounts = [each.as_json() for each in rehearse(call.app, asked.scope)]
    return ModeRehearsed.model_validate({"mode": asked.mode, "accounts": accounts})
