"""One name for two markets: an execution of a contract is none of the coin, and the reverse."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.worlds import NOW
from tests.venues.ccxt.accounts import canned, venue
from tests.venues.ccxt.test_exchanges import EMPTY, SECRETS
from tests.venues.ccxt.test_generic import market

from trueup.core.snapshot import Feed, FeedState, Snapshot
from trueup.ports import ReadScope
from trueup.venues.ccxt.rules import DAY_MS

EXECUTED = {
    "symbol": "BTCUSDT", "orderType": "Market", "orderLinkId": "", "side": "Sell", "orderId": "o-1",
    "execTime": str(NOW - 60_000), "execFee": "0.07", "feeRate": "0.0006", "execId": "e-1", "execPrice": "97000",
    "orderQty": "0.1", "execValue": "9700", "execType": "Trade", "execQty": "0.1", "isMaker": False,
}  # fmt: skip
ORDER = {
    "symbol": "BTCUSDT", "orderId": "o-1", "orderLinkId": "", "price": "97000", "qty": "0.1", "cumExecQty": "0.1",
    "cumExecValue": "9700", "avgPrice": "97000", "orderStatus": "Filled", "side": "Sell", "orderType": "Limit",
    "createdTime": str(NOW - 60_000), "updatedTime": str(NOW - 60_000), "timeInForce": "GTC",
}  # fmt: skip


def read_bybit(path: str, category: str, row: Mapping[str, Any], *, tell: bool = True) -> Snapshot:
    """Read an account of which one listing of one category holds one row."""
    with canned(EMPTY["bybit"]) as (url, server):
        plain = server.of

        def of(asked: str, body: bytes = b"") -> tuple[int, Mapping[str, str], bytes]:
            wanted = asked.startswith(path) and f"category={category}" in asked
            if wanted and not any(other in asked for other in ("execType=Bust", "execType=Adl", "orderId=")):
                result = {"nextPageCursor": "", "list": [row], **({"category": category} if tell else {})}
                return 200, {}, json.dumps({"retCode": 0, "result": result, "time": NOW}).encode()
            return plain(asked, body)

        server.of = of  # type: ignore[method-assign]  # one listing answers by what it is asked
        account = venue(url, "bybit", secrets=SECRETS)
        made = account.client.first
        names = ("BTC/USDT", "BTC/USDT:USDT")
        made.set_markets([market(made, name, "BTCUSDT") for name in names])
        account.client._loaded = True
        return account.read(ReadScope(NOW - 3 * DAY_MS, names))


@pytest.mark.parametrize(("category", "symbol"), [("linear", "BTC/USDT:USDT"), ("spot", "BTC/USDT")])
def test_an_execution_is_of_the_market_that_was_asked_for(category: str, symbol: str) -> None:
    """The trap: without a createType ccxt reads an execution of Bybit's swap as one of the coin."""
    (fill,) = read_bybit("/v5/execution/list", category, EXECUTED).fills
    assert (fill.symbol, fill.qty) == (symbol, Decimal("0.1"))


@pytest.mark.parametrize(
    ("path", "row", "feed"),
    [("/v5/execution/list", EXECUTED, Feed.FILLS), ("/v5/order/history", ORDER, Feed.CLOSED_ORDERS)],
)
def test_a_row_that_ccxt_takes_for_another_kind_is_refused(path: str, row: Mapping[str, Any], feed: Feed) -> None:
    snapshot = read_bybit(path, "linear", row, tell=False)
    assert snapshot.feed(feed).state is FeedState.PARTIAL
    assert "for one of BTC/USDT" in snapshot.feed(feed).reason
    assert not [row for row in (*snapshot.fills, *snapshot.orders) if row.symbol == "BTC/USDT"]
