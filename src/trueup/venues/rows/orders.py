"""Order rows: what an order executed, at what price and when, never what was only ordered.

The amount and the limit price of an order stand in for its execution only where its status is filled.
"""

from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.orders import WORKING, word
from trueup.core.snapshot import VenueOrder
from trueup.core.symbols import Symbols
from trueup.venues.rows.contracts import Contracts, is_ccxt
from trueup.venues.rows.fees import fee_of
from trueup.venues.rows.fields import (
    LIMIT_TEXT,
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
    "filled_at", "filledAt", "lastTradeTimestamp", "updated_at", "closed_at", "timestamp", "submitted_at",
    "datetime", "created_at",
)  # fmt: skip
