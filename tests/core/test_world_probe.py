from tests.core.world import *
def test_x():
    w = World(rows=[entry()], orders=[order(trade_id="TRD-1")])
    assert w.says() == ["TRD-1: 1 of X1 by trade_id"]
    assert after_apply(w).says() == []
    assert w.having(orders=[]).says() == ["TRD-1: NO_GO missing_fill_evidence_for_large_remainder"]
    w.under(flatness="explained", dust_abs="0.1").says()
