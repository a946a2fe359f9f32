"""An account at any exchange that ccxt knows."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from trueup.core.errors import ConfigurationError
from trueup.core.snapshot import Snapshot
from trueup.ports import EVERYTHING, Check, OnUpdate, OrderAnswer, ReadScope, VenueActions, VenueStream
from trueup.ports.secrets import Secrets
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller, Patience
from trueup.venues.calls.limits import shared_limit
from trueup.venues.ccxt.actions import CcxtActions
from trueup.venues.ccxt.client import Client, exchange_class, require_secrets
from trueup.venues.ccxt.exchanges import rules_of
from trueup.venues.ccxt.inspection import inspect
from trueup.venues.ccxt.judging import judge
from trueup.venues.ccxt.lookup import Lookup
from trueup.venues.ccxt.reading import Reader
from trueup.venues.ccxt.stream import CcxtStream, watching_method
from trueup.venues.documents.snapshots import snapshot_of_answers

_MS_A_MINUTE = 60_000
_FASTEST_MS = 1.0


class CcxtVenue:
    """One account at an exchange, through ccxt; nothing is asked before it is needed.

    ConfigurationError where ccxt does not know the exchange, or where the exchange needs a secret that is not set.
    """

    def __init__(self, account: LiveAccount, exchange: str) -> None:
        described = exchange_class(exchange)()
        self.account = account
        self.exchange = exchange
        self.rules = rules_of(exchange, described)
        for name in self.rules.secrets or ():
            account.secret(name)
        if self.rules.secrets is None:
            require_secrets(described, account)
        key = next((account.secrets[name] for name in ("key", "wallet") if name in account.secrets), account.name)
        self.limit = shared_limit(exchange, key, account.calls_per_minute or _per_minute(described))
        self.client = Client(
            account, exchange, self.limit, self._prepare, count_calls=account.calls_per_minute is not None
        )
        self.secrets = Secrets(account.secrets.values())
        self.caller = Caller(
            judge,
            self.limit,
            self.secrets,
            on_clock=self._correct_clock,
            patience=Patience(side_by_side=self.rules.side_by_side),
            sleep=account.sleep,
            count=account.count,
        )

    @cached_property
    def reader(self) -> Reader:
        """Return what reads this account."""
        return Reader(self.account, self.exchange, self.rules, self.client, self.caller)

    @property
    def actions(self) -> VenueActions | None:
        """Return what may be done here, None where the account does not allow it."""
        if not self.account.allow_flatten:
            return None
        once = Caller(
            judge, self.limit, self.secrets, patience=Patience(attempts=1), circuit=self.caller.circuit,
            count=self.account.count,
        )  # fmt: skip
        return CcxtActions(self.reader, once)

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        """Return what the exchange answers as one document in the file format; CannotKnow where it answers nothing."""
        return self.reader.read(scope)

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        """Read what the exchange claims; CannotKnow where nothing could be read."""
        return snapshot_of_answers(self.account.name, self.export(scope), self.account.symbols)

    def inspect(self, scope: ReadScope = EVERYTHING) -> list[Check]:
        """Prove the set-up at the exchange: its clock, the key and its rights, the feeds and the named symbols."""
        return inspect(self.reader, scope)

    def stream(self, on_update: OnUpdate, on_gap: Callable[[], None]) -> VenueStream | None:
        """Return what listens to the exchange's live events, None where ccxt hears of none there."""
        method = watching_method(self.exchange)
        return CcxtStream(self.client, method, on_update, on_gap) if method is not None else None

    def find_order(
        self,
        symbol: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placed_ms: int | None = None,
    ) -> OrderAnswer:
        """Ask for one order by its exchange order id or its client order id; whatever goes wrong is an unknown.

        An exchange that forgets orders is believed that it never had one only where `placed_ms` (epoch ms) says that
        the order is younger than its memory.
        """
        return Lookup(self.reader).find(symbol, order_id, client_order_id, placed_ms)

    def _correct_clock(self) -> None:
        self.client.correct_clock()

    def _prepare(self, exchange: Any) -> None:
        """Set what the rules say: which markets are loaded, and no call that asks for more rights than are needed."""
        exchange.options = {**exchange.options, **self.rules.options}
        if not self.rules.currencies:
            exchange.has = {**exchange.has, "fetchCurrencies": False}
        if self.rules.market_types is not None:
            given = exchange.options.get("fetchMarkets")
            types = list(self.rules.market_types)
            exchange.options["fetchMarkets"] = {**given, "types": types} if isinstance(given, Mapping) else types


def _per_minute(exchange: Any) -> float:
    """Return ccxt's allowance for a minute in its own weights; its rate limit is the pause after a weight of 1."""
    if not isinstance(exchange.rateLimit, (int, float)):
        raise ConfigurationError(f"ccxt gives no rate limit of {exchange.id}.", "Set calls_per_minute in [[accounts]].")
    return _MS_A_MINUTE / max(float(exchange.rateLimit), _FASTEST_MS)
