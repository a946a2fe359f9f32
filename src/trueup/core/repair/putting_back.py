"""Whether the venue lets a reverted batch be put back: the same bounds as for a new repair.

Invariant 4 (Never past the truth): what a revert freed may have been booked by another repair since, so that the
venue's position is looked at again.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from trueup.core.decimals import exactly, plain
from trueup.core.holdings import Holdings
from trueup.core.repair.decisions import NOT_FLAT, OVERSHOOT, POSITION_UNKNOWN
from trueup.core.repair.excess import excess_of, ledger_positions
from trueup.core.repair.plan import AccountFacts
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.core.repair.reach import PositionReach


@dataclass(frozen=True, slots=True)
class Returning:
    """A row that is to be put back: base quantity; dust rests on a flat venue, whatever the policy."""

    profile_id: str
    trade_id: str
    symbol: str
    qty: Decimal
    dust: bool


@exactly
def venue_forbids(rows: Iterable[Returning], facts: AccountFacts, policy: BackfillPolicy) -> dict[str, str]:
    """Return the reasons by trade id why rows may not be put back, none where all of them may."""
    symbols = facts.snapshot.symbols
    wanted: dict[tuple[str, str, str], list[Returning]] = defaultdict(list)
    for row in rows:
        wanted[row.profile_id, row.trade_id, symbols.token(row.symbol)].append(row)
    trades = [trade for trade in facts.slices if (trade.profile_id, trade.trade_id, trade.token) in wanted]
    holdings = Holdings(facts.snapshot)
    venue = {trade.token: holding.signed for trade in trades if (holding := holdings.of(trade.symbol)).unknown is None}
    reach = PositionReach(facts.snapshot, policy.grace_ms)
    excess = excess_of(ledger_positions(facts.slices, reach), venue)
    found: dict[str, str] = {}
    for trade in sorted(trades, key=attrgetter("newest_ms", "profile_id", "trade_id", "token")):
        back = wanted[trade.profile_id, trade.trade_id, trade.token]
        dust, qty = any(row.dust for row in back), sum((row.qty for row in back), Decimal(0))
        if policy.flatness is Flatness.EVIDENCE and not dust:
            continue
        holding = holdings.of(trade.symbol)
        unknown = reach.why_not(trade) or holding.unknown
        needs_flat = dust or policy.flatness is Flatness.FLAT
        spare = policy.dust_abs if dust else Decimal(0)
        if unknown is not None:
            found[trade.trade_id] = f"{POSITION_UNKNOWN} ({unknown})"
        elif needs_flat and not holding.is_flat(policy.dust_abs):
            found[trade.trade_id] = f"{NOT_FLAT}:{plain(holding.gross)}"
        elif policy.flatness is Flatness.EXPLAINED and not excess.covers(trade, qty - spare):
            found[trade.trade_id] = f"{OVERSHOOT}:{plain(excess.left[trade.token])}"
        else:
            excess.take(trade, qty)
    return found
