"""Runs that are asked for over HTTP, their results, and the key that makes a request run once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.server import Api, FakeLoop, an_api, ended
from tests.ledger.bot import Bot, row

from trueup.core.errors import CannotKnow, Refused
from trueup.surfaces.api.reconciling import Wanted

ASKED = {"instance_id": "p1", "symbols": ["BTC/USD"], "dry_run": True}


def ended_run(api: Api, run_id: str) -> dict[str, Any]:
    """Wait until a run has ended."""
    client, deadline = api.client("viewer"), time.monotonic() + 10
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/reconcile/results/{run_id}").json()
        if found["status"] != "PENDING":
            return found
        time.sleep(0.02)
    raise AssertionError(f"{run_id} did not end")


def test_a_run_is_put_on_record_at_once_and_done_later(api: Api) -> None:
    answer = api.client().post("/reconcile", json=ASKED)
    started = answer.json()
    assert (answer.status_code, started["status"], started["instance_id"]) == (202, "PENDING", "p1")
    assert answer.headers["Location"] == started["result"] == f"/reconcile/results/{started['reconcile_id']}"
    pending = api.client("viewer").get(started["result"]).json()
    assert (pending["status"], pending["difference"], pending["breaks"]) == ("PENDING", None, [])
    api.loop.gate.set()
    found = ended_run(api, started["reconcile_id"])
    assert (found["status"], found["difference"], found["breaks"][0]["kind"]) == ("OK", "0.5", "ghost_position")
    assert api.loop.started == [Wanted("p1", ("BTC/USD",), None, dry_run=True)]
    assert api.loop.actors[0].startswith("api:operator-")


def test_the_whole_summary_of_a_run_is_in_its_result(api: Api) -> None:
    summary = ended("RUN-9", status="MISMATCH", lately_added={"field": 1})
    api.loop.documents["RUN-9"] = summary
    found = api.client("viewer").get("/reconcile/results/RUN-9").json()
    assert {name: found[name] for name in summary if name != "breaks"} == {
        name: value for name, value in summary.items() if name != "breaks"
    }
    assert {name: found["breaks"][0][name] for name in summary["breaks"][0]} == summary["breaks"][0]


def test_results_are_paged_and_chosen_by_profile_and_status(api: Api) -> None:
    for number in range(5):
        api.loop.documents[f"RUN-{number}"] = ended(f"RUN-{number}", status="OK" if number % 2 else "MISMATCH")
    client = api.client("viewer")
    first = client.get("/reconcile/results", params={"page_size": 2}).json()
    assert ([run["reconcile_id"] for run in first["items"]], first["total"]) == (["RUN-4", "RUN-3"], 5)
    assert (first["page"], first["page_size"]) == (1, 2)
    last = client.get("/reconcile/results", params={"page_size": 2, "page": 3}).json()
    assert [run["reconcile_id"] for run in last["items"]] == ["RUN-0"]
    chosen = client.get("/reconcile/results", params={"status": "OK", "instance_id": "p1"}).json()
    assert [run["reconcile_id"] for run in chosen["items"]] == ["RUN-3", "RUN-1"]


@pytest.mark.parametrize(
    "asked",
    [
        {"page": 0}, {"page": -1}, {"page": "x"}, {"page_size": 0}, {"page_size": 201}, {"status": "FINE"},
        {"instance_id": ""}, {"instance_idd": "p1"}, {"page": 10**9},
        {"status": ["OK", "MISMATCH"]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_wrongly_is_422(api: Api, asked: dict[str, Any]) -> None:
    answer = api.client("viewer").get("/reconcile/results", params=asked)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert f"query.{next(iter(asked))}" in [error["where"] for error in answer.json()["errors"]]


def test_an_unknown_profile_or_run_or_break_is_404(api: Api) -> None:
    answers = [
        api.client().post("/reconcile", json={"instance_id": "p2"}),
        api.client().get("/reconcile/results", params={"instance_id": "p2"}),
        api.client().get("/reconcile/results/RUN-0"),
        api.client().get("/breaks", params={"instance_id": "p2"}),
        api.client().get("/breaks/BRK-0"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert answers[0].json()["detail"] == "There is no profile 'p2'."
    assert not api.loop.started


@pytest.mark.parametrize(
    "body",
    [
        {}, {"instance_id": None}, {"instance_id": ""}, {"instance_id": "p\x001"}, {"instance_id": "\ud800"},
        {"instance_id": "p1", "symbols": []}, {"instance_id": "p1", "symbols": ["/-"]},
        {"instance_id": "p1", "dry_run": "yes"}, {"instance_id": "p1", "dryrun": True}, [], "p1", 1,
    ],
    ids=str,
)  # fmt: skip
def test_a_body_that_does_not_fit_is_422_and_is_not_repeated(api: Api, body: Any) -> None:
    answer = api.client().post("/reconcile", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert all(set(error) == {"where", "what"} for error in answer.json()["errors"])
    assert not api.loop.started


def test_breaks_are_listed_and_shown(api: Api) -> None:
    shown = ended("R")["breaks"][0]
    api.loop.found = {f"BRK-{n}": {**shown, "break_id": f"BRK-{n}", "state": state} for n, state in
                      enumerate(("waiting", "quarantined", "waiting"))}  # fmt: skip
    client = api.client("viewer")
    assert client.get("/breaks").json()["total"] == 3
    chosen = client.get("/breaks", params={"state": "waiting", "page_size": 1, "page": 2}).json()
    assert ([item["break_id"] for item in chosen["items"]], chosen["total"]) == (["BRK-2"], 2)
    assert client.get("/breaks/BRK-1").json()["state"] == "quarantined"


def test_too_many_runs_at_once_are_refused_and_nothing_is_begun_for_them(sqlite_bot: Bot) -> None:
    with an_api(sqlite_bot.ready(row("TRD-1")), background_threads=1, waiting=1) as api:
        client = api.client()
        answers = [client.post("/reconcile", json=ASKED) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429]
        assert int(answers[2].headers["Retry-After"]) > 0
        assert len(api.loop.started) == 2
        api.loop.gate.set()
        for answer in answers[:2]:
            ended_run(api, answer.json()["reconcile_id"])
        assert client.post("/reconcile", json=ASKED).status_code == 202


class TestIdempotencyKey:
    def test_twice_with_one_key_runs_once_and_answers_alike(self, api: Api) -> None:
        client = api.client(**{"Idempotency-Key": "k-1"})
        first, second = (client.post("/reconcile", json=ASKED) for _ in range(2))
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert first.headers["Location"] == second.headers["Location"]
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        assert len(api.loop.started) == 1

    def test_the_same_request_written_otherwise_is_the_same(self, api: Api) -> None:
        client = api.client(**{"Idempotency-Key": "k-1"})
        client.post("/reconcile", json=ASKED)
        again = client.post("/reconcile", json={**dict(reversed(ASKED.items())), "trade_ids": None})
        assert again.headers["Idempotency-Replayed"] == "true"

    def test_with_another_body_it_is_refused(self, api: Api) -> None:
        client = api.client(**{"Idempotency-Key": "k-1"})
        client.post("/reconcile", json=ASKED)
        other = client.post("/reconcile", json={**ASKED, "dry_run": False})
        assert (other.status_code, other.json()["type"]) == (409, "urn:trueup:problem:key-reused")
        assert len(api.loop.started) == 1

    def test_it_means_one_token_and_one_path(self, api: Api) -> None:
        headers = {"Idempotency-Key": "k-1"}
        assert api.client(**headers).post("/reconcile", json=ASKED).status_code == 202
        paused = api.client(**headers).post("/internal/trading/pause", json={"reason": "x"})
        assert (paused.status_code, paused.json()["status"]) == (200, "PAUSED")

    def test_what_was_refused_or_failed_may_be_sent_again(self, api: Api) -> None:
        client = api.client(**{"Idempotency-Key": "k-1"})
        for failure, status in ((Refused("no"), 409), (CannotKnow("how"), 503), (RuntimeError("oh"), 500)):
            api.loop.fails = failure
            assert client.post("/reconcile", json=ASKED).status_code == status
        api.loop.fails = None
        assert client.post("/reconcile", json=ASKED).status_code == 202

    @pytest.mark.parametrize("key", ["", "x" * 201, "a b"])
    def test_a_key_that_is_none_is_422(self, api: Api, key: str) -> None:
        answer = api.client(**{"Idempotency-Key": key}).post("/reconcile", json=ASKED)
        assert answer.status_code == 422

    def test_at_the_same_moment_in_two_servers_it_runs_once(self, bot: Bot) -> None:
        """Two processes would have two pools and two Apps, which is what two servers in this one have."""
        loop = FakeLoop()
        loop.gate.set()
        first_app, second_app = bot.ready(row("TRD-1")), bot.app()
        with an_api(first_app, reconciling=loop) as first, an_api(second_app, reconciling=loop) as second:
            second.secrets = first.secrets
            clients = [server.client(**{"Idempotency-Key": "k-1"}) for server in (first, second) * 6]
            with ThreadPoolExecutor(len(clients)) as pool:
                answers = list(pool.map(lambda client: client.post("/reconcile", json=ASKED), clients))
            assert len(loop.started) == 1
            assert {answer.status_code for answer in answers} <= {202, 409}
            assert {answer.text for answer in answers if answer.status_code == 202} == {
                clients[0].post("/reconcile", json=ASKED).text
            }
            for answer in answers:
                if answer.status_code == 409:
                    assert answer.json()["type"] == "urn:trueup:problem:in-progress"
                    assert answer.headers["Retry-After"] == "1"
