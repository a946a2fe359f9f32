"""The gate over HTTP: typed, refused by name, and open to a bot with a viewer's token."""

import json
from decimal import Decimal

import pytest
from tests.api.server import Api
from tests.ledger.bot import pause
from tests.service.test_gate import canary, grants

from trueup.core.modes import Mode

GATE, BEAT = "/gate", "/gate/heartbeat"
ASKED = {"instance_id": "p1", "symbol": "BTC/USD"}


def test_a_viewer_asks_and_is_answered(api: Api, sqlite_bot: object) -> None:
    viewer = api.client("viewer")
    refused = viewer.get(GATE, params=ASKED)
    assert refused.status_code == 200
    assert refused.json()["allowed"] is False
    assert (refused.json()["mode"], refused.json()["because_of"]) == ("SAFE_MODE", "global")
    pause(api.app, Mode.CLOSE_ONLY)
    answers = [viewer.get(GATE, params={**ASKED, "intent": intent}).json() for intent in ("open", "reduce")]
    assert [answer["allowed"] for answer in answers] == [False, True]
    assert set(answers[1]) == {"allowed", "mode", "because_of", "reason", "until_ms", "lease_ms", "canary_id"}
    assert answers[1]["lease_ms"] == 5_000


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"instance_id": "p9"}, 404), ({"symbol": "/"}, 422), ({"intent": "sell"}, 422), ({"notional": "-1"}, 422),
        ({"notional": "1e3"}, 422), ({"notional": "NaN"}, 422), ({"order_ref": " "}, 422), ({"order": "1"}, 422),
        ({"instance_id": "p\x001"}, 422), ({"notional": "1.5", "order_ref": "A 1"}, 200),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_question_is_refused_by_name(api: Api, asked: dict[str, str], status: int) -> None:
    answer = api.client("viewer").get(GATE, params={**ASKED, **asked})
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


def test_nobody_asks_without_a_token(api: Api) -> None:
    assert api.client(None).get(GATE, params=ASKED).status_code == 401
    assert api.client(None).post(BEAT, json={"instance_id": "p1"}).status_code == 401


def test_a_canary_counts_what_is_asked_for(api: Api, sqlite_bot: object) -> None:
    canary(sqlite_bot, api.app)
    asked = {**ASKED, "notional": "60", "order_ref": "A"}
    for _ in range(2):
        answer = api.client("viewer").get(GATE, params=asked).json()
        assert (answer["allowed"], answer["canary_id"]) == (True, "CAN-1")
    assert not api.client("viewer").get(GATE, params={**asked, "order_ref": "B"}).json()["allowed"]
    assert grants(sqlite_bot) == {"A": Decimal(60)}


def test_a_bot_beats_with_an_operator_s_token(api: Api) -> None:
    assert api.client("viewer").post(BEAT, json={"instance_id": "p1"}).status_code == 403
    assert api.client("approver").post(BEAT, json={"instance_id": "p1"}).status_code == 403
    first = api.client().post(BEAT, json={"instance_id": "p1"}).json()
    assert (first["instance_id"], first["recovering"], first["streak"], first["timeout_ms"]) == ("p1", False, 1, 90_000)
    still = api.client().post(BEAT, json={"instance_id": "p1", "healthy": False}).json()
    assert (still["healthy_at"], still["streak"]) == (first["healthy_at"], 0)
    assert api.client().post(BEAT, json={"instance_id": "p9"}).status_code == 404
    assert api.client().post(BEAT, json={"instance_id": "p1", "healthy": "yes"}).status_code == 422


def test_status_and_capabilities_tell_what_the_gate_does(api: Api) -> None:
    pause(api.app, Mode.NORMAL)
    rules, now = api.app.safety.deadman, api.app.clock.now_ms()
    api.app.heartbeats.beat("account:main", now - rules.timeout_ms - 1, healthy=True, rules=rules)
    viewer = api.client("viewer")
    answer = viewer.get(GATE, params=ASKED).json()
    status = viewer.get("/internal/trading/status", params={"scope": "profile:p1"}).json()
    assert answer["because_of"] == status["because_of"] == "account:main"
    assert (status["status"], status["source"]) == ("PAUSED", "deadman")
    assert viewer.get("/capabilities").json()["safe_mode"] == answer["mode"] == "SAFE_MODE"
    assert viewer.get("/modes").json()["profiles"]["p1"]["because_of"] == "account:main"


def test_the_description_has_the_answer_s_type(api: Api) -> None:
    paths = json.loads(api.client().get("/openapi.json").text)["paths"]
    schema = paths[GATE]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith("/GateAnswered")
