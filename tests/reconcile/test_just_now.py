"""Executions of just now: a stream wakes the loop before the bot has written them, and that alone is no mismatch."""

from dataclasses import replace

import pytest
from tests.reconcile.stage import Stage, a_row, an_order, tag

ENTRY = tag("TRD-1", "ENTRY")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_execution_that_the_bot_is_about_to_write_is_waited_for(stage: Stage) -> None:
    """A stream wakes the loop between the execution and the bot's own row: nothing is wrong yet, later it is."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    bought = an_order("x1", "buy", "filled", "2", client_order_id=ENTRY)
    stage.venue(bought, an_order("x2", "sell", "filled", "1", minute=11), held="1")
    stage.cycles(1, apart=1.1)
    assert stage.breaks["ghost_position"] == "waiting"
    stage.cycles(1, apart=0.3)
    assert stage.breaks["ghost_position"] == "waiting"
    stage.cycles(1, apart=0.2)
    assert stage.breaks["ghost_position"] == "quarantined"


def test_a_symbol_that_never_rests_hides_no_gap(stage: Stage) -> None:
    """Every look sees an execution of just now, and the ledger holds more than the venue all the time."""
    stage.ledger(a_row("r1", "buy", "filled", "2", exchange_order_id="x1"))
    bought = an_order("x1", "buy", "filled", "2", client_order_id=ENTRY)
    states = []
    for number in range(4):
        newest = [an_order(f"y{number}", side, "filled", "1", minute=stage.minute + 0.2) for side in ("buy", "sell")]
        stage.venue(bought, *(replace(order, id=f"{order.id}{order.side}") for order in newest), held="1")
        stage.cycles(1, apart=0.2)
        states.append(stage.breaks["ghost_position"])
    assert states == ["waiting", "waiting", "waiting", "quarantined"]
