"""A profile whose account is not known: inconclusive by itself, and no reason to leave the others alone."""

import pytest
from tests.ledger.bot import Bot, decisions, pause, row, run, set_flags, sold

from trueup.core.errors import ConfigurationError
from trueup.service.app import App
from trueup.service.check import run_check
from trueup.service.modes import show_modes


@pytest.fixture(params=["unknown", "none"])
def app(bot: Bot, request: pytest.FixtureRequest) -> App:
    bot.accounts = ["main", "other"]
    bot.venue("other")
    bot.profiles.append({"id": "p2"})
    made = bot.ready(row("TRD-1"), row("TRD-2", profile_id="p2"))
    bot.sells(sold("X1", trade_id="TRD-1"))
    account = "'gone'" if request.param == "unknown" else "NULL"
    bot.db.run(f"UPDATE profiles SET account = {account} WHERE profile_id = 'p2'")
    return made


@pytest.mark.parametrize("everybody_pauses", [True, False])
def test_the_backfill_goes_on_with_the_others(app: App, everybody_pauses: bool) -> None:
    app = set_flags(app, require_pause=everybody_pauses)
    report = run(app, apply=True)
    assert decisions(report.profiles["p1"]) == [("TRD-1", "APPLIED", "inserted")]
    homeless = report.profiles["p2"]
    assert "account" in str(homeless.error)
    assert (homeless.exit_code, report.exit_code, report.status) == (3, 3, "INCONCLUSIVE")
    assert homeless.as_json()["attempted"] is False
    assert "p2" in str(report.summary()["errors"])


def test_the_check_goes_on_with_the_others(app: App) -> None:
    report = run_check(app)
    assert {found.trade_id for found in report.breaks} == {"TRD-1"}
    assert list(report.homeless) == ["p2"]
    assert (report.exit_code, report.status) == (3, "INCONCLUSIVE")
    document = report.as_json()
    assert document["homeless"] == [{"profile_id": "p2", "error": str(report.homeless["p2"])}]


def test_one_that_is_named_is_a_configuration_error(app: App) -> None:
    with pytest.raises(ConfigurationError, match=r"p2 (has the account|names no account)"):
        run(app, profiles=("p2",))
    with pytest.raises(ConfigurationError, match=r"p2 (has the account|names no account)"):
        run_check(app, ("p1", "p2"))


def test_one_that_the_settings_leave_out_is_skipped(app: App) -> None:
    assert run(set_flags(app, enabled=False)).exit_code == 0
    report = run(set_flags(app, allowlist=frozenset({"p1"})), apply=True)
    assert report.profiles["p2"].skipped_reason == "profile_not_allowlisted"
    assert report.exit_code == 0


def test_where_there_is_no_other_the_run_is_inconclusive(bot: Bot, app: App) -> None:
    bot.db.run("UPDATE profiles SET account = NULL")
    report = run(app)
    assert (report.exit_code, report.run_id) == (3, None)


def test_its_mode_is_shown_all_the_same(app: App) -> None:
    pause(app, scope="profile:p2")
    assert {name: mode.name for name, (mode, _) in show_modes(app).profiles.items()} == {
        "p1": "SAFE_MODE",
        "p2": "SAFE_MODE",
    }
