"""Fill rows: one execution each.

No trade id, client order id or tag is read from a fill: venues call the fill's own number a trade id.
"""

from trueup.core.snapshot import Fill
from trueup.core.symbols import Symbols
from trueup.venues.rows.contracts import Contracts
from trueup.venues.rows.fees import fee_of
from trueup.venues.rows.fields import (
    Row,
    first,
    price,
    quantity,
    required_identifier,
    side_of,
    symbol_of,
    time_of,
)

ORDER_IDS = ("order_id", "orderId", "order")
QUANTITIES = ("qty", "amount", "size", "filled_qty", "filled")
PRICES = ("price", "average", "filled_avg_price")
TIMES = ("filled_at", "filledAt", "transaction_time", "timestamp", "datetime", "updated_at")


def read_fill(row: Row, where: str, symbols: Symbols, contracts: Contracts) -> Fill:
    """Read one fill in base units; ValueError says what is wrong with it."""
    identity = required_identifier(row, ("id",))
    order_id = required_identifier(row, ORDER_IDS)
    symbol = symbol_of(row, symbols)
    found = first(row, QUANTITIES)
    if found is None:
        raise ValueError("its quantity is missing")
    qty = contracts.base_quantity(row, symbol, found[0], quantity(*found))
    if not qty:
        raise ValueError(f"{found[0]} is 0")
    fee, fee_asset = fee_of(row)
    return Fill(
        id=identity,
        order_id=order_id,
        symbol=symbol,
        side=side_of(row),
        qty=qty,
        price=price(row, PRICES),
        time_ms=time_of(row, TIMES),
        fee=fee,
        fee_asset=fee_asset,
        where=where,
    )
