"""Breaks: records that should agree and do not, with an identity that stays the same from run to run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from hashlib import md5

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.holdings import Holding, Holdings
from trueup.core.orders import Side
from trueup.core.repair.plan import AccountFacts, AccountPlan
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.reach import PositionReach
from trueup.core.repair.slices import Slice


class BreakKind(StrEnum):
    """The kinds of breaks: of orders, then of positions."""

    MISSING_IN_DB = "missing_in_db"
    MISSING_FROM_EXCHANGE = "missing_from_exchange"
    STATUS_MISMATCH = "status_mismatch"
    QUANTITY_MISMATCH = "quantity_mismatch"
    PRICE_MISMATCH = "price_mismatch"
    PHANTOM_FILL = "phantom_fill"
    DUPLICATE = "duplicate"
    ORPHAN_ORDER = "orphan_order"
    GHOST_POSITION = "ghost_position"
    UNBOOKED_POSITION = "unbooked_position"
    SIDE_FLIP = "side_flip"
    BALANCE_MISMATCH = "balance_mismatch"

    @property
    def of_positions(self) -> bool:
        """Say whether it is a break of positions."""
        return self in _OF_POSITIONS


_OF_POSITIONS = frozenset(
    {BreakKind.GHOST_POSITION, BreakKind.UNBOOKED_POSITION, BreakKind.SIDE_FLIP, BreakKind.BALANCE_MISMATCH}
)


@dataclass(frozen=True, slots=True)
class Break:
    """One disagreement: quantities in base units, signed where they are positions."""

    kind: BreakKind
    account: str
    symbol: str
    ledger: Decimal | None
    venue: Decimal | None
    detail: str
    profile_id: str | None = None
    trade_id: str | None = None
    exchange_order_id: str | None = None

    @property
    def break_id(self) -> str:
        """Return the identity, which does not depend on quantities or times."""
        parts = (self.kind, self.account, self.profile_id, self.symbol, self.trade_id, self.exchange_order_id)
        text = ":".join(part or "" for part in parts)
        return "BRK-" + md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The breaks of an account, and what could not be compared, by symbol or row, with the reason."""

    breaks: tuple[Break, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


@exactly
def compare(
    facts: AccountFacts,
    plan: AccountPlan,
    policy: BackfillPolicy,
    tokens: frozenset[str] | None,
    profiles: frozenset[str],
) -> Comparison:
    """Compare the ledger's open slices with the venue's positions and evidence; None is every symbol.

    A position is compared over all profiles of the account, for the symbols that one of `profiles` holds or nobody.
    """
    positions = _positions(facts, policy, tokens, profiles)
    account = facts.snapshot.account
    breaks = [*positions.breaks, *_evidence(account, plan, tokens, profiles)]
    breaks += _disagreements(account, facts, plan, tokens)
    return Comparison(tuple(breaks), positions.unknown)


@dataclass(frozen=True, slots=True)
class _Symbol:
    """One symbol that the ledger or the venue holds; `assets` are those whose balance may be its position."""

    name: str
    token: str
    slices: tuple[Slice, ...]
    holding: Holding
    assets: tuple[str, ...]


def _positions(
    facts: AccountFacts, policy: BackfillPolicy, tokens: frozenset[str] | None, profiles: frozenset[str]
) -> Comparison:
    holdings = Holdings(facts.snapshot)
    symbols = _symbols(facts, holdings)
    reach = PositionReach(facts.snapshot, policy.grace_ms)
    breaks: list[Break] = []
    unknown: list[tuple[str, str]] = []
    if not holdings.coverage.complete and not symbols:
        unknown.append(("positions", f"the position feed is {holdings.coverage.state}: {holdings.coverage.reason}"))
    for group in _sharing_a_balance(symbols):
        slices = [piece for symbol in group for piece in symbol.slices]
        if tokens is not None and not any(symbol.token in tokens for symbol in group):
            continue
        if slices and not any(piece.profile_id in profiles for piece in slices):
            continue
        unclear = [_unclear_of(symbol, reach) for symbol in group]
        unknown += [found for each in unclear for found in each]
        if not any(unclear):
            breaks += _compare(facts.snapshot.account, group, slices, policy.dust_abs)
            continue
        blocking = ", ".join(symbol.name for symbol, each in zip(group, unclear, strict=True) if each)
        why = f"its balance is also that of {blocking}, which cannot be compared"
        unknown += [(symbol.name, why) for symbol, each in zip(group, unclear, strict=True) if not each]
    return Comparison(tuple(breaks), tuple(unknown))


def _symbols(facts: AccountFacts, holdings: Holdings) -> list[_Symbol]:
    """Return the symbols of open slices and of managed positions, by token."""
    by_token: dict[str, list[Slice]] = defaultdict(list)
    for piece in facts.slices:
        if piece.is_open or piece.open_qty < -NOTHING:
            by_token[piece.token].append(piece)
    spelt = {t: [s] for t, s in holdings.symbols().items() if t in by_token or _is_managed(t, facts)}
    spelt |= {token: sorted({piece.symbol for piece in slices}) for token, slices in by_token.items()}
    found: list[_Symbol] = []
    for token, spellings in sorted(spelt.items()):
        name = spellings[0]
        holding = next((h for h in map(holdings.of, spellings) if h.unknown is not None), holdings.of(name))
        found.append(_Symbol(name, token, tuple(by_token[token]), holding, holdings.balance_assets(name)))
    return found


def _sharing_a_balance(symbols: Iterable[_Symbol]) -> list[list[_Symbol]]:
    """Group the symbols of one balance, as BTC/USD and BTC/EUR of a spot account; any other stands alone."""
    groups: list[tuple[set[str], list[_Symbol]]] = []
    for symbol in symbols:
        assets, members = set(symbol.assets), [symbol]
        for group in [group for group in groups if group[0] & assets]:
            groups.remove(group)
            assets, members = assets | group[0], group[1] + members
        groups.append((assets, members))
    return [sorted(members, key=lambda symbol: symbol.name) for _, members in groups]


def _unclear_of(symbol: _Symbol, reach: PositionReach) -> list[tuple[str, str]]:
    """Return what of a symbol cannot be compared, and why."""
    found = [(symbol.name, symbol.holding.unknown)] if symbol.holding.unknown is not None else []
    trades = ((piece, _unclear(piece, reach)) for piece in symbol.slices)
    return found + [(f"{symbol.name} {piece.trade_id}", why) for piece, why in trades if why is not None]


def _unclear(piece: Slice, reach: PositionReach) -> str | None:
    """Return why a trade cannot be compared with the snapshot; None where it can."""
    if piece.defect is not None:
        return piece.detail or piece.defect
    return reach.why_not(piece)


def _is_managed(token: str, facts: AccountFacts) -> bool:
    return any(managed is None or token in managed for managed in facts.managed.values())


def _compare(account: str, group: Sequence[_Symbol], slices: list[Slice], dust: Decimal) -> Iterable[Break]:
    """Compare a position: net, and side by side where the venue holds both legs of a hedge."""
    symbol, holding = " + ".join(member.name for member in group), group[0].holding
    hedged = any(leg > 0 for leg in holding.legs) and any(leg < 0 for leg in holding.legs)
    if not hedged:
        ours = sum((piece.signed_open for piece in slices), Decimal(0))
        found = _compare_one(account, symbol, slices, ours, holding.signed, dust)
        shared = f"; the venue gives one balance of {', '.join(sorted(set(group[0].assets)))} for these symbols"
        return [replace(each, detail=each.detail + shared) for each in found] if len(group) > 1 else found
    breaks: list[Break] = []
    for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
        same = [piece for piece in slices if piece.entry_side is side]
        ours = sum((piece.signed_open for piece in same), Decimal(0))
        theirs = sum((leg for leg in holding.legs if leg * sign > 0), Decimal(0))
        breaks += _compare_one(account, symbol, same, ours, theirs, dust)
    return breaks


def _compare_one(
    account: str, symbol: str, pieces: list[Slice], ours: Decimal, theirs: Decimal, dust: Decimal
) -> list[Break]:
    if abs(ours - theirs) <= dust:
        return []
    trades = [piece for piece in pieces if piece.is_open]
    only = trades[0] if len(trades) == 1 else None
    if ours * theirs < 0:
        kind, detail = BreakKind.SIDE_FLIP, "the ledger and the venue hold opposite sides"
    elif abs(ours) > abs(theirs):
        kind = BreakKind.GHOST_POSITION
        names = ", ".join(piece.trade_id for piece in trades[:5]) + (" …" if len(trades) > 5 else "")
        detail = f"the ledger holds {plain(abs(ours - theirs))} more than the venue, in {names or 'no open trade'}"
    else:
        kind = BreakKind.UNBOOKED_POSITION
        detail = f"the venue holds {plain(abs(theirs - ours))} that no open trade of the ledger accounts for"
    return [
        Break(
            kind, account, symbol, ours, theirs, detail,
            profile_id=only.profile_id if only else None, trade_id=only.trade_id if only else None,
        )
    ]  # fmt: skip


def _evidence(
    account: str, plan: AccountPlan, tokens: frozenset[str] | None, profiles: frozenset[str]
) -> Iterable[Break]:
    """Return the executions that prove exits of open trades and that the ledger has not booked."""
    for token, found in sorted(plan.attributions.items()):
        for (profile, trade), items in sorted(found.assigned.items()):
            for item in items if profile in profiles and (tokens is None or token in tokens) else ():
                row = item.evidence
                booked = row.filled - row.qty
                yield Break(
                    BreakKind.MISSING_IN_DB, account, row.symbol, booked, row.filled,
                    f"{row.side} {plain(row.qty)} executed and not booked, attributed by {item.method}",
                    profile, trade, row.exchange_order_id,
                )  # fmt: skip


def _disagreements(
    account: str, facts: AccountFacts, plan: AccountPlan, tokens: frozenset[str] | None
) -> Iterable[Break]:
    for difference in plan.evidence.disagreements:
        if tokens is None or facts.snapshot.symbols.token(difference.symbol) in tokens:
            detail = f"the order says {plain(difference.order_qty)}, its fills add up to {plain(difference.fills_qty)}"
            yield Break(
                BreakKind.QUANTITY_MISMATCH, account, difference.symbol, None, difference.fills_qty, detail,
                exchange_order_id=difference.exchange_order_id,
            )  # fmt: skip
