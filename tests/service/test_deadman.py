"""The dead-man as people hear of it: told once, over when it is, and never of those who need not be heard."""

from typing import Any

import pytest
from tests.ledger.bot import Bot

from trueup.core.gate import DEADMAN
from trueup.service import events
from trueup.service.app import App
from trueup.service.deadman import DeadmanWatch, dead_bots
from trueup.service.gate import beat_bot
from trueup.service.worker import Worker, WorkerOptions


def silent(bot: Bot, *scopes: str) -> None:
    for scope in scopes:
        bot.db.run(
            "UPDATE heartbeats SET healthy_at = healthy_at - 100000, beat_at = beat_at - 100000 WHERE scope = :scope",
            {"scope": scope},
        )


def alerts(app: App) -> list[tuple[str, str, str]]:
    return [(alert.key, alert.severity.value, alert.scope) for alert in reversed(app.outbox.page(50))]


@pytest.fixture
def app(bot: Bot) -> App:
    bot.profiles = [{"id": name} for name in ("p1", "p2", "p3")]
    app = bot.init()
    for name in ("p1", "p2"):
        beat_bot(app, name)
    app.heartbeats.beat("account:main", app.clock.now_ms(), healthy=True, rules=app.safety.deadman)
    return app


def test_a_silence_is_told_once_and_its_end_once(bot: Bot, app: App) -> None:
    watch = DeadmanWatch()
    told: list[tuple[str, Any]] = []
    with events.listening(lambda event, fields: told.append((event.name, fields.get("scope")))):
        assert watch.look(app) == []
        silent(bot, "bot:p1", "account:main")
        for _ in range(3):
            assert [one.scope for one in watch.look(app)] == ["account:main", "bot:p1"]
        assert dead_bots(app) == ["p1"]
        for number in range(3):
            assert dead_bots(app) == ["p1"], number
            beat_bot(app, "p1")
            watch.look(app)
    assert dead_bots(app) == []
    assert [name for name, scope in told if scope == "bot:p1"] == [
        "alert_raised", "heartbeat_lost", "alert_resolved", "heartbeat_recovered",
    ]  # fmt: skip
    assert alerts(app) == [
        (f"{DEADMAN}:account:main", "critical", "account:main"), (f"{DEADMAN}:bot:p1", "resolved", "bot:p1"),
    ]  # fmt: skip


def test_the_end_is_told_by_a_worker_that_came_later(bot: Bot, app: App) -> None:
    silent(bot, "bot:p1")
    DeadmanWatch().look(app)
    for _ in range(3):
        beat_bot(app, "p1")
    DeadmanWatch().look(app)
    assert not [alert for alert in app.outbox.page(50) if alert.sent_ms is None and alert.severity.value == "critical"]


def test_who_never_beat_or_is_disabled_is_not_missed(bot: Bot, app: App) -> None:
    silent(bot, "bot:p1", "bot:p2")
    bot.db.run("UPDATE profiles SET enabled = :no WHERE profile_id = 'p1'", {"no": False})
    assert dead_bots(app) == ["p2"]
    beat_bot(app, "p3", healthy=False)
    assert dead_bots(app) == ["p2"]


def test_a_worker_looks_while_it_works(sqlite_bot: Bot) -> None:
    app = sqlite_bot.init()
    beat_bot(app, "p1")
    silent(sqlite_bot, "bot:p1")
    Worker(app, WorkerOptions(cycles=1)).run()
    assert (f"{DEADMAN}:bot:p1", "critical", "bot:p1") in alerts(app)
    assert "account:main" in app.heartbeats.beats()
