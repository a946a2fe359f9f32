"""The rules of an exchange that nobody has written any for: what ccxt says that it has, and no more is believed."""

from collections.abc import Mapping
from typing import Any

from trueup.venues.ccxt.rules import DAY_MS, FeedRule, Paging, Rules

FILLED_ONLY = "ccxt's fetchClosedOrders may leave out canceled orders that executed in part"
_LONGEST_DAYS = 3650


def generic_rules(name: str, exchange: Any) -> Rules:
    """Return the rules of any exchange, by ccxt's `has` and `features`."""
    features = _features(exchange)
    has = exchange.has
    contracts = has.get("swap") or has.get("future")
    orders = tuple(_history(method, features) for method in _order_methods(has))
    only_filled = len(orders) == 1 and orders[0].method == "fetch_closed_orders"
    if only_filled:
        orders = (_history("fetchClosedOrders", features, FILLED_ONLY),)
    private = {"wallet"} if exchange.requiredCredentials.get("walletAddress") else None
    return Rules(
        open_orders=(_open(features),) if has.get("fetchOpenOrders") else (),
        closed_orders=orders,
        fills=(_history("fetchMyTrades", features),) if has.get("fetchMyTrades") else (),
        positions=(FeedRule("fetch_positions", asks_limit=False),) if contracts and has.get("fetchPositions") else (),
        balances=(FeedRule("fetch_balance", asks_limit=False),) if has.get("fetchBalance") else (),
        currencies=name in ("bitso", "latoken"),
        secrets=tuple(private) if private else None,
        known=False,
    )


def _order_methods(has: Mapping[str, object]) -> tuple[str, ...]:
    """Return the fewest calls that give all orders that are over; what ccxt only emulates is another call, filtered."""
    if has.get("fetchOrders") is True:
        return ("fetchOrders",)
    if has.get("fetchCanceledAndClosedOrders") is True:
        return ("fetchCanceledAndClosedOrders",)
    return tuple(name for name in ("fetchClosedOrders", "fetchCanceledOrders") if has.get(name) is True)


def _features(exchange: Any) -> Mapping[str, Any]:
    """Return what ccxt says of the calls in the exchange's own kind of market."""
    features = exchange.features or {}
    kind = exchange.options.get("defaultType") or "spot"
    found = features.get(kind) or features.get("spot") or features.get("swap") or {}
    if "linear" in found or "inverse" in found:
        found = found.get(exchange.options.get("defaultSubType") or "linear") or found.get("inverse") or {}
    return found if isinstance(found, Mapping) else {}


def _history(method: str, features: Mapping[str, Any], gap: str = "") -> FeedRule:
    said = features.get(method) or {}
    return FeedRule(
        _python(method), Paging.BY_TIME, per_symbol=said.get("symbolRequired") is not False, page=said.get("limit"),
        window_ms=_days(said.get("untilDays")), memory_ms=_days(said.get("daysBack")), gap=gap,
    )  # fmt: skip


def _open(features: Mapping[str, Any]) -> FeedRule:
    said = features.get("fetchOpenOrders") or {}
    return FeedRule(
        "fetch_open_orders", per_symbol=said.get("symbolRequired") is True, page=said.get("limit"),
        asks_limit=said.get("limit") is not None,
    )  # fmt: skip


def _days(days: object) -> int | None:
    return int(days * DAY_MS) if isinstance(days, (int, float)) and days < _LONGEST_DAYS else None


def _python(method: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in method)
