"""The `explained` policy's measure: what the ledger holds beyond the venue, and which trades may take from it.

Invariant 4 (Never past the truth): longs take from a positive excess and shorts from a negative one, in the order of
their newest rows, whole or not at all, so that no repair moves the ledger's position beyond the venue's.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.orders import Side
from trueup.core.repair.reach import PositionReach
from trueup.core.repair.slices import Slice


@dataclass(slots=True)
class Excess:
    """The excess of each symbol of an account, as it is left while trades take from it."""

    left: dict[str, Decimal] = field(default_factory=dict)

    def covers(self, trade: Slice, qty: Decimal) -> bool:
        """Say whether a trade's exit of a quantity stays within what is left."""
        left = self.left[trade.token]
        return qty <= (left if trade.entry_side is Side.BUY else -left)

    def take(self, trade: Slice, qty: Decimal) -> None:
        """Count a quantity that a trade's exits take."""
        self.left[trade.token] -= qty if trade.entry_side is Side.BUY else -qty


def ledger_positions(slices: Iterable[Slice], reach: PositionReach) -> dict[str, Decimal]:
    """Return the ledger's signed position of each symbol over all slices, over-exited ones included.

    A symbol with a trade whose quantity cannot be read has no known position and is left out. So is one with a trade of
    which the venue's position says nothing.
    """
    positions: dict[str, Decimal] = defaultdict(Decimal)
    unknown: set[str] = set()
    for trade in slices:
        positions[trade.token] += trade.signed_open
        if not trade.position_known or reach.why_not(trade) is not None:
            unknown.add(trade.token)
    return {token: qty for token, qty in positions.items() if token not in unknown}


def excess_of(positions: dict[str, Decimal], venue: dict[str, Decimal]) -> Excess:
    """Return the ledger's position less the venue's; zero where either is unknown, so that nothing may be taken."""
    tokens = positions.keys() | venue.keys()
    known = positions.keys() & venue.keys()
    return Excess({token: positions[token] - venue[token] if token in known else Decimal(0) for token in tokens})
