"""Executions that a venue takes back: what stands is the order's own total."""

from decimal import Decimal

from tests.sim.worlds import NOW
from tests.venues.ccxt.accounts import canned, venue
from tests.venues.ccxt.test_exchanges import COINBASE, EMPTY
from tests.venues.ccxt.test_generic import market

from trueup.ports import ReadScope
from trueup.venues.ccxt.rules import DAY_MS

FILL = {
    "entry_id": "e", "trade_id": "t-1", "order_id": "o-1", "trade_time": "2026-02-25T06:12:00Z", "trade_type": "FILL",
    "price": "97000", "size": "0.4", "commission": "1", "product_id": "BTC-USDT", "side": "SELL", "user_id": "u",
    "sequence_timestamp": "2026-02-25T06:12:00Z", "liquidity_indicator": "TAKER", "size_in_quote": False,
}  # fmt: skip
ORDER = {
    "order_id": "o-1", "product_id": "BTC-USDT", "user_id": "u", "side": "SELL", "client_order_id": "c-1",
    "status": "FILLED", "time_in_force": "IMMEDIATE_OR_CANCEL", "created_time": "2026-02-25T06:12:00Z",
    "filled_size": "0.3", "average_filled_price": "97000", "filled_value": "29100", "total_fees": "1",
    "order_type": "MARKET", "size_in_quote": False, "last_fill_time": "2026-02-25T06:12:00Z",
    "order_configuration": {"market_market_ioc": {"base_size": "0.3"}},
}  # fmt: skip


def test_an_execution_that_was_taken_back_is_none() -> None:
    """The trap: Coinbase's reversal has the id, the side and the size of what it takes back."""
    fills = [FILL, {**FILL, "entry_id": "r", "trade_type": "REVERSAL"}]
    fills.append({**FILL, "entry_id": "c", "trade_type": "CORRECTION", "size": "0.3"})
    fills.append({**FILL, "entry_id": "x", "trade_id": "t-2", "order_id": "o-2"})
    answers = {
        **EMPTY["coinbase"],
        "/api/v3/brokerage/orders/historical/fills": {"fills": fills, "cursor": ""},
        "/api/v3/brokerage/orders/historical/batch": {"orders": [ORDER], "cursor": "", "has_next": False},
    }
    with canned(answers) as (url, _):
        account = venue(url, "coinbase", secrets=COINBASE)
        account.client.first.set_markets([market(account.client.first, "BTC/USDT", "BTC-USDT")])
        account.client._loaded = True
        snapshot = account.read(ReadScope(NOW - DAY_MS, ("BTC/USDT",)))
    assert [fill.order_id for fill in snapshot.fills] == ["o-2"]
    assert {order.id: order.qty for order in snapshot.orders} == {"o-1": Decimal("0.3")}
    assert len([row for row in snapshot.malformed if "adjusted" in row.why]) == 3
