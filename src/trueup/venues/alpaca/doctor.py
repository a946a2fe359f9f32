"""The doctor's look at an Alpaca account: what must be well before its books are worth comparing."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Feed, Snapshot
from trueup.core.times import iso
from trueup.ports import EVERYTHING, Check, ReadScope
from trueup.venues.alpaca.connection import Connection, part
from trueup.venues.alpaca.reading import LARGE_SKEW_MS, read_clock
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.rows.fields import Row, printable

_RECENT_MS = 72 * 3_600_000
_FLAGS = ("trading_blocked", "account_blocked", "trade_suspended_by_user", "transfers_blocked")
_PAPER_ACCOUNT, _PAPER_KEY = "PA", "PK"
_GET_KEYS = "Make a key at Alpaca for this account, and put it into the environment variables that key_env names."


def inspect(
    connection: Connection,
    account: LiveAccount,
    read: Callable[[ReadScope], Snapshot],
    scope: ReadScope = EVERYTHING,
) -> list[Check]:
    """Prove the set-up at Alpaca by what a run would read; whatever cannot be looked at is a finding too."""
    try:
        row = connection.record("account", "/account", needs=("id", "status"))
    except CallFailed as failed:
        refused = failed.kind is Kind.AUTH
        do = _GET_KEYS if refused else "Check the network and base_url, then try again."
        return [Check("Alpaca's key", False, failed.why, do, 2 if refused else 3)]
    checks = [Check("Alpaca's key", True, "accepted")]
    checks += [_kind_of_key(account, row), *_state(row), _clock(connection, account)]
    checks += _feeds(account, read, scope)
    checks += [_symbol(connection, symbol) for symbol in account.always_read]
    checks.append(_rights(account))
    return checks


def _kind_of_key(account: LiveAccount, row: Row) -> Check:
    """Say whether key, account and address are all of paper or all of real money."""
    name = "paper or live"
    meant = account.sandbox if account.base_url is None else "paper" in account.base_url or account.sandbox
    number, key = str(row.get("account_number") or ""), account.secret("key")
    paper = number.startswith(_PAPER_ACCOUNT) or key.startswith(_PAPER_KEY)
    found = f"a {'paper' if paper else 'live'} account, at {account.base_url or 'the address of alpaca-py'}"
    if paper == meant:
        return Check(name, True, found)
    do = f"Set sandbox = {'true' if paper else 'false'} for account {account.name}, or use the other key."
    return Check(name, False, f"{found}, but sandbox = {'true' if account.sandbox else 'false'}", do, 0)


def _state(row: Row) -> Iterator[Check]:
    status = printable(str(row.get("status")))
    active = status == "ACTIVE"
    yield Check("account", active, f"its status is {status}", "" if active else "Ask Alpaca what it waits for.", 1)
    on = [name for name in _FLAGS if row.get(name) is True]
    do = "The bot cannot trade as it means to until this is lifted at Alpaca." if on else ""
    yield Check("blocks", not on, ", ".join(on) or "none", do, 0)


def _clock(connection: Connection, account: LiveAccount) -> Check:
    try:
        now = read_clock(connection, account)
    except CallFailed as failed:
        return Check("clock", False, failed.why, _GET_KEYS, 3)
    if now.source != "venue":
        return Check("clock", False, now.note, "Try again; Alpaca's clock is what its times are held against.", 3)
    well = abs(now.ahead_ms) <= LARGE_SKEW_MS
    found = f"{now.ahead_ms / 1000:+.1f} s against Alpaca's"
    return Check("clock", well, found, "" if well else "Set this machine's clock by NTP.", 0)


def _feeds(account: LiveAccount, read: Callable[[ReadScope], Snapshot], scope: ReadScope) -> Iterator[Check]:
    """Read what a run would, else the last three days, and say of each feed what came.

    Alpaca keeps orders and activities for good.
    """
    since_ms = scope.since_ms if scope.since_ms is not None else account.now_ms() - _RECENT_MS
    try:
        snapshot = read(replace(scope, since_ms=since_ms))
    except CannotKnow as error:
        yield Check("feeds", False, error.what, error.do, 3)
        return
    for feed in (Feed.POSITIONS, Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS, Feed.FILLS):
        coverage = snapshot.feed(feed)
        since = f", back to {iso(coverage.since_ms)}" if coverage.since_ms is not None else ""
        forgets = "; Alpaca does not forget" if feed in (Feed.CLOSED_ORDERS, Feed.FILLS) else ""
        found = f"{coverage.state}{since}" + (f": {coverage.reason}" if coverage.reason else "")
        do = "" if coverage.complete else "Try again; if it stays, see what the reason names."
        yield Check(f"feed {feed}", coverage.complete, f"{found}{forgets}", do, 3)
    if snapshot.malformed:
        first = snapshot.malformed[0]
        found = f"{len(snapshot.malformed)}, the first at {first.where}: {first.why}"
        yield Check("rows that cannot be read", False, found, "Report this: trueup does not guess what they mean.", 0)


def _symbol(connection: Connection, symbol: str) -> Check:
    name = f"symbol {printable(symbol)}"
    try:
        row = connection.record(name, f"/assets/{part(symbol)}", needs=("symbol", "status"))
    except CallFailed as failed:
        missing = failed.kind is Kind.ABSENT
        do = "Write it as Alpaca does (AAPL, BTC/USD)." if missing else "Try again."
        return Check(name, False, failed.why, do, 2 if missing else 3)
    tradable = row.get("tradable") is not False
    found = f"{printable(str(row['symbol']))}, {printable(str(row['status']))}{'' if tradable else ', not tradable'}"
    return Check(name, tradable, found, "" if tradable else "The bot cannot trade it at Alpaca.", 0)


def _rights(account: LiveAccount) -> Check:
    """Say what the key can do: Alpaca has no keys that only read."""
    found = "Alpaca's keys may always trade" + ("; trueup may flatten with it" if account.allow_flatten else "")
    return Check("rights", True, f"{found}; keep it out of every file")
