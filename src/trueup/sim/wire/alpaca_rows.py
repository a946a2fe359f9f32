"""Alpaca's JSON: orders, activities, positions and the account, with the field names and types of its v2 API."""

from collections.abc import Mapping
from decimal import Decimal

from trueup.core.decimals import EXACT
from trueup.core.times import iso
from trueup.sim.exchange import Account, Event, EventKind, Exchange, Fill, Kind, Market, Order, Side, Status
from trueup.sim.wire.desk import text

ACTIVITY_TYPES: Mapping[EventKind, str] = {
    EventKind.FEE: "CFEE", EventKind.SPLIT: "SPLIT", EventKind.DIVIDEND: "DIV", EventKind.DEPOSIT: "CSD",
}  # fmt: skip


def stamp(ms: int, micros: int = 0) -> str:
    """Write a time as Alpaca does: with microseconds where it has them."""
    whole = iso(ms)
    return f"{whole[:-1]}{micros:03d}Z" if micros else whole


def _at(order: Order, ms: int | None) -> str | None:
    return None if ms is None else stamp(ms, order.micros)


def status_of(order: Order) -> str:
    """Return an order's status; an IOC order that did not fill is canceled at Alpaca."""
    if order.status is Status.EXPIRED and order.request.time_in_force == "ioc":
        return "canceled"
    return order.status.value


def order_row(exchange: Exchange, order: Order, *, nested: bool = False) -> dict[str, object]:
    """Return an order as GET /v2/orders gives it; with `nested` its legs stand in it."""
    request, market = order.request, exchange.markets[order.symbol]
    status, spent = status_of(order), order.carried_spent + order.spent
    average = EXACT.divide(spent, order.filled).quantize(Decimal("1e-9"), context=EXACT) if order.filled else None
    legs = [order_row(exchange, leg) for leg in order.legs] if nested and order.legs else None
    ended = {word: _at(order, order.ended_ms) for word in ("filled", "expired", "canceled") if word == status}
    return {
        "id": order.id, "client_order_id": order.client_order_id, "created_at": _at(order, order.created_ms),
        "updated_at": _at(order, order.updated_ms), "submitted_at": _at(order, order.created_ms),
        "filled_at": ended.get("filled"), "expired_at": ended.get("expired"), "canceled_at": ended.get("canceled"),
        "failed_at": _at(order, order.ended_ms) if status == "rejected" else None,
        "replaced_at": _at(order, order.replaced_ms), "replaced_by": order.replaced_by, "replaces": order.replaces,
        "asset_id": asset_id(exchange, market), "symbol": order.symbol, "asset_class": asset_class(market),
        "notional": text(request.notional), "qty": None if request.notional is not None else text(order.qty),
        "filled_qty": text(order.filled), "filled_avg_price": text(average),
        "order_class": "bracket" if order.legs or order.parent else "", "order_type": request.type,
        "type": request.type, "side": request.side.value, "position_intent": _intent(request.side),
        "time_in_force": request.time_in_force, "limit_price": text(request.limit_price),
        "stop_price": text(request.stop_price), "status": status, "extended_hours": False, "legs": legs,
        "trail_percent": None, "trail_price": None, "hwm": None, "subtag": request.subtag, "source": None,
        "expires_at": _at(order, request.expires_ms),
    }  # fmt: skip


def _intent(side: Side) -> str:
    return "buy_to_open" if side is Side.BUY else "sell_to_close"


def fill_row(fill: Fill) -> dict[str, object]:
    """Return an execution as GET /v2/account/activities/FILL gives it."""
    short = fill.order.side is Side.SELL and fill.after < 0
    return {
        "id": fill.id, "activity_type": "FILL", "transaction_time": stamp(fill.time_ms, fill.micros),
        "type": "fill" if fill.status is Status.FILLED else "partial_fill", "price": text(fill.price),
        "qty": text(fill.qty), "side": "sell_short" if short else fill.order.side.value, "symbol": fill.order.symbol,
        "leaves_qty": text(fill.leaves), "order_id": fill.order.id, "cum_qty": text(fill.cumulative),
        "order_status": fill.status.value,
    }  # fmt: skip


def event_row(exchange: Exchange, event: Event) -> dict[str, object]:
    """Return anything but an execution as GET /v2/account/activities gives it, with a date and no time."""
    row: dict[str, object] = {
        "id": event.id, "activity_type": ACTIVITY_TYPES[event.kind], "date": iso(event.time_ms)[:10],
        "net_amount": text(event.amount), "description": event.text, "status": "executed",
    }  # fmt: skip
    if event.kind is EventKind.FEE:
        in_coin = event.asset == exchange.markets[event.symbol].base
        row |= {"symbol": joined(event.symbol), "description": f"Coin Pair Transaction Fee ({event.asset})"}
        if in_coin:
            row |= {"net_amount": "0", "qty": text(event.amount), "price": text(event.price)}
    elif event.kind is EventKind.DIVIDEND:
        row |= {"symbol": event.symbol, "qty": text(event.qty), "per_share_amount": text(event.price)}
    elif event.kind is EventKind.SPLIT:
        row |= {"symbol": event.symbol, "qty": text(event.qty), "net_amount": "0"}
    elif event.asset != "USD":
        row |= {"activity_type": "JNLS", "symbol": f"{event.asset}USD", "qty": text(event.amount), "net_amount": "0"}
    return row


def joined(symbol: str) -> str:
    """Return a symbol as Alpaca's positions spell it: BTCUSD for BTC/USD."""
    return symbol.replace("/", "")


def asset_id(exchange: Exchange, market: Market) -> str:
    """Return the id of a market's asset."""
    return str(exchange.names.uuid("asset", market.symbol))


def asset_class(market: Market) -> str:
    """Return whether Alpaca calls a market's asset a share or a coin."""
    return "crypto" if market.kind is Kind.SPOT else "us_equity"


def held(account: Account, market: Market) -> Decimal:
    """Return how much of a market's asset an account holds: a coin's balance, or a share's position."""
    return account.balance(market.base) if market.kind is Kind.SPOT else account.position(market.symbol).qty


def position_row(exchange: Exchange, account: Account, market: Market, locked: Decimal) -> dict[str, object]:
    """Return a row of GET /v2/positions; a share is in units, a coin without the slash in its name."""
    qty, price = held(account, market), exchange.prices[market.symbol]
    entry = account.position(market.symbol).entry_price or price
    worth, cost = _cents(qty * price), _cents(qty * entry)
    share = text((EXACT.divide(worth - cost, abs(cost)) if cost else Decimal(0)).quantize(Decimal("1e-9")))
    gain = text(worth - cost)
    return {
        "asset_id": asset_id(exchange, market), "symbol": joined(market.symbol),
        "exchange": "CRYPTO" if market.kind is Kind.SPOT else "NASDAQ", "asset_class": asset_class(market),
        "asset_marginable": market.kind is not Kind.SPOT, "qty": text(qty), "avg_entry_price": text(entry),
        "side": "long" if qty > 0 else "short", "market_value": text(worth), "cost_basis": text(cost),
        "unrealized_pl": gain, "unrealized_plpc": share, "unrealized_intraday_pl": gain,
        "unrealized_intraday_plpc": share, "current_price": text(price), "lastday_price": text(price),
        "change_today": "0", "qty_available": text(qty - locked),
    }  # fmt: skip


def _cents(worth: Decimal) -> Decimal:
    return worth.quantize(Decimal("1e-9"))


def account_row(exchange: Exchange, account: Account) -> dict[str, object]:
    """Return GET /v2/account: what it holds in cash, and what its positions are worth at the prices of now."""
    cash = account.balance("USD")
    worths = [held(account, market) * exchange.prices[market.symbol] for market in exchange.markets.values()]
    long = sum((worth for worth in worths if worth > 0), Decimal(0))
    short = sum((worth for worth in worths if worth < 0), Decimal(0))
    equity = text(_cents(cash + long + short))
    none: dict[str, object] = dict.fromkeys(
        ("initial_margin", "maintenance_margin", "last_maintenance_margin", "sma", "accrued_fees"), "0"
    )
    flags: dict[str, object] = dict.fromkeys(
        ("trading_blocked", "transfers_blocked", "account_blocked", "trade_suspended_by_user"), False
    )
    return {
        "id": str(exchange.names.uuid("account", account.name)), "admin_configurations": {},
        "user_configurations": None, "account_number": f"PA{exchange.names.uuid('account', account.name).hex[:10]}",
        "status": "ACTIVE", "crypto_status": "ACTIVE", "currency": "USD", "cash": text(cash), "equity": equity,
        "portfolio_value": equity, "last_equity": equity, "buying_power": text(cash), "regt_buying_power": text(cash),
        "non_marginable_buying_power": text(cash), "long_market_value": text(_cents(long)),
        "short_market_value": text(_cents(short)), "position_market_value": text(_cents(long + short)),
        "multiplier": "1", "shorting_enabled": True, "created_at": stamp(account.created_ms),
        "balance_asof": iso(exchange.now_ms)[:10], "crypto_tier": 1, **none, **flags,
    }  # fmt: skip


def asset_row(exchange: Exchange, market: Market) -> dict[str, object]:
    """Return a row of GET /v2/assets."""
    crypto = market.kind is Kind.SPOT
    return {
        "id": asset_id(exchange, market), "class": asset_class(market), "exchange": "CRYPTO" if crypto else "NASDAQ",
        "symbol": market.symbol, "name": market.base, "status": "active", "tradable": True, "marginable": not crypto,
        "maintenance_margin_requirement": 100 if crypto else 30, "shortable": not crypto,
        "easy_to_borrow": not crypto, "fractionable": True, "attributes": [],
        "min_order_size": text(market.lot), "min_trade_increment": text(market.lot),
        "price_increment": text(market.tick),
    }  # fmt: skip
