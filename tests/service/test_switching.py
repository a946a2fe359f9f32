"""Switching: what a mode says reaches the bot, is verified, alerted of, and taken back only by who did it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.ledger.bot import Bot, a_bot, pause
from tests.switches.bots import QUICK, TOKEN, HttpBot, serving

from trueup.core.modes import Mode
from trueup.service.app import App
from trueup.service.modes import set_mode
from trueup.service.setup import doctor
from trueup.service.switching import FAILED, Switched, enforce_modes
from trueup.service.trading import pause as pause_trading
from trueup.service.trading import resume
from trueup.service.worker import Worker, WorkerOptions
from trueup.switches.http_bot import HttpSwitch


@pytest.fixture
def theirs() -> Iterator[HttpBot]:
    bot = HttpBot()
    with serving(bot, "/bot"):
        yield bot


@pytest.fixture
def app(bot: Bot, theirs: HttpBot) -> App:
    """Give an App with a bot behind a switch (p1) and one that asks the gate (p2)."""
    bot.profiles = [
        {"id": "p1", "switch": f"http:{theirs.url}", "switch_token_env": "BOT_TOKEN"},
        {"id": "p2", "switch": "gate"},
    ]
    bot.environ["BOT_TOKEN"] = TOKEN
    app = bot.init()
    assert set(app.switches) == {"p1"}
    assert isinstance(app.switches["p1"](), HttpSwitch)
    return replace(app, switches={"p1": lambda: HttpSwitch("p1", theirs.url, TOKEN, QUICK)})


def alerts(app: App) -> list[tuple[str, str]]:
    return [(alert.scope, alert.severity.value) for alert in app.outbox.page(20) if alert.kind == FAILED]


@pytest.mark.parametrize("scope", ["global", "account:main", "profile:p1"])
def test_a_mode_reaches_the_bot_at_once_and_normal_lets_it_go(app: App, theirs: HttpBot, scope: str) -> None:
    told: list[Switched] = []
    for mode in (Mode.CLOSE_ONLY, Mode.SAFE_MODE, Mode.HALT):
        set_mode(app, mode.name, scope, "test", told.append)
        assert theirs.mode == mode.name
    assert [(one.profile_id, one.mode, one.report.done) for one in told] == [
        ("p1", Mode.CLOSE_ONLY, True), ("p1", Mode.SAFE_MODE, True), ("p1", Mode.HALT, True),
    ]  # fmt: skip
    set_mode(app, "CLOSE_ONLY", scope, "test")
    assert theirs.mode == "HALT", "a bot goes on only where NORMAL holds"
    set_mode(app, "NORMAL", scope, "test")
    assert theirs.mode == "NORMAL"
    assert app.switch_marks.stopped() == {}
    assert alerts(app) == []


def test_pause_and_resume_reach_the_bot(app: App, theirs: HttpBot) -> None:
    pause_trading(app, "test", "profile:p1")
    assert theirs.mode == "SAFE_MODE"
    resume(app, "test", "profile:p1")
    assert theirs.mode == "NORMAL"


def test_a_mode_of_others_tells_the_bot_nothing(app: App, theirs: HttpBot) -> None:
    set_mode(app, "HALT", "profile:p2", "test")
    assert theirs.calls == []
    assert enforce_modes(app) == []
    assert theirs.calls == []


def test_a_bot_that_goes_on_is_told_of_until_it_stops(app: App, theirs: HttpBot) -> None:
    theirs.obeys = None
    [failed] = [one for one in _told(app, "SAFE_MODE") if not one.report.done]
    assert "goes on" in failed.report.detail
    assert alerts(app) == [("profile:p1", "critical")]
    theirs.obeys = 0
    assert [one.report.done for one in enforce_modes(app)] == [True]
    assert theirs.mode == "SAFE_MODE"
    assert alerts(app)[0] == ("profile:p1", "resolved")
    assert enforce_modes(app) == []


def test_a_bot_that_cannot_be_reached_is_alerted_of_and_the_mode_stands(app: App, theirs: HttpBot) -> None:
    theirs.silent_s = 1.0
    [failed] = _told(app, "HALT")
    assert not failed.report.done
    assert app.modes.current() == {"profile:p1": Mode.HALT}
    assert alerts(app) == [("profile:p1", "critical")]
    assert app.switch_marks.stopped() == {}


def test_a_bot_that_starts_again_by_itself_is_stopped_again(app: App, theirs: HttpBot) -> None:
    set_mode(app, "SAFE_MODE", "profile:p1", "test")
    theirs.mode = "NORMAL"
    assert [one.report.done for one in enforce_modes(app, {"p1"})] == [True]
    assert theirs.mode == "SAFE_MODE"


@pytest.mark.parametrize("before", ["SAFE_MODE", "CLOSE_ONLY"])
def test_a_bot_that_somebody_else_stopped_is_never_let_go(app: App, theirs: HttpBot, before: str) -> None:
    theirs.mode = before
    set_mode(app, "SAFE_MODE", "profile:p1", "test")
    set_mode(app, "NORMAL", "profile:p1", "test")
    assert theirs.mode == "SAFE_MODE"


def test_a_bot_is_not_let_go_while_a_wider_scope_or_the_dead_man_holds(app: App, theirs: HttpBot) -> None:
    set_mode(app, "SAFE_MODE", "profile:p1", "test")
    set_mode(app, "CLOSE_ONLY", "global", "test")
    set_mode(app, "NORMAL", "profile:p1", "test")
    assert theirs.mode == "SAFE_MODE"
    rules, now = app.safety.deadman, app.clock.now_ms()
    app.heartbeats.beat("account:main", now - rules.timeout_ms - 1, healthy=True, rules=rules)
    set_mode(app, "NORMAL", "global", "test")
    assert theirs.mode == "SAFE_MODE"
    for number in range(rules.recovery_beats):
        app.heartbeats.beat("account:main", now + number, healthy=True, rules=rules)
    enforce_modes(app)
    assert theirs.mode == "NORMAL"


def test_one_symbol_is_stopped_alone(app: App, theirs: HttpBot) -> None:
    set_mode(app, "SAFE_MODE", "symbol:p1:BTC/USD", "test")
    assert (theirs.mode, theirs.symbols) == ("NORMAL", {"symbol:p1:BTC/USD": "SAFE_MODE"})
    assert enforce_modes(app) == []
    set_mode(app, "NORMAL", "symbol:p1:BTC/USD", "test")
    assert theirs.symbols == {"symbol:p1:BTC/USD": "NORMAL"}


def test_what_was_stopped_is_remembered_by_the_next_process(bot: Bot, app: App, theirs: HttpBot) -> None:
    set_mode(app, "SAFE_MODE", "profile:p1", "test")
    again = replace(bot.app(), switches=app.switches)
    set_mode(again, "NORMAL", "profile:p1", "test")
    assert theirs.mode == "NORMAL"


def test_a_worker_tells_the_bots_of_its_accounts(theirs: HttpBot, tmp_path: object, sqlite_url: str) -> None:
    with a_bot(tmp_path, sqlite_url) as bot:
        app = replace(bot.init(), switches={"p1": lambda: HttpSwitch("p1", theirs.url, TOKEN, QUICK)})
        pause(app)
        Worker(app, WorkerOptions(cycles=1, dry_run=True)).run()
        assert theirs.mode == "NORMAL"
        Worker(app, WorkerOptions(cycles=1)).run()
        assert theirs.mode == "SAFE_MODE"


def test_the_doctor_asks_each_bot(app: App, theirs: HttpBot) -> None:
    [check] = [check for check in doctor(app) if check.name == "switch of p1"]
    assert check.ok
    assert "RUNNING" in check.found
    theirs.garbage = b"<html>"
    [check] = [check for check in doctor(app) if check.name == "switch of p1"]
    assert (check.ok, check.exit_code) == (False, 3)


def _told(app: App, mode: str) -> list[Switched]:
    told: list[Switched] = []
    set_mode(app, mode, "profile:p1", "test", told.append)
    return told
