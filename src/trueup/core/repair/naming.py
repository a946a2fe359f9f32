"""Which open trades a piece of evidence names, by its trade id, its sub-tag and its client order id."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from trueup.core.repair.evidence import Evidence
from trueup.core.repair.scope import Reading
from trueup.core.tags import PREFIX_CHARS

TradeKey = tuple[str, str]
"""A trade of one symbol: profile id and trade id."""

_AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class SettledTrade:
    """A trade that trueup repaired and that is closed now; `as_of_ms` is the snapshot that the repair was planned on.

    Evidence up to then was weighed while the trade was open, and it stays as undecided as it was.
    """

    profile_id: str
    trade_id: str
    token: str
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class SubTagMatches:
    """The trades that a sub-tag may mean: a stretch of the profile's trades in the order of their names."""

    tag: str = ""
    trades: Sequence[tuple[str, TradeKey]] = ()
    start: int = 0
    end: int = 0

    @property
    def count(self) -> int:
        """Return how many open trades the sub-tag matches."""
        return self.end - self.start

    @property
    def only(self) -> TradeKey | None:
        """Return the one open trade that it matches."""
        return self.trades[self.start][1] if self.count == 1 else None

    def contains(self, trade: TradeKey) -> bool:
        """Say whether an open trade is among the matches."""
        entry = (trade[1].lower(), trade)
        at = bisect_left(self.trades, entry, self.start, self.end)
        return at < self.end and self.trades[at] == entry


_NONE: frozenset[TradeKey] = frozenset()


class Names(NamedTuple):
    """The open trades that each identifier of one piece of evidence matches.

    None is an identifier that the evidence does not carry; an empty one matches no open trade.
    """

    trade_id: tuple[TradeKey, ...] | None = None
    sub_tag: SubTagMatches | None = None
    client_order_id: tuple[TradeKey, ...] | None = None

    def by(self, method: str) -> TradeKey | None:
        """Return the one open trade that an identifier matches: trade_id, sub_tag or client_order_id."""
        if method == "sub_tag":
            return self.sub_tag.only if self.sub_tag is not None else None
        found = (self.trade_id if method == "trade_id" else self.client_order_id) or ()
        return found[0] if len(found) == 1 else None

    def in_conflict(self) -> frozenset[TradeKey]:
        """Return the open trades between which the evidence cannot be decided, empty where it is in no conflict.

        A sub-tag that begins the ids of several trades agrees with each of them. Any other identifier that matches
        several trades, and two that name different ones, are a conflict.
        """
        named = frozenset((self.trade_id or ()) + (self.client_order_id or ()))
        sub = self.sub_tag
        if sub is not None and sub.only is not None:
            named |= {sub.only}
        if len(named) > 1:
            return named
        outside = sub is not None and sub.count > 1 and any(not sub.contains(trade) for trade in named)
        return named if outside else _NONE

    def spells_out(self, trade: TradeKey) -> bool:
        """Say whether the sub-tag holds the whole id of a trade."""
        return self.sub_tag is not None and self.sub_tag.tag == trade[1].lower()

    def may_be(self, trade: TradeKey) -> bool:
        """Say whether a heuristic may give the evidence to a trade: it names none, or several of which this is one."""
        if self.trade_id is not None or self.client_order_id is not None:
            return False
        return self.sub_tag is None or (self.sub_tag.count > 1 and self.sub_tag.contains(trade))


class TradeNames:
    """The trades of one symbol of one account, by their names.

    `spelt` are the profiles and lower-case ids of trades that the ledger knows, open or not: a sub-tag that is the
    whole id of one is short for no other.
    """

    def __init__(self, trades: Iterable[TradeKey], spelt: frozenset[TradeKey] = frozenset()) -> None:
        self._trades = sorted(set(trades))
        self._spelt = spelt
        self._by_id: dict[str, tuple[TradeKey, ...]] = {}
        for key in self._trades:
            self._by_id[key[1]] = (*self._by_id.get(key[1], ()), key)

    @cached_property
    def _by_lower(self) -> dict[tuple[str | None, str], tuple[TradeKey, ...]]:
        """Return the trades by profile and lower-case name: what client order ids are looked up in."""
        found: dict[tuple[str | None, str], tuple[TradeKey, ...]] = {}
        for key in self._trades:
            lower = (key[0], key[1].lower())
            found[lower] = (*found.get(lower, ()), key)
        return found

    @cached_property
    def _sorted(self) -> dict[str | None, list[tuple[str, TradeKey]]]:
        """Return each profile's trades in the order of their lower-case names: what sub-tags are looked up in."""
        by_profile: dict[str, list[tuple[str, TradeKey]]] = defaultdict(list)
        for key in self._trades:
            by_profile[key[0]].append((key[1].lower(), key))
        return {profile: sorted(names) for profile, names in by_profile.items()}

    def named_by(self, row: Evidence, reading: Reading) -> Names:
        """Return the open trades that a piece of evidence in scope names."""
        by_trade_id = by_client = by_sub = None
        if row.trade_id is not None:
            by_trade_id = self._by_id.get(row.trade_id, ())
            if reading.owner is not None:
                by_trade_id = tuple(key for key in by_trade_id if key[0] == reading.owner)
        if reading.sub is not None and reading.sub.trades:
            by_sub = self._by_sub_tag(row, reading, reading.sub.trades[0])
        if reading.client is not None:
            names = [(reading.owner, name) for name in reading.client.trades]
            by_client = tuple(key for name in names for key in self._by_lower.get(name, ()))
        return Names(by_trade_id, by_sub, by_client)

    def _by_sub_tag(self, row: Evidence, reading: Reading, tag: str) -> SubTagMatches:
        names = self._sorted.get(reading.owner, [])
        start = bisect_left(names, (tag,))
        whole = len(tag) < PREFIX_CHARS or self._abbreviates_another(row, reading, tag)
        whole = whole or ((reading.owner, tag) in self._spelt and (reading.owner, tag) not in self._by_lower)
        last = (tag, (_AFTER_ALL, "")) if whole else (tag + _AFTER_ALL,)
        return SubTagMatches(tag, names, start, bisect_left(names, last, lo=start))

    def _abbreviates_another(self, row: Evidence, reading: Reading, tag: str) -> bool:
        """Say whether the tag is short for a trade that the evidence spells out elsewhere and that is not open."""
        spelt = [row.trade_id.lower()] if row.trade_id else []
        spelt += reading.client.trades if reading.client else ()
        return any(name.startswith(tag) for name in spelt) and not any(
            (reading.owner, name) in self._by_lower for name in spelt
        )
