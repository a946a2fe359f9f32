"""How an execution or an event moves balances, wallets and positions."""

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from trueup.core.decimals import EXACT
from trueup.sim.exchange.accounts import Account
from trueup.sim.exchange.markets import FeeIn, Kind, Market
from trueup.sim.exchange.records import Event, EventKind, Fill, Leg, Order, OrderRequest, Origin, Side, Status

if TYPE_CHECKING:
    from trueup.sim.exchange.engine import Exchange


def book(exchange: "Exchange", order: Order, qty: Decimal, price: Decimal, *, maker: bool) -> Fill:
    """Book one execution of an order: its own state, the fill, and what it moves."""
    market, account = exchange.markets[order.symbol], exchange.accounts[order.account]
    order.executed += qty
    order.spent += qty * price
    order.updated_ms = exchange.now_ms
    order.status = Status.PARTIALLY_FILLED if order.remaining else Status.FILLED
    if order.status is Status.FILLED:
        order.ended_ms = exchange.now_ms
        exchange.forget_working(order)
    fee, fee_asset = _fee(account, market, order.side, qty, price, maker=maker)
    realized = _move(account, market, order, qty, price, exchange.now_ms)
    _charge(account, market, order, fee, fee_asset)
    fill = _fill(exchange, order, qty, price, maker=maker, fee=fee, fee_asset=fee_asset, realized=realized)
    exchange.fills.append(fill)
    order.fills.append(fill)
    _note(exchange, market, fill)
    return fill


def _fill(exchange: "Exchange", order: Order, qty: Decimal, price: Decimal, **more: object) -> Fill:
    sequence = exchange.names.count("fill")
    return Fill(
        number=exchange.names.count(f"fill:{order.symbol}"), sequence=sequence,
        id=exchange.names.activity(exchange.now_ms, "fill", sequence), account=order.account, order=order, qty=qty,
        price=price, time_ms=exchange.now_ms, micros=sequence % 1000 if exchange.micros else 0,
        cumulative=order.filled, leaves=order.remaining, status=order.status,
        after=exchange.accounts[order.account].position(order.symbol, order.request.leg).qty,
        **more,  # type: ignore[arg-type]  # fields of a fill, by name
    )  # fmt: skip


def _fee(  # an execution's own facts
    account: Account, market: Market, side: Side, qty: Decimal, price: Decimal, *, maker: bool
) -> tuple[Decimal, str]:
    if market.fee_asset is not None and not market.is_swap:
        rate = market.maker_rate if maker else market.taker_rate
        fee = _cut(EXACT.divide(qty * price * rate, market.fee_asset_price), market)
        if account.balance(market.fee_asset) >= fee:
            return fee, market.fee_asset
    return fee_of(market, side, qty, price, maker=maker)


def _cut(fee: Decimal, market: Market) -> Decimal:
    return fee.quantize(Decimal(1).scaleb(-market.fee_places), ROUND_DOWN, EXACT)


def fee_of(market: Market, side: Side, qty: Decimal, price: Decimal, *, maker: bool) -> tuple[Decimal, str]:
    """Return the fee of an execution and its asset."""
    rate = market.maker_rate if maker else market.taker_rate
    in_base = market.fee_in is FeeIn.BASE or (market.fee_in is FeeIn.RECEIVED and side is Side.BUY)
    if market.is_swap:
        worth, asset = worth_of(market, qty, price), market.settles_in
    else:
        worth, asset = (qty, market.base) if in_base else (qty * price, market.quote)
    return _cut(worth * rate, market), asset


def worth_of(market: Market, qty: Decimal, price: Decimal) -> Decimal:
    """Return what a quantity is worth at a price, in the asset that settles the market."""
    if market.kind is Kind.INVERSE:
        return EXACT.divide(qty * market.contract_size, price)
    return qty * market.contract_size * price


def _move(account: Account, market: Market, order: Order, qty: Decimal, price: Decimal, now_ms: int) -> Decimal:
    signed = qty if order.side is Side.BUY else -qty
    realized = account.position(order.symbol, order.request.leg).trade(signed, price, market, now_ms)
    if market.is_swap:
        account.pay(market.settles_in, realized)
    else:
        account.add(market.quote, -signed * price)
        if market.kind is Kind.SPOT:
            account.add(market.base, signed)
    return realized


def _charge(account: Account, market: Market, order: Order, fee: Decimal, asset: str) -> None:
    if market.is_swap:
        account.pay(asset, -fee)
        return
    account.add(asset, -fee)
    if asset == market.base:
        account.position(order.symbol, order.request.leg).qty -= fee


def _note(exchange: "Exchange", market: Market, fill: Fill) -> None:
    """Record what a fill cost and earned, as the statements of venues do."""
    account, symbol = fill.account, market.symbol
    if fill.realized and market.is_swap:
        exchange.record(
            account, EventKind.REALIZED, asset=market.settles_in, amount=fill.realized, symbol=symbol, fill=fill
        )
    if fill.fee:
        exchange.record(
            account, EventKind.FEE, asset=fill.fee_asset, amount=-fill.fee, symbol=symbol, price=fill.price, fill=fill
        )


def close_by_force(
    exchange: "Exchange", account: str, symbol: str, leg: Leg, qty: Decimal | None, *, price: Decimal | None,
    origin: Origin,
) -> Order:  # fmt: skip
    """Close a position by an order of the exchange's own, which fills at once."""
    held = exchange.accounts[account].position(symbol, leg).qty
    quantity = abs(held) if qty is None else qty
    assert 0 < quantity <= abs(held)
    at = price or exchange.prices[symbol]
    side = Side.SELL if held > 0 else Side.BUY
    number = exchange.names.count("forced")
    client = {
        Origin.LIQUIDATION: f"autoclose-{exchange.now_ms}{number:06d}",
        Origin.ADL: "adl_autoclose",
        Origin.SETTLEMENT: f"settlement_autoclose-{exchange.now_ms}{number:06d}",
    }[origin]
    request = OrderRequest(
        symbol=symbol, side=side, qty=quantity, type="limit", limit_price=at, client_order_id=client,
        time_in_force="ioc", leg=leg, reduce_only=True,
    )  # fmt: skip
    order = exchange.enter(account, request, origin=origin)
    exchange.tell("new", order)
    fill = book(exchange, order, quantity, at, maker=False)
    exchange.tell("fill", order, fill)
    return order


def fund(exchange: "Exchange", symbol: str, rate: Decimal) -> list[Event]:
    """Let longs pay shorts: each pays or gets the rate of what its contracts are worth at the price."""
    market, paid = exchange.markets[symbol], []
    for account in exchange.accounts.values():
        for (held, _), position in sorted(account.positions.items()):
            if held != symbol or not position.qty:
                continue
            amount = -(worth_of(market, position.qty, exchange.prices[symbol]) * rate).quantize(Decimal("1e-8"))
            account.pay(market.settles_in, amount)
            paid.append(
                exchange.record(account.name, EventKind.FUNDING, asset=market.settles_in, amount=amount, symbol=symbol)
            )
    return paid


def split(exchange: "Exchange", symbol: str, new: int, old: int) -> list[Event]:
    """Multiply shares: positions and working orders grow by the ratio, prices shrink by it."""
    ratio, given = EXACT.divide(Decimal(new), Decimal(old)), []
    exchange.prices[symbol] = EXACT.divide(exchange.prices[symbol], ratio)
    for order in exchange.working(symbol=symbol):
        exchange.end(order, Status.CANCELED)
    for account in exchange.accounts.values():
        position = account.position(symbol)
        if not position.qty:
            continue
        change = (position.qty * ratio).quantize(Decimal("1e-9"), ROUND_DOWN, EXACT) - position.qty
        position.qty += change
        position.entry_price = EXACT.divide(position.entry_price, ratio)
        position.updated_ms = exchange.now_ms
        text = f"{symbol} {new}-for-{old} split"
        given.append(exchange.record(account.name, EventKind.SPLIT, symbol=symbol, qty=change, text=text))
    return given


def dividend(exchange: "Exchange", symbol: str, per_share: Decimal) -> list[Event]:
    """Pay a dividend into the cash of those who hold the share, and take it from those who are short of it."""
    market, paid = exchange.markets[symbol], []
    for account in exchange.accounts.values():
        held = account.position(symbol).qty
        if held:
            amount = (held * per_share).quantize(Decimal("0.01"))
            account.add(market.quote, amount)
            more = {"symbol": symbol, "qty": held, "price": per_share, "text": f"{symbol} dividend"}
            paid.append(exchange.record(account.name, EventKind.DIVIDEND, asset=market.quote, amount=amount, **more))
    return paid
