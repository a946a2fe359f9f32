"""The worker: due times, back-off, an orderly end, and one account's trouble is nobody else's."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from tests.ledger.bot import Bot
from tests.service.test_events import Heard

from trueup.core.errors import CannotKnow
from trueup.service import worker as module
from trueup.service.app import App
from trueup.service.events import listening
from trueup.service.reconcile import AccountReport
from trueup.service.worker import Worker, WorkerOptions

ACCOUNTS = ("main", "other", "third")


@pytest.fixture
def heard() -> Iterator[Heard]:
    told = Heard()
    with listening(told):
        yield told


@pytest.fixture
def app(sqlite_bot: Bot) -> App:
    """Three accounts with a profile each; nothing is due again while a test runs."""
    sqlite_bot.accounts = list(ACCOUNTS)
    sqlite_bot.profiles = [{"id": f"p{n}", "account": name, "user_id": "u1"} for n, name in enumerate(ACCOUNTS, 1)]
    for name in ACCOUNTS:
        sqlite_bot.venue(name)
    made = sqlite_bot.init()
    return replace(made, reconcile=replace(made.reconcile, interval_s=600.0))


class Played:
    """A worker in a thread of its own, and the accounts that it ran."""

    def __init__(self, app: App, **options: Any) -> None:
        self.ran: list[str] = []
        self.worker = Worker(app, WorkerOptions(**options), dice=Random(1))
        self.worker.after_cycle = self._ran
        self.thread = threading.Thread(target=self.worker.run)

    def _ran(self, report: AccountReport) -> None:
        self.ran.append(report.account)

    def until(self, true: Any, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.ran
            time.sleep(0.02)

    def __enter__(self) -> "Played":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop.set()
        self.worker.nudge.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


def runs(bot: Bot) -> list[dict[str, Any]]:
    return bot.db.rows("SELECT profile_id, account, status, summary FROM reconcile_runs ORDER BY started_at, run_id")


def due_in_s(app: App, account: str) -> float:
    [found] = [state for state in app.leases.states() if state.scope == f"account:{account}"]
    assert found.next_run_ms is not None
    return (found.next_run_ms - app.clock.now_ms()) / 1000


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_it_does_exactly_the_cycles_that_it_was_asked_for(app: App, sqlite_bot: Bot, cycles: int) -> None:
    assert Worker(app, WorkerOptions(threads=2, cycles=cycles)).run() == cycles
    assert sorted(run["account"] for run in runs(sqlite_bot)) == list(ACCOUNTS[:cycles])
    assert {run["status"] for run in runs(sqlite_bot)} == {"OK"}


def test_an_account_is_due_after_the_interval_and_never_all_at_once(app: App) -> None:
    Worker(app, WorkerOptions(cycles=3)).run()
    waits = [due_in_s(app, name) for name in ACCOUNTS]
    assert all(500 <= wait <= 660 for wait in waits)
    assert len({round(wait, 1) for wait in waits}) == 3


def test_the_wait_doubles_with_every_trouble_up_to_a_limit_and_is_over_with_it(app: App) -> None:
    worker = Worker(app, WorkerOptions(interval_s=10.0), dice=Random(1))
    waits = []
    for trouble in range(9):
        worker.troubles["main"] = trouble
        waits.append(worker._wait_ms("main") / 10_000)
    wanted = [1, 1, 2, 4, 8, 16, 20, 20, 20]
    assert all(abs(wait - factor) <= 0.1 * factor for wait, factor in zip(waits, wanted, strict=True))


def test_a_venue_in_trouble_is_asked_later_and_the_others_in_time(app: App, sqlite_bot: Bot) -> None:
    (sqlite_bot.folder / "other.json").write_text("{")
    worker = Worker(app, WorkerOptions(cycles=3, interval_s=600.0))
    worker.troubles["other"] = 1
    worker.run()
    assert due_in_s(app, "other") > 1000
    assert due_in_s(app, "main") < 700
    assert {run["account"]: run["status"] for run in runs(sqlite_bot)} == {
        "main": "OK", "other": "INCONCLUSIVE", "third": "OK",
    }  # fmt: skip


def test_an_unexpected_error_is_on_record_and_stops_no_other_account(
    app: App, sqlite_bot: Bot, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trueup.service import reconcile

    whole = reconcile.compare

    def broken(cycle: Any) -> None:
        if cycle.account == "other":
            raise ZeroDivisionError("a defect")
        whole(cycle)

    monkeypatch.setattr(reconcile, "compare", broken)
    assert Worker(app, WorkerOptions(cycles=3)).run() == 3
    ended = {run["account"]: run for run in runs(sqlite_bot)}
    assert {name: run["status"] for name, run in ended.items()} == {
        "main": "OK", "other": "INCONCLUSIVE", "third": "OK",
    }  # fmt: skip
    assert json.loads(ended["other"]["summary"])["error"] == "ZeroDivisionError: a defect"
    assert [said["account"] for name, said in heard if name == "cycle_failed"] == ["other"]
    [wait] = [said for name, said in heard if name == "account_backed_off"]
    assert (wait["account"], wait["times"], wait["retry_ms"] > 0) == ("other", 1, True)
    assert [state.owner for state in app.leases.states()] == [None] * 3


def test_a_profile_that_is_disabled_meanwhile_is_run_no_more(app: App, sqlite_bot: Bot) -> None:
    Worker(app, WorkerOptions(cycles=3)).run()
    sqlite_bot.db.run("UPDATE profiles SET enabled = 0 WHERE profile_id = 'p2'")
    sqlite_bot.db.run("UPDATE leases SET next_run_at = 0")
    Worker(app, WorkerOptions(cycles=2)).run()
    assert sorted(run["account"] for run in runs(sqlite_bot)[3:]) == ["main", "third"]


def test_one_that_is_disabled_after_its_account_was_taken_has_no_run(app: App, sqlite_bot: Bot) -> None:
    with Played(app) as played:
        played.until(lambda: len(played.ran) == 3)
        sqlite_bot.db.run("UPDATE profiles SET enabled = 0 WHERE profile_id = 'p2'")
        app.leases.wake("account:other")
        played.worker.nudge.set()
        played.until(lambda: len(played.ran) == 4)
    assert played.ran[3] == "other"
    assert len(runs(sqlite_bot)) == 3


def test_an_account_that_is_added_while_it_works_is_run(
    app: App, sqlite_bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_AGAIN_MS", 100)
    sqlite_bot.db.run("UPDATE profiles SET enabled = 0 WHERE profile_id = 'p3'")
    with Played(app) as played:
        played.until(lambda: sorted(played.ran) == ["main", "other"])
        sqlite_bot.db.run("UPDATE profiles SET enabled = 1 WHERE profile_id = 'p3'")
        played.until(lambda: "third" in played.ran)


def test_a_database_that_is_locked_at_the_start_is_asked_again(
    app: App, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, left = type(app.leases), [CannotKnow("The database is locked.", "Wait."), None]
    whole = kind.register

    def locked(self: Any, scopes: Any) -> None:
        if (error := left.pop(0) if left else None) is not None:
            raise error
        whole(self, scopes)

    monkeypatch.setattr(kind, "register", locked)
    assert Worker(app, WorkerOptions(cycles=3)).run() == 3
    assert [said["error"] for name, said in heard if name == "cycle_failed"] == ["The database is locked."]


def test_sigterm_ends_it_after_what_is_under_way(app: App, sqlite_bot: Bot) -> None:
    command = [sys.executable, "-m", "trueup", "--config", str(sqlite_bot.config), "worker", "--format", "json"]
    environ = {**os.environ, **sqlite_bot.environ, "RECON_INTERVAL_SECONDS": "0.1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    end = time.monotonic() + 90
    while len(runs(sqlite_bot)) < 4 and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    found = runs(sqlite_bot)
    assert json.loads(said)["cycles"] == len(found) >= 4
    assert {run["status"] for run in found} == {"OK"}
    assert [state.owner for state in app.leases.states()] == [None] * 3
