"""What ccxt's own parsers make of venues' answers, dumped as JSON, is read as the venue meant it.

The answers are written by hand in the venues' formats; the markets stand in for what `load_markets` would fetch.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from tests.venues.exports import SWAP, document, read, read_folder, unknown_by_token

from trueup.core.orders import Side
from trueup.core.snapshot import Feed, FeedState, Snapshot

SPOT = {"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "type": "spot", "spot": True}
LINEAR = {
    "id": "BTC_USDT", "symbol": SWAP, "base": "BTC", "quote": "USDT", "settle": "USDT", "settleId": "usdt",
    "type": "swap", "swap": True, "contract": True, "linear": True, "inverse": False, "contractSize": 0.0001,
}  # fmt: skip
INVERSE = {
    "id": "BTCUSD_PERP", "symbol": "BTC/USD:BTC", "base": "BTC", "quote": "USD", "settle": "BTC",
    "type": "swap", "swap": True, "contract": True, "linear": False, "inverse": True, "contractSize": 100,
}  # fmt: skip
TIME_MS = 1_767_322_800_250


def exchange(name: str, *markets: dict[str, Any]) -> Any:
    """Return an exchange that knows these markets and asks nobody."""
    made = getattr(ccxt, name)()
    made.set_markets([made.safe_market_structure(market) for market in markets])
    return made


def dumped(folder: Path, **sections: Any) -> Snapshot:
    return read(folder, json.loads(json.dumps(document(**sections))))


def binance_order(**fields: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": 5403233939, "clientOrderId": "bytelyst-bot-TRD-1-exit", "price": "97000.00",
        "origQty": "0.50000", "executedQty": "0.40000", "cummulativeQuoteQty": "38840.20000", "status": "FILLED",
        "type": "LIMIT", "side": "SELL", "time": TIME_MS - 5000, "updateTime": TIME_MS, **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "ours", "working"),
    [("FILLED", "filled", False), ("CANCELED", "canceled", False), ("PARTIALLY_FILLED", "open", True)],
)
def test_a_spot_order(tmp_path: Path, status: str, ours: str, working: bool) -> None:
    binance = exchange("binance", SPOT)
    parsed = binance.parse_order(binance_order(status=status), binance.market("BTC/USDT"))
    (order,) = dumped(tmp_path, closed_orders=[parsed]).orders
    assert (order.id, order.client_order_id) == ("5403233939", "bytelyst-bot-TRD-1-exit")
    assert (order.symbol, order.side, order.qty) == ("BTC/USDT", Side.SELL, Decimal("0.4"))
    assert (order.price, order.price_source) == (Decimal("97100.5"), "order")
    assert (order.status, order.working, order.time_ms) == (ours, working, TIME_MS)


def test_a_limit_price_that_ccxt_turned_into_a_cost_is_no_execution_price(tmp_path: Path) -> None:
    venue = exchange("bitfinex", SPOT)
    raw = {"id": "1", "symbol": "BTC/USDT", "side": "sell", "price": "97000", "amount": "0.5", "filled": "0.4"}
    parsed = venue.safe_order({**raw, "status": "canceled", "timestamp": TIME_MS, "info": {}})
    assert (parsed["cost"], parsed["average"]) == (38800, None)
    (order,) = dumped(tmp_path, closed_orders=[parsed]).orders
    assert (order.qty, order.price) == (Decimal("0.4"), None)


def test_a_spot_fill(tmp_path: Path) -> None:
    binance = exchange("binance", SPOT)
    raw = {
        "symbol": "BTCUSDT", "id": 28457, "orderId": 5403233939, "price": "97100.50", "qty": "0.40000000",
        "quoteQty": "38840.2", "commission": "0.0001", "commissionAsset": "BNB", "time": TIME_MS, "isBuyer": False,
        "isMaker": False, "isBestMatch": True,
    }  # fmt: skip
    (fill,) = dumped(tmp_path, fills=[binance.parse_trade(raw, binance.market("BTC/USDT"))]).fills
    assert (fill.id, fill.order_id, fill.side) == ("28457", "5403233939", Side.SELL)
    assert (fill.qty, fill.price, fill.time_ms) == (Decimal("0.4"), Decimal("97100.5"), TIME_MS)
    assert (fill.fee, fill.fee_asset) == (Decimal("0.0001"), "BNB")


def gate_position(gate: Any, size: int = -5000) -> dict[str, Any]:
    raw = {
        "contract": "BTC_USDT", "size": size, "leverage": "0", "value": "48500", "entry_price": "95000",
        "mark_price": "97000", "unrealised_pnl": "-1000", "realised_pnl": "0", "mode": "single", "margin": "0",
        "maintenance_rate": "0.005", "cross_leverage_limit": "10", "liq_price": "0", "update_time": TIME_MS // 1000,
    }  # fmt: skip
    return dict(gate.parse_position(raw, gate.market(SWAP)))


def test_a_swap_position_gives_the_size_of_its_orders(tmp_path: Path) -> None:
    gate = exchange("gate", LINEAR)
    raw = {
        "id": 95282841887, "contract": "BTC_USDT", "size": -4000, "left": 0, "price": "97000", "fill_price": "97100.5",
        "status": "finished", "finish_as": "filled", "tif": "gtc", "text": "t-bytelyst",
        "create_time": TIME_MS / 1000, "finish_time": TIME_MS / 1000,
    }  # fmt: skip
    parsed = gate.parse_order(raw, gate.market(SWAP))
    assert parsed["filled"] == 4000
    snapshot = dumped(tmp_path, positions=[gate_position(gate)], closed_orders=[parsed])
    assert [(leg.symbol, leg.qty, leg.mark_price) for leg in snapshot.legs] == [(SWAP, Decimal("-0.5"), 97000)]
    assert [(order.qty, order.price, order.side) for order in snapshot.orders] == [
        (Decimal("0.4"), Decimal("97100.5"), Side.SELL)
    ]


def test_its_markets_give_the_size_too(tmp_path: Path) -> None:
    gate = exchange("gate", LINEAR)
    position = {**gate_position(gate), "contractSize": None}
    snapshot = read_folder(tmp_path, positions=[position], markets=json.loads(json.dumps(gate.markets)))
    assert snapshot.legs[0].qty == Decimal("-0.5")


def test_a_closed_swap_position_is_flat(tmp_path: Path) -> None:
    gate = exchange("gate", LINEAR)
    snapshot = dumped(tmp_path, positions=[gate_position(gate, 0)])
    assert [leg.qty for leg in snapshot.legs] == [0]


def test_an_inverse_swap_is_unknown(tmp_path: Path) -> None:
    binance = exchange("binance", INVERSE)
    raw = {
        "symbol": "BTCUSD_PERP", "positionAmt": "3", "entryPrice": "95000", "markPrice": "97000", "leverage": "20",
        "positionSide": "BOTH", "unRealizedProfit": "0.0001", "liquidationPrice": "0", "marginType": "cross",
        "isolatedMargin": "0", "isAutoAddMargin": "false", "notionalValue": "0.0031", "updateTime": TIME_MS,
        "breakEvenPrice": "0", "maxQty": "5000",
    }  # fmt: skip
    parsed = binance.parse_position_risk({**raw}, binance.market("BTC/USD:BTC"))
    snapshot = dumped(tmp_path, positions=[parsed])
    assert unknown_by_token(snapshot).keys() == {"BTCUSDBTC", "BTCUSD"}
    assert "inverse" in snapshot.malformed[0].why


def test_a_balance(tmp_path: Path) -> None:
    kraken = exchange("kraken", SPOT)
    assets = {"XXBT": {"balance": "0.5", "hold_trade": "0.1"}, "ZUSD": {"balance": "7"}}
    parsed = kraken.parse_balance({"result": assets})
    snapshot = dumped(tmp_path, balances=parsed)
    assert (snapshot.balances, snapshot.malformed) == ({"BTC": Decimal("0.5"), "USD": 7}, ())


def test_an_empty_answer_that_ccxt_reads_as_no_balance_is_unknown(tmp_path: Path) -> None:
    parsed = exchange("binance", SPOT).safe_balance({"info": {}})
    assert dumped(tmp_path, balances=parsed).feed(Feed.BALANCES).state is FeedState.FAILED
