"""When an order fills: at once, when the price touches it, in one piece or as deep as the market is."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from trueup.sim.exchange.accounts import Account
from trueup.sim.exchange.markets import Kind, Market
from trueup.sim.exchange.records import Change, Leg, Order, OrderRequest, Side, Status
from trueup.sim.exchange.refusals import NotAllowed

if TYPE_CHECKING:
    from trueup.sim.exchange.engine import Exchange


def check(exchange: "Exchange", account: Account, request: OrderRequest) -> None:
    """Refuse an order that breaks a rule or that the account cannot pay; NotAllowed says which."""
    market = exchange.markets[request.symbol]
    if request.qty <= 0 or request.qty % market.lot:
        raise NotAllowed("lot", f"the quantity of {request.symbol} goes in steps of {market.lot}")
    if request.limit_price is not None and (request.limit_price <= 0 or request.limit_price % market.tick):
        raise NotAllowed("tick", f"the price of {request.symbol} goes in steps of {market.tick}")
    if request.client_order_id is not None and any(
        order.client_order_id == request.client_order_id for order in exchange.working(account.name)
    ):
        raise NotAllowed("duplicate_client_id", "client_order_id must be unique")
    if market.is_swap and account.hedged is (request.leg is Leg.BOTH):
        raise NotAllowed("position_side", "the order's position side does not match the account's setting")
    closing = request.leg is not Leg.BOTH and (request.leg is Leg.LONG) is (request.side is Side.SELL)
    if (request.reduce_only or closing) and not request.conditional and not reduces(account, market, request):
        raise NotAllowed("reduce_only", "there is nothing to reduce")
    if closing and not request.conditional and reduces(account, market, request) < request.qty:
        raise NotAllowed("reduce_only", "the order exceeds the leg that it closes")
    _funds(exchange, account, market, request)


def reduces(account: Account, market: Market, request: OrderRequest) -> Decimal:
    """Return how much of a position an order of that side would close."""
    held = account.position(request.symbol, request.leg).qty
    if market.kind is Kind.SPOT:
        held = account.balance(market.base)
    return max(Decimal(0), held if request.side is Side.SELL else -held)


def locked(exchange: "Exchange", account: str) -> dict[str, Decimal]:
    """Return how much of each asset an account's working orders hold back."""
    held: dict[str, Decimal] = {}
    for order in exchange.working(account):
        market = exchange.markets[order.symbol]
        if market.is_swap or order.parent is not None:
            continue
        if order.side is Side.SELL and market.kind is Kind.SPOT:
            held[market.base] = held.get(market.base, Decimal(0)) + order.remaining
        elif order.side is Side.BUY:
            price = order.request.limit_price or order.request.stop_price or exchange.prices[order.symbol]
            held[market.quote] = held.get(market.quote, Decimal(0)) + order.remaining * price
    return held


def _funds(exchange: "Exchange", account: Account, market: Market, request: OrderRequest) -> None:
    if market.is_swap:
        return
    held = locked(exchange, account.name)
    if request.side is Side.SELL and market.kind is Kind.SPOT:
        asset, needs = market.base, request.qty
    elif request.side is Side.BUY:
        asset, needs = market.quote, request.qty * (request.limit_price or exchange.prices[request.symbol])
    else:
        return
    if account.balance(asset) - held.get(asset, Decimal(0)) < needs:
        raise NotAllowed("insufficient", f"insufficient balance for {asset}")


def match_market(exchange: "Exchange", symbol: str) -> None:
    """Match every working order of a market with its price, oldest first."""
    for order in exchange.working(symbol=symbol):
        if order.status.working:
            match(exchange, order, taking=False)


def match(exchange: "Exchange", order: Order, *, taking: bool) -> None:
    """Fill an order as far as the price and the market's depth allow; `taking` is an order that has just come;
    one that has just triggered takes too."""
    if order.status is Status.HELD and order.parent is not None:
        return
    price, request = exchange.prices[order.symbol], order.request
    taking = taking or (request.stop_price is not None and order.triggered_ms is None)
    if request.stop_price is not None and order.triggered_ms is None:
        if not _touched(request, request.stop_price, price):
            return
        order.triggered_ms = order.updated_ms = exchange.now_ms
    limit = request.limit_price
    if limit is not None and not _crosses(request.side, limit, price):
        _leftover(exchange, order)
        return
    at = limit if limit is not None and not taking else price
    depth = exchange.markets[order.symbol].depth
    at_once = limit is None
    while order.status.working:
        part = order.remaining if depth is None else min(depth, order.remaining)
        if request.reduce_only:
            part = min(part, reduces(exchange.accounts[order.account], exchange.markets[order.symbol], request))
        if not part:
            exchange.end(order, Status.EXPIRED)
            return
        exchange.fill(order, part, at, maker=limit is not None and not taking)
        if not at_once:
            break
    _leftover(exchange, order)


def _leftover(exchange: "Exchange", order: Order) -> None:
    if order.status.working and order.request.time_in_force in ("ioc", "fok"):
        exchange.end(order, Status.EXPIRED if order.request.time_in_force == "ioc" else Status.CANCELED)


def _crosses(side: Side, limit: Decimal, price: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _touched(request: OrderRequest, stop: Decimal, price: Decimal) -> bool:
    rises = (request.side is Side.BUY) is not request.take
    return price >= stop if rises else price <= stop


def add_legs(exchange: "Exchange", parent: Order) -> None:
    """Give a bracket order its take-profit and stop-loss legs, which wait for it and share its time."""
    entry = parent.request
    for limit, stop in ((entry.take_profit, None), (None, entry.stop_loss)):
        if limit is None and stop is None:
            continue
        request = OrderRequest(
            symbol=entry.symbol, side=entry.side.opposite, qty=entry.qty, type="limit" if limit else "stop",
            limit_price=limit, stop_price=stop, time_in_force=entry.time_in_force, subtag=entry.subtag,
        )  # fmt: skip
        leg = exchange.enter(parent.account, request, parent=parent.id, status=Status.HELD)
        leg.micros = parent.micros
        parent.legs.append(leg)


def after_fill(exchange: "Exchange", order: Order) -> None:
    """Wake the legs of an order that has filled, and cancel the other leg of one that has."""
    if order.status is not Status.FILLED:
        return
    for leg in order.legs:
        if leg.status is Status.HELD:
            leg.status, leg.updated_ms = Status.NEW, exchange.now_ms
    if order.parent is None:
        return
    for sibling in exchange.working(order.account, order.symbol):
        if sibling.parent == order.parent:
            exchange.end(sibling, Status.CANCELED)


def replace_order(exchange: "Exchange", order: Order, change: Change) -> Order:
    """Put another order in the place of a working one; NotAllowed where nothing would remain of it."""
    total = change.qty if change.qty is not None else order.qty
    if not order.status.working:
        raise NotAllowed("not_working", f"order {order.id} is {order.status}")
    if total <= order.filled:
        raise NotAllowed("filled", "the new quantity must exceed what has filled")
    carried, spent = (order.filled, order.carried_spent + order.spent) if exchange.carries else (Decimal(0), Decimal(0))
    request = replace(
        order.request,
        qty=total if exchange.carries else total - order.filled,
        limit_price=change.limit_price or order.request.limit_price,
        stop_price=change.stop_price or order.request.stop_price,
        time_in_force=change.time_in_force or order.request.time_in_force,
        client_order_id=change.client_order_id,
    )
    order.replaced_ms = exchange.now_ms
    new = exchange.enter(
        order.account, request, replaces=order.id, carried=carried, carried_spent=spent, parent=order.parent,
        status=Status.PARTIALLY_FILLED if carried else Status.NEW,
    )  # fmt: skip
    order.replaced_by = new.id
    exchange.end(order, Status.REPLACED)
    exchange.tell("new", new)
    match(exchange, new, taking=True)
    return new
