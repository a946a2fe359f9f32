"""Order rows: what an order executed, at what price and when, never what was only ordered.

The amount and the limit price of an order stand in for its execution only where its status is filled.
"""

from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import LIMIT, exactly
from trueup.core.orders import WORKING, word
from trueup.core.snapshot import VenueOrder
from trueup.core.symbols import Symbols
from trueup.venues.rows.contracts import Contracts, is_ccxt
from trueup.venues.rows.fees import fee_of
from trueup.venues.rows.fields import (
    Row,
    first,
    identifier,
    price,
    quantity,
    required_identifier,
    side_of,
    symbol_of,
    text,
    time_of,
)

IDS = ("id", "order_id")
CLIENT_IDS = ("client_order_id", "clientOrderId")
SUB_TAGS = ("sub_tag", "subtag", "subTag")
TRADE_IDS = ("trade_id", "tradeId")
EXECUTED = ("filled_qty", "filledQty", "filled_quantity", "filled")
AMOUNTS = ("qty", "amount", "size")
AVERAGES = ("filled_avg_price", "avg_price", "average")
OWN_PRICES = ("price", "limit_price")
TIMES = (
    "filled_at", "filledAt", "lastTradeTimestamp", "updated_at", "lastUpdateTimestamp", "closed_at", "timestamp",
    "submitted_at", "datetime", "created_at",
)  # fmt: skip
"""ccxt gives a canceled order no `lastTradeTimestamp`: its last change is nearer to its fills than its creation."""

PARTIALLY_FILLED = "partially_filled"
_RESTING = frozenset({PARTIALLY_FILLED, "calculated", "done_for_day", "stopped", "suspended"})
"""Statuses that are not final and mean no working order where a venue lists them among closed ones (Alpaca's)."""

_SAME_COST = Decimal("1e-9")
"""ccxt rounds costs to binary floats: two costs are the same within this share."""


@dataclass(frozen=True, slots=True)
class OrderList:
    """What the list says of each of its orders.

    `open` lists hold orders that may still fill; a `mixed` list holds orders of any status, so that partially
    filled ones, and those that only rest, may still fill too.
    """

    open: bool = False
    mixed: bool = False


@exactly
def read_order(row: Row, where: str, orders: OrderList, symbols: Symbols, contracts: Contracts) -> VenueOrder:
    """Read one order in base units; ValueError says what is wrong with it."""
    identity = required_identifier(row, IDS)
    symbol = symbol_of(row, symbols)
    status = status_of(row)
    name, given = _executed(row, status)
    qty = contracts.base_quantity(row, symbol, name, given)
    paid, source = _price(row, status, qty)
    fee, fee_asset = fee_of(row)
    return VenueOrder(
        id=identity,
        symbol=symbol,
        side=side_of(row),
        status=status,
        qty=qty,
        time_ms=time_of(row, TIMES),
        price=paid,
        price_source=source,
        client_order_id=identifier(row, CLIENT_IDS),
        sub_tag=identifier(row, SUB_TAGS),
        trade_id=identifier(row, TRADE_IDS),
        fee=fee,
        fee_asset=fee_asset,
        replaces=identifier(row, ("replaces",)),
        replaced_by=identifier(row, ("replaced_by",)),
        working=orders.open or may_still_fill(status, orders),
        where=where,
    )


def status_of(row: Row) -> str:
    """Return the status as the venue writes it; ccxt's word for filled is closed, which becomes ours."""
    status = text(row, ("status",)) or ""
    return "filled" if word(status) == "closed" and is_ccxt(row) else status


def may_still_fill(status: str, orders: OrderList) -> bool:
    """Say whether a status means that the order may still fill."""
    return word(status) in WORKING or (orders.mixed and word(status) in _RESTING)


def _executed(row: Row, status: str) -> tuple[str, Decimal]:
    """Return what executed, in the row's own units, and the field that says so."""
    filled = word(status) == "filled"
    found = first(row, EXECUTED) or (first(row, AMOUNTS) if filled else None)
    name, amount = (found[0], quantity(*found)) if found is not None else ("", Decimal(0))
    if not amount and (filled or word(status) == PARTIALLY_FILLED):
        raise ValueError(f"status is {status}, but the executed quantity is {'0' if found else 'missing'}")
    return name, amount


def _price(row: Row, status: str, qty: Decimal) -> tuple[Decimal | None, str]:
    """Return what one base unit cost, and where that is from."""
    average = price(row, AVERAGES)
    if not qty:
        return None, "none"
    if average is not None:
        return average, "order"
    by_cost = _price_by_cost(row, qty)
    if by_cost is not None:
        return by_cost, "order"
    own = price(row, OWN_PRICES) if word(status) == "filled" else None
    return (own, "limit") if own is not None else (None, "none")


def _price_by_cost(row: Row, qty: Decimal) -> Decimal | None:
    """Return a ccxt row's cost per base unit.

    ccxt fills in a missing cost with filled × the order's own price (`safe_order`), which proves nothing
    about the execution: such a cost gives no price.
    """
    cost = price(row, ("cost",)) if is_ccxt(row) else None
    if cost is None:
        return None
    own = price(row, OWN_PRICES)
    if own is not None and abs(cost - own * qty) <= cost * _SAME_COST:
        return None
    if cost / qty >= LIMIT:
        raise ValueError("cost / filled is outside what a price can be")
    return cost / qty
