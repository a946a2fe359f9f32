"""A row of the bot's order ledger, read strictly.

A row that cannot be read keeps its identity and says why (`defect`): it is excluded, and the trade that it belongs
to stays unresolved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TypedDict, TypeVar

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
    return _status(str(status) if status is not None else "")[0]


@lru_cache(maxsize=256)
def _status(text: str) -> tuple[StatusClass, str]:
    """Return what a status means, and its word; a ledger has few of them, in many rows."""
    name = word(text)
    if name in FILLED:
        return StatusClass.FILLED, name
    if name in WORKING:
        return StatusClass.WORKING, name
    return (StatusClass.DEAD if name in DEAD else StatusClass.UNKNOWN), name


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

    `order_id` is empty where the row has none. `qty` is what executed, for filled rows alone, and so are `side`,
    `action`, `price` and `time_ms` theirs. `defect` is the reason why the row cannot be used
    (`quantity_columns_disagree`, `malformed_ledger_row`) and `detail` says it in words. `said` is what a row says that
    is not filled or cannot be used. `cut` is how much of the quantity a row of our own may have lost to the column
    that holds it.

    `word` is the status in lower case with underscores. What begins with `order_` is what a row of any status says of
    its order, None where that cannot be read: `order_qty` is what was ordered (a working row may say it in its
    quantity), `order_price` the price that a working or dead row asks for, `order_ms` the row's time. `written` is when
    the row was written last, as the table has it, None where it does not say. `unread` names which of `trade_id` and
    `action` hold something that says none; `action_unknown` that a row which books nothing has an action that nobody
    knows.
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
    word: str = ""
    order_qty: Decimal | None = None
    order_side: Side | None = None
    order_action: Action | None = None
    order_price: Decimal | None = None
    order_ms: int | None = None
    written: object = field(default=None, compare=False)
    unread: tuple[str, ...] = field(default=(), compare=False)
    action_unknown: bool = field(default=False, compare=False)


def read_order(raw: Mapping[str, object]) -> LedgerOrder:
    """Read one raw ledger row, by the native column names; it never raises."""
    text = raw.get("status")
    status, name = _status(str(text) if text is not None else "")
    if status in (StatusClass.WORKING, StatusClass.DEAD):
        return _unbooked(raw, status, name)
    if status is StatusClass.UNKNOWN:
        return _defective(raw, status, name, MALFORMED_LEDGER_ROW, _unknown(text))
    try:
        return _filled(raw, name)
    except _Disagree as disagreement:
        return _defective(raw, status, name, QUANTITY_COLUMNS_DISAGREE, str(disagreement))
    except ValueError as error:
        return _defective(raw, status, name, MALFORMED_LEDGER_ROW, str(error))


class _Disagree(ValueError):
    pass


class _Identity(TypedDict):
    order_id: str
    profile_id: str
    trade_id: str | None
    symbol: str | None
    status: StatusClass
    user_id: str | None
    exchange_order_id: str | None
    client_order_id: str | None
    sub_tag: str | None
    source: str | None
    word: str
    written: object
    unread: tuple[str, ...]


def _identity(raw: Mapping[str, object], status: StatusClass, name: str) -> _Identity:
    trade_id, profile_id = raw.get("trade_id"), raw.get("profile_id")
    return {
        "order_id": text_or_none(raw.get("order_id")) or "",
        "profile_id": str(profile_id) if profile_id is not None else "",
        "trade_id": str(trade_id) if text_or_none(trade_id) else None,
        "symbol": text_or_none(raw.get("symbol")),
        "status": status,
        "user_id": text_or_none(raw.get("user_id")),
        "exchange_order_id": text_or_none(raw.get("exchange_order_id")),
        "client_order_id": text_or_none(raw.get("client_order_id")),
        "sub_tag": text_or_none(raw.get("sub_tag")),
        "source": text_or_none(raw.get("source")),
        "word": name,
        "written": raw.get("updated_at"),
        "unread": _unread(raw),
    }


def _unread(raw: Mapping[str, object]) -> tuple[str, ...]:
    trade_id, action = raw.get("trade_id"), raw.get("action")
    blank = ("trade_id",) if trade_id is not None and text_or_none(trade_id) is None else ()
    return (*blank, "action") if action is not None and _readable(_action, action) is None else blank


def _unbooked(raw: Mapping[str, object], status: StatusClass, name: str) -> LedgerOrder:
    """Read a working or dead row, which books nothing."""
    said = _said(raw, working=status is StatusClass.WORKING)
    return LedgerOrder(
        **_identity(raw, status, name),
        said=said,
        order_qty=_ordered(raw, said.qty if status is StatusClass.WORKING else None),
        order_side=said.side,
        order_action=said.action,
        order_price=said.price,
        order_ms=said.time_ms,
        action_unknown=said.action is None and text_or_none(raw.get("action")) is not None,
    )


def _defective(raw: Mapping[str, object], status: StatusClass, name: str, defect: str, detail: str) -> LedgerOrder:
    identity, said = _identity(raw, status, name), _said(raw)
    return LedgerOrder(
        **identity,
        defect=defect,
        detail=f"order {identity['order_id']}: {detail}",
        said=said,
        order_qty=_ordered(raw, None),
        order_side=said.side,
        order_action=said.action,
        order_ms=said.time_ms,
    )


def _ordered(raw: Mapping[str, object], instead: Decimal | None) -> Decimal | None:
    """Return what was ordered, where the row says so; `instead` where it says nothing about it."""
    value = raw.get("order_qty")
    said = _readable(read_quantity, value) if value is not None else Decimal(0)
    return None if said is None else said or instead or None


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


def _filled(raw: Mapping[str, object], name: str) -> LedgerOrder:
    qty, side, action, time_ms = _quantity(raw), read_side(raw.get("side")), _action(raw.get("action")), _time(raw)
    return LedgerOrder(
        **_identity(raw, StatusClass.FILLED, name),
        qty=qty,
        side=side,
        action=action,
        price=_price(raw.get("price")),
        time_ms=time_ms,
        order_qty=_ordered(raw, None),
        order_side=side,
        order_action=action,
        order_ms=time_ms,
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
    if text.isascii() and text.upper() in Action.__members__:
        return Action(text.upper())
    raise ValueError(f"action {value!r} is neither ENTRY nor EXIT")


def _price(value: object) -> Decimal | None:
    """Read a price that is informative only: one that cannot be read is none and blocks nothing."""
    try:
        price = read_decimal(value) if value is not None else None
    except ValueError:
        return None
    return price if price is not None and price > 0 else None


TIME_COLUMNS = ("timestamp", "filled_at", "created_at")
"""Where a row says its time: the first of them that says anything."""


def time_of(raw: Mapping[str, object]) -> int | None:
    """Return a raw row's time in epoch milliseconds, None where it cannot be read."""
    return _readable(_time, raw)


def _time(raw: Mapping[str, object]) -> int:
    for name in TIME_COLUMNS:
        if raw.get(name) is not None and str(raw[name]).strip():
            return read_time(raw[name])
    raise ValueError("timestamp, filled_at and created_at are all empty")
