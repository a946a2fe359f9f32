"""Killed at every step of a phase of lifecycle integrity: the status tells, and running it again completes it.

What the database holds changes with commits alone, and with the statements of a concurrent build; so a child dies
before each such commit and statement, and at the end.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.crash.child import INTEGRITY
from tests.crash.worlds import Crashes
from tests.ledger.bot import Bot, a_bot, row

from trueup.core.errors import CannotKnow
from trueup.core.integrity.phases import Stage, Standing, next_step
from trueup.core.integrity.rules import RULES
from trueup.service import integrity
from trueup.service.app import App

WRITES = ("before CREATE", "before ALTER", "before DROP", "before INSERT INTO integrity_steps")
LATE = ("idx_orders_lifecycle", "idx_trade_history_lifecycle")
"""The indexes that a native ledger does not have yet."""


@pytest.fixture
def bot(quick_folder: Path, ledger_url: str) -> Iterator[Bot]:
    url = ledger_url if not ledger_url.startswith("sqlite") else f"sqlite:///{quick_folder / 'ledger.db'}"
    with a_bot(quick_folder, url) as made:
        yield made


@pytest.fixture
def postgres_bot(quick_folder: Path, postgres_url: str) -> Iterator[Bot]:
    with a_bot(quick_folder, postgres_url) as made:
        yield made


GOOD = row("TRD-1", order_id="good", status="canceled")
OLD = row("TRD-2", order_id="old", status="canceled")


def phase(app: App, name: str) -> None:
    how = {"wait_s": 20.0, "dry_run": False}
    INTEGRITY[name](app, **how)


def to_the_start(bot: Bot, app: App, name: str) -> None:
    """Bring the ledger back to where a phase begins."""
    if name == "apply":
        phase(app, "rollback")
        for index in LATE:
            bot.db.run(f"DROP INDEX IF EXISTS {index}")
        return
    phase(app, "apply")
    if name == "validate":
        bot.db.run("DELETE FROM integrity_steps WHERE phase = 'validate'")
        if not bot.db.is_sqlite:
            bot.db.run("UPDATE pg_constraint SET convalidated = false WHERE conname LIKE 'chk%'")


DONE = {"apply": Stage.APPLIED, "validate": Stage.VALIDATED, "rollback": Stage.ROLLED_BACK}


def is_done(name: str, standing: Standing) -> bool:
    there = [thing.state != "missing" for thing in standing.rules]
    return standing.stage is DONE[name] and (any(there) is (name != "rollback"))


def boundaries(passed: list[str]) -> list[int]:
    """Number the places to die at: the commit of each transaction that writes, a concurrent build, and the end."""
    places, wrote = [], False
    for place, what in enumerate(passed, 1):
        if (wrote and what == "before COMMIT") or "CONCURRENTLY" in what or place == len(passed):
            places.append(place)
        wrote = what.startswith(WRITES) or (wrote and what != "before COMMIT")
    return places


@pytest.mark.parametrize("name", ["apply", "validate", "rollback"])
def test_whatever_a_kill_leaves_is_told_by_the_status_and_completed_by_the_next_run(
    bot: Bot, crashes: Crashes, name: str
) -> None:
    app = bot.ready(GOOD, OLD)
    integrity.take_snapshot(app, keep=True)
    request = {"what": "integrity", "phase": name, "config": str(bot.config)}
    phase(app, "apply")  # what was there before is put on record once
    to_the_start(bot, app, name)
    passed = crashes.ask(**request)["boundaries"]
    rows = bot.db.table("orders")
    places = boundaries(passed)
    assert len(places) > len(RULES) + 2
    for place in places:
        to_the_start(bot, app, name)
        assert crashes.ask(**request, die_at=place)["killed"], (place, passed[place - 1])
        found = app.integrity.standing()
        assert found.running is False
        assert found.cut_short == name or place in (places[0], places[-1]), "it is known to be cut short"
        assert is_done(name, found) or next_step(found)[0] is not None
        phase(app, name)
        after = app.integrity.standing()
        assert is_done(name, after)
        assert after.cut_short is None
        assert bot.db.table("orders") == rows


@contextmanager
def applying(bot: Bot) -> Iterator[subprocess.Popen[str]]:
    """Run `trueup integrity apply` in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "trueup", "--config", str(bot.config), "integrity", "apply"]
    environ = {**os.environ, **bot.environ}
    process = subprocess.Popen(
        [*command, "--wait", "30"], env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def builders(bot: Bot) -> list[int]:
    return [found["pid"] for found in bot.db.rows("SELECT pid FROM pg_stat_progress_create_index")]


@pytest.mark.postgres
@pytest.mark.parametrize("the_build", ["goes on", "dies too"])
def test_a_process_killed_in_the_middle_of_a_concurrent_build(postgres_bot: Bot, the_build: str) -> None:
    bot = postgres_bot
    app = bot.ready(GOOD)
    integrity.take_snapshot(app, keep=True)
    with bot.db.engine.connect().execution_options(isolation_level="REPEATABLE READ") as old, old.begin():
        # What sees an old moment is in no rule's way, and a build waits for it at its end.
        old.execute(text("SELECT count(*) FROM profiles"))
        with applying(bot) as process:
            until(lambda: builders(bot) or process.poll() is not None)
            os.kill(process.pid, signal.SIGKILL)
        standing = app.integrity.standing()
        assert standing.stage is Stage.PARTLY_APPLIED
        assert standing.cut_short == "apply"
        assert "unfinished" in {thing.state.value for thing in standing.things}
        if the_build == "dies too":
            for pid in builders(bot):
                bot.db.rows("SELECT pg_terminate_backend(:pid)", pid=pid)
            until(lambda: not builders(bot))
        else:
            with pytest.raises(CannotKnow, match=r"still builds idx_orders_lifecycle|stayed busy"):
                integrity.apply(app, wait_s=0.1, dry_run=False)
    phase(app, "apply")
    assert app.integrity.standing().stage is Stage.APPLIED
    assert all(found["indisvalid"] for found in bot.db.rows("SELECT indisvalid FROM pg_index"))
