"""The real loop over HTTP: a run from its request to its result, its breaks, and the health that follows from it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.server import Api, an_api
from tests.api.test_backfill import undeclared
from tests.ledger.bot import Bot, row

from trueup.core.reconcile.records import BreakState
from trueup.surfaces.api.models.reconciling import BreakItem, RunResult
from trueup.surfaces.api.reconciling import ServiceReconciling


@pytest.fixture
def served(bot: Bot) -> Iterator[Api]:
    """Give the API with the real loop, on a bot whose ledger holds a position that the venue has not."""
    with an_api(bot.ready(row("TRD-GHOST")), reconciling=ServiceReconciling(), stale_after_ms=60_000) as api:
        yield api


def run(api: Api, **asked: Any) -> dict[str, Any]:
    """Ask for a run and wait for its end."""
    answer = api.client().post("/reconcile", json={"instance_id": "p1", **asked})
    assert answer.status_code == 202, answer.text
    client, deadline = api.client("viewer"), time.monotonic() + 30
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(answer.headers["Location"]).json()
        if found["status"] != "PENDING":
            return found
        time.sleep(0.05)
    raise AssertionError("the run did not end")


def test_a_run_says_what_it_found_and_its_breaks_stay(served: Api) -> None:
    found = run(served)
    assert found["status"] == "MISMATCH"
    assert (found["instance_id"], found["account"], found["dry_run"]) == ("p1", "main", False)
    assert not undeclared(found, RunResult)
    client = served.client("viewer")
    assert client.get("/reconcile/results", params={"status": "MISMATCH"}).json()["items"][0] == found
    listed = client.get("/breaks", params={"instance_id": "p1"}).json()
    assert listed["total"] >= 1
    one = client.get(f"/breaks/{listed['items'][0]['break_id']}").json()
    assert (one["first_seen"], one["last_seen"]) != (None, None)
    assert not undeclared(one, BreakItem)
    health = client.get("/internal/health").json()
    assert (health["reconciliationLoopHealthy"], health["reconciliationLastRun"]) == (True, found["ended_at"])
    assert health["reconciliationMismatchCount"] >= 1
    assert client.get("/capabilities").json()["status"] == "ok"


def test_a_break_is_taken_over_by_name(served: Api) -> None:
    run(served)
    break_id = served.client().get("/breaks").json()["items"][0]["break_id"]
    answer = served.client().post(f"/breaks/{break_id}/acknowledge", json={"reason": "mine"})
    assert (answer.status_code, answer.json()["state"]) == (200, "acknowledged")
    assert answer.json()["owner"].startswith("api:operator-")
    assert served.client().post("/breaks/BRK-0/acknowledge", json={"reason": "mine"}).status_code == 404


def test_one_key_is_one_run_on_record(served: Api, bot: Bot) -> None:
    clients = [served.client(**{"Idempotency-Key": "k-1"}) for _ in range(6)]
    with ThreadPoolExecutor(len(clients)) as pool:
        answers = list(pool.map(lambda client: client.post("/reconcile", json={"instance_id": "p1"}), clients))
    assert {answer.status_code for answer in answers} <= {202, 409}
    again = clients[0].post("/reconcile", json={"instance_id": "p1"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert [r["run_id"] for r in bot.db.table("reconcile_runs")] == [again.json()["reconcile_id"]]


def test_a_run_whose_venue_cannot_be_read_is_inconclusive_and_the_loop_unhealthy(served: Api, bot: Bot) -> None:
    (bot.folder / "main.json").write_text("{")
    assert run(served)["status"] == "INCONCLUSIVE"
    health = served.client("viewer").get("/internal/health").json()
    assert health["reconciliationLoopReasons"] == ["p1: its newest run was inconclusive"]


def test_every_state_of_a_break_can_be_asked_for(served: Api) -> None:
    answers = [served.client("viewer").get("/breaks", params={"state": state.value}) for state in BreakState]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
