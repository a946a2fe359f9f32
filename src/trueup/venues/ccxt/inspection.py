"""What the doctor finds at an exchange: clock, keys and what they may, feeds, and the symbols that were named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Coverage, FeedState
from trueup.core.times import iso
from trueup.ports import EVERYTHING, Check, ReadScope
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.listing import Listed
from trueup.venues.ccxt.reading import SKEW_MS, Reader
from trueup.venues.ccxt.rules import DAY_MS

Rights = Callable[[Any], bool]


def _flag(*path: str) -> Rights:
    """Return the reader of a yes or no that stands at a path of the answer."""

    def said(answer: Any) -> bool:
        for name in path:
            answer = answer.get(name) if isinstance(answer, Mapping) else None
        return answer is True or str(answer).lower() == "true"

    return said


def _word(word: str, *path: str | int) -> Rights:
    """Return the reader of a list of words, or a text of them, that stands at a path of the answer."""

    def said(answer: Any) -> bool:
        for name in path:
            if isinstance(name, int):
                answer = answer[name] if isinstance(answer, list) and len(answer) > name else None
            else:
                answer = answer.get(name) if isinstance(answer, Mapping) else None
        return word in str(answer).lower()

    return said


@dataclass(frozen=True, slots=True)
class KeyRights:
    """Which call of ccxt tells what a key may, and how it says that it may withdraw and trade."""

    method: str
    withdraws: Rights
    trades: Rights


def _binance(trades: str) -> KeyRights:
    return KeyRights("sapi_get_account_apirestrictions", _flag("enableWithdrawals"), _flag(trades))


RIGHTS: Mapping[str, KeyRights] = {
    "binance": _binance("enableSpotAndMarginTrading"),
    "binancecoinm": _binance("enableFutures"),
    "binanceusdm": _binance("enableFutures"),
    "bybit": KeyRights(
        "private_get_v5_user_query_api",
        _word("withdraw", "result", "permissions"),
        _word("0", "result", "readOnly"),
    ),
    "coinbase": KeyRights("v3_private_get_brokerage_key_permissions", _flag("can_transfer"), _flag("can_trade")),
    "kucoin": KeyRights(
        "private_get_user_api_key", _word("withdraw", "data", "permission"), _word("trade", "data", "permission")
    ),
    "okx": KeyRights("private_get_account_config", _word("withdraw", "data"), _word("trade", "data", 0, "perm")),
}
"""The exchanges that tell it."""

_HISTORY = ("closed_orders", "fills")


def inspect(reader: Reader, scope: ReadScope = EVERYTHING) -> list[Check]:
    """Prove the set-up at an exchange; nothing is changed, and a failure is a finding.

    What is read is what a run would read; where that is no market at all, one is tried.
    """
    checks = [_clock(reader)]
    try:
        listed = reader.markets()
    except CannotKnow as error:
        return [*checks, Check("markets", False, error.what, "Check the exchange's name, base_url and the network.", 3)]
    checks.append(Check("markets", True, f"{len(listed.markets)} markets"))
    checks += [_symbol(reader, listed.resolve(symbol).markets, symbol) for symbol in reader.account.always_read]
    named = (*scope.symbols, *reader.account.always_read)
    tried = () if any(listed.resolve(symbol).markets for symbol in named) else _any_market(listed)
    since = scope.since_ms if scope.since_ms is not None else reader.account.now_ms() - DAY_MS
    try:
        document = reader.read(replace(scope, since_ms=since, symbols=(*scope.symbols, *tried)))
    except CannotKnow as error:
        refused = any(failure.kind is Kind.AUTH for failure in reader.caller.failures)
        do = "Check the key, its secret, its rights and its addresses."
        return [*checks, Check("key", False, error.what, do, 2 if refused else 3)]
    checks.append(Check("key", True, "the venue answers it"))
    checks.append(_rights(reader))
    unclear = document.get("unknown_assets")
    assert isinstance(unclear, Mapping)
    checks += [_asset(reader, name, why) for name, why in unclear.items()]
    coverage = document["coverage"]
    assert isinstance(coverage, Mapping)
    return [*checks, *(_feed(name, entry) for name, entry in coverage.items())]


def _clock(reader: Reader) -> Check:
    try:
        theirs, by_venue, notes = reader.clock()
    except CannotKnow as error:
        return Check("clock", False, error.what, "Check the network and the key.", 3)
    if not by_venue:
        return Check("clock", True, notes[0])
    found = notes[0] if notes else f"within {SKEW_MS} ms of the venue's ({iso(theirs)})"
    return Check("clock", not notes, found, "Let this machine's clock be set by NTP." if notes else "", 0)


def _any_market(listed: Listed) -> tuple[str, ...]:
    """Return one market, to see whether an exchange that answers per symbol answers at all: a coin against dollars."""
    names = [name for name, market in listed.markets.items() if market.get("active") is not False]
    known = [name for name in names if name.startswith(("BTC/USD", "BTC/USDT", "BTC/USDC"))]
    return tuple(sorted(known or names)[:1])


def _symbol(reader: Reader, markets: tuple[str, ...], symbol: str) -> Check:
    if len(markets) == 1:
        return Check(f"symbol {symbol}", True, markets[0])
    if not markets:
        found = f"{reader.exchange} lists no such market"
        return Check(f"symbol {symbol}", False, found, "Spell it as the exchange or ccxt does.", 2)
    return Check(f"symbol {symbol}", False, f"it may mean {' or '.join(markets)}", "Spell it as one of them.", 2)


def _rights(reader: Reader) -> Check:
    """Say what the key may, and warn of one that may withdraw: trueup never needs that."""
    name = "rights of the key"
    known = RIGHTS.get(reader.exchange)
    advice = "Use a key that cannot withdraw."
    if known is None or reader.account.sandbox:
        return Check(name, True, "the exchange does not say what the key may", advice, 0)
    try:
        answer = reader.caller.ask(known.method, partial(reader.client.call, known.method), weight=0)
    except CallFailed as failed:
        return Check(name, True, f"not known: {failed.why}", advice, 0)
    trades = "it may trade" if known.trades(answer.value) else "it may read and not trade"
    if known.withdraws(answer.value):
        return Check(name, False, f"{trades}, and it may withdraw", advice, 0)
    if known.trades(answer.value) and not reader.account.allow_flatten:
        trades += ", which trueup does not need"
    return Check(name, True, f"{trades}; it cannot withdraw")


def _asset(reader: Reader, name: str, why: str) -> Check:
    declared = {reader.account.symbols.asset(asset) for asset in reader.account.external_assets}
    do = "Correct external_assets." if reader.account.symbols.asset(name) in declared else "Look at the account."
    return Check(f"asset {name}", False, why, do, 0)


def _feed(name: str, entry: Mapping[str, Any]) -> Check:
    coverage = Coverage(FeedState(entry["state"]), entry.get("reason", ""), given=entry.get("given", True))
    if not coverage.given:
        return Check(f"feed {name}", True, f"not given: {coverage.reason}")
    back = f", back to {entry['since']}" if "since" in entry else ""
    if not back and coverage.complete and name in _HISTORY:
        back = ", back to the beginning of the account"
    found = f"{coverage.state.value}{back}{': ' + coverage.reason if coverage.reason else ''}"
    do = "" if coverage.complete else "See the reason; the other feeds are read all the same."
    return Check(f"feed {name}", coverage.complete, found, do, 3)
