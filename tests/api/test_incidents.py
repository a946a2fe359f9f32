"""Incidents over HTTP: the whole way with the right rights, and what each step refuses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.api.server import Api, an_api
from tests.incidents.world import STAGES, SURPRISE, World, a_world
from tests.ledger.bot import Bot

from trueup.core.incidents.written import plan_hash
from trueup.core.modes import Mode
from trueup.surfaces.api.models.incidents import IncidentDocument
from trueup.surfaces.api.reconciling import ServiceReconciling

WHY = {"reason": "because"}


def signs(world: World) -> dict[str, Any]:
    """Return the body of a sign-off of what is proposed now."""
    plan = world.incident.plan
    assert plan is not None
    return {**WHY, "plan_hash": plan_hash(world.name, plan)}


@pytest.fixture
def world(bot: Bot) -> World:
    """Give the incident, on each of the databases."""
    return a_world(bot)


@pytest.fixture
def served(world: World) -> Iterator[Api]:
    """Serve it."""
    with an_api(world.app, reconciling=ServiceReconciling()) as api:
        yield api


@pytest.fixture
def sqlite_world(sqlite_bot: Bot) -> World:
    """Give the incident on SQLite alone."""
    return a_world(sqlite_bot)


@pytest.fixture
def quick(sqlite_world: World) -> Iterator[Api]:
    """Serve that one."""
    with an_api(sqlite_world.app, reconciling=ServiceReconciling()) as api:
        yield api


def told(answer: httpx.Response, status: int, kind: str, words: str) -> None:
    """Check that an answer is a problem in words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:trueup:problem:{kind}"
    assert words in str(problem), problem


def test_the_whole_way_is_gone_over_http(served: Api, world: World) -> None:
    operator, approver, viewer = (served.client(role) for role in ("operator", "approver", "viewer"))
    place = f"/incidents/{world.name}"

    def post(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(place + path, json=body)
        assert answer.status_code == 200, answer.text
        return IncidentDocument.model_validate(answer.json()).model_dump() and dict(answer.json())

    found = viewer.get(place).json()
    assert (found["step"], found["classification"]["unclear"]) == ("classified", True)
    assert found["contained"] == [{"scope": "account:main", "mode": "SAFE_MODE", "before": "NORMAL", "in_force": True}]
    assert post(operator, "/repair", **WHY)["step"] == "repairing"
    asked = {"apply": True, "plan": operator.post("/backfill/run", json={}).json()["plan_hash"]}
    assert operator.post("/backfill/run", json=asked).json()["summary"]["inserted_rows"] == 1
    assert post(operator, "/notes", text="ticket 4711")["story"][-1]["reason"] == "ticket 4711"
    for _ in range(2):
        world.look()
    document = post(operator, "/canary", stages=list(STAGES), **WHY)
    assert [stage["limit"] for stage in document["plan"]["stages"]] == ["500", "1000"]
    assert document["plan"]["proposed_by"].startswith("api:operator-")
    for number in (1, 2):
        document = post(approver, "/canary/approve", plan_hash=document["plan"]["plan_hash"], stage=number, **WHY)
        assert (document["step"], document["stage"], document["canary"]["passed"]) == ("canary", number, False)
        world.look()
    document = post(approver, "/canary/approve", plan_hash=document["plan"]["plan_hash"], stage=3, **WHY)
    assert (document["step"], document["closed_at"] is not None, document["canary"]) == ("restored", True, None)
    assert world.app.modes.current()["account:main"] is Mode.NORMAL
    text = viewer.get(f"{place}/export")
    assert text.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert text.text.count("signed off |") == 2
    assert "ticket 4711" in text.text
    assert "- step: restored" in text.text


def test_a_mismatch_ends_the_canary_and_the_document_says_so(served: Api, world: World) -> None:
    world.proposed()
    approver = served.client("approver")
    assert approver.post(f"/incidents/{world.name}/canary/approve", json=WHY).status_code == 409
    assert approver.post(f"/incidents/{world.name}/canary/approve", json=signs(world)).status_code == 200
    world.look(SURPRISE)
    found = served.client("viewer").get(f"/incidents/{world.name}").json()
    assert (found["step"], found["plan"], found["canary"], found["returns"]) == ("classified", None, None, 1)
    assert [line["what"] for line in found["story"]].count("canary ended") == 1
    told(approver.post(f"/incidents/{world.name}/canary/approve", json=WHY), 409, "refused", "waits for a sign-off")


def test_a_canary_is_taken_back_and_proposed_again(quick: Api, sqlite_world: World) -> None:
    sqlite_world.proposed()
    place, operator = f"/incidents/{sqlite_world.name}/canary", quick.client()
    document = operator.post(f"{place}/abort", json=WHY).json()
    assert (document["step"], document["plan"]) == ("confirming", None)
    told(operator.post(f"{place}/abort", json=WHY), 409, "refused", "has no canary")
    told(operator.post(place, json={"stages": [STAGES[0]], **WHY}), 409, "refused", "0 of 2")


def test_they_are_listed_page_by_page(quick: Api, sqlite_world: World) -> None:
    viewer = quick.client("viewer")
    first = sqlite_world.name
    sqlite_world.restored(replace(sqlite_world.app, actor="somebody else"))
    assert viewer.get("/incidents").json() == {"page": 1, "page_size": 50, "total": 0, "items": []}
    sqlite_world.look(SURPRISE)
    listed = viewer.get("/incidents", params={"open": "false"}).json()
    assert [(item["incident_id"] == first, item["step"]) for item in listed["items"]] == [
        (False, "classified"), (True, "restored"),
    ]  # fmt: skip
    pages = [viewer.get("/incidents", params={"open": "false", "page_size": 1, "page": n}).json() for n in (1, 2, 3)]
    assert [[item["incident_id"] for item in page["items"]] for page in pages] == [
        [listed["items"][0]["incident_id"]], [first], [],
    ]  # fmt: skip
    assert {page["total"] for page in pages} == {2}
    assert [item["incident_id"] for item in viewer.get("/incidents").json()["items"]] != [first]
    for wrong in ({"page_size": 201}, {"page": 0}, {"open": "perhaps"}, {"closed": "yes"}):
        told(viewer.get("/incidents", params=wrong), 422, "invalid", next(iter(wrong)))


def test_an_incident_that_is_not_there_is_404(quick: Api, sqlite_world: World) -> None:
    operator, approver = quick.client(), quick.client("approver")
    wrong = f"{sqlite_world.name[:-1]}_"
    place = f"/incidents/{wrong}"
    canary = {"stages": list(STAGES), **WHY}
    for answer in (
        operator.get(place), operator.get(f"{place}/export"), operator.post(f"{place}/notes", json={"text": "x"}),
        operator.post(f"{place}/repair", json=WHY), operator.post(f"{place}/canary", json=canary),
        approver.post(f"{place}/canary/approve", json=WHY), operator.post(f"{place}/canary/abort", json=WHY),
    ):  # fmt: skip
        told(answer, 404, "not-found", wrong)
        assert sqlite_world.name in answer.json()["do"]


def test_what_a_step_does_not_allow_is_refused_in_words(quick: Api, sqlite_world: World) -> None:
    operator, approver = quick.client(), quick.client("approver")
    place = f"/incidents/{sqlite_world.name}"
    canary = {"stages": list(STAGES), **WHY}
    told(operator.post(f"{place}/canary", json=canary), 409, "refused", "is classified")
    told(approver.post(f"{place}/canary/approve", json=WHY), 409, "refused", "waits for a sign-off")
    told(operator.post(f"{place}/canary/abort", json=WHY), 409, "refused", "has no canary")
    assert operator.post(f"{place}/repair", json=WHY).status_code == 200
    told(operator.post(f"{place}/repair", json=WHY), 409, "refused", "is repairing")


def test_a_stage_that_has_not_passed_is_not_signed_off(quick: Api, sqlite_world: World) -> None:
    sqlite_world.proposed()
    approver, place = quick.client("approver"), f"/incidents/{sqlite_world.name}/canary/approve"
    told(approver.post(place, json=WHY), 409, "refused", "names no plan")
    told(approver.post(place, json={**WHY, "plan_hash": "0" * 64}), 409, "refused", "is not proposed any more")
    told(approver.post(place, json={**signs(sqlite_world), "stage": 2}), 409, "refused", "does not wait")
    assert approver.post(place, json=signs(sqlite_world)).status_code == 200
    told(approver.post(place, json=signs(sqlite_world)), 409, "refused", "has not passed")


def test_nobody_signs_their_own_proposal_off(quick: Api, sqlite_world: World) -> None:
    name = next(t.name for t in sqlite_world.app.tokens.all() if t.role == "approver")
    sqlite_world.proposed(replace(sqlite_world.app, actor=f"api:{name}"))
    answer = quick.client("approver").post(f"/incidents/{sqlite_world.name}/canary/approve", json=WHY)
    told(answer, 409, "refused", "proposed this canary and cannot sign it off")
    assert sqlite_world.incident.running is None


def test_a_closed_incident_is_left_as_it_is(quick: Api, sqlite_world: World) -> None:
    sqlite_world.restored(replace(sqlite_world.app, actor="somebody else"))
    operator, approver, place = quick.client(), quick.client("approver"), f"/incidents/{sqlite_world.name}"
    for answer in (
        operator.post(f"{place}/notes", json={"text": "x"}), operator.post(f"{place}/repair", json=WHY),
        operator.post(f"{place}/canary", json={"stages": list(STAGES), **WHY}),
        approver.post(f"{place}/canary/approve", json=WHY), operator.post(f"{place}/canary/abort", json=WHY),
    ):  # fmt: skip
        told(answer, 409, "refused", "is closed")
    assert operator.get(place).json()["step"] == "restored"


def test_roles_hold(quick: Api, sqlite_world: World) -> None:
    place = f"/incidents/{sqlite_world.name}"
    acts = ("/notes", "/repair", "/canary", "/canary/abort")
    for role, paths in (
        ("viewer", (*acts, "/canary/approve")), ("operator", ("/canary/approve",)), ("approver", acts),
    ):  # fmt: skip
        for path in paths:
            told(quick.client(role).post(place + path, json=WHY), 403, "forbidden", role)
    for role in ("viewer", "operator", "approver"):
        for path in ("/incidents", place, f"{place}/export"):
            assert quick.client(role).get(path).status_code == 200
    assert quick.client(None).get(place).status_code == 401


def test_with_a_key_a_note_is_written_once(quick: Api, sqlite_world: World) -> None:
    client = quick.client(**{"Idempotency-Key": "note-1"})
    place = f"/incidents/{sqlite_world.name}/notes"
    first, second = (client.post(place, json={"text": "once"}) for _ in range(2))
    assert (second.content, second.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert [line["reason"] for line in client.get(place[:-6]).json()["story"]].count("once") == 1
    assert client.post(place, json={"text": "another"}).status_code in (409, 422)


@pytest.mark.parametrize(
    ("stage", "status", "words"),
    [
        ("p9:BTC/USD:500:30", 404, "begins with no profile"), ("p1:BTC/USD:0:30", 422, "more than 0"),
        ("p1:BTC/USD:500:0", 422, "more than 0"), ("p1:BTC/USD:500:10081", 422, "10080"),
        ("p1:BTC/USD:1.2.3:30", 422, "no numbers"), ("p1:,:500:30", 422, "names no symbol"),
        ("p1:BTC/USD:500:0.000001", 422, "more than 0"), ("p1:BTC/USD:" + "9" * 60 + ":30", 422, "no numbers"),
        ("p1:BTC/USD:1e400:30", 422, "stages"), ("p1:BTC/USD:NaN:30", 422, "stages"), ("p1:500:30", 422, "stage"),
        ("p1", 422, "stages"), ("p1:BTC/USD:-5:30", 422, "stages"),
    ],
)  # fmt: skip
def test_a_stage_that_is_none_is_told(quick: Api, sqlite_world: World, stage: str, status: int, words: str) -> None:
    sqlite_world.confirmed()
    answer = quick.client().post(f"/incidents/{sqlite_world.name}/canary", json={"stages": [stage], **WHY})
    told(answer, status, "not-found" if status == 404 else "invalid", words)
    assert sqlite_world.incident.plan is None


def test_a_symbol_may_hold_a_colon(quick: Api, sqlite_world: World) -> None:
    sqlite_world.confirmed()
    stages = ["p1:BTC/USDT:USDT:500:30"]
    document = quick.client().post(f"/incidents/{sqlite_world.name}/canary", json={"stages": stages, **WHY}).json()
    assert document["plan"]["stages"] == [
        {"profile_id": "p1", "symbols": ["BTC/USDT:USDT"], "limit": "500", "duration_ms": 1_800_000}
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/repair", {}), ("/repair", {"reason": " "}), ("/notes", {"text": ""}), ("/notes", WHY),
        ("/canary", {"stages": [], **WHY}), ("/canary", WHY), ("/canary", {"stages": [STAGES[0]] * 21, **WHY}),
        ("/canary/abort", {"reason": "x", "force": True}), ("/canary/abort", {"reason": "x" * 1001}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_wrongly_is_422(quick: Api, sqlite_world: World, path: str, body: dict[str, Any]) -> None:
    told(quick.client().post(f"/incidents/{sqlite_world.name}{path}", json=body), 422, "invalid", "")
