"""What the doctor finds at an exchange: clock, keys and what they may, feeds, and the symbols that were named."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Coverage, FeedState
from trueup.core.times import iso
from trueup.ports import Check, ReadScope
from trueup.venues.calls.verdicts import CallFailed
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


def _word(word: str, *path: str) -> Rights:
    """Return the reader of a list of words, or a text of them, that stands at a path of the answer."""

    def said(answer: Any) -> bool:
        for name in path:
            answer = answer.get(name) if isinstance(answer, Mapping) else None
        return word in str(answer).lower()

    return said


_BINANCE = ("sapi_get_account_apirestrictions", _flag("enableWithdrawals"))
MAY_WITHDRAW: Mapping[str, tuple[str, Rights]] = {
    "binance": _BINANCE,
    "binancecoinm": _BINANCE,
    "binanceusdm": _BINANCE,
    "bybit": ("private_get_v5_user_query_api", _word("withdraw", "result", "permissions")),
    "coinbase": ("v3_private_get_brokerage_key_permissions", _flag("can_transfer")),
    "kucoin": ("private_get_user_api_key", _word("withdraw", "data", "permission")),
    "okx": ("private_get_account_config", _word("withdraw", "data")),
}
"""Which call of ccxt tells what a key may, and how it says that it may withdraw."""


def inspect(reader: Reader) -> list[Check]:
    """Prove the set-up at an exchange; nothing is changed, and a failure is a finding."""
    checks = [_clock(reader)]
    try:
        listed = reader.markets()
    except CannotKnow as error:
        return [*checks, Check("markets", False, error.what, "Check the exchange's name, base_url and the network.", 3)]
    checks.append(Check("markets", True, f"{len(listed.markets)} markets"))
    checks += [_symbol(reader, listed.resolve(symbol).markets, symbol) for symbol in reader.account.always_read]
    symbols = reader.account.always_read or _any_market(listed)
    try:
        document = reader.read(ReadScope(reader.account.now_ms() - DAY_MS, symbols))
    except CannotKnow as error:
        return [*checks, Check("key", False, error.what, "Check the key, its secret, its rights and its addresses.", 3)]
    checks.append(Check("key", True, "the venue answers it"))
    checks.append(_withdrawals(reader))
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


def _withdrawals(reader: Reader) -> Check:
    """Warn of a key that may withdraw: trueup never needs that."""
    name = "rights of the key"
    known = MAY_WITHDRAW.get(reader.exchange)
    advice = "Use a key that cannot withdraw."
    if known is None or reader.account.sandbox:
        return Check(name, True, "the exchange does not say what the key may", advice, 0)
    method, may = known
    try:
        answer = reader.caller.ask(method, partial(reader.client.call, method), weight=0)
    except CallFailed as failed:
        return Check(name, True, f"not known: {failed.why}", advice, 0)
    if may(answer.value):
        return Check(name, False, "it may withdraw", advice, 0)
    return Check(name, True, "it cannot withdraw")


def _feed(name: str, entry: Mapping[str, Any]) -> Check:
    coverage = Coverage(FeedState(entry["state"]), entry.get("reason", ""), given=entry.get("given", True))
    back = f", back to {entry['since']}" if "since" in entry else ""
    found = f"{coverage.state.value}{back}{': ' + coverage.reason if coverage.reason else ''}"
    ok = coverage.complete or not coverage.given
    return Check(f"feed {name}", ok, found, "" if ok else "See the reason; the other feeds are read all the same.", 3)
