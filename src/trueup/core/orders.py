"""A row of the bot's order ledger, read strictly.

A row that cannot be read keeps its identity and says why (`defect`): it is excluded, and the trade that it belongs
to stays unresolved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from trueup.core.decimals import plain, read_decimal, read_quantity
from trueup.core.times import read_time

_Raw = TypeVar("_Raw")
_T = TypeVar("_T")


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        """Return the other side."""
        return _OPPOSITE[self]


_OPPOSITE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class Action(StrEnum):
    """What an order does to its trade."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class StatusClass(StrEnum):
    """What a status means for the books."""

    FILLED = "filled"
    WORKING = "working"
    DEAD = "dead"
    UNKNOWN = "unknown"


FILLED = frozenset({"filled", "partially_filled"})
WORKING = frozenset(
    {
        "new", "pending", "pending_new", "submitted", "accepted", "accepted_for_bidding", "open", "held",
        "pending_cancel", "pending_replace", "pending_review",
    }
)  # fmt: skip
DEAD = frozenset({"canceled", "cancelled", "expired", "rejected", "replaced", "failed"})
KNOWN_STATUSES: Mapping[StatusClass, tuple[str, ...]] = MappingProxyType(
    {
        StatusClass.FILLED: tuple(sorted(FILLED)),
        StatusClass.WORKING: tuple(sorted(WORKING)),
        StatusClass.DEAD: tuple(sorted(DEAD)),
    }
)
"""The words of each class, for people."""

_MEANT: Mapping[str, tuple[str, ...]] = {
    "closed": ("filled", "canceled"), "done": ("filled", "canceled"), "complete": ("filled",),
    "completed": ("filled",), "executed": ("filled",), "fully_filled": ("filled",), "finished": ("filled", "canceled"),
    "partial": ("partially_filled",), "active": ("open",), "live": ("open",), "resting": ("open",),
    "working": ("open",), "deleted": ("canceled",), "void": ("canceled",), "error": ("failed", "rejected"),
}  # fmt: skip
"""What others call them, and what is likely to be meant: a hint for people, never a reading."""

SIDES: Mapping[str, Side] = {
    "buy": Side.BUY, "long": Side.BUY, "buy_to_cover": Side.BUY, "buy_to_open": Side.BUY, "buy_to_close": Side.BUY,
    "sell": Side.SELL, "short": Side.SELL, "sell_short": Side.SELL, "sell_to_close": Side.SELL,
    "sell_to_open": Side.SELL,
}  # fmt: skip

QUANTITY_COLUMNS_DISAGREE = "quantity_columns_disagree"
MALFORMED_LEDGER_ROW = "malformed_ledger_row"


def word(text: object) -> str:
    """Return a status or side in lower case with underscores, as statuses are compared."""
    return "_".join(str(text).strip().lower().replace("-", " ").replace("_", " ").split())


def status_class(status: object) -> StatusClass:
    """Classify a status, whatever its case and separators."""
    name = word(status) if status is not None else ""
    if name in FILLED:
        return StatusClass.FILLED
    if name in WORKING:
        return StatusClass.WORKING
    return StatusClass.DEAD if name in DEAD else StatusClass.UNKNOWN


def _unknown(status: object) -> str:
    """Say that a status is not known, and which known words are nearest to it."""
    near = ", ".join(_near(word(status))) if status is not None else ""
    hint = f"nearest known: {near}" if near else f"filled rows are {' or '.join(sorted(FILLED))}"
    return f"status {status!r} is not known; {hint}"


@lru_cache(maxsize=256)
def _near(name: str) -> tuple[str, ...]:
    known = sorted(FILLED | WORKING | DEAD)
    return _MEANT.get(name) or tuple(get_close_matches(name[:100], known, n=3))


def read_side(value: object) -> Side:
    """Read a side; ValueError where it is neither a buy nor a sell."""
    side = SIDES.get(word(value))
    if side is None:
        raise ValueError(f"side {value!r} is neither buy nor sell")
    return side


def text_or_none(value: object) -> str | None:
    """Return text without surrounding blanks, or None where nothing is left."""
    if value is None:
        return None
    return str(value).strip() or None


@dataclass(frozen=True, slots=True)
class Said:
    """What a row that books nothing says, as far as it can be read: for people to see, and never for a decision.

    `qty` is its quantity, and of a working row what was ordered, where it says so; `status` is its own word.
    """

    status: str
    side: Side | None = None
    action: Action | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerOrder:
    """One row of the order ledger; quantities in base units, times in epoch milliseconds.

    `order_id` is empty where the row has none. `qty` is what executed, for filled rows alone. `defect` is the reason
    why the row cannot be used (`quantity_columns_disagree`, `malformed_ledger_row`) and `detail` says it in words.
    `said` is what a row says that is not filled or cannot be used. `cut` is how much of the quantity a row of our own
    may have lost to the column that holds it.
    """

    order_id: str
    profile_id: str
    trade_id: str | None
    symbol: str | None
    status: StatusClass
    user_id: str | None = None
    side: Side | None = None
    action: Action | None = None
    qty: Decimal = Decimal(0)
    price: Decimal | None = None
    time_ms: int | None = None
    exchange_order_id: str | None = None
    client_order_id: str | None = None
    sub_tag: str | None = None
    source: str | None = None
    defect: str | None = None
    detail: str = ""
    said: Said | None = field(default=None, compare=False)
    cut: Decimal = Decimal(0)


def read_order(raw: Mapping[str, object]) -> LedgerOrder:
    """Read one raw ledger row, by the native column names; it never raises."""
    status = status_class(raw.get("status"))
    row = _identity(raw, status)
    if status in (StatusClass.WORKING, StatusClass.DEAD):
        return replace(row, said=_said(raw, working=status is StatusClass.WORKING))
    if status is StatusClass.UNKNOWN:
        return _defective(row, raw, MALFORMED_LEDGER_ROW, _unknown(raw.get("status")))
    try:
        return _filled(row, raw)
    except _Disagree as disagreement:
        return _defective(row, raw, QUANTITY_COLUMNS_DISAGREE, str(disagreement))
    except ValueError as error:
        return _defective(row, raw, MALFORMED_LEDGER_ROW, str(error))


class _Disagree(ValueError):
    pass


def _identity(raw: Mapping[str, object], status: StatusClass) -> LedgerOrder:
    trade_id = raw.get("trade_id")
    return LedgerOrder(
        order_id=text_or_none(raw.get("order_id")) or "",
        profile_id=str(raw.get("profile_id")),
        trade_id=str(trade_id) if text_or_none(trade_id) else None,
        symbol=text_or_none(raw.get("symbol")),
        status=status,
        user_id=text_or_none(raw.get("user_id")),
        exchange_order_id=text_or_none(raw.get("exchange_order_id")),
        client_order_id=text_or_none(raw.get("client_order_id")),
        sub_tag=text_or_none(raw.get("sub_tag")),
        source=text_or_none(raw.get("source")),
    )


def _defective(row: LedgerOrder, raw: Mapping[str, object], defect: str, detail: str) -> LedgerOrder:
    return replace(row, defect=defect, detail=f"order {row.order_id}: {detail}", said=_said(raw))


def _said(raw: Mapping[str, object], *, working: bool = False) -> Said:
    qty = _readable(_quantity, raw)
    return Said(
        status=text_or_none(raw.get("status")) or "(empty)",
        side=_readable(read_side, raw.get("side")),
        action=_readable(_action, raw.get("action")),
        qty=(working and _readable(read_quantity, raw.get("order_qty"))) or qty,
        price=_price(raw.get("price")),
        time_ms=_readable(_time, raw),
    )


def _readable(read: Callable[[_Raw], _T], value: _Raw) -> _T | None:
    """Return what a value reads as, None where it cannot be read."""
    try:
        return read(value)
    except ValueError:
        return None


def _filled(row: LedgerOrder, raw: Mapping[str, object]) -> LedgerOrder:
    return replace(
        row,
        qty=_quantity(raw),
        side=read_side(raw.get("side")),
        action=_action(raw.get("action")),
        price=_price(raw.get("price")),
        time_ms=_time(raw),
    )


def _quantity(raw: Mapping[str, object]) -> Decimal:
    given = {name: read_quantity(raw[name]) for name in ("qty", "quantity") if raw.get(name) is not None}
    if not given:
        raise ValueError("qty and quantity are both empty on a filled row")
    if len(given) == 2 and given["qty"] != given["quantity"]:
        raise _Disagree(f"qty is {plain(given['qty'])} and quantity is {plain(given['quantity'])}")
    return next(iter(given.values()))


def _action(value: object) -> Action | None:
    text = text_or_none(value)
    if text is None:
        return None
    try:
        return Action(text.upper())
    except ValueError:
        raise ValueError(f"action {value!r} is neither ENTRY nor EXIT") from None


def _price(value: object) -> Decimal | None:
    """Read a price that is informative only: one that cannot be read is none and blocks nothing."""
    try:
        price = read_decimal(value) if value is not None else None
    except ValueError:
        return None
    return price if price is not None and price > 0 else None


def _time(raw: Mapping[str, object]) -> int:
    for name in ("timestamp", "filled_at", "created_at"):
        if raw.get(name) is not None and str(raw[name]).strip():
            return read_time(raw[name])
    raise ValueError("timestamp, filled_at and created_at are all empty")
