"""The client: ccxt itself, made to check its answers, to read numbers exactly and to drop nothing.

ccxt's exchange objects are not safe to share between threads, so each call borrows one; they share what they learned
(markets, options such as the clock's difference).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import ccxt

from trueup.core.errors import ConfigurationError, nearest
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.limits import RateLimit
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.calls.wire import Wire, bound
from trueup.venues.ccxt.envelopes import BadEnvelope, check_answer
from trueup.venues.ccxt.judging import Answered, UnreadableAnswer

SECRETS = {
    "key": "apiKey", "secret": "secret", "password": "password", "uid": "uid", "wallet": "walletAddress",
    "private_key": "privateKey", "login": "login", "token": "token", "twofa": "twofa", "account_id": "accountId",
}  # fmt: skip
"""Our names of secrets, and ccxt's."""

_LONGEST_RETRY_AFTER_S = 86_400


@dataclass(frozen=True, slots=True)
class Answer:
    """What ccxt made of a call, and the venue's raw answers to it, in order."""

    value: Any
    raw: tuple[object, ...] = ()

    @property
    def last(self) -> object:
        """Return the venue's last raw answer, from which the value was made."""
        return self.raw[-1] if self.raw else None


def exchange_class(name: str) -> type[Any]:
    """Return ccxt's class of an exchange; ConfigurationError names the nearest names."""
    if name not in ccxt.exchanges:
        raise ConfigurationError(f"ccxt knows no exchange {name!r}.", nearest(name, ccxt.exchanges))
    found: type[Any] = getattr(ccxt, name)
    return found


class Client:
    """The exchange of one account, for any number of threads.

    `prepare` sets options of the exchange before its first call. Each request takes its weight by ccxt from the limit,
    or 1 where calls are counted (`count_calls`). ConfigurationError where a secret is missing or the
    exchange has no test venue.
    """

    def __init__(
        self,
        account: LiveAccount,
        exchange: str,
        limit: RateLimit,
        prepare: Callable[[Any], None] | None = None,
        *,
        count_calls: bool = False,
    ) -> None:
        self.account = account
        self.exchange = exchange
        self._limit = limit
        self._prepare = prepare
        self._count_calls = count_calls
        self._free: LifoQueue[Any] = LifoQueue()
        self._lock = Lock()
        self.first = self._make(None)
        self._free.put(self.first)
        self._loaded = False

    def call(self, method: str, *args: object, **kwargs: object) -> Answer:
        """Call one of ccxt's methods by its Python name; what the venue answers must be an answer."""
        with self._lent() as exchange:
            exchange.raw_answers = []
            value = _asked(lambda: getattr(exchange, method)(*args, **kwargs))
            return Answer(value, tuple(exchange.raw_answers))

    def load_markets(self) -> Mapping[str, Any]:
        """Return the venue's markets by symbol, loaded once."""
        with self._lock:
            if not self._loaded:
                _asked(self.first.load_markets)
                if not self.first.markets:
                    raise BadEnvelope("the venue lists no market")
                self._loaded = True
        markets: Mapping[str, Any] = self.first.markets
        return markets

    def correct_clock(self) -> None:
        """Take the difference between the venue's clock and ours into account, as far as ccxt can."""
        with self._lent() as exchange:
            if exchange.has.get("fetchTime") and "timeDifference" in exchange.options:
                _asked(exchange.load_time_difference)

    @contextmanager
    def _lent(self) -> Iterator[Any]:
        try:
            exchange = self._free.get_nowait()
        except Empty:
            exchange = self._make(self.first)
        try:
            self._share_markets(exchange)
            yield exchange
        finally:
            self._free.put(exchange)

    def _share_markets(self, exchange: Any) -> None:
        if exchange is not self.first and exchange.markets is not self.first.markets:
            for name in ("markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "codes", "markets"):
                setattr(exchange, name, getattr(self.first, name))

    def _make(self, first: Any) -> Any:
        config = {
            "enableRateLimit": True,
            "timeout": int(self.account.timeout_s * 1000),
            **{theirs: self.account.secrets[ours] for ours, theirs in SECRETS.items() if ours in self.account.secrets},
        }
        made = _checked_class(self.exchange)(config)
        bound(made.session, Wire(self.account.timeout_s))
        made.number = str
        made.raw_answers = []
        made.take = (lambda _weight: self._limit.take(1)) if self._count_calls else self._limit.take
        if first is not None:
            made.urls, made.options, made.has = first.urls, first.options, first.has
            return made
        if self.account.sandbox:
            if not made.urls.get("test"):
                raise ConfigurationError(
                    f"Account {self.account.name}: {self.exchange} has no sandbox.",
                    "Take `sandbox` out of its settings.",
                )
            made.set_sandbox_mode(True)
        if self.account.base_url is not None:
            made.urls = {**made.urls, "api": _moved(made.urls["api"], self.account.base_url)}
        self.prepare(made)
        return made

    def prepare(self, exchange: Any) -> None:
        """Set the options that the account's exchange needs, on an object of ccxt's."""
        if self._prepare is not None:
            self._prepare(exchange)


def _asked(call: Callable[[], Any]) -> Any:
    """Make a call into ccxt; what its parsers fail on is an answer that cannot be read."""
    try:
        return call()
    except (ccxt.BaseError, BadEnvelope, CallFailed):
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise UnreadableAnswer(f"ccxt cannot read the venue's answer ({type(error).__name__}: {error})") from error


@cache
def _checked_class(name: str) -> type[Any]:
    """Return an exchange's class that refuses what is no answer, reads numbers exactly and filters nothing by time."""

    class Checked(exchange_class(name)):  # type: ignore[misc]  # ccxt is not typed
        raw_answers: list[object]
        answered = Answered()
        take: Callable[[float], float]

        def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            self.answered = Answered()
            try:
                answer = super().fetch(url, method, headers, body)
            except ccxt.BaseError as error:
                error.answered = self.answered
                raise
            if not _may_be_text(name, body):
                check_answer(answer, self.answered.status)
            if name == "bybit":
                _tell_category(answer)
            self.raw_answers.append(answer)
            return answer

        def on_rest_response(self, code: Any, reason: Any, url: Any, method: Any, headers: Any, *rest: Any) -> Any:
            self.answered = Answered(code, _retry_after(headers))
            return super().on_rest_response(code, reason, url, method, headers, *rest)

        def on_json_response(self, text: str) -> Any:
            return json.loads(text, parse_float=str, parse_constant=_refuse)

        def throttle(self, cost: Any = None) -> None:
            self.take(float(cost) if cost is not None else 1.0)

        def filter_by_since_limit(self, array: Any, *_times: Any, **_more: Any) -> Any:
            return self.to_array(array) if array is not None else []

        def filter_by_value_since_limit(
            self, array: Any, field: Any, value: Any = None, *_times: Any, **_more: Any
        ) -> Any:
            return super().filter_by_value_since_limit(array, field, value)

    Checked.__name__ = name
    return Checked


def _may_be_text(name: str, body: object) -> bool:
    """Say whether an answer may be a bare text: of all that is asked, Hyperliquid's kind of account only."""
    return name == "hyperliquid" and "userAbstraction" in str(body)


def _tell_category(answer: object) -> None:
    """Write into Bybit's rows of which category the answer is: ccxt takes an execution without one for spot."""
    result = answer.get("result") if isinstance(answer, Mapping) else None
    if isinstance(result, Mapping) and isinstance(rows := result.get("list"), list):
        for row in rows:
            if isinstance(row, dict) and isinstance(category := result.get("category"), str):
                row.setdefault("category", category)


def _refuse(literal: str) -> object:
    raise ValueError(f"{literal} is no number")


def _retry_after(headers: Any) -> float | None:
    """Return the seconds of a Retry-After header; a date or nonsense is none."""
    text = str(headers.get("Retry-After") or "").strip() if headers is not None else ""
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        return None
    return min(float(Decimal(text)), _LONGEST_RETRY_AFTER_S)


def _moved(urls: Any, base_url: str) -> Any:
    """Return ccxt's addresses with another scheme and host, their paths kept."""
    if isinstance(urls, Mapping):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    base = urlsplit(base_url)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + urlsplit(urls).path, "", ""))


def require_secrets(exchange: Any, account: LiveAccount) -> None:
    """Refuse an account without the secrets that its exchange needs; ConfigurationError names the setting."""
    for ours, theirs in SECRETS.items():
        if exchange.requiredCredentials.get(theirs):
            account.secret(ours)
