"""Every route: who may use it, and that it says so."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount
from tests.api.server import ROLES, Api
from tests.ledger.bot import Bot

from trueup.service.tokens import ROLES as PERMISSIONS
from trueup.service.tokens import Permission
from trueup.surfaces.api.app import create_app
from trueup.surfaces.api.doors import Guarded, needs, permission_of

OPEN = {("GET", "/healthz"), ("GET", "/metrics")}
READ, ACT, SIGN = Permission.READ, Permission.ACT, Permission.SIGN
DECLARED = {
    ("GET", "/healthz"): None,
    ("GET", "/capabilities"): READ,
    ("GET", "/internal/health"): READ,
    ("GET", "/metrics"): READ,
    ("POST", "/reconcile"): ACT,
    ("GET", "/reconcile/results"): READ,
    ("GET", "/reconcile/results/{reconcile_id}"): READ,
    ("GET", "/breaks"): READ,
    ("GET", "/breaks/{break_id}"): READ,
    ("POST", "/breaks/{break_id}/acknowledge"): ACT,
    ("GET", "/gate"): READ,
    ("POST", "/gate/heartbeat"): ACT,
    ("GET", "/incidents"): READ,
    ("GET", "/incidents/{incident_id}"): READ,
    ("GET", "/incidents/{incident_id}/export"): READ,
    ("POST", "/incidents/{incident_id}/notes"): ACT,
    ("POST", "/incidents/{incident_id}/repair"): ACT,
    ("POST", "/incidents/{incident_id}/canary"): ACT,
    ("POST", "/incidents/{incident_id}/canary/approve"): SIGN,
    ("POST", "/incidents/{incident_id}/canary/abort"): ACT,
    ("GET", "/internal/trading/status"): READ,
    ("POST", "/internal/trading/pause"): ACT,
    ("POST", "/internal/trading/resume"): ACT,
    ("GET", "/modes"): READ,
    ("POST", "/modes"): ACT,
    ("POST", "/backfill/run"): ACT,
    ("GET", "/backfill/batches"): READ,
    ("GET", "/backfill/batches/{batch_id}"): READ,
    ("POST", "/backfill/{batch_id}/revert"): ACT,
    ("POST", "/backfill/{batch_id}/reapply"): ACT,
    ("GET", "/audit"): READ,
    ("GET", "/audit/verify"): READ,
    ("GET", "/check"): READ,
    ("GET", "/explain/{trade_id:path}"): READ,
    ("GET", "/docs"): READ,
    ("GET", "/openapi.json"): READ,
}


def routes_of(routes: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and route of everything that an application answers, routers in it included."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner.routes)
        else:
            yield from ((method, route.path, route) for method in sorted(getattr(route, "methods", None) or {"ANY"}))


@pytest.fixture
def declared(sqlite_bot: Bot) -> dict[tuple[str, str], Any]:
    api = create_app(sqlite_bot.app())
    console = [route for route in api.routes if isinstance(route, Mount)]
    assert [route.path for route in console] == ["/console"]  # its door is its own: tests/console
    own = [route for route in api.routes if route not in console]
    return {(method, path): route for method, path, route in routes_of(own)}


def test_every_route_is_guarded_and_declares_what_it_needs(declared: dict[tuple[str, str], Any]) -> None:
    assert {key: permission_of(route) for key, route in declared.items()} == DECLARED
    assert all(isinstance(route, Guarded) for route in declared.values())


def test_what_changes_something_is_a_post_that_needs_an_operator_or_to_sign_off_an_approver() -> None:
    assert {permission for (method, _), permission in DECLARED.items() if method != "GET"} == {ACT, SIGN}
    assert [path for (_, path), permission in DECLARED.items() if permission is SIGN] == [
        "/incidents/{incident_id}/canary/approve"
    ]
    assert {permission for (method, _), permission in DECLARED.items() if method == "GET"} == {None, READ}


def test_a_route_that_declares_nothing_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="does not say what it needs"):
        Guarded("/new", lambda: None)
    assert isinstance(Guarded("/new", lambda: None, **needs(READ)), APIRoute)


def test_each_role_may_what_its_permissions_say(api: Api) -> None:
    """A route that a role may use answers something else than 401 and 403, with or without a body that fits."""
    clients = {role: api.client(role) for role in ROLES}
    wrong = []
    for (method, path), wanted in DECLARED.items():
        place = path.replace("{trade_id:path}", "TRD-1").replace("{", "").replace("}", "")
        body = {} if method == "POST" else None
        for role, client in clients.items():
            status = client.request(method, place, json=body).status_code
            may = wanted is None or wanted in PERMISSIONS[role]
            if (status == 403) is may or status == 401:
                wrong.append((method, path, role, status))
        status = api.client(None).request(method, place, json=body).status_code
        if (status == 401) is ((method, path) in OPEN):
            wrong.append((method, path, None, status))
    assert not wrong


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Basic x", "Bearer " + "x" * 600, "bearer a b"])
def test_what_opens_nothing_is_answered_with_401(api: Api, given: str) -> None:
    answer = httpx.get(f"{api.url}/modes", headers={"Authorization": given})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:trueup:problem:unauthenticated"


def test_a_path_that_is_not_there_is_not_told_to_strangers(api: Api) -> None:
    assert api.client(None).get("/nothing").status_code == 401
    assert api.client("viewer").get("/nothing").status_code == 404
    wrong = api.client("viewer").delete("/modes")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "urn:trueup:problem:method-not-allowed")
    assert "GET" in wrong.headers["Allow"]


def test_a_role_is_refused_before_anything_is_read(api: Api) -> None:
    answer = api.client("viewer").post("/modes", content=b"{not json")
    assert answer.status_code == 403
    assert "viewer" in answer.json()["detail"]
