"""What earlier flattenings closed of a share, where the ledger does not say so yet.

On an account that others share, a trade that an earlier flattening closed is open in the ledger until it is booked;
closing it once more would close what others hold (invariant 4).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.flatten.record import Sent
from trueup.core.orders import Side
from trueup.core.repair.slices import Slice

CLOCKS_MS = 60_000
"""How far the clock that a trade's times are from may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A closing of another flattening which no row of the ledger has booked; `wide` is one of the whole account."""

    sent: Sent
    wide: bool = False

    @property
    def took_all(self) -> bool:
        """Say whether nothing was left of the position, whoever's it was."""
        executed = self.sent.executed
        return self.wide and executed is not None and executed >= self.sent.held

    @property
    def exact(self) -> bool:
        """Say whether it is known how much of the share it closed."""
        return not self.wide and not self.sent.in_flight and (not self.sent.used or self.sent.executed is not None)


@dataclass(frozen=True, slots=True)
class Gone:
    """How much of what is open by the ledger earlier flattenings closed at most; `known` says that it is just that."""

    qty: Decimal = Decimal(0)
    known: bool = True


@exactly
def gone_of(slices: Iterable[Slice], earlier: Iterable[Earlier], token: str, side: Side) -> Gone:
    """Return what earlier closings took of open trades of a symbol, which `side` closes.

    No closing took what was opened after it. One that took all of the account's position took all that was open.
    """
    past = [each for each in earlier if (each.sent.token, each.sent.side) == (token, side) and each.sent.used]
    if not past:
        return Gone()
    mine = [each for each in slices if (each.token, each.exit_side) == (token, side) and each.holds_something]
    all_ms = max((each.sent.since_ms for each in past if each.took_all), default=None)
    before = [each for each in mine if all_ms is not None and each.opened_ms <= all_ms + CLOCKS_MS]
    unsure = any(all_ms is not None and each.opened_ms > all_ms for each in before)
    later = [each for each in past if all_ms is None or each.sent.sent_ms > all_ms]
    newest_ms = max((each.sent.since_ms + CLOCKS_MS for each in later), default=0)
    rest = _open(each for each in mine if each not in before and each.opened_ms <= newest_ms)
    most = min(rest, sum((each.sent.used for each in later), Decimal(0)))
    return Gone(_open(before) + most, known=not unsure and (not most or all(each.exact for each in later)))


def _open(slices: Iterable[Slice]) -> Decimal:
    return sum((each.open_qty for each in slices), Decimal(0))
