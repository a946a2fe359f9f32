"""Binance's JSON for spot: numbers are text with eight places, times are epoch milliseconds."""

from decimal import Decimal

from trueup.core.decimals import EXACT
from trueup.sim.exchange import Account, Exchange, Fill, Market, Order, Side, Status
from trueup.sim.exchange.matching import locked
from trueup.sim.wire.desk import places

ZERO = "0.00000000"
FULL = 8

STATUSES = {
    Status.HELD: "NEW", Status.NEW: "NEW", Status.PARTIALLY_FILLED: "PARTIALLY_FILLED", Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELED", Status.EXPIRED: "EXPIRED", Status.REJECTED: "REJECTED", Status.REPLACED: "CANCELED",
}  # fmt: skip


def order_type(order: Order) -> str:
    """Return an order's type in the words of spot."""
    if order.request.stop_price is not None:
        return "STOP_LOSS_LIMIT" if order.request.limit_price is not None else "STOP_LOSS"
    return "MARKET" if order.request.limit_price is None else "LIMIT"


def average(order: Order) -> Decimal:
    """Return the average price of what an order executed, 0 where that is nothing."""
    return EXACT.divide(order.spent, order.executed) if order.executed else Decimal(0)


def order_row(order: Order) -> dict[str, object]:
    """Return an order as GET /api/v3/order and allOrders give it."""
    request = order.request
    return {
        "symbol": order.symbol, "orderId": int(order.id), "orderListId": -1, "clientOrderId": order.client_order_id,
        "price": places(request.limit_price or Decimal(0), FULL), "origQty": places(order.qty, FULL),
        "executedQty": places(order.executed, FULL), "origQuoteOrderQty": places(request.notional or Decimal(0), FULL),
        "cummulativeQuoteQty": places(order.spent, FULL), "status": STATUSES[order.status],
        "timeInForce": request.time_in_force.upper(), "type": order_type(order), "side": order.side.value.upper(),
        "stopPrice": places(request.stop_price or Decimal(0), FULL), "icebergQty": ZERO, "time": order.created_ms,
        "updateTime": order.updated_ms, "isWorking": order.status.working,
        "workingTime": order.created_ms, "selfTradePreventionMode": "EXPIRE_MAKER",
    }  # fmt: skip


def created_row(order: Order, form: str) -> dict[str, object]:
    """Return the answer to a new order: ACK, RESULT or FULL."""
    row: dict[str, object] = {
        "symbol": order.symbol, "orderId": int(order.id), "orderListId": -1, "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ms,
    }  # fmt: skip
    if form == "ACK":
        return row
    whole = order_row(order)
    names = ("price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce")
    row |= {name: whole[name] for name in (*names, "type", "side", "workingTime", "selfTradePreventionMode")}
    if form == "FULL":
        row["fills"] = [
            {
                "price": places(fill.price, FULL), "qty": places(fill.qty, FULL), "commission": places(fill.fee, FULL),
                "commissionAsset": fill.fee_asset, "tradeId": fill.number,
            }
            for fill in order.fills
        ]  # fmt: skip
    return row


def canceled_row(order: Order, client: str, now_ms: int) -> dict[str, object]:
    """Return the answer to a cancellation, which has a client order id of its own."""
    whole = order_row(order)
    names = ("price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce")
    return {
        "symbol": order.symbol, "origClientOrderId": order.client_order_id, "orderId": int(order.id),
        "orderListId": -1, "clientOrderId": client, "transactTime": now_ms,
        **{name: whole[name] for name in (*names, "type", "side", "selfTradePreventionMode")},
    }  # fmt: skip


def trade_row(fill: Fill) -> dict[str, object]:
    """Return an execution as GET /api/v3/myTrades gives it: no client order id, no side in words."""
    return {
        "symbol": fill.order.symbol, "id": fill.number, "orderId": int(fill.order.id), "orderListId": -1,
        "price": places(fill.price, FULL), "qty": places(fill.qty, FULL),
        "quoteQty": places(fill.qty * fill.price, FULL), "commission": places(fill.fee, FULL),
        "commissionAsset": fill.fee_asset, "time": fill.time_ms, "isBuyer": fill.order.side is Side.BUY,
        "isMaker": fill.maker, "isBestMatch": True,
    }  # fmt: skip


def account_row(exchange: Exchange, account: Account) -> dict[str, object]:
    """Return GET /api/v3/account; what working orders hold back is locked."""
    held = locked(exchange, account.name)
    balances = [
        {
            "asset": asset,
            "free": places(total - held.get(asset, Decimal(0)), FULL),
            "locked": places(held.get(asset, Decimal(0)), FULL),
        }
        for asset, total in sorted(account.balances.items())
    ]
    rates = {"maker": ZERO, "taker": ZERO, "buyer": ZERO, "seller": ZERO}
    return {
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": rates, "canTrade": True, "canWithdraw": False, "canDeposit": True, "brokered": False,
        "requireSelfTradePrevention": False, "preventSor": False,
        "updateTime": max([account.created_ms, *(fill.time_ms for fill in exchange.fills_of(account.name))]),
        "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"],
        "uid": int(exchange.names.uuid("account", account.name).hex[:8], 16),
    }  # fmt: skip


def market_row(market: Market) -> dict[str, object]:
    """Return a symbol of GET /api/v3/exchangeInfo."""
    step, tick = format(market.lot, "f"), format(market.tick, "f")
    return {
        "symbol": market.symbol, "status": "TRADING", "baseAsset": market.base, "baseAssetPrecision": 8,
        "quoteAsset": market.quote, "quotePrecision": 8, "quoteAssetPrecision": 8, "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True, "ocoAllowed": False, "otoAllowed": False, "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False, "cancelReplaceAllowed": False, "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00", "stepSize": step},
            {"filterType": "NOTIONAL", "minNotional": format(market.min_notional, "f"), "applyMinToMarket": True,
             "maxNotional": "9000000.00", "applyMaxToMarket": False, "avgPriceMins": 5},
        ],
        "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }  # fmt: skip


def coin_row(asset: str) -> dict[str, object]:
    """Return a coin of GET /sapi/v1/capital/config/getall."""
    return {
        "coin": asset, "depositAllEnable": True, "withdrawAllEnable": True, "name": asset, "free": "0", "locked": "0",
        "freeze": "0", "withdrawing": "0", "ipoing": "0", "ipoable": "0", "storage": "0", "isLegalMoney": False,
        "trading": True, "networkList": [],
    }  # fmt: skip
