"""Keys of requests: claimed by one, kept with the answer, given back where nothing was done, forgotten after a day."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.ledger.bot import Bot

from trueup.core.times import iso
from trueup.ledger.idempotency import KEPT_MS, LONGEST_REQUEST_MS
from trueup.ledger.leases import this_process
from trueup.ports import ClaimState, RequestKey
from trueup.service.app import App

ASKED = RequestKey("k-1", "alice", "POST /reconcile", "hash-1")


def claimed(app: App, request: RequestKey = ASKED) -> ClaimState:
    return app.requests.claim(request).state


def test_a_key_is_claimed_once_and_its_answer_is_kept(bot: Bot) -> None:
    app, other = bot.init(), bot.app()
    assert claimed(app) is ClaimState.NEW
    assert claimed(other) is ClaimState.RUNNING
    app.requests.keep(ASKED, 202, {"body": {"id": "RUN-1"}})
    claim = other.requests.claim(ASKED)
    assert (claim.state, claim.status, claim.answer) == (ClaimState.DONE, 202, {"body": {"id": "RUN-1"}})


def test_a_key_means_one_request_of_one_actor_on_one_route(bot: Bot) -> None:
    app = bot.init()
    assert claimed(app) is ClaimState.NEW
    assert claimed(app, replace(ASKED, request_hash="hash-2")) is ClaimState.OTHER
    app.requests.keep(ASKED, 200, {})
    assert claimed(app, replace(ASKED, request_hash="hash-2")) is ClaimState.OTHER
    for other in (replace(ASKED, key="k-2"), replace(ASKED, actor="bob"), replace(ASKED, route="POST /modes")):
        assert claimed(app, other) is ClaimState.NEW


def test_a_key_that_was_given_back_is_free_and_one_with_an_answer_is_not(bot: Bot) -> None:
    app = bot.init()
    assert claimed(app) is ClaimState.NEW
    app.requests.release(ASKED)
    assert claimed(app) is ClaimState.NEW
    app.requests.keep(ASKED, 200, {})
    app.requests.release(ASKED)
    assert claimed(app) is ClaimState.DONE


def test_a_request_whose_process_is_gone_is_taken_over(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    app = bot.init()
    host, namespace, pid, _, word = this_process().split("|")
    monkeypatch.setattr("trueup.ledger.idempotency.this_process", lambda: "|".join((host, namespace, pid, "1", word)))
    assert claimed(app) is ClaimState.NEW
    monkeypatch.undo()
    assert claimed(app) is ClaimState.NEW
    assert claimed(app) is ClaimState.RUNNING


def test_a_request_that_began_too_long_ago_is_taken_over(bot: Bot) -> None:
    app = bot.init()
    assert claimed(app) is ClaimState.NEW
    began = app.clock.now_ms() - LONGEST_REQUEST_MS - 1000
    bot.db.run("UPDATE idempotency_keys SET created_at = :at", {"at": iso(began)})
    assert claimed(app) is ClaimState.NEW
    assert claimed(app) is ClaimState.RUNNING


def test_a_key_is_forgotten_after_a_day(bot: Bot) -> None:
    app = bot.init()
    assert claimed(app) is ClaimState.NEW
    app.requests.keep(ASKED, 200, {})
    bot.db.run("UPDATE idempotency_keys SET created_at = :at", {"at": iso(app.clock.now_ms() - KEPT_MS - 1000)})
    assert claimed(app, replace(ASKED, key="other")) is ClaimState.NEW
    assert [row["key"] for row in bot.db.table("idempotency_keys")] == ["other"]


def test_of_many_at_the_same_moment_one_has_it(bot: Bot) -> None:
    bot.init()
    apps = [bot.app() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(claimed, apps))
    assert sorted(states) == [ClaimState.NEW] + [ClaimState.RUNNING] * 7
