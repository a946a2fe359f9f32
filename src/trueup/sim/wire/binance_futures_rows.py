"""Binance's JSON for perpetual contracts: orders, trades, positions, balances and income."""

from collections.abc import Mapping
from decimal import Decimal

from trueup.sim.exchange import (
    Account,
    Event,
    EventKind,
    Exchange,
    Fill,
    Kind,
    Leg,
    Market,
    Order,
    Origin,
    Position,
    Side,
)
from trueup.sim.exchange.accounts import profit
from trueup.sim.exchange.booking import worth_of
from trueup.sim.wire.binance_rows import STATUSES, average
from trueup.sim.wire.desk import places

MONEY = 8
LEVERAGE = 10
_MAINTENANCE = Decimal("0.005")
INCOME: Mapping[EventKind, str] = {
    EventKind.DEPOSIT: "TRANSFER", EventKind.FEE: "COMMISSION", EventKind.FUNDING: "FUNDING_FEE",
    EventKind.REALIZED: "REALIZED_PNL",
}  # fmt: skip


def steps(number: Decimal) -> int:
    """Return the decimal places of a market's step."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def order_type(order: Order) -> str:
    """Return an order's type in the words of futures."""
    limited = order.request.limit_price is not None
    if order.request.stop_price is None:
        return "LIMIT" if limited else "MARKET"
    return ("TAKE_PROFIT" if order.request.take else "STOP") + ("" if limited else "_MARKET")


def _type_now(order: Order) -> str:
    """Return an order's type; a conditional order has become another, and what it was stands beside it."""
    if not order.request.conditional:
        return order_type(order)
    return "LIMIT" if order.request.limit_price is not None else "MARKET"


def placed_ms(order: Order) -> int:
    """Return when an order was placed: a conditional one when it triggered."""
    return order.triggered_ms if order.request.conditional and order.triggered_ms is not None else order.created_ms


def order_row(market: Market, order: Order) -> dict[str, object]:
    """Return an order as GET /fapi/v1/order and allOrders give it; of cumQuote and cumBase one is 0."""
    request, tick, lot = order.request, steps(market.tick), steps(market.lot)
    inverse = market.kind is Kind.INVERSE
    base = worth_of(market, order.executed, average(order)) if inverse and order.executed else Decimal(0)
    quote = Decimal(0) if inverse else order.spent
    pair = {"pair": market.symbol.partition("_")[0]} if inverse else {}
    return {
        "orderId": int(order.id), "symbol": order.symbol, "status": STATUSES[order.status],
        "clientOrderId": order.client_order_id, "price": places(request.limit_price or Decimal(0), tick),
        "avgPrice": places(average(order), MONEY), "origQty": places(order.qty, lot),
        "executedQty": places(order.executed, lot),
        "cumQuote": places(quote, MONEY) if quote else "0",
        "cumBase": places(base, MONEY) if base else "0", **pair,
        "timeInForce": request.time_in_force.upper(),
        "type": _type_now(order),
        "reduceOnly": request.reduce_only and order.origin is Origin.HOLDER,
        "closePosition": False, "side": order.side.value.upper(), "positionSide": request.leg.value.upper(),
        "stopPrice": places(request.stop_price or Decimal(0), tick), "workingType": "CONTRACT_PRICE",
        "priceProtect": False, "origType": order_type(order), "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER", "goodTillDate": 0, "time": placed_ms(order),
        "updateTime": order.updated_ms,
    }  # fmt: skip


def trade_row(market: Market, fill: Fill) -> dict[str, object]:
    """Return an execution as GET /fapi/v1/userTrades gives it."""
    inverse = market.kind is Kind.INVERSE
    worth = worth_of(market, fill.qty, fill.price)
    amounts: dict[str, object] = (
        {"pair": market.symbol.partition("_")[0], "baseQty": places(worth, MONEY), "quoteQty": "0"}
        if inverse
        else {"quoteQty": places(worth, MONEY), "baseQty": "0"}
    )
    return {
        "symbol": market.symbol, "id": fill.number, "orderId": int(fill.order.id),
        "side": fill.order.side.value.upper(), "price": places(fill.price, steps(market.tick)),
        "qty": places(fill.qty, steps(market.lot)), "realizedPnl": places(fill.realized, MONEY), **amounts,
        "commission": places(fill.fee, MONEY), "commissionAsset": fill.fee_asset, "time": fill.time_ms,
        "positionSide": fill.order.request.leg.value.upper(), "buyer": fill.order.side is Side.BUY,
        "maker": fill.maker, "marginAsset": market.settles_in,
    }  # fmt: skip


def income_row(event: Event) -> dict[str, object]:
    """Return a row of GET /fapi/v1/income."""
    return {
        "symbol": event.symbol, "incomeType": INCOME[event.kind], "income": places(event.amount, MONEY),
        "asset": event.asset, "info": INCOME[event.kind], "time": event.time_ms, "tranId": event.number,
        "tradeId": str(event.fill.number) if event.fill is not None else "",
    }  # fmt: skip


def legs_of(account: Account, market: Market) -> list[tuple[Leg, Position]]:
    """Return the positions of a contract: one, or the two legs of hedge mode."""
    legs = (Leg.LONG, Leg.SHORT) if account.hedged else (Leg.BOTH,)
    return [(leg, account.position(market.symbol, leg)) for leg in legs]


def unrealized(exchange: Exchange, market: Market, position: Position) -> Decimal:
    """Return what a position would earn at the price of now."""
    return profit(market, position.qty, position.entry_price, exchange.prices[market.symbol])


def position_row(exchange: Exchange, market: Market, leg: Leg, position: Position, version: int) -> dict[str, object]:
    """Return a row of positionRisk, in version 2 or 3."""
    price = exchange.prices[market.symbol]
    notional = worth_of(market, position.qty, price)
    initial = abs(notional) / LEVERAGE
    row: dict[str, object] = {
        "symbol": market.symbol, "positionSide": leg.value.upper(),
        "positionAmt": places(position.qty, steps(market.lot)), "entryPrice": places(position.entry_price, MONEY),
        "breakEvenPrice": places(position.entry_price, MONEY), "markPrice": places(price, MONEY),
        "unRealizedProfit": places(unrealized(exchange, market, position), MONEY), "liquidationPrice": "0",
        "isolatedMargin": "0", "isolatedWallet": "0", "updateTime": position.updated_ms,
        ("notionalValue" if market.kind is Kind.INVERSE else "notional"): places(notional, MONEY),
    }  # fmt: skip
    if version == 2 or market.kind is Kind.INVERSE:
        return row | {
            "leverage": str(LEVERAGE), "maxNotionalValue": "20000000", "marginType": "cross",
            "isAutoAddMargin": "false", "adlQuantile": 1,
        }  # fmt: skip
    return row | {
        "marginAsset": market.settles_in, "initialMargin": places(initial, MONEY),
        "maintMargin": places(abs(notional) * _MAINTENANCE, MONEY), "positionInitialMargin": places(initial, MONEY),
        "openOrderInitialMargin": "0", "adl": 1, "bidNotional": "0", "askNotional": "0",
    }  # fmt: skip


def asset_row(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    """Return an asset of the futures account."""
    wallet, gain, initial = account.wallet.get(asset, Decimal(0)), Decimal(0), Decimal(0)
    for market in exchange.markets.values():
        if market.is_swap and market.settles_in == asset:
            for _, position in legs_of(account, market):
                gain += unrealized(exchange, market, position)
                initial += abs(worth_of(market, position.qty, exchange.prices[market.symbol])) / LEVERAGE
    free = max(Decimal(0), wallet + gain - initial)
    return {
        "asset": asset, "walletBalance": places(wallet, MONEY), "unrealizedProfit": places(gain, MONEY),
        "marginBalance": places(wallet + gain, MONEY), "maintMargin": "0.00000000",
        "initialMargin": places(initial, MONEY), "positionInitialMargin": places(initial, MONEY),
        "openOrderInitialMargin": "0.00000000", "crossWalletBalance": places(wallet, MONEY),
        "crossUnPnl": places(gain, MONEY), "availableBalance": places(free, MONEY),
        "maxWithdrawAmount": places(free, MONEY), "marginAvailable": True,
        "updateTime": max([account.created_ms, *(fill.time_ms for fill in exchange.fills_of(account.name))]),
    }  # fmt: skip


def balance_row(exchange: Exchange, account: Account, asset: str) -> dict[str, object]:
    """Return a row of GET /fapi/v2/balance."""
    row = asset_row(exchange, account, asset)
    names = ("crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount", "marginAvailable")
    alias = exchange.names.uuid("account", account.name).hex[:8]
    return {
        "accountAlias": alias, "asset": asset, "balance": row["walletBalance"],
        **{name: row[name] for name in names}, "updateTime": row["updateTime"],
    }  # fmt: skip


def account_row(exchange: Exchange, account: Account, kind: Kind, *, whole: bool) -> dict[str, object]:
    """Return GET account; `whole` lists every contract (version 2), else only what is held (version 3)."""
    markets = [market for market in exchange.markets.values() if market.kind is kind]
    assets = sorted({market.settles_in for market in markets})
    rows = [asset_row(exchange, account, asset) for asset in assets]
    positions = [
        position_row(exchange, market, leg, position, 3) | {"leverage": str(LEVERAGE), "isolated": False}
        for market in markets
        for leg, position in legs_of(account, market)
        if whole or position.qty
    ]
    for row in positions:
        row["unrealizedProfit"] = row.pop("unRealizedProfit")
    totals = {
        f"total{name[0].upper()}{name[1:]}": places(sum((Decimal(str(row[name])) for row in rows), Decimal(0)), MONEY)
        for name in (
            "initialMargin", "maintMargin", "walletBalance", "unrealizedProfit", "marginBalance",
            "positionInitialMargin", "openOrderInitialMargin", "crossWalletBalance", "crossUnPnl",
        )
    }  # fmt: skip
    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": False, "updateTime": 0,
        "multiAssetsMargin": False, **totals, "availableBalance": rows[0]["availableBalance"] if rows else "0",
        "assets": rows, "positions": positions,
    }  # fmt: skip


def market_row(market: Market) -> dict[str, object]:
    """Return a symbol of GET /fapi/v1/exchangeInfo."""
    step, tick = format(market.lot, "f"), format(market.tick, "f")
    inverse = market.kind is Kind.INVERSE
    own: dict[str, object] = (
        {"contractStatus": "TRADING", "contractSize": int(market.contract_size)} if inverse else {"status": "TRADING"}
    )
    return {
        "symbol": market.symbol, "pair": market.symbol.partition("_")[0], "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000, "onboardDate": 1569398400000, **own, "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000", "baseAsset": market.base, "quoteAsset": market.quote,
        "marginAsset": market.settles_in, "pricePrecision": steps(market.tick),
        "quantityPrecision": steps(market.lot), "baseAssetPrecision": 8, "quotePrecision": 8,
        "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.0500", "liquidationFee": "0.015000",
        "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": format(market.min_notional, "f")},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }  # fmt: skip
