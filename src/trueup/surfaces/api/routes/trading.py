"""How much trading is allowed: the status that bots ask for, pause and resume, and the modes themselves."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from trueup.service.modes import change_json, set_mode, show_modes
from trueup.service.tokens import Permission
from trueup.service.trading import pause, resume, trading
from trueup.surfaces.api.doors import Doing, Guarded, Reading, needs
from trueup.surfaces.api.models.trading import (
    ModeAsked,
    ModeChanged,
    ModesView,
    PauseAsked,
    ResumeAsked,
    TradingQuery,
    TradingStatus,
)

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
    """Set a scope to NORMAL; refused while an incident is open in it. A wider scope may still pause it."""
    return call.once(asked, lambda: TradingStatus.model_validate(resume(call.app, asked.reason, asked.scope).as_json()))


@router.get("/modes", **needs(Permission.READ))
def modes(call: Reading) -> ModesView:
    """Show the modes in force by scope, what they come to for each profile, and the newest changes."""
    return ModesView.model_validate(show_modes(call.app).as_json())


@router.post("/modes", response_model=ModeChanged, **needs(Permission.ACT))
def set_a_mode(asked: ModeAsked, call: Doing) -> Response:
    """Put a mode in force for a scope; to loosen is refused while an incident is open in it."""
    return call.once(
        asked,
        lambda: ModeChanged.model_validate(change_json(set_mode(call.app, asked.mode, asked.scope, asked.reason))),
    )
