"""Several profiles that share an account hold one position together: what is not known of it is not known to any."""

import pytest
from tests.reconcile.stage import Stage, a_row, an_order, tag

BOUGHT = an_order("x1", "buy", "filled", "1", client_order_id=tag("TRD-1", "ENTRY"))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_position_that_is_nobodys_is_told_to_all_who_hold_some() -> None:
    """Two trades of two profiles, and the venue holds one of them: neither is told that its books agree."""
    stage = Stage(profiles=dict.fromkeys(("p1", "p2", "p3"), "main"))
    stage.ledger(a_row("r1", "buy", "filled", exchange_order_id="x1"))
    stage.ledger(a_row("r2", "buy", "filled", exchange_order_id="x2", profile_id="p2", trade_id="TRD-2"))
    stage.venue(BOUGHT, an_order("x2", "buy", "filled", "1", client_order_id=tag("TRD-2", "ENTRY", "p2")), held="1")
    first, second, third = stage.cycles().runs
    assert [run.status for run in (first, second, third)] == ["MISMATCH", "MISMATCH", "OK"]
    assert [run.found for run in (first, second, third)] == [1, 0, 0], "it is counted once"
    [record] = first.breaks
    assert (record.kind, record.profile_id) == ("ghost_position", None)
    [note] = [note for note in second.notes if record.break_id in note]
    assert "ghost_position of BTC/USD, which is the account's" in note
    stage.venue(*stage.venues["main"].snapshot.orders, held="2")
    assert [run.status for run in stage.cycles().runs] == ["OK", "OK", "OK"]


def test_position_that_another_profiles_trade_keeps_from_being_compared(stage: Stage) -> None:
    """Whose trade cannot be read is not whose position is wrong: nobody who holds the symbol is told that it agrees."""
    silent = {"trade_id": "TRD-2", "profile_id": "p2", "action": None}
    stage.ledger(
        a_row("A", "buy", "filled", exchange_order_id="X1"),
        a_row("B", "buy", "filled", exchange_order_id="X2", **silent),
        a_row("C", "sell", "filled", "0.4", exchange_order_id="X3", **silent),
    )
    orders = [an_order("X1", "buy", "filled", "1"), an_order("X2", "buy", "filled", "1")]
    stage.venue(*orders, an_order("X3", "sell", "filled", "0.4"), held="1.2")
    report = stage.cycles(3)
    assert stage.breaks == {}
    assert [(run.profile_id, run.status) for run in report.runs] == [("p1", "INCONCLUSIVE"), ("p2", "INCONCLUSIVE")]
    why = "buys and sells stand at the trade's first moment, and no row says which of them is the entry"
    assert [run.unclear for run in report.runs] == [
        [("BTC/USD", f"not compared: TRD-2 of p2: {why}")], [("BTC/USD TRD-2", why)],
    ]  # fmt: skip
