"""Attribution: which evidence proves the exit of which trade, pass by pass.

Per symbol of an account: rows are taken newest first, and a row goes to a trade as a whole, if its side is the exit
side, it is not older than the trade's newest row less the grace, and the trade still has something open after what
it was assigned. Trades of every profile of the account stand side by side, so that a row without a tag is never given
to one profile while another could claim it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from trueup.core.decimals import NOTHING
from trueup.core.orders import Side
from trueup.core.repair.evidence import Evidence
from trueup.core.repair.naming import Names, SettledTrade, TradeKey, TradeNames
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.scope import Reading, Scope, read_scope
from trueup.core.repair.slices import Slice
from trueup.core.sorted_index import SortedIndex
from trueup.core.tags import TagReader

NAMED_PASSES = ("trade_id", "sub_tag", "client_order_id")
QTY_UNIQUE, SINGLE_OPEN_TRADE = "qty_unique", "single_open_trade"


class Assigned(NamedTuple):
    """Evidence that was given to a trade, and by which pass."""

    evidence: Evidence
    method: str


@dataclass(slots=True)
class Attribution:
    """The attribution of one symbol's evidence.

    `assigned` is oldest first per trade; `conflicts` are rows that name different open trades, `blocked` the trades
    that such a row could have proven; `unassigned` are rows in scope that no trade took, with the profile that they
    belong to (None is any); `dropped` counts the rows out of scope. `doubtful` are rows that an exit without an id may
    have booked already, with the trade of that exit.
    """

    assigned: dict[TradeKey, list[Assigned]] = field(default_factory=lambda: defaultdict(list))
    conflicts: list[tuple[Evidence, frozenset[TradeKey]]] = field(default_factory=list)
    blocked: set[TradeKey] = field(default_factory=set)
    unassigned: list[tuple[Evidence, str | None]] = field(default_factory=list)
    dropped: list[tuple[Evidence, Reading]] = field(default_factory=list)
    doubtful: list[tuple[Evidence, TradeKey]] = field(default_factory=list)


def attribute(
    rows: Iterable[Evidence],
    trades: Iterable[Slice],
    settled: Iterable[SettledTrade],
    reader: TagReader,
    policy: BackfillPolicy,
    reach_ms: int | None,
    *,
    reverted: Collection[tuple[str, str, str]] = (),
    spelt: frozenset[TradeKey] = frozenset(),
) -> Attribution:
    """Attribute one symbol's evidence to the account's open trades of that symbol.

    `settled` are the symbol's trades that trueup repaired: evidence that was undecided then stays undecided, so that
    a second pass over an unchanged world changes nothing. `reach_ms` is the time from which on the order feed is
    complete, None where it is not: nothing is guessed beyond it. What an operator took back (`reverted`: profile, trade
    and exchange order ids) is given to its trade only where no other evidence names the trade. `spelt` are trades that
    the ledger knows, in lower case. Runs in the caller's exact context; costs n log n.
    """
    past = list(settled)
    walk = _Walk(list(trades), policy, reach_ms, max((trade.as_of_ms for trade in past), default=None))
    now_open = TradeNames(walk.trades, spelt)
    ever: TradeNames | None = None
    for row in sorted(rows, key=attrgetter("time_ms", "exchange_order_id"), reverse=True):
        reading = read_scope(row, reader, policy)
        if reading.scope is not Scope.KEPT:
            walk.result.dropped.append((row, reading))
            continue
        names = now_open
        if walk.was_weighed(row):
            ever = ever or TradeNames([*walk.trades, *((trade.profile_id, trade.trade_id) for trade in past)], spelt)
            names = ever
        walk.add(_Row(row, reading.owner, names.named_by(row, reading)))
    for method in NAMED_PASSES:
        walk.run(method, partial(_named, method, reverted))
    for method in NAMED_PASSES if reverted else ():
        walk.run(method, partial(_named, method, ()))
    if policy.heuristic_match and not any(trade.defect for trade in walk.trades.values()):
        walk.by_quantity()
        walk.run(SINGLE_OPEN_TRADE, walk.single)
    return walk.finish()


@dataclass(slots=True)
class _Row:
    evidence: Evidence
    owner: str | None
    names: Names


def _named(method: str, reverted: Collection[tuple[str, str, str]], row: _Row) -> TradeKey | None:
    """Return the trade that an identifier names; what is left of an order follows its earlier part, not a short tag."""
    trade = row.names.by(method)
    if trade is not None and (*trade, row.evidence.exchange_order_id) in reverted:
        return None
    short = method == "sub_tag" and trade is not None and not row.names.spells_out(trade)
    return None if short and not row.evidence.booked_to <= {trade} else trade


class _Walk:
    """The state of the passes over one symbol."""

    def __init__(
        self, trades: list[Slice], policy: BackfillPolicy, reach_ms: int | None, settled_ms: int | None
    ) -> None:
        self.trades = {(trade.profile_id, trade.trade_id): trade for trade in trades}
        self.left = {key: trade.open_qty for key, trade in self.trades.items()}
        self.policy = policy
        self.reach_ms = reach_ms
        self.settled_ms = settled_ms
        self.rows: list[_Row] = []
        self.result = Attribution()

    def was_weighed(self, row: Evidence) -> bool:
        """Say whether a row was there already when trueup last repaired a trade of the symbol."""
        return self.settled_ms is not None and row.time_ms <= self.settled_ms + self.policy.grace_ms

    def add(self, row: _Row) -> None:
        """Take in a row, or set it aside where it names different open trades."""
        conflict = row.names.in_conflict()
        if not conflict:
            self.rows.append(row)
            return
        self.result.conflicts.append((row.evidence, conflict))
        self.result.blocked.update(
            trade for trade in conflict if trade in self.trades and self._fits(row.evidence, trade)
        )

    def run(self, method: str, choose: Callable[[_Row], TradeKey | None]) -> None:
        """Walk the rows that are still unassigned, newest first, and give each to the trade chosen for it."""
        still: list[_Row] = []
        for row in self.rows:
            trade = choose(row)
            if trade is not None and trade in self.trades and self._takes(row.evidence, trade):
                if self._may_be_booked(row.evidence, trade):
                    self.result.doubtful.append((row.evidence, trade))
                else:
                    self._give(row, trade, method)
            else:
                still.append(row)
        self.rows = still

    def single(self, row: _Row) -> TradeKey | None:
        """Return the symbol's one open trade, where there is only one and the row may be its."""
        if len(self.trades) != 1 or self.was_weighed(row.evidence):
            return None
        trade = next(iter(self.trades))
        return trade if self._may_guess(row, trade) else None

    def by_quantity(self) -> None:
        """Give each row to the one eligible trade whose remainder is its quantity within the dust threshold."""
        index = _Remainders(self.policy)
        waiting = sorted(self.trades, key=lambda key: (self.trades[key].bot_newest_ms, key))
        for key in waiting:
            index.add(self.trades[key], self.left[key])

        def choose(row: _Row) -> TradeKey | None:
            while waiting and not self._in_time(row.evidence, self.trades[waiting[-1]]):
                late = waiting.pop()
                index.remove(self.trades[late], self.left[late])
            trade = None if self.was_weighed(row.evidence) else index.unique(row.owner, row.evidence)
            if trade is None or not self._may_guess(row, trade):
                return None
            index.remove(self.trades[trade], self.left[trade])
            index.add(self.trades[trade], self.left[trade] - row.evidence.qty)
            return trade

        self.run(QTY_UNIQUE, choose)

    def _may_guess(self, row: _Row, trade: TradeKey) -> bool:
        """Say whether a heuristic may give a row to a trade.

        What is left of an order that was booked in part belongs to the trade that the rest was booked to.
        """
        owned = row.owner in (None, trade[0])
        since = self.trades[trade].newest_ms - self.policy.grace_ms
        seen = self.reach_ms is not None and self.reach_ms <= since
        free = row.evidence.booked_to <= {trade} and not self._may_be_booked(row.evidence, trade)
        return owned and seen and free and row.names.may_be(trade)

    def _fits(self, row: Evidence, key: TradeKey) -> bool:
        return row.side is self.trades[key].exit_side and self._in_time(row, self.trades[key])

    def _in_time(self, row: Evidence, trade: Slice) -> bool:
        return row.time_ms >= trade.bot_newest_ms - self.policy.grace_ms

    def _takes(self, row: Evidence, key: TradeKey) -> bool:
        return self._fits(row, key) and (self.left[key] > NOTHING or self.trades[key].defect is not None)

    def _may_be_booked(self, row: Evidence, key: TradeKey) -> bool:
        """Say whether an exit of the trade that names no order may be the booking of this execution."""
        return any(
            exit_.may_book(row.filled, row.price, row.time_ms, self.policy.grace_ms)
            for exit_ in self.trades[key].nameless
        )

    def _give(self, row: _Row, trade: TradeKey, method: str) -> None:
        self.left[trade] -= row.evidence.qty
        self.result.assigned[trade].append(Assigned(row.evidence, method))

    def finish(self) -> Attribution:
        """Order what each trade got, oldest first, and keep the rest as unassigned."""
        for given in self.result.assigned.values():
            given.sort(key=attrgetter("evidence.time_ms", "evidence.exchange_order_id"))
        self.result.unassigned = [(row.evidence, row.owner) for row in reversed(self.rows)]
        return self.result


class _Remainders:
    """What is left open of each eligible trade, by exit side and profile, to be looked up by quantity."""

    def __init__(self, policy: BackfillPolicy) -> None:
        self._policy = policy
        self._index: dict[tuple[str | None, Side], SortedIndex] = defaultdict(SortedIndex)

    def add(self, trade: Slice, left: Decimal) -> None:
        """Make a trade's remainder known, where there is one."""
        if left > NOTHING:
            for owner in (None, trade.profile_id):
                self._index[owner, trade.exit_side].add((left, (trade.profile_id, trade.trade_id)))

    def remove(self, trade: Slice, left: Decimal) -> None:
        """Forget a trade's remainder."""
        for owner in (None, trade.profile_id):
            self._index[owner, trade.exit_side].remove((left, (trade.profile_id, trade.trade_id)))

    def unique(self, owner: str | None, row: Evidence) -> TradeKey | None:
        """Return the one trade whose remainder is the row's quantity within the dust threshold of that remainder."""
        dust = self._policy.dust_abs
        low, high = row.qty * (1 - self._policy.dust_rel), self._above(row.qty)
        found: TradeKey | None = None
        for left, trade in self._index[owner, row.side].between(min(low, row.qty - dust), max(high, row.qty + dust)):
            if abs(left - row.qty) <= self._policy.dust_threshold(left):
                if found is not None:
                    return None
                found = trade
        return found

    def _above(self, qty: Decimal) -> Decimal:
        """Return a quantity that no remainder exceeds of which this is within the relative threshold."""
        rel = self._policy.dust_rel
        return qty * (1 + 2 * rel) if rel <= _HALF else Decimal("Infinity")


_HALF = Decimal("0.5")
