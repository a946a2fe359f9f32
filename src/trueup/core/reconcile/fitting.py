"""Which heals may be made: none that takes the ledger's position past the venue's, or a trade's exits past its entries.

Invariants 3 (Conservation), 4 (Never past the truth) and 5 (Unknown is not flat). The heals of a symbol are tried
together, since an entry and its exit may both be missing; else trade by trade in the order of time, whole or not at
all. What cannot be measured is not healed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.holdings import Holdings
from trueup.core.integrity.rules import NO_RULES, REFUSED_BY_RULE, Rule, RulesInForce, what_to_do
from trueup.core.orders import Action, LedgerOrder, StatusClass, status_class, word
from trueup.core.reconcile.changes import Change, NewRow, RowChange
from trueup.core.reconcile.comparing import Finding
from trueup.core.reconcile.handlers import PARTIALLY_FILLED
from trueup.core.reconcile.matching import OUR_PREFIXES, Chain, order_keys
from trueup.core.reconcile.table import Do
from trueup.core.repair.chains import OrderKey
from trueup.core.repair.decisions import OVERSHOOT, POSITION_UNKNOWN, SAME_ID
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import PositionReach
from trueup.core.repair.slices import NamelessExit, Slice, average_price, slices_of
from trueup.core.snapshot import Fill, Snapshot
from trueup.core.tags import comparable

TradeKey = tuple[str, str]
"""A trade: profile and trade id."""


class Held(StrEnum):
    """Why a heal is held back."""

    POSITION_UNKNOWN = POSITION_UNKNOWN
    OVERSHOOT = OVERSHOOT
    OVER_EXIT = "would_exit_more_than_entered"
    UNREADABLE = "trade_unreadable"
    NAMELESS = "a_row_without_id_may_book_it"
    NOT_UNIQUE = SAME_ID
    REVERTED = "reverted_by_operator"
    RULE = REFUSED_BY_RULE


INCONCLUSIVE = frozenset({Held.POSITION_UNKNOWN})
"""Reasons that say that something which the answer needed is not known; the others are for a person."""

REFUTED = frozenset({Held.OVERSHOOT, Held.NAMELESS})
"""Reasons that speak against what would be booked, by whatever row: the backfill does not book it either."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The findings whose heals may be made, and those that are held back, each with the reason."""

    healing: tuple[Finding, ...] = ()
    held: tuple[tuple[Finding, Held, str], ...] = ()

    @property
    def refuted(self) -> frozenset[OrderKey]:
        """Return the orders of which nothing may be booked, by whatever row."""
        return order_keys(finding.pair.chain for finding, reason, _ in self.held if reason in REFUTED)


@dataclass(frozen=True, slots=True)
class FitFacts:
    """What the choice depends on.

    `trade_rows` are all rows of each trade that a heal touches, `slices` every open trade of the account; `reverted`
    the profile, order id and rule of heals that an operator took back, `taken_back` the profile, trade and exchange
    order id of what a repair or a heal had booked and an operator took back: no other heal books it again. `rules` are
    those of lifecycle integrity that the ledger binds.
    """

    snapshot: Snapshot
    slices: tuple[Slice, ...]
    trade_rows: Mapping[TradeKey, Sequence[LedgerOrder]]
    policy: BackfillPolicy
    reverted: frozenset[tuple[str, str, str]] = frozenset()
    taken_back: frozenset[tuple[str, str, str]] = frozenset()
    rules: RulesInForce = NO_RULES

    def is_taken_back(self, finding: Finding) -> bool:
        """Say whether an operator took back this heal, or what it would book."""
        ids = finding.pair.chain.ids if finding.pair.chain is not None else ()
        return any(
            (change.profile_id, change.order_id, change.proof.rule) in self.reverted
            or (
                change.moved > 0
                and any((change.profile_id, change.trade_id or "", name) in self.taken_back for name in ids)
            )
            for change in finding.changes
        )

    def refusing(self, finding: Finding) -> Rule | None:
        """Return the rule of lifecycle integrity that refuses a change of this heal, None where none does."""
        rules = (self._refusing(change) for change in finding.changes)
        return next((rule for rule in rules if rule is not None), None)

    def _refusing(self, change: Change) -> Rule | None:
        if isinstance(change, NewRow):
            return self.rules.refusing_row(change.trade_id)
        others = self.trade_rows.get((change.profile_id, change.trade_id or ""), ())
        executed = change.executed > 0 or any(row.status is StatusClass.FILLED for row in others)
        return self.rules.refusing_change(change.before, adds_history=executed)


@exactly
def fit(findings: Iterable[Finding], facts: FitFacts) -> Fitted:
    """Choose among the findings with changes those that may be healed."""
    findings = list(findings)
    twice = _not_unique(findings)
    healing: list[Finding] = []
    held: list[tuple[Finding, Held, str]] = []
    moving: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if not finding.changes:
            continue
        if why := twice.get(id(finding)):
            held.append((finding, Held.NOT_UNIQUE, why))
        elif facts.is_taken_back(finding):
            held.append((finding, Held.REVERTED, "an operator took this heal back"))
        elif (rule := facts.refusing(finding)) is not None:
            held.append((finding, Held.RULE, f"{rule.name}: {what_to_do(rule)}"))
        else:
            moving[finding.token].append(finding)
    for token in sorted(moving):
        chosen, back = _Symbol(token, facts).choose(moving[token])
        healing += chosen
        held += back
    return Fitted(tuple(healing), tuple(held))


def _not_unique(findings: Iterable[Finding]) -> dict[int, str]:
    """Return the findings, by identity, of which a row has no id, or one that another changed row has as well."""
    changed = [(finding, change) for finding in findings for change in finding.changes]
    count = Counter((change.profile_id, change.order_id) for _, change in changed)
    return {
        id(finding): f"two of its rows have the id {change.order_id}" if change.order_id else "a row has no id"
        for finding, change in changed
        if not change.order_id or count[change.profile_id, change.order_id] > 1
    }


@dataclass(frozen=True, slots=True)
class _Group:
    """The heals of one trade (none where the rows name none), and its slice before and after them."""

    key: TradeKey
    findings: tuple[Finding, ...]
    before: Slice | None
    after: Slice | None

    @property
    def delta(self) -> Decimal:
        """Return by how much the ledger's signed position changes."""
        return _signed(self.after) - _signed(self.before)

    @property
    def moves(self) -> bool:
        """Say whether entries or exits change, also where they net to the same."""
        if self.before is None or self.after is None:
            return self.before is not self.after
        return (self.before.entry_qty, self.before.exit_qty) != (self.after.entry_qty, self.after.exit_qty)

    @property
    def inferred(self) -> bool:
        """Say whether the trade's entry is told by being its first order alone."""
        return any(finding.facts.inferred for finding in self.findings)

    def held(self, reason: Held, why: str) -> list[tuple[Finding, Held, str]]:
        """Return the findings as held back."""
        return [(finding, reason, why) for finding in self.findings]


def _signed(piece: Slice | None) -> Decimal:
    return piece.signed_open if piece is not None else Decimal(0)


class _Symbol:
    """The heals of one symbol, measured against the venue's position of it."""

    def __init__(self, token: str, facts: FitFacts) -> None:
        self._token = token
        self._facts = facts
        self._reach = PositionReach(facts.snapshot, facts.policy.grace_ms)
        self._spare = facts.policy.dust_abs
        snapshot = facts.snapshot
        orders = [order for order in snapshot.orders if snapshot.symbols.token(order.symbol) == token]
        self._clients = {self._comparable(order.client_order_id) for order in orders if order.client_order_id}
        self._listed = {order.id for order in orders}
        self._fills: dict[str, list[Fill]] = defaultdict(list)
        for fill in sorted(snapshot.fills, key=lambda each: (each.time_ms, each.id)):
            if snapshot.symbols.token(fill.symbol) == token:
                self._fills[fill.order_id].append(fill)
        self._listed |= self._fills.keys()

    def choose(self, findings: list[Finding]) -> tuple[list[Finding], list[tuple[Finding, Held, str]]]:
        """Return the findings that may be healed and those that are held."""
        self._spare += self._fees_in_base(findings)
        fine: list[_Group] = []
        held: list[tuple[Finding, Held, str]] = []
        for group in self._groups(findings):
            broken = self._broken(group)
            if broken is None:
                fine.append(group)
            else:
                held += group.held(*broken)
        chosen, rest = self._within(fine)
        return [finding for group in chosen for finding in group.findings], held + rest

    def _groups(self, findings: list[Finding]) -> list[_Group]:
        """Return the findings by trade, in the order of their first."""
        by_trade: dict[TradeKey, list[Finding]] = defaultdict(list)
        for finding in findings:
            by_trade[finding.profile_id or "", finding.trade_id or ""].append(finding)
        ordered = sorted(by_trade.items(), key=lambda item: (item[1][0].time_ms, item[0]))
        return [
            _Group(
                key, tuple(group), self._slice(key, ()) if key[1] else None, self._slice(key, group) if key[1] else None
            )
            for key, group in ordered
        ]

    def _broken(self, group: _Group) -> tuple[Held, str] | None:
        """Return why the heals of one trade cannot be made, whatever the venue holds."""
        for piece in (group.before, group.after):
            if piece is not None and piece.defect is not None:
                return Held.UNREADABLE, piece.detail or piece.defect
        nameless = self._nameless(group)
        if nameless is not None:
            return (
                Held.NAMELESS,
                f"{nameless} names no order of the venue, and is like what would be booked",
            )
        before, after = group.before, group.after
        had = before.open_qty if before is not None else Decimal(0)
        if after is not None and after.open_qty < min(had, Decimal(0)) - NOTHING:
            return Held.OVER_EXIT, f"{plain(after.exit_qty)} would have left {plain(after.entry_qty)}"
        for piece in (before, after) if group.moves else ():
            why = self._reach.why_not(piece) if piece is not None else None
            if why is not None:
                return Held.POSITION_UNKNOWN, why
        return None

    def _nameless(self, group: _Group) -> str | None:
        """Return the rows of the trade that name no listed order and may be the booking of what a heal would book.

        Some bots write a row for each fill, or the fill's id for the order's.
        """
        changes = [(f.pair.chain, change) for f in group.findings for change in f.changes if change.moved > 0]
        about, grace_ms = _ids_of(group), self._facts.policy.grace_ms
        rows = self._facts.trade_rows.get(group.key, ()) if changes else ()
        rows = [row for row in rows if row.status is StatusClass.FILLED and not self._names_a_listed_one(row, about)]
        for chain, change in changes if rows else ():
            first_ms, last_ms = _life_of(chain, change)
            same = [row for row in rows if _trades_alike(row, change) and (row.time_ms or 0) <= last_ms + grace_ms]
            near = [row for row in same if (row.time_ms or 0) >= first_ms - grace_ms]
            alone = [row for row in same if row in near or row.word == PARTIALLY_FILLED]
            for booked in (*([row] for row in alone), near):
                like = _one_booking(booked, last_ms) if booked else None
                executed = self._executed(chain, change) if like is not None else ()
                if like is not None and any(like.may_book(qty, price, last_ms, 0) for qty, price in executed):
                    return ", ".join(sorted(row.order_id for row in booked))
        return None

    def _executed(self, chain: Chain | None, change: Change) -> list[tuple[Decimal, Decimal | None]]:
        """Return the quantities that a row about an order may have booked, each with its price, None where not known.

        They are what the change books, all of the order, what it had executed at one moment, and each fill of it; of
        replaced orders also what they add up to, since nothing but fills says what one carried on from another.
        """
        price = after_change(change).price
        found = [(change.executed, price), (change.moved, price)]
        if chain is None:
            return found
        found += [(chain.executed, chain.price), *((part.qty, part.price) for part in chain.parts)]
        if len(chain.orders) > 1:
            found.append((sum((order.qty for order in chain.orders), Decimal(0)), None))
        fills = [fill for name in chain.ids for fill in self._fills.get(name, ())]
        so_far = accumulate(fill.qty for fill in fills)
        return found + [(qty, None) for qty in so_far] + [(fill.qty, fill.price) for fill in fills]

    def _names_a_listed_one(self, row: LedgerOrder, about: set[str]) -> bool:
        """Say whether a row is accounted for by an order that the venue lists, or is our own."""
        if row.order_id in about or row.order_id in self._listed or row.order_id.startswith(OUR_PREFIXES):
            return True
        if row.exchange_order_id:
            return row.exchange_order_id in self._listed
        return bool(row.client_order_id) and self._comparable(row.client_order_id or "") in self._clients

    def _comparable(self, client_order_id: str) -> str:
        return comparable(self._facts.policy.tag_prefix, client_order_id)

    def _within(self, groups: list[_Group]) -> tuple[list[_Group], list[tuple[Finding, Held, str]]]:
        """Return the groups that keep the ledger's position within the venue's, and the others with the reason."""
        still = [group for group in groups if not group.moves]
        moving = [group for group in groups if group.moves]
        if not moving:
            return still, []
        holding = Holdings(self._facts.snapshot).of(moving[0].findings[0].symbol)
        ledger = self._ledger()
        if holding.unknown is not None or ledger is None:
            why = holding.unknown or "a trade of the symbol cannot be read, or is newer than what the venue says"
            return still, [each for group in moving for each in group.held(Held.POSITION_UNKNOWN, why)]
        sure = ledger + sum((group.delta for group in moving if not group.inferred), Decimal(0))
        away = [group for group in moving if group.inferred and self._leads_away(sure, group.delta, holding.signed)]
        held = [
            each
            for group in away
            for each in group.held(
                Held.OVERSHOOT,
                f"the ledger would hold {plain(sure)} without it, the venue"
                f" {plain(holding.signed)}, and that it enters is only inferred",
            )
        ]
        moving = [group for group in moving if group not in away]
        total = sum((group.delta for group in moving), Decimal(0))
        if self._fits(ledger, ledger + total, holding.signed):
            return still + moving, held
        chosen, waiting, start = list(still), list(moving), ledger
        while (
            fits := next(
                (
                    group
                    for group in waiting
                    # Held against the start too: what each step may be off must not add up.
                    if self._fits(ledger, ledger + group.delta, holding.signed)
                    and self._fits(start, ledger + group.delta, holding.signed)
                ),
                None,
            )
        ) is not None:
            ledger += fits.delta
            chosen.append(fits)
            waiting.remove(fits)
        why = f"the ledger holds {plain(ledger)}, the venue {plain(holding.signed)}"
        return chosen, held + [each for group in waiting for each in group.held(Held.OVERSHOOT, why)]

    def _fees_in_base(self, findings: Iterable[Finding]) -> Decimal:
        """Return what the account paid of the symbol's base asset as fees, which it does not hold.

        As far as its executions say, and from the first on of what is open or would be healed: what closed trades paid
        is no part of any position.
        """
        snapshot, symbols = self._facts.snapshot, self._facts.snapshot.symbols
        opened = [each.opened_ms for each in self._facts.slices if each.token == self._token and each.is_open]
        since = min(opened + [_first_ms(finding) for finding in findings], default=0)
        total = Decimal(0)
        for item in snapshot.fills or snapshot.orders:
            if item.time_ms >= since and symbols.token(item.symbol) == self._token and item.fee and item.fee_asset:
                base = symbols.base_asset(item.symbol)
                total += item.fee if base is not None and symbols.asset(item.fee_asset) == base else 0
        return max(total, Decimal(0))

    def _leads_away(self, before: Decimal, delta: Decimal, venue: Decimal) -> bool:
        """Say whether a move does not lead towards the venue's position by itself."""
        return delta * (venue - before) <= 0 and abs(delta) > self._spare

    def _fits(self, before: Decimal, after: Decimal, venue: Decimal) -> bool:
        """Say whether a move ends between where it began and the venue's position, or there but for dust and fees."""
        return min(before, venue) <= after <= max(before, venue) or abs(after - venue) <= self._spare

    def _ledger(self) -> Decimal | None:
        """Return the ledger's position over every profile; None where it is not known or cannot be compared."""
        total = Decimal(0)
        for trade in self._facts.slices:
            if trade.token == self._token:
                if not trade.position_known or self._reach.why_not(trade) is not None:
                    return None
                total += trade.signed_open
        return total

    def _slice(self, key: TradeKey, group: Sequence[Finding]) -> Slice | None:
        """Return the trade's slice of the symbol as it would be after some heals; rows of no trade have none."""
        rows = {row.order_id: row for row in self._facts.trade_rows.get(key, ())}
        for change in (change for finding in group for change in finding.changes):
            rows[change.order_id] = after_change(change)
        pieces = slices_of(rows.values(), self._facts.snapshot.symbols)
        return next((piece for piece in pieces if piece.token == self._token), None)


def _first_ms(finding: Finding) -> int:
    """Return when the first of an order's executions was, as far as the venue tells."""
    chain = finding.pair.chain
    parts = chain.parts if chain is not None else ()
    return min((part.time_ms for part in parts), default=finding.time_ms)


def _life_of(chain: Chain | None, change: Change) -> tuple[int, int]:
    """Return from when until when an order was executed, as far as its row and the venue tell."""
    times = [after_change(change).time_ms or 0]
    if chain is not None:
        times += [chain.time_ms, *(part.time_ms for part in chain.parts)]
    return min(times), max(times)


def _trades_alike(row: LedgerOrder, change: Change) -> bool:
    """Say whether a row trades the way of a changed one; an exit may have the side of its position."""
    new = after_change(change)
    return row.side is new.side or (row.action is Action.EXIT and new.action is Action.EXIT)


def _one_booking(rows: Sequence[LedgerOrder], time_ms: int) -> NamelessExit:
    """Return some rows as the one booking that they may be."""
    partial = len(rows) == 1 and rows[0].word == PARTIALLY_FILLED
    qty = sum((row.qty for row in rows), Decimal(0))
    return NamelessExit(qty, average_price(rows) or None, time_ms, partial=partial)


def _ids_of(group: _Group) -> set[str]:
    """Return the ids of the venue's orders that the heals of a trade are about, and of all rows about them."""
    pairs = [finding.pair for finding in group.findings]
    rows = {row.order_id for pair in pairs for row in pair.rows}
    return rows | {name for pair in pairs if pair.chain is not None for name in pair.chain.ids}


def after_change(change: Change) -> LedgerOrder:
    """Return a row as it will be read after a change."""
    if isinstance(change, NewRow):
        return LedgerOrder(
            change.order_id, change.profile_id, change.trade_id, change.symbol, status_class(change.status),
            user_id=change.user_id, side=change.side, action=change.action, qty=change.qty,
            price=change.price or None, time_ms=change.time_ms, exchange_order_id=change.exchange_order_id,
            client_order_id=change.client_order_id, sub_tag=change.sub_tag, word=word(change.status),
        )  # fmt: skip
    return _changed(change)


def _changed(change: RowChange) -> LedgerOrder:
    row, status = change.before, status_class(change.status)
    if status is not StatusClass.FILLED:
        return replace(row, status=status, qty=Decimal(0), word=word(change.status))
    return replace(
        row, status=status, word=word(change.status), qty=change.qty if change.qty is not None else row.qty,
        price=change.price if change.price is not None else row.price or row.order_price,
        side=row.side or row.order_side, action=row.action or row.order_action,
        time_ms=row.time_ms or row.order_ms or change.filled_ms,
        exchange_order_id=row.exchange_order_id or change.exchange_order_id,
    )  # fmt: skip


def blocked(finding: Finding, reason: Held, why: str) -> Finding:
    """Return a finding whose heal is held back: unresolved where something is not known, else for a person."""
    do = Do.UNRESOLVED if reason in INCONCLUSIVE else Do.QUARANTINE
    return replace(finding, do=do, why=f"{reason.value}: {why}", changes=())
