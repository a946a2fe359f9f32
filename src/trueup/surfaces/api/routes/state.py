"""How trueup itself is: alive, able, healthy, measured."""

from typing import cast

from fastapi import APIRouter, Request, Response

from trueup import __version__
from trueup.core.errors import TrueupError
from trueup.core.modes import GLOBAL
from trueup.core.times import iso
from trueup.service.app import App
from trueup.service.health import Health, health_of
from trueup.service.posture import stand
from trueup.service.tokens import Permission
from trueup.surfaces.api.doors import Call, Guarded, Reading, needs, open_to_all
from trueup.surfaces.api.front import HEALTHZ, METRICS
from trueup.surfaces.api.models.state import Alive, Capabilities, InternalHealth
from trueup.surfaces.api.models.trading import ModeName
from trueup.surfaces.api.problems import Kind, ProblemError

router = APIRouter(route_class=Guarded, tags=["state"])


@router.get(HEALTHZ, **open_to_all())
async def healthz() -> Alive:
    """Say that the process answers; needs no token, and looks at nothing."""
    return Alive()


@router.get("/capabilities", **needs(Permission.READ))
def capabilities(call: Reading) -> Capabilities:
    """Say what this server can do, how it is set, and what degrades it."""
    app = call.app
    reason = _degraded(call)
    return Capabilities(
        service="trueup",
        version=__version__,
        status="degraded" if reason else "ok",
        features=_features(call),
        degraded_reason=reason,
        safe_mode=cast(ModeName, stand(app).of(GLOBAL).mode.name),
        policy={name: value for name, value, _ in app.settings if name.isupper()},
        generated_at=iso(app.clock.now_ms()),
    )


@router.get("/internal/health", **needs(Permission.READ))
def internal_health(call: Reading) -> InternalHealth:
    """Sum up what the newest run of each enabled profile found, and say whether the loop runs."""
    return InternalHealth.model_validate(_health(call).as_json())


@router.get(
    METRICS,
    **needs(Permission.READ),
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Give the metrics as Prometheus reads them; on the loopback this needs no token."""
    measured = request.app.state.options.metrics
    if measured is None:
        raise ProblemError(Kind.NOT_FOUND, "This server measures nothing.", "Start it with metrics.")
    body, media_type = measured()
    return Response(body, headers={"Content-Type": media_type})


def _health(call: Call) -> Health:
    app = call.app
    enabled = [profile.profile_id for profile in app.ledger.profiles() if profile.enabled]
    newest = call.options.reconciling.newest(app)
    stale_after_ms = call.options.stale_after_ms or app.safety.deadman.timeout_ms
    return health_of(newest, enabled, app.clock.now_ms(), stale_after_ms)


def _features(call: Call) -> list[str]:
    app = call.app
    features = {
        "audit": True,
        "backfill": app.backfill.enabled,
        "backfill_apply": app.backfill.enabled and app.ledger.writable,
        "canary": True,
        "check": True,
        "explain": True,
        "gate": True,
        "incidents": True,
        "metrics": call.options.metrics is not None,
        "modes": True,
        "reconcile": call.options.reconciling.available(),
    }
    return [name for name, there in features.items() if there]


def _degraded(call: Call) -> str | None:
    """Return what degrades the service, None where nothing does."""
    if not _audited(call.app):
        return "the audit table is missing: nothing can be repaired"
    try:
        reasons = _health(call).reasons
    except TrueupError as error:
        return error.what
    return "; ".join(reasons) or None


def _audited(app: App) -> bool:
    return app.journal.audit_exists()
