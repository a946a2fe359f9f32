"""A drill for each mode, over the wire of a simulated exchange: from the injection to restored, with its export.

Detected, contained in that mode, the gate's answers in it, classified, repaired, canaried, restored.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.incidents.wire import Wired, wired

from trueup.core.incidents.incident import Step
from trueup.core.modes import Mode
from trueup.core.orders import Side
from trueup.service.flattening import flatten_scope
from trueup.service.leading import start_repair

Repair = Callable[[], None]


def lost_exit(bot: Wired) -> Repair:
    """At the exchange: the position is sold, and nothing says for which trade; the bot writes what it lost."""
    bot.bought()
    assert bot.run() == "OK"
    sold = bot.order(Side.SELL, "1", client_order_id="by-hand")

    def write() -> None:
        bot.booked(sold, "sell", "1")

    return write


def booked_twice(bot: Wired) -> Repair:
    """In the ledger: a second row of one execution, at another price; the bot takes it out."""
    order = bot.bought()
    assert bot.run() == "OK"
    second = bot.booked(order, "buy", "1", price="199")
    return lambda: bot.canceled(second)


def comes_back(bot: Wired) -> Repair:
    """In the ledger: what was repaired comes back, again and again."""
    order = bot.bought()
    assert bot.run() == "OK"
    for price in ("199", "198"):
        second = bot.booked(order, "buy", "1", price=price)
        assert bot.run() == "MISMATCH"
        bot.canceled(second)
        assert bot.run() == "OK"
    third = bot.booked(order, "buy", "1", price="197")
    return lambda: bot.canceled(third)


def finish(bot: Wired, repair: Repair, mode: Mode) -> str:
    start_repair(bot.app, None, "by its class")
    repair()
    ticket = bot.way_back()
    assert (bot.mode(), bot.answers()) == (Mode.NORMAL, (True, True))
    assert f"in {mode.name} |" in ticket
    for step in Step:
        assert f"| {step.value} |" in ticket, step
    for what in ("opened", "classified", "repair started", "books agree", "canary proposed", "signed off and restored"):
        assert what in ticket, what
    assert [line for line in ticket.splitlines() if line.startswith("- [ ]")] == []
    assert bot.wrong == []
    return ticket


@pytest.mark.parametrize(
    ("inject", "mode", "answers"),
    [(lost_exit, Mode.SAFE_MODE, (False, False)), (booked_twice, Mode.CLOSE_ONLY, (False, True))],
    ids=["SAFE_MODE", "CLOSE_ONLY"],
)  # fmt: skip
def test_drill_of_a_mode_that_only_holds(
    tmp_path: Path, inject: Callable[[Wired], Repair], mode: Mode, answers: tuple[bool, bool]
) -> None:
    with wired(tmp_path, allow=True) as bot:
        repair = inject(bot)
        assert bot.answers() == (True, True)
        assert bot.run() == "MISMATCH"
        assert (bot.mode(), bot.answers()) == (mode, answers)
        assert bot.incident.verdict is not None
        finish(bot, repair, mode)
        assert bot.ours == [], "nothing was sent"


def test_drill_of_flatten_where_it_is_allowed(tmp_path: Path) -> None:
    with wired(tmp_path, allow=True) as bot:
        repair = comes_back(bot)
        assert bot.run() == "MISMATCH"
        assert (bot.mode(), bot.answers()) == (Mode.FLATTEN, (False, False))
        assert "came back 2 times" in bot.incident.untrusted
        rests = bot.rests("0.5")
        [done] = flatten_scope(bot.app, bot.incident.scope)
        assert (done.state, bot.held, len(bot.ours)) == ("flat", 0, 1)
        assert not rests.status.working
        assert bot.answers() == (False, False)

        def repair_and_look() -> None:
            repair()
            assert bot.run() == "MISMATCH", "the ledger holds what was closed, until its being gone is confirmed"

        assert "came back 2 times" in finish(bot, repair_and_look, Mode.FLATTEN)


def test_drill_of_halt_where_flatten_is_not_allowed(tmp_path: Path) -> None:
    with wired(tmp_path, allow=False) as bot:
        repair = comes_back(bot)
        assert bot.run() == "MISMATCH"
        assert (bot.mode(), bot.answers()) == (Mode.HALT, (False, False))
        assert flatten_scope(bot.app, bot.incident.scope) == []
        assert (bot.held, bot.ours) == (1, [])
        finish(bot, repair, Mode.HALT)
