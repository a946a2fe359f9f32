"""Trade ids from lifecycles: from flat to flat, where the rows of one symbol can be read in one way alone.

Rows are walked by profile, symbol and side in canonical time. A stretch from flat to flat is one lifecycle only if no
part of its rows makes up a lifecycle of its own, and nothing else of the symbol could have had a hand in it: no trade
with an id that is open or stands in its time, no order at work, no row that is undecided, no exit that finds nothing
open later on.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import md5
from itertools import groupby

from trueup.core.decimals import NOTHING, exactly
from trueup.core.integrity.by_tags import named_by_tags
from trueup.core.integrity.naming import (
    How,
    Left,
    Naming,
    NamingPlan,
    NamingPolicy,
    Unnamed,
    Why,
    by_token,
    canonical,
    is_bots,
    is_by_hand,
    is_exit,
    left_alone,
    leg_of,
    readable,
    sums,
)
from trueup.core.orders import LedgerOrder, Side, StatusClass

MOST_ROWS = 16
"""With more rows the parts of a lifecycle are too many to look at each."""

_PARTIAL = "partially_filled"


@exactly
def plan_naming(facts: Unnamed, policy: NamingPolicy) -> NamingPlan:
    """Decide for one profile which rows get which trade id, and which are left for a person."""
    counted = Counter(row.order_id for row in facts.rows)
    twice = [row for row in facts.rows if counted[row.order_id] > 1]
    facts = replace(facts, rows=tuple(row for row in facts.rows if counted[row.order_id] == 1))
    doubled = _doubled(facts.rows)
    facts = replace(facts, rows=tuple(row for row in facts.rows if row not in doubled))
    namings, left, untagged = named_by_tags(facts, policy)
    undecided = [*twice, *doubled, *(row for item in left for row in item.rows)]
    left += left_alone(twice, Why.UNREADABLE, "the order id is not unique")
    left += left_alone(doubled, Why.BOOKED_ALREADY)
    candidates: list[LedgerOrder] = []
    for row in untagged:
        why = _no_candidate(row, facts, policy)
        if why is None:
            candidates.append(row)
        else:
            undecided.append(row)
            left += left_alone([row], why)
    busy = _Busy(facts, policy, namings, undecided)
    spelt = {row.symbol for row in (*facts.rows, *facts.named) if row.symbol}
    taken = {trade.trade_id for trade in facts.trades} | {naming.trade_id for naming in namings}
    for token, rows in sorted(by_token(candidates, policy.symbols).items()):
        for stretch in _stretches(rows, policy):
            why = stretch.why or busy.why(token, stretch.rows)
            name = lifecycle_id(facts.profile_id, token, stretch.rows)
            if why is None and any(policy.symbols.namesakes(row.symbol or "", spelt) for row in stretch.rows):
                why = Why.SYMBOL_UNCLEAR
            if why is None and name in taken:
                why = Why.ID_TAKEN
            if why is None:
                symbol = stretch.rows[0].symbol or ""
                namings.append(Naming(facts.profile_id, symbol, name, How.LIFECYCLE, stretch.rows))
            else:
                left += left_alone(stretch.rows, why)
    return NamingPlan(tuple(namings), tuple(left))


def _doubled(rows: Iterable[LedgerOrder]) -> list[LedgerOrder]:
    """Return the rows that book one exchange order alike: one execution, written twice, is not entered twice.

    Rows of one exchange order with other quantities or times may be its fills, one by one.
    """
    alike: dict[tuple[object, ...], list[LedgerOrder]] = defaultdict(list)
    for row in rows:
        if row.exchange_order_id and row.status is StatusClass.FILLED and row.defect is None:
            alike[row.exchange_order_id, row.symbol, row.side, row.action, row.qty, row.time_ms].append(row)
    return [row for same in alike.values() if len(same) > 1 for row in same]


def lifecycle_id(profile_id: str, token: str, rows: Sequence[LedgerOrder]) -> str:
    """Return the id of a lifecycle without one: a digest of its profile, symbol and first entry."""
    first = min(rows, key=canonical)
    text = f"{profile_id}:{token}:{first.order_id}"
    return f"TRD-{md5(text.encode('utf-8', 'surrogatepass'), usedforsecurity=False).hexdigest()}"


def _no_candidate(row: LedgerOrder, facts: Unnamed, policy: NamingPolicy) -> Why | None:
    """Return why a row without a tag takes no part in the pairing, None where it does."""
    if not readable(row) or (row.status is StatusClass.FILLED and not policy.symbols.token(row.symbol or "")):
        return Why.UNREADABLE
    if not is_bots(row, policy.tags, source_kept=facts.source_kept):
        return Why.SOURCE_UNKNOWN
    if row.status is not StatusClass.FILLED or row.qty <= NOTHING:
        return Why.NOT_FILLED
    if row.exchange_order_id and row.exchange_order_id in facts.booked:
        return Why.BOOKED_ALREADY
    return Why.ACTION_MISSING if leg_of(row) is None else None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Rows from flat to flat, or what is left of them; `why` is the reason why they are no lifecycle."""

    rows: tuple[LedgerOrder, ...]
    why: Why | None = None
    dusty: bool = False


@dataclass(slots=True)
class _Leg:
    """The walk over the rows of one symbol and side; what `entered` and `left` of the present stretch."""

    policy: NamingPolicy
    done: list[_Stretch] = field(default_factory=list)
    rows: list[LedgerOrder] = field(default_factory=list)
    entered: Decimal = Decimal(0)
    left: Decimal = Decimal(0)
    unclear: bool = False

    @property
    def open_qty(self) -> Decimal:
        """Return what is open of the present stretch."""
        return self.entered - self.left

    def moment(self, rows: Sequence[LedgerOrder]) -> None:
        """Take the rows of one time; where they could stand in another order, the stretch is unclear."""
        flat = not self.rows
        if self.rows and not is_exit(rows[0]) and self._is_dust():
            self.end(dusty=True)
            flat = True
        entered, left = sums(rows)
        whole = flat and abs(entered - left) <= NOTHING
        if entered and left and not whole:
            self.unclear = True
        for place, row in enumerate(rows):
            self.rows.append(row)
            if is_exit(row):
                self.left += row.qty
            else:
                self.entered += row.qty
            last = place == len(rows) - 1
            if self.open_qty < -NOTHING:
                self.end(Why.EXIT_WITHOUT_ENTRY)
            elif abs(self.open_qty) <= NOTHING and (last or not whole):
                self.unclear = self.unclear or not last
                self.end()
                self.unclear = not last

    def _is_dust(self) -> bool:
        """Say whether so little is open that it counts as closed: dust, and less than any of the rows moved."""
        smallest = min(row.qty for row in self.rows)
        return bool(self.left) and self.open_qty <= self.policy.dust(self.entered) and self.open_qty < smallest

    def end(self, why: Why | None = None, *, dusty: bool = False) -> None:
        """End the present stretch."""
        if self.unclear:
            why = why or Why.EQUAL_TIMES
        if self.rows:
            self.done.append(_Stretch(tuple(self.rows), why, dusty))
        self.rows, self.entered, self.left, self.unclear = [], Decimal(0), Decimal(0), False

    def close(self) -> None:
        """End the walk: what is open then is dust, or a lifecycle that has not closed."""
        if self.rows:
            dusty = self._is_dust()
            self.end(None if dusty else Why.LIFECYCLE_OPEN, dusty=dusty)


def _stretches(rows: Iterable[LedgerOrder], policy: NamingPolicy) -> Iterator[_Stretch]:
    """Yield the stretches of the rows of one symbol, those that may be a lifecycle and those that are none."""
    legs: dict[Side, list[LedgerOrder]] = {}
    for row in sorted(rows, key=canonical):
        side = leg_of(row)
        assert side is not None
        legs.setdefault(side, []).append(row)
    for side in sorted(legs):
        leg = _Leg(policy)
        for _, same in groupby(legs[side], key=lambda row: row.time_ms):
            leg.moment(list(same))
        leg.close()
        yield from _without_doubt(leg.done, policy)


def _without_doubt(stretches: Sequence[_Stretch], policy: NamingPolicy) -> Iterator[_Stretch]:
    """Yield stretches, with the reason where they may be more or less than one lifecycle.

    An exit that finds nothing open may be the exit of any lifecycle before it, so that none of those is certain; and
    what closed but for dust may have left it by a later exit whose place is unclear.
    """
    orphaned = max((place for place, item in enumerate(stretches) if item.why is Why.EXIT_WITHOUT_ENTRY), default=-1)
    unclear = max((place for place, item in enumerate(stretches) if item.why is Why.EQUAL_TIMES), default=-1)
    for place, item in enumerate(stretches):
        why = item.why or (Why.EXIT_WITHOUT_ENTRY if place < orphaned else None)
        if why is None and item.dusty and place < unclear:
            why = Why.EQUAL_TIMES
        if why is None and len(item.rows) > MOST_ROWS:
            why = Why.TOO_MANY_ROWS
        if why is None and has_part(item.rows, policy.dust):
            why = Why.SEVERAL_READINGS
        yield _Stretch(item.rows, why, item.dusty)


def has_part(rows: Sequence[LedgerOrder], dust: Callable[[Decimal], Decimal]) -> bool:
    """Say whether some of the rows, and not all, make up a lifecycle of their own within dust.

    A part is one if it enters and exits, its exits never run ahead of its entries by more than dust, and it ends
    closed within dust. Rows are walked in canonical time; there are at most MOST_ROWS of them.
    """
    ordered = sorted(rows, key=canonical)
    states: set[tuple[Decimal, Decimal, int]] = {(Decimal(0), Decimal(0), 0)}
    for row in ordered:
        more: set[tuple[Decimal, Decimal, int]] = set()
        for entered, left, taken in states:
            gone = left + row.qty if is_exit(row) else left
            come = entered if is_exit(row) else entered + row.qty
            if gone - come <= dust(come):
                more.add((come, gone, taken + 1))
        states |= more
    return any(
        0 < taken < len(ordered) and entered > 0 and left > 0 and abs(entered - left) <= dust(entered)
        for entered, left, taken in states
    )


class _Busy:
    """What else of the profile may have had a hand in a symbol's lifecycles, and when."""

    def __init__(
        self, facts: Unnamed, policy: NamingPolicy, namings: Sequence[Naming], undecided: Sequence[LedgerOrder]
    ) -> None:
        self._policy = policy
        self._others = by_token(_filled_or_unread(undecided), policy.symbols)
        at_work = [row for row in (*facts.working, *facts.rows) if row.status is not StatusClass.FILLED or row.defect]
        self._working = by_token(at_work, policy.symbols)
        self._unbalanced, self._closed = _trades_with_ids(facts, namings, policy)
        self._by_hand = _by_name(_times_by_hand(facts.by_hand, policy))
        self._told = _by_name(_times_told(facts, namings, policy))

    def why(self, token: str, rows: Sequence[LedgerOrder]) -> Why | None:
        """Return what makes a stretch uncertain, None where nothing does."""
        first = min(row.time_ms or 0 for row in rows)
        last = max(row.time_ms or 0 for row in rows)
        if any(row.word == _PARTIAL for row in rows):
            return Why.ORDER_AT_WORK
        for row in (*self._working.get(token, ()), *self._working.get("", ())):
            if row.order_ms is None or row.order_ms <= last:
                return Why.ORDER_AT_WORK
        for row in (*self._others.get(token, ()), *self._others.get("", ())):
            if _may_meddle(row, first, last):
                return Why.UNDECIDED_AMONG
        times = {
            Why.OTHER_TRADE_UNBALANCED: self._unbalanced.get(token, []),
            Why.OTHER_TRADE_OVERLAPS: self._closed.get((token, leg_of(rows[0])), []),
            Why.HISTORY_OF_ANOTHER_ID: [*self._told.get(token, []), *self._told.get("", [])],
            Why.MANUAL_AMONG: [*self._by_hand.get(token, []), *self._by_hand.get("", [])],
        }
        return next((why for why, found in times.items() if _overlapping(found, first, last)), None)


def _may_meddle(row: LedgerOrder, first: int, last: int) -> bool:
    """Say whether an undecided row may be of a lifecycle of some time: an entry until its end, an exit from its start.

    One that does not say what it does, or when, may be of any.
    """
    if row.defect is not None or row.order_ms is None or leg_of(row) is None:
        return True
    return row.order_ms >= first if is_exit(row) else row.order_ms <= last


def _filled_or_unread(rows: Iterable[LedgerOrder]) -> list[LedgerOrder]:
    return [row for row in rows if row.status is StatusClass.FILLED or row.defect is not None]


_NEVER, _EVER = -1, 10**18


_Times = tuple[int, int]
"""From when to when, both included; epoch milliseconds."""


def _by_name(found: Iterable[tuple[str, int, int]]) -> dict[str, list[_Times]]:
    times: dict[str, list[_Times]] = defaultdict(list)
    for token, begins, ends in found:
        times[token].append((begins, ends))
    return times


def _overlapping(times: Iterable[_Times], first: int, last: int) -> bool:
    return any(begins <= last and first <= ends for begins, ends in times)


def _trades_with_ids(
    facts: Unnamed, namings: Sequence[Naming], policy: NamingPolicy
) -> tuple[dict[str, list[_Times]], dict[tuple[str, Side | None], list[_Times]]]:
    """Return the times of the trades with an id that are not closed, by token, and of the closed ones, by side too.

    An open one may have left by any later row, an over-exited one may have entered by any earlier one.
    """
    trades: dict[tuple[str, str], list[LedgerOrder]] = {}
    new = [(naming.trade_id, row) for naming in namings for row in naming.rows]
    for name, row in (*((row.trade_id or "", row) for row in facts.named), *new):
        if row.status is StatusClass.FILLED and row.symbol:
            trades.setdefault((name, policy.symbols.token(row.symbol)), []).append(row)
    unbalanced: dict[str, list[_Times]] = defaultdict(list)
    closed: dict[tuple[str, Side | None], list[_Times]] = defaultdict(list)
    for (_, token), rows in trades.items():
        times = [row.time_ms or 0 for row in rows]
        if any(row.defect or leg_of(row) is None or row.word == _PARTIAL for row in rows):
            unbalanced[token].append((_NEVER, _EVER))
            continue
        entered, left = sums(rows)
        if entered - left > NOTHING:
            unbalanced[token].append((min(times), _EVER))
        elif left - entered > NOTHING:
            unbalanced[token].append((_NEVER, max(times)))
        else:
            for side in {leg_of(row) for row in rows}:
                closed[token, side].append((min(times), max(times)))
    return unbalanced, closed


def _times_told(facts: Unnamed, namings: Sequence[Naming], policy: NamingPolicy) -> Iterator[tuple[str, int, int]]:
    """Yield token and times of the trades that only the history knows; a token of none is any."""
    given = {naming.trade_id for naming in namings}
    for told in facts.told_alone:
        if told.trade_id not in given:
            opened, closed = told.opened_ms, told.closed_ms
            token = policy.symbols.token(told.symbol) if told.symbol else ""
            yield token, _NEVER if opened is None else opened, _EVER if closed is None else closed


def _times_by_hand(rows: Sequence[LedgerOrder], policy: NamingPolicy) -> Iterator[tuple[str, int, int]]:
    """Yield token and times of what was traded by hand: from flat to flat; what has not closed may reach any row."""
    for token, mine in by_token(_filled_or_unread(rows), policy.symbols).items():
        clear = [row for row in mine if row.defect is None and leg_of(row) is not None]
        if len(clear) < len(mine):
            yield token, _NEVER, _EVER
            continue
        for stretch in _stretches(clear, policy):
            times = [row.time_ms or 0 for row in stretch.rows]
            if stretch.why in (None, Why.SEVERAL_READINGS, Why.TOO_MANY_ROWS):
                yield token, min(times), max(times)
                continue
            for row in stretch.rows:
                at = row.time_ms or 0
                yield (token, _NEVER, at) if is_exit(row) else (token, at, _EVER)


def candidates_of(rows: Iterable[LedgerOrder]) -> tuple[LedgerOrder, ...]:
    """Return the rows without a trade id that may get one: living ones that nobody entered by hand."""
    return tuple(row for row in rows if _lacks_one(row) and not is_by_hand(row))


def by_hand_of(rows: Iterable[LedgerOrder]) -> tuple[LedgerOrder, ...]:
    """Return the living rows without a trade id that somebody entered by hand."""
    return tuple(row for row in rows if _lacks_one(row) and is_by_hand(row))


def _lacks_one(row: LedgerOrder) -> bool:
    return row.trade_id is None and row.status is not StatusClass.DEAD


def left_by_reason(left: Iterable[Left]) -> dict[str, int]:
    """Return how many rows are left, by reason."""
    counted: dict[str, int] = {}
    for item in left:
        counted[item.why.value] = counted.get(item.why.value, 0) + len(item.rows)
    return dict(sorted(counted.items()))
