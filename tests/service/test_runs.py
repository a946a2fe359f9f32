"""Every run that began says how it ended (invariant 13: Said), whatever was raised in it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.bot import Bot, only, row, run, sold

from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError
from trueup.service import backfill
from trueup.service.app import App
from trueup.service.backfill_report import BackfillReport
from trueup.service.runs import told


@pytest.fixture
def app(bot: Bot) -> App:
    made = bot.ready(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    return made


def runs(bot: Bot) -> list[dict[str, Any]]:
    found = bot.db.rows("SELECT * FROM reconcile_runs ORDER BY started_at, run_id")
    for entry in found:
        if isinstance(entry["summary"], str):
            entry["summary"] = json.loads(entry["summary"])
    return found


def raising(error: BaseException) -> Any:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    "error",
    [CannotKnow("the wire is cut"), ConfigurationError("odd"), ZeroDivisionError("by zero"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["gather", "plan_account", "document_hash", "draft_of"])
def test_a_run_that_is_broken_off_ends_as_inconclusive_with_the_reason(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    monkeypatch.setattr(backfill, place, raising(error))
    told: BaseException | None = None
    try:
        [entry] = run(app, apply=True).profiles.values()
        told = entry.error
    except BaseException as raised:  # noqa: BLE001  # Ctrl-C is among what is tried
        told = raised
    assert told is error
    [found] = runs(bot)
    assert (found["status"], found["ended_at"] is not None) == ("INCONCLUSIVE", True)
    said = json.dumps(found["summary"])
    assert (str(error) or "KeyboardInterrupt") in said
    assert found["summary"]["status"] == "INCONCLUSIVE"


def test_a_refused_repair_is_a_mismatch_with_the_reason(bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(app.ledger), "book", raising(Refused("the lease is lost")))
    run(app, apply=True)
    [found] = runs(bot)
    assert (found["status"], found["summary"]["errors"]) == ("MISMATCH", {"p1": "the lease is lost"})


def test_a_run_whose_end_cannot_be_recorded_still_reports_what_it_did(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(app.journal), "end_run", raising(CannotKnow("the disk is full")))
    report = run(app, apply=True)
    assert len(only(report).inserted) == 1
    assert (report.exit_code, report.status) == (3, "INCONCLUSIVE")
    assert report.summary()["error"] == "the disk is full"
    assert [found["status"] for found in runs(bot)] == ["PENDING"]


def test_what_was_raised_is_raised_even_where_the_end_cannot_be_recorded(
    bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "gather", raising(CannotKnow("the wire is cut")))
    monkeypatch.setattr(type(app.journal), "end_run", raising(CannotKnow("the disk is full")))
    with pytest.raises(CannotKnow, match="the wire is cut") as error:
        run(app)
    assert "could not be ended on record" in "".join(error.value.__notes__)
    assert [found["status"] for found in runs(bot)] == ["PENDING"]


KILLED = """
import os, signal, sys
from pathlib import Path
from trueup.bootstrap import build
from trueup.service import backfill
backfill.gather = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app = build(Path(sys.argv[1]), {"ENABLE_RECON_EXIT_BACKFILL": "true"})
backfill.run_backfill(app, backfill.BackfillRequest(apply=False))
"""


def killed(bot: Bot) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(bot.config)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode < 0


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="needs /proc to see that a process is gone")
def test_a_killed_run_is_ended_and_named_by_the_next(bot: Bot, app: App) -> None:
    killed(bot)
    [left] = runs(bot)
    assert left["status"] == "PENDING"
    report = run(app)
    assert report.left_unended == [left["run_id"]]
    assert report.summary()["left_unended"] == [left["run_id"]]
    ended = {found["run_id"]: found for found in runs(bot)}  # by id: a machine's clock may be set between two runs
    assert ended[left["run_id"]]["status"] == "INCONCLUSIVE"
    assert ended[report.run_id]["status"] == "MISMATCH"
    assert "killed" in ended[left["run_id"]]["summary"]["error"]
    assert run(app).left_unended == []


def test_a_run_that_still_lives_is_left_alone(bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    inner: list[BackfillReport] = []
    gather = backfill.gather

    def and_meanwhile(*given: Any) -> Any:
        if not inner:
            inner.append(BackfillReport(dry_run=True))
            inner[0] = run(app)
        return gather(*given)

    monkeypatch.setattr(backfill, "gather", and_meanwhile)
    outer = run(app)
    assert inner[0].left_unended == []
    assert [found["status"] for found in runs(bot)] == ["MISMATCH", "MISMATCH"]
    assert outer.left_unended == []


def test_a_run_of_another_machine_counts_as_gone_after_a_day(bot: Bot, app: App) -> None:
    values = {"kind": "backfill", "scope": "p1", "status": "PENDING", "audit_head": "0"}
    for name, when in (("RUN-OLD", "2020-01-01T00:00:00Z"), ("RUN-NEW", "2999-01-01T00:00:00Z")):
        bot.db.insert("reconcile_runs", [{**values, "run_id": name, "started_at": when}])
    assert run(app).left_unended == ["RUN-OLD"]


def test_errors_are_told_in_words() -> None:
    assert told(TrueupError("It broke.", "Mend it.")) == "It broke.\nMend it."
    assert told(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert told(ValueError("odd")) == "ValueError: odd"
