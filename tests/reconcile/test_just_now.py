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


def test_an_exit_that_the_bot_is_about_to_write_is_not_backfilled_either(stage: Stage) -> None:
    """The evidence is there and the venue is flat; the bot's own row comes, and nothing was booked beside it."""
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    sold = an_order("x2", "sell", "filled", "1", minute=11, client_order_id=tag("TRD-1", "EXIT"))
    stage.venue(an_order("x1", "buy", "filled", "1", client_order_id=ENTRY), sold)
    stage.cycles(1, apart=1.1)
    assert stage.rows == {"r1": "filled 1"}
    assert stage.breaks["missing_in_db"] == "waiting"
    stage.ledger(a_row("r2", "sell", "filled", minute=11.2, exchange_order_id="x2"))
    assert stage.cycles(2, apart=0.5).status == "OK"
    assert stage.rows == {"r1": "filled 1", "r2": "filled 1"}


def test_an_exit_that_the_bot_never_writes_is_booked_once_it_was_waited_for(stage: Stage) -> None:
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    sold = an_order("x2", "sell", "filled", "1", minute=11, client_order_id=tag("TRD-1", "EXIT"))
    stage.venue(an_order("x1", "buy", "filled", "1", client_order_id=ENTRY), sold)
    stage.cycles(1, apart=1.1)
    assert stage.rows == {"r1": "filled 1"}
    assert stage.cycles(2, apart=0.5).status == "OK"
    assert stage.rows == {"r1": "filled 1", "IMPRT": "filled 1"}
