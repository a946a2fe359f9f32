"""What people put in force and an incident overlays with a stricter mode stays theirs.

Invariant 10: a canary lifts what its incident put in force, down to what was there before it, and no further.
"""

from dataclasses import replace

import pytest
from tests.incidents.world import SURPRISE, World, a_world
from tests.ledger.bot import NOW, Bot, at

from trueup.core.errors import Refused
from trueup.core.incidents.incident import Contained, Move, Step
from trueup.core.modes import Mode
from trueup.core.times import iso
from trueup.ports import ModeChange
from trueup.service.gate import ask
from trueup.service.leading import propose_canary, show_incident, sign_off
from trueup.service.modes import set_mode

STAGE = ("p1:BTC/USD:500:30",)


def escalated(bot: Bot, mode: str) -> World:
    """Give an incident that demands HALT of account:main, where somebody set a mode before it was opened."""
    set_mode(bot.init(), mode, "account:main", "maintenance")
    world = a_world(bot)
    world.confirmed()
    for _ in range(2):
        world.look(SURPRISE)
        world.look()
    assert world.app.modes.current()["account:main"] is Mode.HALT
    world.look()
    propose_canary(world.app, world.name, STAGE, "the books agree")
    return world


def signed(world: World) -> None:
    sign_off(replace(world.app, actor="ben"), None, "read it")


def may_trade(world: World) -> bool:
    return bool(ask(world.app, "p1", "BTC/USD", "open", "10"))


@pytest.mark.parametrize("mode", ["SAFE_MODE", "CLOSE_ONLY"])
def test_a_canary_does_not_lift_what_stood_below_its_incident(bot: Bot, mode: str) -> None:
    world = escalated(bot, mode)
    with pytest.raises(Refused, match=f"below it stands {mode}") as refused:
        signed(world)
    command = "trueup mode set HALT --scope account:main --reason TEXT"
    assert command in str(refused.value.do)
    assert show_incident(world.app).next.commands[0] == command
    set_mode(world.app, "HALT", "account:main", "the maintenance is over")
    signed(world)
    assert may_trade(world)
    world.look()
    signed(world)
    assert world.app.modes.current()["account:main"] is Mode.NORMAL


def test_what_others_put_between_two_demands_of_an_incident_is_theirs(bot: Bot) -> None:
    world = a_world(bot)
    world.confirmed()
    world.look(SURPRISE)
    world.look()
    flatten = ModeChange("account:main", Mode.FLATTEN, Mode.NORMAL, "deadman", "trueup", "no heartbeat", iso(at(NOW)))
    assert world.app.modes.tighten(flatten) is not None
    world.look(SURPRISE)
    world.look()
    world.look()
    propose_canary(world.app, world.name, STAGE, "the books agree")
    with pytest.raises(Refused, match="below it stands FLATTEN"):
        signed(world)
    assert not may_trade(world)


def test_what_an_incident_itself_demanded_before_is_lifted_and_given_back(bot: Bot) -> None:
    world = escalated(bot, "NORMAL")
    assert [(item.mode, item.before) for item in world.incident.contained] == [
        (Mode.SAFE_MODE, Mode.NORMAL), (Mode.HALT, Mode.NORMAL),
    ]  # fmt: skip
    signed(world)
    assert may_trade(world)
    world.look()
    signed(world)
    assert world.app.modes.current()["account:main"] is Mode.NORMAL


def test_a_take_back_of_what_was_added_keeps_what_stood_before(bot: Bot) -> None:
    set_mode(bot.init(), "CLOSE_ONLY", "account:main", "wind down")
    world = a_world(bot)
    world.confirmed()
    set_mode(world.app, "HALT", "account:main", "panic")
    set_mode(world.app, "SAFE_MODE", "account:main", "over")
    assert world.incident.beneath == {"account:main": Mode.CLOSE_ONLY}


def test_a_restoration_gives_no_scope_back_that_another_incident_demands(bot: Bot) -> None:
    """A profile that was moved to another account may have an incident in each."""
    world = escalated(bot, "NORMAL")
    signed(world)
    world.look()
    mine = world.incident
    other = replace(
        mine, incident_id="INC-2", account="alt", scope="account:main", step=Step.CLASSIFIED, plan=None, running=None,
        contained=(Contained("account:main", Mode.SAFE_MODE, Mode.SAFE_MODE),),
    )  # fmt: skip
    world.app.incidents.commit(Move(other), None, mine.opened_ms)
    sign_off(replace(world.app, actor="ben"), mine.incident_id, "read it")
    assert world.app.modes.current()["account:main"] is Mode.SAFE_MODE
