"""Which kind of export a file is: a document of sections, or a venue's bare list, told by its rows and its
name.

Lists are told by what only their rows carry (Alpaca's and ccxt's field names), and by the file's name where
the rows do not say. What can be read as two kinds is neither.

Whether a bare list is the whole truth: Alpaca's order list ends at `limit` rows, 50 unless asked and 500 at
most, its list of activities at 100, and neither says whether more would follow. A list of exactly such a
length is a full page, so that older rows may be missing. ccxt's lists carry no trace of a page and are taken
as whole.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from trueup.core.snapshot import Feed
from trueup.venues.rows.fields import Row
from trueup.venues.rows.orders import OrderList, may_still_fill, status_of
from trueup.venues.rows.positions import QUANTITIES as POSITION_QUANTITIES


class Kind(StrEnum):
    """What a bare list or a file of that name holds."""

    POSITIONS = "positions"
    BALANCES = "balances"
    ORDERS = "orders"
    OPEN_ORDERS = "open_orders"
    CLOSED_ORDERS = "closed_orders"
    FILLS = "fills"
    MARKETS = "markets"
    CONTRACT_SIZES = "contract_sizes"


ORDER_KINDS = frozenset({Kind.ORDERS, Kind.OPEN_ORDERS, Kind.CLOSED_ORDERS})

_NAMES = {
    "positions": Kind.POSITIONS, "position": Kind.POSITIONS, "balances": Kind.BALANCES,
    "balance": Kind.BALANCES, "orders": Kind.ORDERS, "fills": Kind.FILLS, "trades": Kind.FILLS,
    "activities": Kind.FILLS, "markets": Kind.MARKETS, "sizes": Kind.CONTRACT_SIZES,
}  # fmt: skip

_FILL_MARKS = frozenset({"activity_type", "takerOrMaker"})
_FILL_ORDER_IDS = frozenset({"order_id", "orderId", "order"})
_POSITION_MARKS = frozenset(
    {
        "avg_entry_price", "contracts", "cost_basis", "current_price", "entryPrice", "entry_price",
        "liquidationPrice", "markPrice", "mark_price", "positionQty", "position_qty", "unrealizedPnl",
        "unrealized_pl",
    }
)  # fmt: skip
_ORDER_MARKS = frozenset(
    {
        "clientOrderId", "client_order_id", "filled", "filledQty", "filled_avg_price", "filled_qty",
        "filled_quantity", "lastTradeTimestamp", "limit_price", "status", "submitted_at",
    }
)  # fmt: skip
_ALPACA_ORDER_MARKS = frozenset({"asset_class", "asset_id", "extended_hours", "order_class"})

ALPACA_ORDER_PAGES = frozenset({50, 500})
ALPACA_ACTIVITY_PAGE = 100

FULL_PAGE = "a full page of {} rows: older {} may be missing"


def kind_of_name(stem: str) -> Kind | None:
    """Return what a file's name, without its ending, says that it holds; None where it does not say."""
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).lower())
    kinds = {_NAMES[word] for word in words if word in _NAMES}
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is not Kind.ORDERS or {"open", "closed"} <= set(words):
        return kind
    return Kind.OPEN_ORDERS if "open" in words else Kind.CLOSED_ORDERS if "closed" in words else kind


def kinds_of_rows(rows: Iterable[object]) -> set[Kind]:
    """Return the kinds of the rows that say what they are."""
    return {kind for row in rows if isinstance(row, Mapping) and (kind := _kind_of_row(row)) is not None}


def _kind_of_row(row: Row) -> Kind | None:
    keys = row.keys()
    if not _FILL_MARKS.isdisjoint(keys):
        return Kind.FILLS
    if "id" in keys and "status" not in keys and not _FILL_ORDER_IDS.isdisjoint(keys):
        return Kind.FILLS
    if not _POSITION_MARKS.isdisjoint(keys):
        return Kind.POSITIONS if _ORDER_MARKS.isdisjoint(keys) else None
    if not _ORDER_MARKS.isdisjoint(keys):
        return Kind.ORDERS
    if "symbol" in keys and keys.isdisjoint({"id", *_FILL_ORDER_IDS}) and not keys.isdisjoint(POSITION_QUANTITIES):
        return Kind.POSITIONS
    return None


def feed_of_orders(kind: Kind, rows: list[object]) -> Feed:
    """Return the feed that a bare list of orders stands for.

    A list of which every order is still working is a list of open orders and says nothing of closed ones.
    """
    if kind is Kind.OPEN_ORDERS:
        return Feed.OPEN_ORDERS
    if kind is Kind.CLOSED_ORDERS or not rows or any(_is_over(row) for row in rows):
        return Feed.CLOSED_ORDERS
    return Feed.OPEN_ORDERS


def _is_over(row: object) -> bool:
    try:
        return isinstance(row, Mapping) and not may_still_fill(status_of(row), OrderList(mixed=True))
    except ValueError:
        return False


def page_gap(kind: Kind, rows: list[object]) -> str:
    """Return why a bare list may be one page of more, empty where nothing says so."""
    keys = {key for row in rows if isinstance(row, Mapping) for key in row}
    if kind in ORDER_KINDS and len(rows) in ALPACA_ORDER_PAGES and not _ALPACA_ORDER_MARKS.isdisjoint(keys):
        return FULL_PAGE.format(len(rows), "orders")
    if kind is Kind.FILLS and len(rows) == ALPACA_ACTIVITY_PAGE and "activity_type" in keys:
        return FULL_PAGE.format(len(rows), "fills")
    if kind is Kind.ORDERS and not rows:
        return "an empty list of orders may be a list of open orders only (Alpaca's default)"
    return ""
