"""Trading over HTTP: paused by anybody who may act, never loosened by a pause, and let go on only without incident."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from tests.api.server import Api, an_api
from tests.ledger.bot import Bot, at, pause, row

from trueup.core.errors import ConfigurationError
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ports import ModeChange
from trueup.service import trading
from trueup.service.app import App
from trueup.service.modes import path_to

STATUS, PAUSE, RESUME = "/internal/trading/status", "/internal/trading/pause", "/internal/trading/resume"


def change(mode: Mode, scope: str = "profile:p1") -> ModeChange:
    return ModeChange(scope, mode, Mode.NORMAL, "parity_watchdog", "worker", "test", iso(at(0)))


class TestService:
    def test_the_default_is_running_and_nobody_did_it(self, bot: Bot) -> None:
        app = bot.init()
        for scope in ("global", "account:main", "profile:p1", "symbol:p1:BTC/USD"):
            found = trading.trading(app, scope).as_json()
            assert (found["status"], found["mode"], found["source"], found["since"]) == (
                "RUNNING",
                "NORMAL",
                None,
                None,
            )

    def test_the_strictest_on_the_path_counts_and_is_named(self, bot: Bot) -> None:
        app = bot.init()
        pause(app, Mode.CLOSE_ONLY, "account:main")
        pause(app, Mode.HALT, "symbol:p1:BTC/USD")
        found = {scope: trading.trading(app, scope) for scope in ("global", "profile:p1", "symbol:p1:BTC/USD")}
        told = {scope: (it.mode, it.because_of) for scope, it in found.items()}
        assert told == {
            "global": (Mode.NORMAL, "global"),
            "profile:p1": (Mode.CLOSE_ONLY, "account:main"),
            "symbol:p1:BTC/USD": (Mode.HALT, "symbol:p1:BTC/USD"),
        }

    def test_since_is_when_the_mode_came_into_force_however_often_it_was_said_again(self, bot: Bot) -> None:
        app = bot.init()
        app.modes.set(change(Mode.SAFE_MODE))
        app.modes.set(ModeChange("profile:p1", Mode.SAFE_MODE, Mode.NORMAL, "operator", "b", "again", iso(at(9))))
        found = trading.trading(app, "profile:p1").as_json()
        assert (found["since"], found["source"], found["actor"]) == (iso(at(0)), "parity_watchdog", "worker")

    def test_a_pause_never_loosens(self, bot: Bot) -> None:
        app = bot.init()
        assert app.modes.tighten(change(Mode.HALT)) is not None
        assert app.modes.tighten(change(Mode.HALT)) is None
        assert trading.pause(app, "x", "profile:p1").mode is Mode.HALT
        assert app.modes.current() == {"profile:p1": Mode.HALT}

    def test_pauses_at_the_same_moment_end_in_the_strictest(self, bot: Bot) -> None:
        bot.init()
        apps = [(bot.app(), mode) for mode in (Mode.SAFE_MODE, Mode.HALT, Mode.FLATTEN, Mode.CLOSE_ONLY)] * 3

        def tighten(pair: tuple[App, Mode]) -> None:
            pair[0].modes.tighten(change(pair[1]))

        with ThreadPoolExecutor(len(apps)) as pool:
            list(pool.map(tighten, apps))
        history = apps[0][0].modes.history(20)
        assert apps[0][0].modes.current() == {"profile:p1": Mode.HALT}
        assert all(later.previous is earlier.mode for later, earlier in pairwise(history))

    @pytest.mark.parametrize(("mode", "reason"), [("NORMAL", "x"), ("CLOSE_ONLY", "x"), ("HALT", " ")])
    def test_what_is_no_pause_is_refused(self, sqlite_bot: Bot, mode: str, reason: str) -> None:
        with pytest.raises(ConfigurationError):
            trading.pause(sqlite_bot.init(), reason, "global", mode)

    def test_the_symbol_of_a_profile_with_a_colon_in_its_id_is_found(self, sqlite_bot: Bot) -> None:
        sqlite_bot.profiles = [{"id": "a"}, {"id": "a:b"}]
        app = sqlite_bot.init()
        assert path_to(app, "symbol:a:b:BTC/USD")[2] == "profile:a:b"


def test_pause_and_resume_over_http_keep_who_when_and_why(api: Api) -> None:
    client = api.client()
    assert client.post(RESUME, json={"reason": "start"}).json()["status"] == "RUNNING"
    paused = client.post(PAUSE, json={"reason": "ghosts", "scope": "profile:p1"}).json()
    assert (paused["status"], paused["mode"], paused["because_of"]) == ("PAUSED", "SAFE_MODE", "profile:p1")
    assert (paused["source"], paused["reason"]) == ("operator", "ghosts")
    assert paused["actor"].startswith("api:operator-")
    assert api.client("viewer").get(STATUS, params={"scope": "profile:p1"}).json() == paused
    assert api.client("viewer").get(STATUS).json()["status"] == "RUNNING"
    assert client.post(PAUSE, json={"reason": "worse", "mode": "HALT"}).json()["mode"] == "HALT"
    still = client.post(RESUME, json={"reason": "mended", "scope": "profile:p1"}).json()
    assert (still["status"], still["because_of"]) == ("PAUSED", "global")


def test_an_open_incident_forbids_to_resume(bot: Bot) -> None:
    app = bot.ready(row("TRD-1"))
    bot.db.run(
        "INSERT INTO incidents (incident_id, scope, status, opened_at) VALUES ('INC-1', 'global', 'open', :at)",
        {"at": iso(at(0))},
    )
    with an_api(app) as api:
        answer = api.client().post(RESUME, json={"reason": "please"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:trueup:problem:refused")
        assert "INC-1" in answer.json()["detail"]
        assert api.client().post("/modes", json={"mode": "NORMAL", "scope": "global", "reason": "x"}).status_code == 409
        assert api.client().get(STATUS).json()["status"] == "PAUSED"
        assert api.client().post(PAUSE, json={"reason": "worse", "mode": "HALT"}).status_code == 200


def test_modes_are_set_and_shown(api: Api) -> None:
    asked = {"mode": "CLOSE_ONLY", "scope": "symbol:p1:BTC/USD", "reason": "careful"}
    made = api.client().post("/modes", json=asked).json()
    assert (made["mode"], made["previous_mode"], made["scope"]) == ("CLOSE_ONLY", "NORMAL", "symbol:p1:BTC/USD")
    view = api.client("viewer").get("/modes").json()
    assert view["scopes"] == {"global": "SAFE_MODE", "symbol:p1:BTC/USD": "CLOSE_ONLY"}
    held = {"mode": "SAFE_MODE", "because_of": "global", "status": "PAUSED", "reason": None}
    assert view["profiles"]["p1"] == held
    assert view["history"][0] == made


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("profile:p2", 404), ("account:x", 404), ("symbol:p2:BTC/USD", 404), ("profil:p1", 422), ("", 422),
        ("profile:", 422), ("symbol:p1:", 422), ("profile:p\x001", 422), ("global", 200), ("symbol:p1:ETH/USD", 200),
    ],
)  # fmt: skip
def test_a_scope_that_is_none_or_binds_nobody_is_refused(api: Api, scope: str, status: int) -> None:
    assert api.client().get(STATUS, params={"scope": scope}).status_code == status
    assert api.client().post(PAUSE, json={"reason": "x", "scope": scope}).status_code == status


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x", "mode": "NORMAL"}, {"reason": "a\nb"}], ids=str)
def test_a_pause_needs_a_reason_and_a_mode_that_pauses(api: Api, body: dict[str, str]) -> None:
    assert api.client().post(PAUSE, json=body).status_code == 422
