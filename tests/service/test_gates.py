"""The gates in their order, each with its exact name, and what a closed gate leaves untouched."""

import threading
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from tests.ledger.bot import Bot, decisions, only, pause, row, run, set_flags, sold

from trueup.core.modes import Mode
from trueup.ledger import schema
from trueup.service.app import App


@pytest.fixture
def app(bot: Bot) -> App:
    made = bot.init()
    bot.db.orders(row("TRD-1"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    return made


def reasons(app: App, **asked: Any) -> list[str | None]:
    return [entry.skipped_reason for entry in run(app, **asked).profiles.values()]


def test_the_gates_open_one_after_the_other(bot: Bot, app: App) -> None:
    bot.db.run(f"DROP TABLE {schema.AUDIT}")
    closed = set_flags(app, enabled=False, allowlist=frozenset({"p9"}))
    assert reasons(closed) == ["disabled"]
    listed = set_flags(closed, enabled=True)
    assert reasons(listed) == ["profile_not_allowlisted"]
    unpaused = set_flags(listed, allowlist=frozenset({"p1", "p9"}))
    assert reasons(unpaused) == ["pause_required"]
    pause(app, Mode.CLOSE_ONLY)
    assert reasons(unpaused) == ["pause_required"]
    pause(app)
    assert reasons(unpaused) == ["audit_table_missing"]
    bot.init()
    with app.leases.hold("account:main", 0) as lease:
        assert lease is not None
        assert reasons(unpaused) == ["lease_held"]
    assert reasons(unpaused) == [None]


def test_a_closed_gate_is_told_by_its_exit_code_and_writes_nothing(bot: Bot, app: App) -> None:
    for changes, code in (({"enabled": False}, 0), ({"allowlist": frozenset({"p9"})}, 0), ({}, 1)):
        report = run(set_flags(app, **changes), apply=True)
        assert (report.exit_code, report.run_id) == (code, None)
    assert bot.db.table(schema.AUDIT) == []
    assert len(bot.db.table("orders")) == 1


def test_a_missing_audit_table_is_an_alert(bot: Bot, app: App) -> None:
    pause(app)
    bot.db.run(f"DROP TABLE {schema.AUDIT}")
    assert run(app).exit_code == 1
    [alert] = bot.db.table("alerts")
    assert (alert["kind"], alert["scope"]) == ("audit_table_missing", "profile:p1")


def test_a_pause_anywhere_on_the_path_is_enough(app: App) -> None:
    for scope, mode in product(("global", "account:main", "profile:p1"), (Mode.SAFE_MODE, Mode.FLATTEN, Mode.HALT)):
        pause(app, mode, scope)
        assert reasons(app) == [None], (scope, mode)
        pause(app, Mode.NORMAL, scope)
        assert reasons(app) == ["pause_required"], (scope, mode)


def test_a_pause_elsewhere_is_not(app: App) -> None:
    for scope in ("account:other", "profile:p2", "symbol:p1:BTC/USD"):
        pause(app, Mode.HALT, scope)
    assert reasons(app) == ["pause_required"]


def test_no_pause_is_needed_where_the_settings_say_so(app: App) -> None:
    assert reasons(set_flags(app, require_pause=False)) == [None]


def test_the_settings_choose_a_dry_run_unless_the_command_line_does(bot: Bot, app: App) -> None:
    pause(app)
    assert decisions(only(run(app, apply=None))) == [("TRD-1", "DRY_RUN", "eligible")]
    assert decisions(only(run(set_flags(app, dry_run=False), apply=None))) == [("TRD-1", "APPLIED", "inserted")]


def test_a_run_that_waits_gets_the_lease_when_it_is_given_back(app: App) -> None:
    pause(app)
    with app.leases.hold("account:main", 0):
        waiting = threading.Thread(target=lambda: seen.extend(reasons(app, apply=True, wait_seconds=20)))
        seen: list[str | None] = []
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(20)
    assert seen == [None]


@pytest.mark.postgres
def test_a_lease_whose_holder_is_writing_is_held_and_nobody_waits_for_it(postgres_bot: Bot) -> None:
    app = postgres_bot.ready(row("TRD-1"))
    with app.leases.hold("account:main", 0) as held:
        assert held is not None
    with postgres_bot.db.engine.begin() as writer:
        writer.exec_driver_sql("UPDATE leases SET fence = fence")
        began = time.monotonic()
        assert reasons(app) == ["lease_held"]
        assert time.monotonic() - began < 4


def test_the_pause_is_checked_again_inside_the_repair(bot: Bot, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    pause(app)
    before(monkeypatch, app, lambda: pause(app, Mode.NORMAL))
    [entry] = run(app, apply=True).profiles.values()
    assert "pause ended" in str(entry.error)
    assert len(bot.db.table("orders")) == 1
    pause(app)
    monkeypatch.undo()
    entry = only(run(app, apply=True))
    assert len(entry.inserted) == 1


def before(monkeypatch: pytest.MonkeyPatch, app: App, act: Callable[[], None]) -> None:
    """Let something happen between the plan and the repair, once."""
    book = type(app.ledger).book
    once = [act]

    def interfered(self: Any, batch: Any, *, rehearse: bool) -> Any:
        if once:
            once.pop()()
        return book(self, batch, rehearse=rehearse)

    monkeypatch.setattr(type(app.ledger), "book", interfered)
