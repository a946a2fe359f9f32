"""The rules of an exchange that nobody has written any for: what ccxt says that it has, and no more is believed."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueup.venues.ccxt.rules import DAY_MS, FeedRule, Paging, Rules

FILLED_ONLY = "ccxt's fetchClosedOrders may leave out canceled orders that executed in part"
_LONGEST_DAYS = 3650


def generic_rules(name: str, exchange: Any) -> Rules:
    """Return the rules of any exchange, by ccxt's `has` and `features`."""
    features = _features(exchange)
    has = exchange.has
    contracts = bool(has.get("swap") or has.get("future"))
    orders = tuple(_history(method, features, by_market=contracts) for method in _order_methods(has))
    only_filled = len(orders) == 1 and orders[0].method == "fetch_closed_orders"
    if only_filled:
        orders = (_history("fetchClosedOrders", features, FILLED_ONLY, by_market=contracts),)
    private = {"wallet"} if exchange.requiredCredentials.get("walletAddress") else None
    return Rules(
        open_orders=_open(features, by_market=contracts) if has.get("fetchOpenOrders") else (),
        closed_orders=orders,
        fills=(_history("fetchMyTrades", features, by_market=contracts),) if has.get("fetchMyTrades") else (),
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


def _features(exchange: Any) -> list[Mapping[str, Any]]:
    """Return what ccxt says of the calls in each kind of market: one rule is for all of them."""
    features = exchange.features or {}
    kinds = [features.get(kind) or {} for kind in ("spot", "swap", "future")]
    kinds += [kind.get(part) or {} for kind in kinds for part in ("linear", "inverse")]
    return [kind for kind in kinds if kind and not {"linear", "inverse"} & kind.keys()]


def _said(features: Sequence[Mapping[str, Any]], method: str) -> list[Mapping[str, Any]]:
    return [said for kind in features if isinstance(said := kind.get(method), Mapping)]


def _least(said: Sequence[Mapping[str, Any]], name: str) -> Any:
    """Return the least that is said of any kind of market, None where none says anything."""
    return min((kind[name] for kind in said if kind.get(name) is not None), default=None)


def _page(said: Sequence[Mapping[str, Any]]) -> int | None:
    """Return how many rows a page holds in every kind of market; a kind that does not say it may give fewer."""
    return _least(said, "limit") if all(kind.get("limit") is not None for kind in said) else None


def _history(method: str, features: Sequence[Mapping[str, Any]], gap: str = "", *, by_market: bool = False) -> FeedRule:
    """Return the rule of a history: market by market where a call without one is about one kind of market only."""
    said = _said(features, method)
    per_symbol = by_market or not said or any(kind.get("symbolRequired") is not False for kind in said)
    return FeedRule(
        _python(method), Paging.BY_TIME, per_symbol=per_symbol, page=_page(said),
        window_ms=_days(_least(said, "untilDays")), memory_ms=_days(_least(said, "daysBack")), gap=gap,
    )  # fmt: skip


def _open(features: Sequence[Mapping[str, Any]], *, by_market: bool) -> tuple[FeedRule, ...]:
    """Return the rules of the working orders: of the account, and of each market where that is one kind of it."""
    said = _said(features, "fetchOpenOrders")
    page = _page(said)
    needs_symbol = any(kind.get("symbolRequired") is True for kind in said)
    ways = ([False] if not needs_symbol else []) + ([True] if needs_symbol or by_market else [])
    return tuple(FeedRule("fetch_open_orders", per_symbol=way, page=page, asks_limit=page is not None) for way in ways)


def _days(days: object) -> int | None:
    return int(days * DAY_MS) if isinstance(days, (int, float)) and days < _LONGEST_DAYS else None


def _python(method: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in method)
