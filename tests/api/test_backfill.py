"""The EXIT backfill over HTTP: dry run, apply of exactly that plan, revert, reapply; audit, check and explanation."""

from dataclasses import replace
from typing import Any

import pytest
from tests.api.server import Api, FakeLoop, an_api, ended
from tests.ledger.bot import Bot, row, sold

from trueup.core.errors import Refused
from trueup.service import approvals
from trueup.service.check import run_check
from trueup.service.explain import explain
from trueup.service.health import health_of
from trueup.surfaces.api.models.backfill import BackfillDocument

RUN = "/backfill/run"


def dry_run(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.client().post(RUN, json=asked)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def apply(api: Api) -> tuple[dict[str, Any], str]:
    """Apply what a dry run proposed, and return the document and the batch."""
    document = dry_run(api, apply=True, plan=dry_run(api)["plan_hash"])
    return document, document["profiles"][0]["batch_id"]


@pytest.fixture
def served(bot: Bot) -> Any:
    """Give the API on each of the databases."""
    bot.sells(sold("v-1", client_order_id="bytelyst-p1-TRD-GHOST-exit"))
    with an_api(bot.ready(row("TRD-GHOST"), row("TRD-LOST", "2", symbol="ETH/USD"))) as api:
        yield api


def undeclared(document: Any, model: Any) -> list[str]:
    """Name the fields of a document that its model does not declare."""
    known = model.model_validate(document)
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                walk(item)
        elif hasattr(part, "model_fields_set"):
            found.extend(f"{type(part).__name__}.{name}" for name in part.model_extra or {})
            for name in type(part).model_fields:
                walk(getattr(part, name))

    walk(known)
    return found


def test_a_reviewed_plan_is_applied_taken_back_and_put_back(served: Api, bot: Bot) -> None:
    document, batch = apply(served)
    assert document["summary"]["inserted_rows"] == 1
    assert document["profiles"][0]["validation"]["ok"]
    client = served.client()
    shown = served.client("viewer").get(f"/backfill/batches/{batch}").json()
    assert (shown["state"], shown["actor"].startswith("api:operator-")) == ("applied", True)
    assert "APPLIED" in [item["decision"] for item in shown["audit"]]
    for what, state in (("revert", "canceled"), ("reapply", "filled"), ("revert", "canceled")):
        undone = client.post(f"/backfill/{batch}/{what}", json={"reason": "trial"}).json()
        assert len(undone["changed"]) == 1
        assert bot.db.value("SELECT status FROM orders WHERE order_id = :i", i=undone["changed"][0]) == state
    again = client.post(f"/backfill/{batch}/revert", json={"reason": "trial"}).json()
    assert (again["changed"], len(again["unchanged"])) == ([], 1)
    listed = served.client("viewer").get("/backfill/batches").json()
    assert [item["state"] for item in listed["items"]] == ["reverted", "dry_run"]


def test_another_plan_than_the_reviewed_one_is_refused_and_books_nothing(served: Api, bot: Bot) -> None:
    plan = dry_run(served)["plan_hash"]
    bot.db.orders(row("TRD-NEW", "3", symbol="SOL/USD"))
    answer = served.client().post(RUN, json={"apply": True, "plan": plan})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:trueup:problem:refused")
    assert "the plan is" in answer.json()["do"]
    assert not [r for r in bot.db.table("orders") if str(r["order_id"]).startswith("BFILL-")]


def test_a_plan_that_waits_in_the_console_is_applied_nowhere_else(served: Api, bot: Bot) -> None:
    operator, approver = (replace(bot.app(), actor=name) for name in ("olga", "anna"))
    asked = {"apply": True, "plan": approvals.propose(operator, None).plan_hash}
    with pytest.raises(Refused, match="somebody else"):
        approvals.approve(replace(operator, actor="api:Olga"), str(asked["plan"]))
    for decided in (lambda: None, lambda: approvals.decline(approver, asked["plan"], "not yet")):
        decided()
        answer = served.client().post(RUN, json=asked)
        assert (answer.status_code, "not approved" in answer.json()["detail"]) == (409, True)
    approvals.propose(operator, None)
    approvals.approve(approver, str(asked["plan"]))
    assert dry_run(served, **asked)["summary"]["inserted_rows"] == 1
    assert approvals.plan_of(operator, str(asked["plan"])).state == approvals.APPLIED, "the approval is used up"


def test_an_apply_with_a_key_is_done_once(served: Api) -> None:
    asked = {"apply": True, "plan": dry_run(served)["plan_hash"]}
    client = served.client(**{"Idempotency-Key": "apply-1"})
    first, second = (client.post(RUN, json=asked) for _ in range(2))
    assert first.json()["summary"]["inserted_rows"] == 1
    assert (second.content, second.headers["Idempotency-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize(
    "body",
    [
        {"apply": True}, {"plan": "a" * 64}, {"apply": True, "plan": "short"}, {"instance_ids": []},
        {"wait_seconds": 31}, {"wait_seconds": -1}, {"symbols": [" "]}, {"dry_run": True},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_wrongly_is_422(api: Api, body: dict[str, Any]) -> None:
    assert api.client().post(RUN, json=body).status_code == 422


def test_what_is_not_there_is_404(api: Api) -> None:
    client = api.client()
    answers = [
        client.post(RUN, json={"instance_ids": ["p2"]}),
        client.post("/backfill/B-1/revert", json={"reason": "x"}),
        client.post("/backfill/B-1/reapply", json={"reason": "x"}),
        client.get("/backfill/batches/B-1"),
        client.get("/backfill/batches", params={"instance_id": "p2"}),
        client.get("/audit", params={"batch_id": "B-1"}),
        client.get("/explain/TRD-9"),
        client.get("/explain/TRD-GHOST", params={"instance_id": "p2"}),
        client.get("/check", params={"instance_id": "p2"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)


def test_the_audit_is_paged_newest_first(served: Api) -> None:
    _, batch = apply(served)
    client = served.client("viewer")
    everything = client.get("/audit").json()
    assert [item["seq"] for item in everything["items"]] == list(range(everything["total"], 0, -1))
    pages = [client.get("/audit", params={"page": n, "page_size": 2}).json()["items"] for n in (1, 2, 3, 99)]
    assert [item["seq"] for page in pages for item in page] == [item["seq"] for item in everything["items"]][:6]
    mine = client.get("/audit", params={"batch_id": batch, "page_size": 2}).json()
    assert {item["batch_id"] for item in mine["items"]} == {batch}
    assert mine["total"] == sum(item["batch_id"] == batch for item in everything["items"])


def test_an_audit_that_somebody_changed_is_named_and_still_shown(served: Api, bot: Bot) -> None:
    dry_run(served)
    client = served.client("viewer")
    whole = client.get("/audit/verify").json()
    assert (whole["ok"], whole["first_broken"]) == (True, None)
    assert client.get("/audit/verify", params={"expect_head": whole["head"]}).json()["ok"]
    assert not client.get("/audit/verify", params={"expect_head": "a" * 64}).json()["ok"]
    assert client.get("/audit/verify", params={"expect_head": "x"}).status_code == 422
    changed = "[1]" if bot.db.is_sqlite else '{"a": 1}'
    bot.db.run(f"UPDATE reconciliation_backfill_audit SET metadata = '{changed}' WHERE seq = 1")
    assert client.get("/audit/verify").json()["first_broken"]["seq"] == 1
    assert client.get("/audit").json()["items"][-1]["metadata"] in ({"unreadable": "[1]"}, {"a": 1})


def test_check_and_explain_answer_what_the_command_line_prints(served: Api) -> None:
    client = served.client("viewer")
    checked = client.get("/check", params={"symbol": ["BTC/USD", "ETH/USD"]}).json()
    assert checked == run_check(served.app, None, ("BTC/USD", "ETH/USD")).as_json()
    assert (checked["status"], checked["summary"]["breaks"]) == ("MISMATCH", 3)
    explained = client.get("/explain/TRD-GHOST").json()
    assert explained == explain(served.app, "TRD-GHOST").as_json()


def test_every_field_of_the_use_cases_documents_is_in_the_description(served: Api, bot: Bot) -> None:
    from trueup.surfaces.api.models import findings, reconciling

    allowed = {"ProposedOrder." + name for name in (
        "user_id", "type", "quantity", "status", "timestamp", "filled_at", "action", "source", "sub_tag",
        "client_order_id", "order_qty")}  # fmt: skip
    document, _ = apply(served)
    assert set(undeclared(document, BackfillDocument)) <= allowed
    assert not undeclared(run_check(served.app).as_json(), findings.CheckDocument)
    assert not undeclared(explain(served.app, "TRD-LOST").as_json(), findings.Explained)
    assert not undeclared(ended("RUN-1"), reconciling.RunResult)


def test_a_trade_id_may_have_a_slash(bot: Bot) -> None:
    with an_api(bot.ready(row("a/b c"))) as api:
        assert api.client().get("/explain/a/b%20c").json()["trade_id"] == "a/b c"
        assert api.client().get("/explain/a%2Fb%20c").json()["trade_id"] == "a/b c"


class TestHealth:
    def test_what_the_newest_runs_found_is_summed(self, api: Api) -> None:
        api.loop.documents = {"R-1": ended("R-1"), "R-2": ended("R-2", "p2", parity_max_mismatch_notional_usd="250")}
        for document, found in zip(api.loop.documents.values(), (2, 4), strict=True):
            document["counts"] = {**document["counts"], "found": found, "acknowledged": 1}
        found = api.client("viewer").get("/internal/health").json()
        assert found["reconciliationMismatchCount"] == 1 + 3
        assert found["reconciliationMissingFromExchange"] == found["reconciliationMissingInDb"] == 2
        assert found["reconciliationParityMismatchTrades"] == found["reconciliationParityQuarantinedTrades"] == 2
        assert found["reconciliationParityAutoClosedTrades"] == 2
        assert found["reconciliationParityMaxMismatchNotionalUsd"] == "250"
        assert found["reconciliationParityTotalMismatchNotionalUsd"] == "200"
        assert found["reconciliationIntegrityWatchdogTriggered"] is False
        assert found["reconciliationLastRun"] == "2026-01-02T13:00:01.000Z"
        assert found["reconciliationLoopHealthy"] is False
        assert "ended over 90 s ago" in found["reconciliationLoopReasons"][0]

    def test_a_loop_is_stale_when_the_dead_man_says_so(self, bot: Bot) -> None:
        bot.environ["DEADMAN_TIMEOUT_SECONDS"] = "45"
        with an_api(bot.ready(row("TRD-1")), reconciling=FakeLoop({"R-1": ended("R-1")})) as api:
            found = api.client("viewer").get("/internal/health").json()
        assert "ended over 45 s ago" in found["reconciliationLoopReasons"][0]

    def test_capabilities_say_what_it_can_do_and_what_degrades_it(self, api: Api) -> None:
        found = api.client("viewer").get("/capabilities").json()
        assert (found["service"], found["status"], found["safe_mode"]) == ("trueup", "degraded", "SAFE_MODE")
        assert found["degraded_reason"] == "p1: no run of it has ended yet"
        assert set(found["features"]) == {
            "audit", "backfill", "backfill_apply", "canary", "check", "explain", "gate", "incidents",
            "modes", "reconcile",
        }  # fmt: skip
        assert found["policy"]["RECON_EXIT_BACKFILL_LOOKBACK_HOURS"] == "72"
        assert not [name for name in found["policy"] if "url" in name.lower()]

    @pytest.mark.parametrize(
        ("newest", "profiles", "reasons"),
        [
            ([], ["p1"], ("p1: no run of it has ended yet",)),
            ([], [], ("there is no enabled profile",)),
            ([ended("R", "p1")], ["p1"], ()),
            ([ended("R", "p1", "INCONCLUSIVE")], ["p1"], ("p1: its newest run was inconclusive",)),
            ([{"instance_id": "p1", "status": "INCONCLUSIVE"}], ["p1"], ("p1: its newest run was inconclusive",)),
            ([ended("R", "p1", watchdog_triggered=True)], ["p1"], ()),
            ([], list("abcdefg"), ("a, b, c, d, e and 2 more: no run of it has ended yet",)),
        ],
    )
    def test_the_loop_is_healthy_only_where_every_profile_is_known(
        self, newest: list[dict[str, Any]], profiles: list[str], reasons: tuple[str, ...]
    ) -> None:
        found = health_of(newest, profiles, 1_767_358_861_000, 60_000)
        assert (found.reasons, found.healthy) == (reasons, not reasons)
