"""What a person adds to an incident's containment they can take back, down to what the incident demands and no further.

Invariant 10: while it stands, no canary starts, passes or restores anything.
"""

from dataclasses import replace

import pytest
from tests.incidents.world import World, a_world
from tests.ledger.bot import Bot

from trueup.core.errors import Refused
from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off
from trueup.service.modes import set_mode
from trueup.service.trading import pause, resume

STAGE = ("p1:BTC/USD:500:30",)


@pytest.fixture
def world(bot: Bot) -> World:
    """Give an incident that contained account:main in SAFE_MODE."""
    return a_world(bot)


def signed(world: World) -> None:
    sign_off(replace(world.app, actor="ben"), None, "read it")


def may_trade(world: World) -> bool:
    return bool(ask(world.app, "p1", "BTC/USD", "open", "10"))


@pytest.mark.parametrize("scope", ["global", "profile:p1", "symbol:p1:BTC/USD"])
def test_what_a_person_added_beside_the_containment_is_taken_back(world: World, scope: str) -> None:
    set_mode(world.app, "HALT", scope, "panic")
    set_mode(world.app, "SAFE_MODE", scope, "calmer")
    set_mode(world.app, "NORMAL", scope, "over")
    assert world.app.modes.current() == {"account:main": Mode.SAFE_MODE, scope: Mode.NORMAL}
    assert not may_trade(world)


def test_a_pause_by_the_bots_route_is_resumed(world: World) -> None:
    pause(world.app, "panic")
    assert not resume(world.app, "over").mode.paused
    assert not may_trade(world)


def test_at_its_own_scope_the_incident_keeps_what_it_demands(world: World) -> None:
    with pytest.raises(Refused, match="stays in SAFE_MODE: incident"):
        set_mode(world.app, "CLOSE_ONLY", "account:main", "hurry")
    set_mode(world.app, "HALT", "account:main", "panic")
    for mode in ("NORMAL", "CLOSE_ONLY"):
        with pytest.raises(Refused) as refused:
            set_mode(world.app, mode, "account:main", "over")
        assert "trueup mode set SAFE_MODE --scope account:main" in str(refused.value.do)
    assert set_mode(world.app, "SAFE_MODE", "account:main", "over").mode is Mode.SAFE_MODE
    assert [item.before for item in world.incident.contained] == [Mode.NORMAL]


def test_what_was_there_before_is_taken_back_when_the_books_are_confirmed(bot: Bot) -> None:
    set_mode(bot.init(), "CLOSE_ONLY", "profile:p1", "looks odd")
    world = a_world(bot)
    set_mode(world.app, "HALT", "profile:p1", "panic")
    with pytest.raises(Refused):
        set_mode(world.app, "NORMAL", "profile:p1", "over")
    set_mode(world.app, "CLOSE_ONLY", "profile:p1", "as it was")
    world.confirmed()
    set_mode(world.app, "NORMAL", "profile:p1", "over")


def test_a_scope_that_was_paused_before_is_left_to_the_incident_and_restored(bot: Bot) -> None:
    set_mode(bot.init(), "SAFE_MODE", "account:main", "looks odd")
    world = a_world(bot)
    world.proposed(stages=STAGE)
    with pytest.raises(Refused, match="is not of INC"):
        signed(world)
    set_mode(world.app, "SAFE_MODE", "account:main", "the rest is the incident's")
    signed(world)
    assert may_trade(world)


def test_an_incident_whose_row_cannot_be_read_lets_nothing_loosen(world: World) -> None:
    set_mode(world.app, "HALT", "global", "panic")
    world.bot.db.run("UPDATE incidents SET status = 'unheard of'", {})
    with pytest.raises(Refused, match="incident"):
        set_mode(world.app, "NORMAL", "global", "over")


@pytest.mark.parametrize("scope", ["global", "account:main", "profile:p1", "symbol:p1:BTC/USD"])
def test_no_stage_starts_below_a_stricter_mode_and_next_says_how_to_take_it_back(world: World, scope: str) -> None:
    set_mode(world.app, "HALT", scope, "panic")
    world.confirmed()
    least = "SAFE_MODE" if scope == "account:main" else "NORMAL"
    command = f"trueup mode set {least} --scope {scope} --reason TEXT"
    for early in (True, False):
        following = show_incident(world.app).next
        if not (early and scope.startswith("symbol")):
            assert following.commands[0] == command
            assert f"{scope} is in HALT, set by {world.app.actor}" in following.what
            assert "panic" in following.what
        if early:
            propose_canary(world.app, None, STAGE, "the books agree")
    with pytest.raises(Refused) as refused:
        signed(world)
    assert command in str(refused.value.do)
    assert world.incident.step is Step.CONFIRMING
    set_mode(world.app, least, scope, "over")
    signed(world)
    assert may_trade(world)
    world.look()
    signed(world)
    assert world.incident.step is Step.RESTORED
    assert world.app.modes.current()["account:main"] is Mode.NORMAL


@pytest.mark.parametrize("scope", ["account:main", "profile:p1"])
def test_a_stage_that_could_not_trade_ends_and_restores_nothing(world: World, scope: str) -> None:
    world.proposed(stages=STAGE)
    signed(world)
    set_mode(world.app, "SAFE_MODE" if scope == "profile:p1" else "HALT", scope, "panic")
    world.look()
    assert (world.incident.step, world.incident.plan, world.incident.returns) == (Step.CONFIRMING, None, 0)
    line = world.app.incidents.story(world.name)[-1]
    assert (line.what, f"{scope} is in" in line.reason) == ("canary ended", True)
    assert not may_trade(world)


def test_a_pause_and_its_end_between_two_looks_end_the_stage_as_well(world: World) -> None:
    world.proposed(stages=STAGE)
    signed(world)
    set_mode(world.app, "HALT", "account:main", "panic")
    set_mode(world.app, "SAFE_MODE", "account:main", "over")
    assert not may_trade(world)
    world.look()
    assert world.incident.step is Step.CONFIRMING


def test_a_stage_that_passed_restores_nothing_below_a_halt(world: World) -> None:
    world.proposed(stages=STAGE)
    signed(world)
    world.look()
    set_mode(world.app, "HALT", "account:main", "panic")
    with pytest.raises(Refused, match="account:main is in HALT"):
        signed(world)
    assert world.incident.is_open
