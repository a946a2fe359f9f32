"""Feeds: each read by its rules, for the account or symbol by symbol, with how much of it was read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trueup.core.snapshot import Coverage, FeedState
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.verdicts import CallFailed
from trueup.venues.ccxt.client import Client
from trueup.venues.ccxt.envelopes import BadEnvelope, count_held, count_rows, rows_at
from trueup.venues.ccxt.paging import Listing, Page, Pager, Row, key_of
from trueup.venues.ccxt.rules import FeedRule

_WORST = (FeedState.FAILED, FeedState.PARTIAL, FeedState.COMPLETE)
_LONGEST_REASON = 280


@dataclass(frozen=True, slots=True)
class FeedRead:
    """The rows of one feed and how much of it they are."""

    rows: list[Row] = field(default_factory=list)
    coverage: Coverage = field(default_factory=lambda: Coverage(FeedState.COMPLETE))
    failures: tuple[CallFailed, ...] = ()


@dataclass(frozen=True, slots=True)
class Feeds:
    """Reads the feeds of one account as of one moment."""

    caller: Caller
    client: Client
    now_ms: int
    limit: int
    max_pages: int

    def read(self, rules: Sequence[FeedRule], symbols: Sequence[str] = (), since_ms: int | None = None) -> FeedRead:
        """Read a feed by its rules; a rule that needs a symbol is asked for each of the symbols, side by side.

        What the account's list and a market's hold both counts once.
        """
        asked = [
            (rule, segment, symbol)
            for rule in rules
            for segment in rule.segments
            for symbol in (symbols if rule.per_symbol else (None,))
        ]
        if not asked:
            why = "the venue answers per symbol, and no symbol was named" if rules else "the venue does not offer it"
            return FeedRead([], Coverage(FeedState.PARTIAL if rules else FeedState.FAILED, why, given=bool(rules)))
        listings = self.caller.all([partial(self._listing, *one, since_ms) for one in asked])
        read = [(rule, symbol, listing) for (rule, _, symbol), listing in zip(asked, listings, strict=True)]
        rows = [row for _, _, listing in read if isinstance(listing, Listing) for row in listing.rows]
        if len({rule.per_symbol for rule in rules}) == 2:
            rows = list({key_of(row): row for row in rows}.values())
        return FeedRead(
            rows,
            _coverage(read),
            tuple(listing for _, _, listing in read if isinstance(listing, CallFailed)),
        )

    def _listing(self, rule: FeedRule, segment: Mapping[str, object], symbol: str | None, since: int | None) -> Listing:
        failures: list[CallFailed] = []

        def ask(unified_since: int | None, params: Mapping[str, object]) -> Page:
            limit = min(self.limit, rule.page or self.limit) if rule.asks_limit else None
            try:
                return self.caller.ask(
                    " ".join(filter(None, (rule.method, symbol))),
                    lambda: self._page(rule, symbol, unified_since, limit, {**segment, **params}),
                    weight=0,
                )
            except CallFailed as failed:
                failures.append(failed)
                raise

        limit = self.limit if rule.asks_limit else rule.page or self.limit
        pager = Pager(rule, ask, since, self.now_ms, limit=limit, max_pages=self.max_pages)
        listing = pager.read()
        if listing.state is FeedState.FAILED and failures:
            raise failures[-1]
        return listing

    def _page(
        self, rule: FeedRule, symbol: str | None, since: int | None, limit: int | None, params: Mapping[str, object]
    ) -> Page:
        """Ask for one page; BadEnvelope where the raw answer does not bear out what ccxt made of it."""
        if rule.method == "fetch_positions":
            answer = self.client.call(rule.method, None, dict(params))
        else:
            answer = self.client.call(rule.method, symbol, since, limit, dict(params))
        if not isinstance(answer.value, list):
            raise BadEnvelope("ccxt made no list of the venue's answer")
        count = count_rows(answer.last, rule.rows)
        if count is None and (rule.rows is not None or not answer.value):
            raise BadEnvelope("the venue's answer holds no list where its rows should be")
        if not answer.value and count and rule.keeps_all and rule.method != "fetch_positions":
            raise BadEnvelope(f"ccxt made nothing of {count} rows of the venue's answer")
        if other := _of_another_kind(answer.value, params.get("type"), self.client.first.markets or {}):
            raise BadEnvelope(f"ccxt took a row of the venue's {params['type']} markets for one of {other}")
        if rule.method == "fetch_positions":
            return Page(answer.value, answer.last, _count_of_held(answer.last, rule, answer.value))
        return Page(answer.value, answer.last, len(answer.value) if count is None else count)


def _of_another_kind(rows: Iterable[Row], asked: object, markets: Mapping[str, Any]) -> str:
    """Return a market that is spot where contracts were asked for, or the reverse: venues name both alike."""
    if asked not in ("spot", "swap", "future"):
        return ""
    listed = ((str(row.get("symbol")), markets.get(str(row.get("symbol")))) for row in rows)
    return next((name for name, market in listed if market and bool(market.get("contract")) is (asked == "spot")), "")


def _count_of_held(raw: object, rule: FeedRule, rows: Sequence[Row]) -> int:
    """Return how many rows there should be at least: ccxt leaves out positions of nothing, and may leave out others."""
    if rule.rows is None:
        return len(rows)
    held = count_held(rows_at(raw, rule.rows) or [])
    kept = count_held([{"contracts": row.get("contracts") or 0} for row in rows])
    return len(rows) + max(0, held - kept)


def _coverage(read: Iterable[tuple[FeedRule, str | None, Listing | CallFailed]]) -> Coverage:
    """Return how much of a feed its listings are: the worst state, the latest beginning, and what is missing where."""
    states: set[FeedState] = set()
    since: list[int] = []
    reasons: dict[str, None] = {}
    complete = 0
    for rule, symbol, listing in read:
        if isinstance(listing, CallFailed):
            states.add(FeedState.FAILED)
            reasons[listing.why] = None
            continue
        complete += 1
        states.add(FeedState.PARTIAL if rule.gap else listing.state)
        if listing.since_ms is not None:
            since.append(listing.since_ms)
        if listing.reason:
            reasons[f"{symbol}: {listing.reason}" if symbol else listing.reason] = None
        if rule.gap:
            reasons[rule.gap] = None
    state = next(state for state in _WORST if state in states)
    if state is FeedState.FAILED and complete:
        state = FeedState.PARTIAL
    return Coverage(state, _joined(list(reasons)), max(since) if since else None)


def _joined(reasons: Sequence[str]) -> str:
    text = "; ".join(reasons)
    if len(text) <= _LONGEST_REASON:
        return text
    return f"{text[: _LONGEST_REASON - 20]}… ({len(reasons)} reasons)"


def balances_of(caller: Caller, client: Client, rule: FeedRule) -> dict[str, Any]:
    """Return the account's totals by asset, as ccxt spells it; CallFailed where there is no answer to rely on."""
    found: dict[str, Any] = {}
    for segment in rule.segments:
        found |= caller.ask("fetch_balance", partial(_balance, client, rule, segment), weight=0)
    return found


def _balance(client: Client, rule: FeedRule, segment: Mapping[str, object]) -> dict[str, Any]:
    answer = client.call("fetch_balance", dict(segment))
    if not isinstance(answer.value, Mapping):
        raise BadEnvelope("ccxt made no balances of the venue's answer")
    if rule.rows is not None and rows_at(answer.last, rule.rows) is None:
        raise BadEnvelope("the venue's answer holds no list where its balances should be")
    assets = [name for name, value in answer.value.items() if isinstance(value, Mapping) and name not in _BY_KIND]
    if not assets and rule.rows is None and count_rows(answer.last, None) != 0:
        raise BadEnvelope("ccxt found no balance in the venue's answer")
    if isinstance(answer.last, Mapping) and answer.last.get("has_next") is True:
        raise BadEnvelope("the venue's list of balances goes on")
    found = {name: answer.value[name] for name in assets if name != "info"}
    for currency, cash in (rule.cash(answer.last) if rule.cash is not None else {}).items():
        name = client.first.safe_currency_code(currency)
        found[name] = {**found.get(name, {}), **cash}
    return found


_BY_KIND = frozenset({"free", "used", "total", "debt", "info"})
