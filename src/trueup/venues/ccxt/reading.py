"""One reading of an account: the feeds in their order, put together as one document in the file format.

Positions, balances and open orders are read before the history: what fills in between is then known from the history
while the position still says that it is held, which holds a repair back instead of letting it through.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trueup.core.errors import CannotKnow
from trueup.core.snapshot import Coverage, Feed, FeedState
from trueup.core.times import iso
from trueup.ports import ReadScope
from trueup.venues.calls.account import LiveAccount
from trueup.venues.calls.caller import Caller
from trueup.venues.calls.verdicts import CallFailed, Kind
from trueup.venues.ccxt.by_name import why_unknown
from trueup.venues.ccxt.client import Client
from trueup.venues.ccxt.events import events_of
from trueup.venues.ccxt.export import Row, is_something, order_row, position_row, sizes_and_markets, trade_rows
from trueup.venues.ccxt.feeds import FeedRead, Feeds, balances_of
from trueup.venues.ccxt.holdings import balance_section, debts_of, spot_legs, unclear_of
from trueup.venues.ccxt.listing import Listed, Naming, Resolved, naming_of
from trueup.venues.ccxt.paging import created
from trueup.venues.ccxt.rules import Rules
from trueup.venues.documents.coverage import entry_of
from trueup.venues.documents.twice import differing

MOST_LOOKED_UP = 50
"""Orders of which only fills were listed are asked for one by one, at most this many in a reading."""

SKEW_MS = 1000
"""Clocks that differ by less are not worth a word: a request takes its time."""


@dataclass(slots=True)
class Reading:
    """What was read so far."""

    now_ms: int
    by_venue: bool
    listed: Listed
    resolved: list[Resolved]
    naming: Naming
    positions: FeedRead | None = None
    balances: Mapping[str, Any] | None = None
    open_orders: FeedRead = field(default_factory=FeedRead)
    closed_orders: FeedRead = field(default_factory=FeedRead)
    fills: FeedRead = field(default_factory=FeedRead)
    coverage: dict[Feed, Coverage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unknown_symbols: dict[str, str] = field(default_factory=dict)
    unknown_assets: dict[str, str] = field(default_factory=dict)


class Reader:
    """Reads one account by the rules of its exchange."""

    def __init__(self, account: LiveAccount, exchange: str, rules: Rules, client: Client, caller: Caller) -> None:
        self.account = account
        self.exchange = exchange
        self.rules = rules
        self.client = client
        self.caller = caller

    def markets(self) -> Listed:
        """Return the venue's markets; CannotKnow where they cannot be loaded."""
        try:
            return Listed(self.caller.ask("load_markets", self.client.load_markets, weight=0), self.account.symbols)
        except CallFailed as failed:
            raise self.nothing(failed.why) from None

    def nothing(self, why: str) -> CannotKnow:
        """Return the error of an account of which nothing could be read."""
        return CannotKnow(f"Account {self.account.name}: {self.exchange} cannot be read: {why}", "Run `trueup doctor`.")

    def clock(self) -> tuple[int, bool, list[str]]:
        """Return the venue's time, or ours where it gives none, whether it is the venue's, and what to say of it."""
        before = self.account.now_ms()
        if not self.client.first.has.get("fetchTime"):
            return before, False, [f"{self.exchange} gives no time: this machine's clock stands in."]
        try:
            answer = self.caller.ask("fetch_time", partial(self.client.call, "fetch_time"), weight=0)
        except CallFailed as failed:
            if failed.kind is Kind.AUTH:
                raise self.nothing(failed.why) from None
            return (
                before,
                False,
                [f"The venue's time could not be read ({failed.why}): this machine's clock stands in."],
            )
        if not isinstance(answer.value, (int, float)) or answer.value <= 0:
            return before, False, [f"{self.exchange} gave no time: this machine's clock stands in."]
        theirs, after = int(answer.value), self.account.now_ms()
        skew = max(theirs - after, before - theirs, 0)
        notes = [f"This machine's clock and the venue's differ by {skew} ms."] if skew > SKEW_MS else []
        return theirs, True, notes

    def read(self, scope: ReadScope) -> dict[str, object]:
        """Return the document; CannotKnow where nothing could be read."""
        now_ms, by_venue, notes = self.clock()
        listed = self.markets()
        wanted = dict.fromkeys((*scope.symbols, *self.account.always_read))
        resolved = [listed.resolve(symbol) for symbol in wanted]
        reading = Reading(now_ms, by_venue, listed, resolved, naming_of(resolved, listed), notes=notes)
        reading.notes += _notes_on(resolved, self.exchange, scope.held)
        self._read_present(reading)
        self._read_history(reading, scope.since_ms)
        self._confirm(reading)
        return self._document(reading)

    def _feeds(self, now_ms: int) -> Feeds:
        return Feeds(self.caller, self.client, now_ms, self.account.page_limit, self.account.max_pages)

    def _read_present(self, reading: Reading) -> None:
        """Read what is held and what works, side by side."""
        feeds = self._feeds(reading.now_ms)
        symbols = _markets_of(reading.resolved)
        work: list[Callable[[], object]] = [
            partial(feeds.read, self.rules.open_orders, symbols),
            partial(feeds.read, self.rules.positions, symbols),
            self._balances,
        ]
        if self.rules.margin is not None:
            work.append(partial(feeds.read, (self.rules.margin,)))
        answers = self.caller.all(work)
        opened, positions, balances, *margin = answers
        reading.open_orders = _feed(opened)
        if self.rules.positions:
            reading.positions = _feed(positions)
        self._note_balances(reading, balances)
        for found in margin:
            self._refuse_margin(reading, _feed(found))
        read = [reading.open_orders, *([reading.positions] if reading.positions is not None else [])]
        failed = [failure for feed in read for failure in feed.failures]
        failed += [balances] if isinstance(balances, CallFailed) else []
        if any(failure.kind is Kind.AUTH for failure in failed) and not any(_has_something(feed) for feed in read):
            raise self.nothing(failed[0].why)

    def _balances(self) -> object:
        if not self.rules.balances:
            return None
        return balances_of(self.caller, self.client, self.rules.balances[0])

    def _note_balances(self, reading: Reading, balances: object) -> None:
        if isinstance(balances, CallFailed):
            reading.balances = None
            reading.coverage[Feed.BALANCES] = Coverage(FeedState.FAILED, balances.why)
        elif isinstance(balances, Mapping):
            reading.balances = balances
            reading.coverage[Feed.BALANCES] = Coverage(FeedState.COMPLETE)
            if debts_of(balances):
                reading.notes.append("Something is borrowed on this account; those assets are unknown.")
        else:
            reading.coverage[Feed.BALANCES] = Coverage(FeedState.FAILED, "the venue does not offer it", given=False)

    def _refuse_margin(self, reading: Reading, margin: FeedRead) -> None:
        """Say that balances do not tell what is held where positions on borrowed money are open, or may be."""
        if margin.coverage.complete and not margin.rows:
            return
        why = margin.coverage.reason or "margin positions are open, which balances do not show"
        balances = reading.coverage[Feed.BALANCES]
        state = FeedState.PARTIAL if balances.state is FeedState.COMPLETE else balances.state
        reading.coverage[Feed.BALANCES] = Coverage(state, f"{balances.reason}; {why}".strip("; "))

    def _read_history(self, reading: Reading, since_ms: int | None) -> None:
        """Read orders and fills of the symbols that the ledger names, and of those that are held or worked."""
        feeds = self._feeds(reading.now_ms)
        held = [*reading.open_orders.rows, *(reading.positions.rows if reading.positions else ())]
        symbols = list(dict.fromkeys([*_markets_of(reading.resolved), *_symbols_of(held, reading.listed)]))
        answers = self.caller.all(
            [
                partial(feeds.read, self.rules.closed_orders, symbols, since_ms),
                partial(feeds.read, self.rules.fills, symbols, since_ms),
            ]
        )
        reading.closed_orders, reading.fills = _feed(answers[0]), _feed(answers[1])
        if self._asks_per_symbol():
            reading.notes.append(f"{self.exchange} answers per symbol; asked for: {', '.join(symbols) or 'none'}.")
        self._look_up(reading)

    def _asks_per_symbol(self) -> bool:
        return any(rule.per_symbol for rule in (*self.rules.closed_orders, *self.rules.fills))

    def _confirm(self, reading: Reading) -> None:
        """Read once more what is held, and doubt what differs: it moved, or an answer was stale or cut short."""
        feeds = self._feeds(reading.now_ms)
        work: list[Callable[[], object]] = []
        if reading.positions is not None:
            work.append(partial(feeds.read, self.rules.positions, _markets_of(reading.resolved)))
        spot = reading.positions is None or any(
            not reading.listed.is_contract(market) for found in reading.resolved for market in found.markets
        )
        if reading.balances is not None and spot:
            work.append(self._balances)
        for answer in self.caller.all(work):
            if isinstance(answer, FeedRead) and reading.positions is not None:
                _doubt_positions(reading, answer)
            elif isinstance(answer, Mapping) and reading.balances is not None:
                totals = {name: entry.get("total") for name, entry in answer.items()}
                first = {name: entry.get("total") for name, entry in reading.balances.items()}
                reading.unknown_assets = differing(_as_rows(first), _as_rows(totals), ("qty",))
            elif isinstance(answer, CallFailed) and reading.balances is not None:
                self._note_balances(reading, answer)
        if not self.rules.known and reading.positions is not None and _has_something(reading.positions):
            self._ask_by_name(reading, reading.positions)
        if self._asks_per_symbol():
            why = f"{self.exchange} lists no such market, so that its orders cannot be asked for"
            for found in reading.resolved:
                if not found.markets:
                    reading.unknown_symbols.setdefault(found.symbol, why)

    def _ask_by_name(self, reading: Reading, positions: FeedRead) -> None:
        """Ask for each contract that the ledger names and the list lacks: it may list one kind of contracts only."""
        listed = {row.get("symbol") for row in positions.rows}
        contracts = [market for market in _markets_of(reading.resolved) if reading.listed.is_contract(market)]
        lacking = [market for market in contracts if market not in listed]
        answers = self.caller.all([partial(why_unknown, self.caller, self.client, market) for market in lacking])
        for market, why in zip(lacking, answers, strict=True):
            if why:
                reading.unknown_symbols.setdefault(str(reading.naming.of(market)), str(why))

    def _look_up(self, reading: Reading) -> None:
        """Ask for the orders of which only fills are listed: a fill carries no client order id."""
        known = {(row.get("symbol"), str(row.get("id"))) for row in _orders_of(reading)}
        asked = {(row.get("symbol"), str(row.get("order"))) for row in reading.fills.rows if row.get("order")}
        missing = sorted((str(symbol), order) for symbol, order in asked - known if symbol)
        if not missing or not self.client.first.has.get("fetchOrder"):
            return
        answers = self.caller.all([partial(self._one, symbol, order) for symbol, order in missing[:MOST_LOOKED_UP]])
        found = [answer for answer in answers if isinstance(answer, Mapping)]
        reading.closed_orders.rows.extend(found)
        if len(found) < len(missing):
            count = len(missing) - len(found)
            reading.notes.append(f"{count} orders with fills are not listed; their client order ids are not known.")

    def _one(self, symbol: str, order: str) -> object:
        params = dict(self.rules.order_params[0])
        call = partial(self.client.call, "fetch_order", order, symbol, params)
        return self.caller.ask(f"fetch_order {symbol} {order}", call, weight=0).value

    def _document(self, reading: Reading) -> dict[str, object]:
        naming, listed = reading.naming, reading.listed
        opened, closed = split_orders(reading.open_orders.rows, reading.closed_orders.rows)
        document: dict[str, object] = {
            "as_of": iso(reading.now_ms),
            "as_of_source": "venue" if reading.by_venue else "clock",
            "exchange": self.exchange,
            "open_orders": [order_row(row, naming) for row in sorted(opened, key=_place)],
            "closed_orders": [order_row(row, naming) for row in sorted(closed, key=_place)],
            "fills": trade_rows(sorted(reading.fills.rows, key=_place), naming),
            "events": events_of(self.exchange, [*opened, *closed], reading.fills.rows, naming),
        }
        balances: dict[str, object] | None = None
        if reading.balances is not None:
            balances = balance_section(reading.balances, self.account.external_assets, self.account.symbols)
            unclear = unclear_of(balances)
            reading.unknown_assets = unclear | reading.unknown_assets
            document["balances"] = {n: amount for n, amount in balances.items() if n not in unclear} or dict.fromkeys(
                unclear, "0"
            )
        if reading.positions is not None:
            why = reading.coverage[Feed.BALANCES].reason or "balances are not known"
            document["positions"] = [
                *(position_row(row, naming) for row in reading.positions.rows),
                *spot_legs(
                    [found for found in reading.resolved if found.markets],
                    balances | reading.unknown_assets if balances is not None else None,
                    listed,
                    why,
                ),
            ]
        named = [row.get("symbol") for row in (*opened, *closed, *reading.fills.rows)]
        named += [row.get("symbol") for row in (reading.positions.rows if reading.positions else ())]
        named += _markets_of(reading.resolved)
        document["contract_sizes"], document["markets"] = sizes_and_markets(named, naming, listed)
        document["unknown_symbols"] = _unlisted(reading.resolved, self.exchange) | reading.unknown_symbols
        document["unknown_assets"] = reading.unknown_assets
        self._cover(reading)
        document["coverage"] = {feed.value: entry_of(part) for feed, part in reading.coverage.items()}
        document["notes"] = reading.notes
        return {name: value for name, value in document.items() if not self._is_void(name, reading)}

    def _cover(self, reading: Reading) -> None:
        coverage = reading.coverage
        coverage[Feed.OPEN_ORDERS] = reading.open_orders.coverage
        coverage[Feed.CLOSED_ORDERS] = self._of_history(reading.closed_orders.coverage)
        coverage[Feed.FILLS] = reading.fills.coverage
        if reading.positions is not None:
            coverage[Feed.POSITIONS] = reading.positions.coverage
        else:
            why = "a spot account has balances, no positions"
            coverage[Feed.POSITIONS] = Coverage(FeedState.FAILED, why, given=False)
        if all(part.state is FeedState.FAILED for part in coverage.values()):
            raise self.nothing(next((part.reason for part in coverage.values() if part.given), "it offers no feed"))

    def _of_history(self, orders: Coverage) -> Coverage:
        """Return the coverage of past orders: they are listed by when they came to be, and execute later.

        Where executions are given too, these show what an older order executed since; without them nothing does.
        """
        if self.rules.fills or not orders.complete or orders.since_ms is None:
            return orders
        why = "orders from before may have executed since, and the venue offers no executions"
        return Coverage(FeedState.PARTIAL, "; ".join(filter(None, (orders.reason, why))), orders.since_ms)

    def _is_void(self, name: str, reading: Reading) -> bool:
        """Say whether a section stands for a feed that failed: it is left out, so that it cannot read as empty."""
        return name in set(Feed) and reading.coverage[Feed(name)].state is FeedState.FAILED


def _doubt_positions(reading: Reading, again: FeedRead) -> None:
    """Hold two readings of the positions against each other; the second one counts."""
    assert reading.positions is not None
    first, reading.positions = reading.positions, again
    if first.coverage.complete and again.coverage.complete:
        differ = differing(first.rows, again.rows, ("contracts",))
        reading.unknown_symbols = {str(reading.naming.of(symbol)): why for symbol, why in differ.items()}
    elif not first.coverage.complete:
        reading.positions = first


def _as_rows(totals: Mapping[str, object]) -> list[Row]:
    """Return balances as rows; what is nothing is no row, for a venue may leave it out."""
    return [{"symbol": name, "qty": total} for name, total in totals.items() if is_something(total)]


def _feed(answer: object) -> FeedRead:
    """Return a feed that was read side by side with others."""
    if isinstance(answer, FeedRead):
        return answer
    why = answer.why if isinstance(answer, CallFailed) else "it was not read"
    failures = (answer,) if isinstance(answer, CallFailed) else ()
    return FeedRead([], Coverage(FeedState.FAILED, why), failures)


def _has_something(feed: FeedRead) -> bool:
    return feed.coverage.state is not FeedState.FAILED


def _unlisted(resolved: Iterable[Resolved], exchange: str) -> dict[str, str]:
    """Return the symbols that mean no market of the venue: neither a balance nor a list of orders speaks of them."""
    return {
        found.symbol: f"{exchange} lists no market {found.symbol}, so that nothing was asked about it"
        for found in resolved
        if not found.markets
    }


def _notes_on(resolved: Iterable[Resolved], exchange: str, held: Iterable[str]) -> list[str]:
    """Return notes on the spellings that mean no market, or several; what the ledger holds is told as unknown."""
    notes = []
    for found in resolved:
        if not found.markets and found.symbol not in held:
            notes.append(f"{exchange} lists no market {found.symbol}.")
        elif len(found.markets) > 1:
            notes.append(f"{found.symbol} may mean {' or '.join(found.markets)} at {exchange}; each of them is read.")
    return notes


def _markets_of(resolved: Iterable[Resolved]) -> list[str]:
    return list(dict.fromkeys(market for found in resolved for market in found.markets))


def _symbols_of(rows: Iterable[Row], listed: Listed) -> list[str]:
    """Return the markets that rows name."""
    names = (row.get("symbol") for row in rows)
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name in listed.markets))


def _orders_of(reading: Reading) -> list[Row]:
    return [*reading.open_orders.rows, *reading.closed_orders.rows]


def split_orders(opened: Sequence[Row], others: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the orders that work and those that are over, each once.

    The history was read after the open orders, and what an order executed never shrinks: its later reading counts,
    unless it executed less by it; then both stand, and the snapshot shows the conflict.
    """
    late = {(row.get("symbol"), str(row.get("id"))): row for row in others}
    works: list[Row] = []
    shown: set[tuple[object, str]] = set()
    for row in opened:
        key = (row.get("symbol"), str(row.get("id")))
        later = late.get(key)
        if later is None or _executed(later) < _executed(row):
            works.append(row)
        elif later.get("status") == "open":
            works.append(later)
            shown.add(key)
    return works, [row for row in others if (row.get("symbol"), str(row.get("id"))) not in shown]


def _place(row: Row) -> tuple[int, str]:
    """Return where a row stands in the order of time; the venue's pages come in any."""
    return created(row), str(row.get("id"))


def _executed(row: Row) -> float:
    try:
        return float(row.get("filled") or 0)
    except (TypeError, ValueError):
        return 0.0
