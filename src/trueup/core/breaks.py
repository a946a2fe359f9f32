"""Breaks: records that should agree and do not, with an identity that stays the same from run to run."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from hashlib import md5

from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.holdings import Holding, Holdings
from trueup.core.orders import Side
from trueup.core.repair.plan import OLDER_THAN_THE_TRADE, AccountFacts, AccountPlan
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.repair.slices import Slice


class BreakKind(StrEnum):
    """The kinds of breaks that a comparison of open slices, positions and evidence can find."""

    GHOST_POSITION = "ghost_position"
    UNBOOKED_POSITION = "unbooked_position"
    SIDE_FLIP = "side_flip"
    MISSING_IN_DB = "missing_in_db"
    QUANTITY_MISMATCH = "quantity_mismatch"


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
    account, holdings = facts.snapshot.account, Holdings(facts.snapshot)
    by_token: dict[str, list[Slice]] = defaultdict(list)
    for piece in facts.slices:
        if piece.is_open or piece.open_qty < -NOTHING:
            by_token[piece.token].append(piece)
    spelt = {t: [s] for t, s in holdings.symbols().items() if t in by_token or _is_managed(t, facts)}
    spelt |= {token: sorted({piece.symbol for piece in slices}) for token, slices in by_token.items()}
    breaks: list[Break] = []
    unknown: list[tuple[str, str]] = []
    if not holdings.coverage.complete and not spelt:
        unknown.append(("positions", f"the position feed is {holdings.coverage.state}: {holdings.coverage.reason}"))
    for token, spellings in sorted(spelt.items()):
        if tokens is not None and token not in tokens:
            continue
        if by_token[token] and not any(piece.profile_id in profiles for piece in by_token[token]):
            continue
        symbol = spellings[0]
        holding = next((h for h in map(holdings.of, spellings) if h.unknown is not None), holdings.of(symbol))
        if holding.unknown is not None:
            unknown.append((symbol, holding.unknown))
        unclear = [(piece, why) for piece in by_token[token] if (why := _unclear(piece, facts, policy)) is not None]
        unknown += [(f"{symbol} {piece.trade_id}", why) for piece, why in unclear]
        if holding.unknown is None and not unclear:
            breaks += _positions(account, symbol, by_token[token], holding, policy.dust_abs)
    breaks += _evidence(account, plan, tokens, profiles)
    breaks += _disagreements(account, facts, plan, tokens)
    return Comparison(tuple(breaks), tuple(unknown))


def _unclear(piece: Slice, facts: AccountFacts, policy: BackfillPolicy) -> str | None:
    """Return why a trade cannot be compared with the snapshot; None where it can."""
    if piece.defect is not None:
        return piece.detail or piece.defect
    late = piece.newest_ms > facts.snapshot.as_of_ms + policy.grace_ms
    return OLDER_THAN_THE_TRADE.unknown if late else None


def _is_managed(token: str, facts: AccountFacts) -> bool:
    return any(managed is None or token in managed for managed in facts.managed.values())


def _positions(account: str, symbol: str, slices: Iterable[Slice], holding: Holding, dust: Decimal) -> Iterable[Break]:
    """Compare a symbol's position: net, and side by side where the venue holds both legs of a hedge."""
    pieces = list(slices)
    hedged = any(leg > 0 for leg in holding.legs) and any(leg < 0 for leg in holding.legs)
    if not hedged:
        ours = sum((piece.signed_open for piece in pieces), Decimal(0))
        return _compare_one(account, symbol, pieces, ours, holding.signed, dust)
    found: list[Break] = []
    for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
        same = [piece for piece in pieces if piece.entry_side is side]
        ours = sum((piece.signed_open for piece in same), Decimal(0))
        theirs = sum((leg for leg in holding.legs if leg * sign > 0), Decimal(0))
        found += _compare_one(account, symbol, same, ours, theirs, dust)
    return found


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
