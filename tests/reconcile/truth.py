"""The judge: what the simulated exchange knows to be true, held against what each run did to the ledger.

`wrong` is what a run did that the truth refutes; `left` is what should have been healed, or said, and was not.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.reconcile.bots import Intent, Slip
from tests.reconcile.histories import History

from trueup.core.orders import LedgerOrder, StatusClass, read_order
from trueup.core.repair.slices import Slice, slices_of
from trueup.core.symbols import Symbols
from trueup.service.reconcile_report import ReconcileReport
from trueup.sim.exchange import Order
from trueup.sim.venue import spelt

NOTHING = Decimal("1e-8")
DUST = Decimal("0.001")
Rows = Mapping[str, dict[str, Any]]
Key = tuple[str, str]
"""An account and a symbol's token."""


@dataclass(eq=False)
class Real:
    """What one order of the venue, with its chain, really is; `intent` None is a person's or the venue's own."""

    account: str
    token: str
    orders: list[Order]
    intent: Intent | None = None
    rows: set[str] = field(default_factory=set)

    @property
    def executed(self) -> Decimal:
        return sum((order.executed for order in self.orders), Decimal(0))

    @property
    def over(self) -> bool:
        return not any(order.status.working for order in self.orders)

    @property
    def prices(self) -> list[Decimal]:
        return [fill.price for order in self.orders for fill in order.fills]

    @property
    def ids(self) -> set[str]:
        return {order.id for order in self.orders}


@dataclass
class Judge:
    """Holds one history to its truth."""

    history: History
    wrong: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    symbols: Symbols = field(default_factory=Symbols)

    # Who is who

    def reals(self) -> list[Real]:
        """Return every order; those that share name and side with one that never was are one: nobody can tell them."""
        found: dict[object, Real] = {}
        shared = self._shared_names()
        for intent in self._intents():
            account, token = intent.trade.account, self._token(intent.trade.market.symbol)
            key = (account, intent.client_id, intent.side) if intent.client_id in shared else intent
            real = found.setdefault(key, Real(account, token, [], intent))
            real.orders += intent.orders
            real.rows.add(intent.row_id)
        return [*found.values(), *(Real(o.account, self._token(o.symbol), [o]) for o in self.history.manual)]

    def _intents(self) -> list[Intent]:
        return [intent for bot in self.history.bots for intent in bot.intents]

    def _token(self, market: str) -> str:
        return self.symbols.token(spelt(self.history.exchange.markets[market]))

    def _account(self, profile: str) -> str:
        return next(bot.account for bot in self.history.bots if bot.profile == profile)

    def by_real(self, rows: Rows) -> dict[Real | None, list[LedgerOrder]]:
        """Return the rows about each real order, by what wrote them or by the id that they name."""
        reals = self.reals()
        by_row = {name: real for real in reals for name in real.rows}
        by_id = {(real.account, real.token, name): real for real in reals for name in real.ids}
        found: dict[Real | None, list[LedgerOrder]] = defaultdict(list)
        for name, raw in rows.items():
            row = read_order(raw)
            stem = name.split("+")[0]
            where = (self._account(row.profile_id), self.symbols.token(row.symbol or ""))
            real = by_row.get(stem.split("/")[0]) or by_id.get((*where, stem))
            found[real or by_id.get((*where, row.exchange_order_id or ""))].append(row)
        return found

    def positions(self, rows: Rows) -> tuple[dict[Key, Decimal], dict[tuple[str, str, str], Slice]]:
        """Return the ledger's position by account and token, and its slices by profile, trade and token."""
        slices = slices_of([read_order(raw) for raw in rows.values()], self.symbols)
        total: dict[Key, Decimal] = defaultdict(Decimal)
        for piece in slices:
            total[self._account(piece.profile_id), piece.token] += piece.signed_open
        return total, {(piece.profile_id, piece.trade_id, piece.token): piece for piece in slices}

    def keys(self) -> list[tuple[Key, str]]:
        """Return every account and market, with how the market is spelt."""
        markets = self.history.exchange.markets.values()
        return [((name, self._token(m.symbol)), spelt(m)) for name in self.history.venues for m in markets]

    def fees(self, key: Key) -> Decimal:
        """Return what fees took of the base asset."""
        fills = [fill for real in self.reals() if (real.account, real.token) == key
                 for order in real.orders for fill in order.fills]  # fmt: skip
        markets = self.history.exchange.markets
        return sum((f.fee for f in fills if f.fee_asset == markets[f.order.symbol].base), Decimal(0))

    def held(self, key: Key, symbol: str) -> Decimal:
        """Return what the account really held when it was last read."""
        return self.history.venues[key[0]].held.get(symbol, Decimal(0))

    # What a run did

    def after_run(self, before: Rows, after: Rows) -> None:
        """Refute what a run did that is not true."""
        if before == after:
            return
        self.wrong += [f"cycle {self.history.cycle}: {what}" for what in self._refuted(before, after)]

    def _refuted(self, before: Rows, after: Rows) -> Iterator[str]:
        yield from (f"{name} was removed" for name in before if name not in after)
        was, is_ = self.positions(before), self.positions(after)
        for key, symbol in self.keys():
            old, new, true = was[0][key], is_[0][key], self.held(key, symbol)
            spare = DUST + self.fees(key)
            if old != new and not min(old, true) - spare <= new <= max(old, true) + spare:
                yield f"{key} went from {old} to {new}, and the venue holds {true}"
        for name, piece in is_[1].items():
            had = was[1][name].open_qty if name in was[1] else Decimal(0)
            if piece.open_qty < min(had, Decimal(0)) - NOTHING:
                yield f"{name} exits {piece.exit_qty} of {piece.entry_qty}"
        yield from self._bookings(before, after)
        for name, raw in after.items():
            if before.get(name) != raw:
                yield from self._row(before.get(name), raw, after)

    def _bookings(self, before: Rows, after: Rows) -> Iterator[str]:
        old = self.by_real(before)
        for real, rows in self.by_real(after).items():
            if real is None:
                continue
            # The lists are by identity of what is real, which is made anew for each reading.
            had = next((found for other, found in old.items() if other and other.orders == real.orders
                        and other.intent is real.intent), [])  # fmt: skip
            was, now = booked(had), booked(rows)
            name = real.intent.row_id if real.intent else "by hand"
            if now > was and now > real.executed + NOTHING:
                yield f"{name}: booked {was}, then {now}, of {real.executed} executed"
            if now < was and (was <= real.executed + NOTHING or now < real.executed - NOTHING):
                yield f"{name}: booked {was}, then only {now}, of {real.executed} executed"

    def _row(self, before: dict[str, Any] | None, after: dict[str, Any], everything: Rows) -> Iterator[str]:
        """Refute one row that a run changed or added."""
        row, old = read_order(after), read_order(before) if before is not None else None
        name = row.order_id
        real = next((each for each, rows in self.by_real({name: after}).items() if rows), None)
        if real is None:
            if not name.startswith(("PRTY-", "BFILL-")):
                yield f"{name}: {after} is of no real order"
            elif not self._is_flat(row):
                yield f"{name}: closed at a venue that holds some"
            return
        if real.intent is None:
            yield f"{name}: it books what a person or the venue did"
            return
        trade = real.intent.trade
        if (row.profile_id, row.trade_id) != (trade.profile, trade.trade_id):
            yield f"{name}: given to {row.profile_id} {row.trade_id}, really {trade.profile} {trade.trade_id}"
        if old is None and (row.order_side, row.order_action) != (real.intent.side, real.intent.action):
            yield f"{name}: a {row.order_action} {row.order_side}, really {real.intent.action} {real.intent.side}"
        books_more = row.qty > (old.qty if old is not None else 0)
        if books_more and row.price is not None and not _within(row.price, real.prices):
            yield f"{name}: price {row.price} of {sorted(set(real.prices))}"
        canceled = old is not None and old.status is StatusClass.WORKING and row.status is StatusClass.DEAD
        if canceled and not real.over and not self._followed(real, everything):
            yield f"{name}: canceled, and it works at the venue"

    def _followed(self, real: Real, rows: Rows) -> bool:
        """Say whether some row still follows an order that works."""
        found = next(found for other, found in self.by_real(rows).items() if other and other.intent is real.intent)
        return any(row.status is StatusClass.WORKING or row.word == "partially_filled" for row in found)

    def _is_flat(self, row: LedgerOrder) -> bool:
        account, token = self._account(row.profile_id), self.symbols.token(row.symbol or "")
        symbol = next(symbol for key, symbol in self.keys() if key == (account, token))
        return abs(self.held((account, token), symbol)) <= DUST

    # What remains

    def unclear_keys(self, rows: Rows) -> set[Key]:
        """Return the accounts and tokens of which something cannot be healed by proof alone."""
        unclear = {(account, self._token(symbol)) for account, symbol in self.history.murky}
        about = {id(real.intent): found for real, found in self.by_real(rows).items() if real and real.intent}
        for real in self.reals():
            found = about.get(id(real.intent), [])
            if real.intent is None:
                continue
            proven = self._healable(real, found) and not self._closed_without(real, found, rows)
            if self._side_untold(found, rows) or not proven:
                unclear.add((real.account, real.token))
        return unclear

    def _closed_without(self, real: Real, found: list[LedgerOrder], rows: Rows) -> bool:
        """Say whether an order has no row, and its trade is closed in the ledger: nothing may be added to that."""
        assert real.intent is not None
        trade = real.intent.trade
        piece = self.positions(rows)[1].get((trade.profile, trade.trade_id, real.token))
        return not found and piece is not None and not piece.is_open

    def _side_untold(self, found: list[LedgerOrder], rows: Rows) -> bool:
        """Say whether an order's row is an exit that has its position's side, and no entry tells which that is."""
        told = {(row.profile_id, row.trade_id) for row in map(read_order, rows.values()) if row.order_action == "ENTRY"}
        long_exits = {bot.profile for bot in self.history.bots if bot.habits.long_exits}
        return any(
            row.order_action == "EXIT" and row.profile_id in long_exits and (row.profile_id, row.trade_id) not in told
            for row in found
        )

    def _healable(self, real: Real, rows: list[LedgerOrder]) -> bool:
        """Say whether proof heals an order, and nothing about it is ambiguous."""
        assert real.intent is not None
        named = all(row.exchange_order_id or row.order_id in real.ids for row in rows)
        if any(row.defect for row in rows):
            return False
        if not real.orders:
            return real.intent.client_id not in self._shared_names() and all(row.client_order_id for row in rows)
        if not named or Slip.NAMELESS in real.intent.slips:
            return False
        habits = next(bot.habits for bot in self.history.bots if bot.profile == real.intent.trade.profile)
        if habits.silent or not self._told(real):
            return _agrees(real, rows) and (bool(rows) or real.over)
        if not rows:
            return habits.tags in ("full", "both") or (real.executed <= NOTHING and real.over)
        return _one_follows(real, rows) if booked(rows) <= real.executed + NOTHING else _twins(real, rows)

    def _told(self, real: Real) -> bool:
        """Say whether the venue tells what an order executed: without fills, one that replaced another may carry it."""
        by_id = {order.id: order for order in real.orders}
        pairs = [(by_id[order.replaces], order) for order in real.orders if order.replaces in by_id]
        return self.history.venues[real.account].gives_fills or not any(
            new.filled >= old.filled > NOTHING for old, new in pairs
        )

    def at_rest(self, rows: Rows, unclear: set[Key], report: ReconcileReport) -> None:
        """Find what should have been healed and was not, and what is not healed and not said.

        `report` is the newest run's: a position that could not be compared is said by every profile that holds it.
        """
        breaks = self.history.books.breaks()
        ledger, _ = self.positions(rows)
        about = {(id(r.intent), *sorted(r.ids)): found for r, found in self.by_real(rows).items() if r}
        shared = self._shared_names()
        for real in self.reals():
            if real.intent is not None and real.intent.client_id in shared:
                continue
            found = about.get((id(real.intent), *sorted(real.ids)), [])
            agrees = _agrees(real, found)
            if not agrees and (real.account, real.token) not in unclear:
                self.left.append(f"{self._name(real)}: executed {real.executed}, booked {_shown(found)}")
            elif not (agrees or self._said(real, found, breaks) or self._hidden(real, found, breaks, report, rows)):
                self.left.append(f"unsaid: {self._name(real)}: executed {real.executed}, booked {_shown(found)}")
        for key, symbol in self.keys():
            gap = abs(ledger[key] - self.held(key, symbol))
            mine = [b for b in breaks if b["account"] == key[0] and self.symbols.token(b["symbol"] or "") == key[1]]
            if gap > DUST + self.fees(key) and key not in unclear:
                self.left.append(f"{key}: the ledger has {ledger[key]}, the venue {self.held(key, symbol)}")
            if gap > DUST and not mine and not self._not_compared(key, report, rows):
                self.left.append(f"unsaid: {key}: the ledger has {ledger[key]}, the venue {self.held(key, symbol)}")
            if key not in unclear:
                self.left += [
                    f"still {b['kind']} {b['state']}: {b['reason']}" for b in mine if gap > DUST + self.fees(key)
                ]
        self.left += [f"no reason: {b}" for b in breaks if not b["reason"] or b["state"] == "open"]

    def _hidden(
        self, real: Real, found: list[LedgerOrder], breaks: list[dict[str, Any]], report: ReconcileReport, rows: Rows
    ) -> bool:
        """Say whether only the position could tell, and its symbol has another break or could not be compared.

        That is so where the venue does not tell what an order executed, and where a row names no order at all.
        """
        if self._told(real) and all(row.client_order_id or row.exchange_order_id for row in found):
            return False
        tokens = {self.symbols.token(each["symbol"] or "") for each in breaks if each["account"] == real.account}
        return real.token in tokens or self._not_compared((real.account, real.token), report, rows)

    def _not_compared(self, key: Key, report: ReconcileReport, rows: Rows) -> bool:
        """Say whether every profile that holds some of a symbol was told that its position could not be compared."""
        slices = self.positions(rows)[1]
        holders = {name for (name, _, token), s in slices.items() if s.is_open and (self._account(name), token) == key}
        told = {
            run.profile_id
            for run in report.runs
            for what, _ in run.unclear
            if self.symbols.token(what.split(" ")[0]) == key[1]
        }
        return bool(holders) and holders <= told

    def _shared_names(self) -> set[str | None]:
        """Return the client order ids of orders that never were and of others that are: which is which is nobody's."""
        in_vain = {intent.client_id for intent in self._intents() if not intent.orders}
        return (in_vain & {intent.client_id for intent in self._intents() if intent.orders}) - {None}

    def _name(self, real: Real) -> str:
        return real.intent.row_id if real.intent is not None else f"by hand {real.ids}"

    def _said(self, real: Real, rows: list[LedgerOrder], breaks: list[dict[str, Any]]) -> bool:
        names = real.ids | {row.order_id for row in rows} | {order.client_order_id for order in real.orders}
        names |= {row.client_order_id for row in rows if row.client_order_id}
        trades = {row.trade_id for row in rows} - {None}
        return any(
            each["exchange_order_id"] in names or (each["exchange_order_id"] and each["trade_id"] in trades)
            for each in breaks
        )


def _twins(real: Real, rows: list[LedgerOrder]) -> bool:
    """Say whether rows book one order several times, each alike and whole; two orders of a chain are not one."""
    filled = [row for row in rows if row.status is StatusClass.FILLED]
    if len({row.exchange_order_id or row.order_id for row in filled} & real.ids) > 1:
        return False
    count = real.executed / filled[0].qty
    alike = {(row.qty, row.price, row.trade_id, row.word) for row in filled}
    return len(alike) == 1 and count >= 1 and count == int(count) and filled[0].word == "filled"


def _one_follows(real: Real, rows: list[LedgerOrder]) -> bool:
    """Say whether at most one row follows an order, one does where it works, and what is booked has its price."""
    filled = [row for row in rows if row.status is StatusClass.FILLED]
    live = [row for row in rows if row.status is StatusClass.WORKING or row.word == "partially_filled"]
    if len(filled) == 1 and real.executed and booked(rows) == real.executed:
        mean = sum((order.spent for order in real.orders), Decimal(0)) / real.executed
        if abs((filled[0].price or 0) - mean) > mean * Decimal("0.005"):
            return False
    return len(live) <= 1 and bool(live or filled or real.over)


def booked(rows: list[LedgerOrder]) -> Decimal:
    """Return what rows book."""
    return sum((row.qty for row in rows if row.status is StatusClass.FILLED and row.defect is None), Decimal(0))


def _agrees(real: Real, rows: list[LedgerOrder]) -> bool:
    if real.intent is None:
        return not rows and real.executed <= NOTHING
    if any(row.defect for row in rows) or abs(booked(rows) - real.executed) > NOTHING:
        return False
    live = any(row.status is StatusClass.WORKING for row in rows)
    return not (live and real.over) and not (rows and not live and not real.over and real.executed <= NOTHING)


def _within(price: Decimal, prices: list[Decimal]) -> bool:
    tiny = Decimal("1e-9")
    return bool(prices) and min(prices) * (1 - tiny) <= price <= max(prices) * (1 + tiny)


def _shown(rows: list[LedgerOrder]) -> str:
    return ", ".join(f"{row.order_id} {row.word} {row.qty}" for row in rows) or "nothing"
