"""The parity heartbeat: open slices of a symbol that the venue does not hold, and the synthetic exit of last resort.

Invariants 1 (Proof: a ghost confirmed so many times at a venue proven flat) and 4 (Never past the truth). Evidence is
always tried first: a trade that evidence may still prove, that has a working order, or of which the order feed does
not reach back, is left alone. The price is the venue's mark or none, never invented.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trueup.core.decimals import NOTHING, cut_quantity, exactly, plain, round_price
from trueup.core.holdings import Holding, Holdings
from trueup.core.orders import LedgerOrder, Side, StatusClass
from trueup.core.reconcile.changes import PARITY_PREFIX, added_id
from trueup.core.repair.decisions import INCONCLUSIVE_REASONS, Decision, Outcome
from trueup.core.repair.plan import AccountFacts, AccountPlan
from trueup.core.repair.reach import PositionReach
from trueup.core.repair.rows import NO_PRICE, PARITY, PARITY_ORDER, ExitRow
from trueup.core.repair.slices import Slice
from trueup.core.snapshot import Snapshot, VenueOrder
from trueup.core.tags import TagReader, begins
from trueup.core.times import iso

MARK = "mark"
TOO_NEW = "the venue may not show the trade's newest row yet"
MISSING_EVIDENCE = "missing_fill_evidence_for_large_remainder"


class Look(StrEnum):
    """What one look at an open slice says; SETTLING is one that came too early to say anything."""

    CLEAN = "clean"
    GHOST = "ghost"
    UNKNOWN = "unknown"
    WAITS = "waits"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class SliceLook:
    """One look at one open slice: `why` says what is waited for, what is not known, or why a person must decide.

    `attributed` says that its entry carries the profile's tag; `notional` is what the slice is worth in quote
    currency, None where no price is known.
    """

    trade: Slice
    look: Look
    why: str = ""
    attributed: bool = False
    holding: Holding | None = None
    notional: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ParityFacts:
    """What a look at an account depends on.

    `tagged` are the trades (profile, trade id) whose entry is attributed by tag, `touched` those that were healed in
    this run, and `misnamed` says of which the venue calls the symbol otherwise; `unsettled` says by token about which
    order ledger and venue still disagree. `dust` is the size up to which a position is flat, `settle_ms` how much older
    than the venue's reading a trade's newest row must be for it.
    """

    facts: AccountFacts
    plan: AccountPlan
    profiles: frozenset[str]
    tagged: frozenset[tuple[str, str]]
    touched: frozenset[tuple[str, str]]
    needs_tag: bool
    grace_ms: int
    dust: Decimal
    settle_ms: int = 0
    misnamed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unsettled: Mapping[str, str] = field(default_factory=dict)


@exactly
def look(about: ParityFacts) -> list[SliceLook]:
    """Look at every open slice of the profiles, in the order of their newest rows.

    One look at a symbol is about all profiles of the account: what they hold together is compared.
    """
    facts, dust = about.facts, about.dust
    holdings, reach = Holdings(facts.snapshot), PositionReach(facts.snapshot, about.grace_ms)
    decisions = {
        (d.trade.profile_id, d.trade.trade_id, d.trade.token): d
        for each in about.plan.profiles.values()
        for d in each.decisions
    }
    agreeing = _agreeing(facts.slices, holdings, dust)
    found: list[SliceLook] = []
    for trade in sorted(facts.slices, key=lambda s: (s.newest_ms, s.profile_id, s.trade_id, s.token)):
        if trade.profile_id not in about.profiles or not trade.is_open:
            continue
        holding, key = holdings.of(trade.symbol), (trade.profile_id, trade.trade_id)
        silent = trade.detail or trade.defect or reach.why_not(trade) or holding.unknown
        silent = silent or _omitted(facts.snapshot, trade, holding, dust)
        if holding.is_flat(dust):
            silent = silent or _spent(facts, holdings, trade) or about.misnamed.get(key)
        if silent:
            state, why = Look.UNKNOWN, silent
        elif trade.token in agreeing or not holding.is_flat(dust):
            state, why = Look.CLEAN, ""
        elif key in about.touched:
            state, why = Look.WAITS, "the trade was healed in this run"
        elif _too_new(trade, about):
            state, why = Look.SETTLING, f"{TOO_NEW}, {trade.newest_id} of {iso(trade.newest_ms)}"
        elif trade.token in about.unsettled:
            state, why = Look.WAITS, f"an order of the symbol is not settled: {about.unsettled[trade.token]}"
        else:
            state, why = _by_evidence(decisions.get((*key, trade.token)))
        attributed = key in about.tagged or not about.needs_tag
        found.append(SliceLook(trade, state, why, attributed, holding, notional_of(trade, holding)))
    return found


def _omitted(snapshot: Snapshot, trade: Slice, holding: Holding, dust: Decimal) -> str | None:
    """Return why a symbol that is missing from the positions is not proven flat: its coin stands among the balances.

    Some brokers' lists of positions leave out an asset that the account holds.
    """
    asset = snapshot.symbols.base_asset(trade.symbol)
    held = (snapshot.balances or {}).get(asset, Decimal(0)) if asset is not None else Decimal(0)
    if not holding.is_flat(dust) or abs(held) <= dust:
        return None
    return f"the venue lists no position in {trade.symbol}, and a balance of {plain(held)} {asset}"


def _spent(facts: AccountFacts, holdings: Holdings, trade: Slice) -> str | None:
    """Return why a balance of nothing is no proof that a trade is over: its coin paid for another symbol since.

    What ETH/BTC costs is taken from the balance of BTC, and no order of BTC/USD tells of it.
    """
    assets, symbols = holdings.balance_assets(trade.symbol), facts.snapshot.symbols
    if not assets:
        return None
    bought = [(order.symbol, order.time_ms) for order in facts.snapshot.orders if order.side is Side.BUY and order.qty]
    bought += [(fill.symbol, fill.time_ms) for fill in facts.snapshot.fills if fill.side is Side.BUY]
    bought += [(piece.symbol, piece.newest_ms) for piece in facts.slices if piece.entry_side is Side.BUY]
    paid = {symbol for symbol, at_ms in bought if at_ms >= trade.opened_ms and symbols.quote_asset(symbol) in assets}
    if not paid:
        return None
    return f"the venue gives balances alone, and {assets[0]} may have been spent on {', '.join(sorted(paid))}"


def misnamed_trades(rows: Iterable[LedgerOrder], snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Return the trades of which the venue lists an order under another symbol alone, with what it calls it.

    That the venue holds nothing under a name that it does not use is no proof. Order ids are unique per symbol only on
    some venues, so that side and quantity must be the same as well.
    """
    listed: dict[str, dict[str, VenueOrder]] = {}
    for order in snapshot.orders:
        listed.setdefault(order.id, {})[snapshot.symbols.token(order.symbol)] = order
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        orders = listed.get(row.exchange_order_id or row.order_id, {})
        if row.trade_id is None or row.symbol is None or snapshot.symbols.token(row.symbol) in orders:
            continue
        meant = [o for o in orders.values() if o.side is row.side and o.qty == row.qty > NOTHING]
        if meant:
            why = f"the venue lists its order {meant[0].id} under {meant[0].symbol}, not {row.symbol}"
            found.setdefault((row.profile_id, row.trade_id), why)
    return found


def _agreeing(slices: Iterable[Slice], holdings: Holdings, dust: Decimal) -> set[str]:
    """Return the tokens of which the ledger holds as much as the venue, over every profile of the account."""
    ledger: dict[str, Decimal] = {}
    names: dict[str, str] = {}
    for trade in slices:
        ledger[trade.token] = ledger.get(trade.token, Decimal(0)) + trade.signed_open
        names[trade.token] = trade.symbol
    agreeing: set[str] = set()
    for token, qty in ledger.items():
        holding = holdings.of(names[token])
        if holding.unknown is None and abs(qty - holding.signed) <= dust:
            agreeing.add(token)
    return agreeing


def _by_evidence(decision: Decision | None) -> tuple[Look, str]:
    """Return what to make of a slice that the venue does not hold, by what the backfill decides about it."""
    if decision is None or decision.outcome is Outcome.BOOK:
        return Look.WAITS, "evidence proves its exit: the backfill books it"
    if decision.reason == MISSING_EVIDENCE and not decision.used:
        return Look.GHOST, ""
    if decision.reason in INCONCLUSIVE_REASONS:
        return Look.UNKNOWN, decision.why
    return Look.WAITS, f"{decision.reason}: {decision.why}"


@exactly
def notional_of(trade: Slice, holding: Holding | None) -> Decimal | None:
    """Return what a slice is worth in quote currency: by the venue's mark, else by its entry price."""
    price = holding.mark_price if holding is not None and holding.mark_price is not None else trade.entry_price
    return abs(trade.open_qty) * price if price is not None else None


@exactly
def synthetic_exit(trade: Slice, holding: Holding | None, as_of_ms: int) -> ExitRow:
    """Return the exit of a confirmed ghost: at the last look's time, at the venue's mark or at no price."""
    mark = holding.mark_price if holding is not None else None
    qty = cut_quantity(trade.open_qty)
    return ExitRow(
        order_id=added_id(PARITY_PREFIX, trade.profile_id, trade.trade_id, plain(trade.open_qty), trade.newest_ms),
        profile_id=trade.profile_id,
        user_id=trade.user_id,
        symbol=trade.symbol,
        side=trade.exit_side,
        qty=qty,
        price=round_price(mark) if mark is not None else Decimal(0),
        price_source=MARK if mark is not None else NO_PRICE,
        filled_ms=as_of_ms,
        trade_id=trade.trade_id,
        exchange_order_id=PARITY_ORDER + trade.trade_id,
        client_order_id=None,
        sub_tag=None,
        matched_by=PARITY,
        evidence_qty=qty,
    )


@exactly
def may_close(looks: Iterable[SliceLook], facts: AccountFacts, dust: Decimal) -> list[SliceLook]:
    """Return which confirmed ghosts may be closed so that the ledger never passes the venue's flat position.

    The ghosts of a symbol are closed together where that ends at what the venue holds; else one by one in their
    order, each only if the ledger moves towards the venue. Where trades of both sides are open, they may cancel each
    other out at a venue that nets them: which of them is gone cannot be told, so that none is closed.
    """
    by_token: dict[str, list[SliceLook]] = {}
    for item in looks:
        by_token.setdefault(item.trade.token, []).append(item)
    chosen: list[SliceLook] = []
    for token, items in sorted(by_token.items()):
        open_here = [s for s in facts.slices if s.token == token and s.is_open]
        if len({trade.entry_side for trade in open_here}) > 1:
            continue
        start = ledger = sum((s.signed_open for s in facts.slices if s.token == token), Decimal(0))
        for group in (items, *([item] for item in items)):
            left = [item for item in group if item not in chosen]
            after = ledger - sum((item.trade.signed_open for item in left), Decimal(0))
            # Held against the start too: what each step may be off must not add up.
            if left and all(
                min(held, Decimal(0)) - dust <= after <= max(held, Decimal(0)) + dust for held in (start, ledger)
            ):
                chosen += left
                ledger = after
    return chosen


@exactly
def superseded_exits(
    about: ParityFacts, rows: Iterable[LedgerOrder], disputed: Collection[tuple[str, str]]
) -> list[LedgerOrder]:
    """Return the synthetic exits of trades that left more than they entered since: a real exit came after all.

    `disputed` are the trades of which an order is not settled. Only what takes the ledger to the venue's position, or
    towards it, is returned (invariants 3 and 4).
    """
    facts, found = about.facts, []
    holdings, reach = Holdings(facts.snapshot), PositionReach(facts.snapshot, about.grace_ms)
    ours: dict[tuple[str, str, str], list[LedgerOrder]] = {}
    for row in rows:
        if row.order_id.startswith(PARITY_PREFIX) and row.status is StatusClass.FILLED and row.defect is None:
            token = facts.snapshot.symbols.token(row.symbol or "")
            ours.setdefault((row.profile_id, row.trade_id or "", token), []).append(row)
    for trade in facts.slices:
        exits = ours.get((trade.profile_id, trade.trade_id, trade.token), [])
        left = trade.open_qty + sum((row.qty for row in exits), Decimal(0))
        key, holding = (trade.profile_id, trade.trade_id), holdings.of(trade.symbol)
        if not exits or trade.defect or trade.open_qty >= -NOTHING or left < -NOTHING or key in disputed:
            continue
        if reach.why_not(trade) or holding.unknown or trade.token in about.unsettled or _too_new(trade, about):
            continue
        before = sum((s.signed_open for s in facts.slices if s.token == trade.token), Decimal(0))
        after = before - trade.signed_open + (left if trade.entry_side is Side.BUY else -left)
        if min(before, holding.signed) <= after <= max(before, holding.signed):
            found += exits
    return found


def _too_new(trade: Slice, about: ParityFacts) -> bool:
    """Say whether the venue may not show the trade's newest row yet."""
    return trade.newest_ms > about.facts.snapshot.as_of_ms - about.settle_ms


def tagged_trades(
    entries: Mapping[tuple[str, str], Iterable[tuple[str | None, str | None]]], reader: TagReader
) -> set[tuple[str, str]]:
    """Return the trades of which an entry's client order id or sub-tag names the profile and the trade.

    `entries` are the client order ids and sub-tags of each trade's entries.
    """
    found: set[tuple[str, str]] = set()
    for (profile, trade), tags in entries.items():
        lower = trade.lower()
        for client_text, sub_text in tags:
            client, sub = reader.client_order_id(client_text), reader.sub_tag(sub_text)
            agree = [client.profile_id == profile and lower in client.trades] if client is not None else []
            agree += [sub.profile_id == profile and begins(sub, lower)] if sub is not None else []
            if agree and all(agree):
                found.add((profile, trade))
    return found
