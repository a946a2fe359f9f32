"""Replaced orders that may have executed more than is counted: without fills, nothing says what was carried forward.

Some venues let a replacing order start with what its predecessor executed, others with nothing. Where orders alone are
given, the excess of the successor is counted, which may be too little; never more is booked, and a person is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.breaks import Break, BreakKind
from trueup.core.decimals import NOTHING, exactly, plain
from trueup.core.orders import LedgerOrder, Side, StatusClass
from trueup.core.reconcile.matching import Chain, chains_of
from trueup.core.repair.evidence import executions_of
from trueup.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Carrying:
    """A chain of replaced orders, and how much more than is counted it may have executed: base units."""

    chain: Chain
    more: Decimal

    def explains(self, gap: Decimal, dust: Decimal) -> bool:
        """Say whether the venue may hold so much more than the ledger, signed, because of this."""
        return (gap if self.chain.side is Side.BUY else -gap) >= self.more - dust

    def as_break(self, account: str, rows: Iterable[LedgerOrder]) -> Break:
        """Return what a person is told; `rows` are the ledger's."""
        chain = self.chain
        about = [row for row in rows if {row.exchange_order_id, row.order_id} & set(chain.ids)]
        booked = sum((row.qty for row in about if row.status is StatusClass.FILLED), Decimal(0))
        why = (
            f"it may have executed {plain(self.more)} more: it replaced an order, the venue gives no fills, and the"
            " position is not what the orders add up to"
        )
        return Break(
            BreakKind.QUANTITY_MISMATCH, account, chain.symbol, booked, chain.executed, why,
            profile_id=about[0].profile_id if about else None, trade_id=about[0].trade_id if about else None,
            exchange_order_id=chain.newest_id,
        )  # fmt: skip


@exactly
def carrying(snapshot: Snapshot, grace_ms: int) -> list[Carrying]:
    """Return the chains of which orders alone do not say what they executed."""
    token = snapshot.symbols.token
    told = {(token(fill.symbol), fill.order_id) for fill in snapshot.fills}
    found: list[Carrying] = []
    for chain in chains_of(executions_of(snapshot, grace_ms), snapshot.symbols):
        more = sum((order.qty for order in chain.orders), Decimal(0)) - chain.executed
        if more > NOTHING and chain.doubt is None and not told & {(chain.token, name) for name in chain.ids}:
            found.append(Carrying(chain, more))
    return found
