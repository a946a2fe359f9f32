"""What every wire has in common: one answer's form, the clock, the count of requests, and what a fault hides."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from trueup.core.decimals import plain
from trueup.sim.exchange import Account, Exchange, Order

SCOPE_KEY = "trueup.sim.veil"
"""Where a fault plan leaves a request's Veil, in its ASGI scope."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Veil:
    """What a fault does to one request inside the venue: feeds lag or forget, the clock is off, the key is dead."""

    fills_lag_ms: int = 0
    forget_ms: int | None = None
    skew_ms: int = 0
    revoked: bool = False


OPEN = Veil()


class Refusal(Exception):
    """An error answer in the venue's own form."""

    def __init__(self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(json.dumps(body))
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Desk:
    """One exchange behind a wire. `before` runs before each request: it may move the clock on."""

    exchange: Exchange
    before: Callable[[], None] | None = None
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)

    def count(self, key: str, weight: int = 1) -> int:
        """Count a request of a key in this minute, and return the sum."""
        minute = key, self.exchange.now_ms // 60_000
        self.requests[minute] += weight
        return self.requests[minute]

    def holder(self, key: str | None, veil: Veil) -> Account | None:
        """Return the account of a key; None where it is unknown or revoked."""
        account = self.exchange.account_of_key(key) if key else None
        return None if account is None or account.revoked or veil.revoked else account


def veil_of(request: Request) -> Veil:
    """Return what a fault does to a request."""
    veil = request.scope.get(SCOPE_KEY)
    return veil if isinstance(veil, Veil) else OPEN


def seen(rows: Iterable[_T], veil: Veil, now_ms: int, time_of: Callable[[_T], int], *, lags: bool = False) -> list[_T]:
    """Return the rows that a feed shows: not those that it has forgotten, nor those that it does not have yet."""
    since = now_ms - veil.forget_ms if veil.forget_ms is not None else None
    until = now_ms - veil.fills_lag_ms if lags and veil.fills_lag_ms else None
    return [
        row for row in rows if (since is None or time_of(row) >= since) and (until is None or time_of(row) <= until)
    ]


def seen_orders(rows: Iterable[Order], veil: Veil, now_ms: int) -> list[Order]:
    """Return the orders that a feed shows; a venue forgets none that may still fill."""
    return seen(rows, veil, now_ms, lambda order: now_ms if order.status.working else order.created_ms)


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; its bytes depend on nothing but the body."""
    if status == 204:
        return Response(status_code=204, headers=dict(headers or {}))
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status_code=status, media_type="application/json", headers=dict(headers or {}))


def number(value: object) -> Decimal:
    """Read a number of a request; ValueError where it is none."""
    try:
        read = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not read.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return read


def text(value: Decimal | None) -> str | None:
    """Write a number as venues do that cut zeros, null where there is none."""
    return None if value is None else plain(value)


def places(value: Decimal, count: int) -> str:
    """Write a number with a fixed count of decimal places, as Binance does."""
    cut = value.quantize(Decimal(1).scaleb(-count))
    return format(cut or abs(cut), "f")
