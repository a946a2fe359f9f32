"""FLATTEN from the command line and over HTTP: rehearsed, done, refused, shown."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.api.server import an_api
from tests.flatten.test_database import on, ours
from tests.flatten.world import Troubles, World
from tests.ledger.bot import Bot, a_bot

from trueup.core.flatten.record import FlattenRules
from trueup.service.app import App, SafetyConfig
from trueup.surfaces.cli import flatten as flatten_cli
from trueup.surfaces.cli.main import run


@pytest.fixture
def bot(tmp_path: Any, sqlite_url: str) -> Iterator[Bot]:
    with a_bot(tmp_path, sqlite_url) as made:
        yield made


def call(app: App, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    kept = replace(app, close=lambda: None)
    code = run(lambda _: kept, None, None, None, ["mode", *words])
    return code, capsys.readouterr().out


ASKED = ("set", "FLATTEN", "--scope", "account:main", "--reason", "a test")


def test_a_rehearsal_and_then_the_real_thing(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.hold("p1", "BTC", "1.5")
    world.rest("p1", "ETH")
    app = on(bot.init(), world)
    code, said = call(app, capsys, *ASKED, "--dry-run")
    assert code == 0
    assert "would close BTC/USDT:USDT: sell 1.5 of 1.5" in said
    assert "would cancel ETH/USDT:USDT buy" in said
    assert (ours(world), app.modes.current(), list(app.flattenings.newest())) == ([], {}, [])
    code, said = call(app, capsys, *ASKED)
    assert (code, world.left()) == (0, [])
    assert "main: flat" in said
    code, said = call(app, capsys, "show")
    assert "Flattening of account:main at main: flat" in said
    code, said = call(app, capsys, "show", "--format", "json")
    assert [each["state"] for each in json.loads(said)["flattening"]] == ["flat"]


@pytest.mark.parametrize(("trouble", "code"), [("reject", 1), ("unread", 3)])
def test_what_could_not_be_made_flat_is_an_exit_code(
    bot: Bot, capsys: pytest.CaptureFixture[str], trouble: str, code: int
) -> None:
    world = World(troubles=Troubles(**{trouble: 1.0}))
    world.hold("p1", "BTC", "1.5")
    app = replace(on(bot.init(), world), safety=SafetyConfig(flatten=FlattenRules(attempts=1, limit_ms=1_000)))
    found, said = call(app, capsys, *ASKED, "--format", "json")
    document = json.loads(said)
    assert (found, document["flatten"][0]["state"], document["mode"]) == (code, "halted", "FLATTEN")
    assert document["flatten"][0]["left"]


def test_a_rehearsal_exits_with_what_is_in_the_way(bot: Bot, capsys: pytest.CaptureFixture[str]) -> None:
    app = on(bot.init(), World(allow=False))
    assert call(app, capsys, *ASKED, "--dry-run")[0] == 1
    assert call(on(app, World(troubles=Troubles(unread=1.0))), capsys, *ASKED, "--dry-run")[0] == 3
    code, _ = call(app, capsys, "set", "HALT", "--scope", "global", "--reason", "x", "--dry-run")
    assert code != 0
    assert flatten_cli.exit_of(None) == 0


def test_over_http(bot: Bot) -> None:
    world = World()
    world.hold("p1", "BTC", "1.5")
    app = on(bot.init(), world)
    asked = {"mode": "FLATTEN", "scope": "profile:p1", "reason": "a test"}
    with an_api(app) as api:
        client = api.client()
        rehearsed = client.post("/modes", json={**asked, "dry_run": True})
        assert rehearsed.status_code == 200
        assert rehearsed.json()["accounts"][0]["closes"] == [
            {"symbol": "BTC/USDT:USDT", "side": "sell", "qty": "1.5", "held": "1.5"}
        ]
        assert ours(world) == []
        done = client.post("/modes", json=asked)
        assert (done.status_code, done.json()["mode"]) == (200, "FLATTEN")
        for _ in range(200):
            states = [each["state"] for each in client.get("/modes").json()["flattening"]]
            if states == ["flat"]:
                break
            app.clock.sleep(0.05)
        assert (states, world.left()) == (["flat"], [])


def test_over_http_it_is_refused_where_it_is_not_allowed(bot: Bot) -> None:
    with an_api(bot.init()) as api:
        client = api.client()
        answer = client.post("/modes", json={"mode": "FLATTEN", "scope": "profile:p1", "reason": "a test"})
        assert answer.status_code == 409
        assert "allow_flatten" in answer.json()["do"]
        other = client.post("/modes", json={"mode": "HALT", "scope": "profile:p1", "reason": "x", "dry_run": True})
        assert other.status_code == 409
