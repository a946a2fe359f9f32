"""Events: what the venue did by itself, told by its own marks on orders and fills."""

from collections.abc import Iterable, Mapping
from typing import Any

from trueup.core.snapshot import EventKind
from trueup.venues.ccxt.export import Row, plain
from trueup.venues.ccxt.listing import Naming

Mark = tuple[str, str, EventKind]
"""A field of the venue's own row, a part of its value in lower case, and what that means."""

_BINANCE: tuple[Mark, ...] = (
    ("clientOrderId", "adl_autoclose", EventKind.ADL),
    ("clientOrderId", "settlement_autoclose", EventKind.SETTLEMENT),
    ("clientOrderId", "delivery_autoclose", EventKind.SETTLEMENT),
    ("clientOrderId", "autoclose-", EventKind.LIQUIDATION),
)
_BYBIT: tuple[Mark, ...] = (
    ("createType", "createbyadl", EventKind.ADL),
    ("createType", "createbyliq", EventKind.LIQUIDATION),
    ("createType", "createbytakeover", EventKind.LIQUIDATION),
    ("createType", "createbysettle", EventKind.SETTLEMENT),
    ("createType", "createbydelivery", EventKind.SETTLEMENT),
    ("execType", "adltrade", EventKind.ADL),
    ("execType", "busttrade", EventKind.LIQUIDATION),
)

MARKS: Mapping[str, tuple[Mark, ...]] = {
    "binancecoinm": _BINANCE,
    "binanceusdm": _BINANCE,
    "bybit": _BYBIT,
    "hyperliquid": (
        ("dir", "liquidat", EventKind.LIQUIDATION),
        ("dir", "auto-deleveraging", EventKind.ADL),
        ("dir", "settlement", EventKind.SETTLEMENT),
    ),
    "kraken": (("ordertype", "liquidation", EventKind.LIQUIDATION),),
    "okx": (
        ("category", "adl", EventKind.ADL),
        ("category", "liquidation", EventKind.LIQUIDATION),
        ("category", "delivery", EventKind.SETTLEMENT),
    ),
}
"""The marks of each exchange; the first that is found counts."""


def events_of(exchange: str, orders: Iterable[Row], fills: Iterable[Row], naming: Naming) -> list[dict[str, object]]:
    """Return the events that the marks of orders and fills tell, one for each order."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row, order_id in (*((row, row.get("id")) for row in orders), *((row, row.get("order")) for row in fills)):
        mark = _mark(MARKS.get(exchange, ()), row.get("info"))
        at = row.get("lastUpdateTimestamp") or row.get("timestamp")
        if mark is None or order_id is None or at is None:
            continue
        name, said, kind = mark
        symbol = naming.of(row.get("symbol"))
        event = {
            "id": f"{kind.value}-{plain(order_id)}", "kind": kind.value, "at": at, "symbol": symbol,
            "what": f"{name} {said}", "order_id": str(plain(order_id)),
        }  # fmt: skip
        found.setdefault((str(row.get("symbol")), str(order_id)), event)
    return list(found.values())


def _mark(marks: tuple[Mark, ...], info: object) -> tuple[str, str, EventKind] | None:
    if not isinstance(info, Mapping):
        return None
    inner: list[Mapping[str, Any]] = [info, *(value for value in info.values() if isinstance(value, Mapping))]
    for name, part, kind in marks:
        for fields in inner:
            value = fields.get(name)
            if isinstance(value, str) and part in value.lower() and _at_start(name, part, value):
                return name, value, kind
    return None


def _at_start(name: str, part: str, value: str) -> bool:
    """Say whether a client order id begins as the venue's own do: a bot's may hold the word anywhere."""
    return name != "clientOrderId" or value.lower().startswith(part)
