"""What a heal does to the ledger: a row that changes its state, or a row that is added; each with its proof.

Invariant 8 (Reversible): a change knows what the row said before, so that it can be taken back; an added row is taken
back by its status. Nothing is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import md5

from trueup.core.decimals import plain, round_price
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass, status_class
from trueup.core.repair.booked import BookedIndex

IMPORT_PREFIX = "IMPRT-"
"""What the ids of rows begin with that book an order of the venue which the ledger did not have."""

DIFFERENCE_PREFIX = "DIFF-"
"""What the ids of rows begin with that book what an order executed beyond what its own row says."""

PARITY_PREFIX = "PRTY-"
"""What the ids of synthetic exits begin with."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a heal rests on: the row of the decision table, the venue's order, and what it executed in all.

    `executed` and `price` are None where the heal books nothing. `confirmations` counts the looks that agreed.
    `booked_before` is what was booked of the order, by any row, when the heal was decided: where that is not so any
    more, the heal is stale. None where the heal does not rest on it.
    """

    rule: str
    exchange_order_id: str | None = None
    client_order_id: str | None = None
    venue_status: str | None = None
    executed: Decimal | None = None
    price: Decimal | None = None
    price_source: str = "none"
    confirmations: int | None = None
    as_of: str = ""
    booked_before: Decimal | None = None

    def as_json(self) -> dict[str, object]:
        """Return the proof for the audit: decimals as plain text."""
        return {
            "rule": self.rule, "exchangeOrderId": self.exchange_order_id, "clientOrderId": self.client_order_id,
            "venueStatus": self.venue_status, "executed": str(self.executed) if self.executed is not None else None,
            "price": plain(round_price(self.price)) if self.price is not None else None,
            "price_source": self.price_source, "confirmations": self.confirmations, "asOf": self.as_of,
            "bookedBefore": str(self.booked_before) if self.booked_before is not None else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that changes: `before` is the whole row as it was read, None of the rest stays as it is.

    `status` is the new one; `qty` what is executed then (None: it stays); `price` the average paid (None: it stays);
    `filled_ms` epoch milliseconds, of the execution: the row's own time stays; `order_qty` what was ordered, where the
    row did not say so by itself.
    """

    before: LedgerOrder
    status: str
    proof: Proof
    qty: Decimal | None = None
    price: Decimal | None = None
    filled_ms: int | None = None
    order_qty: Decimal | None = None
    exchange_order_id: str | None = None

    @property
    def order_id(self) -> str:
        """Return the id of the row that changes."""
        return self.before.order_id

    @property
    def profile_id(self) -> str:
        """Return whose row it is."""
        return self.before.profile_id

    @property
    def trade_id(self) -> str | None:
        """Return the trade that the row belongs to."""
        return self.before.trade_id

    @property
    def executed(self) -> Decimal:
        """Return what the row books after the change: nothing where its new status books nothing."""
        if status_class(self.status) is not StatusClass.FILLED:
            return Decimal(0)
        return self.qty if self.qty is not None else self.before.qty

    @property
    def moved(self) -> Decimal:
        """Return by how much the row's executed quantity grows (negative where it shrinks), without a side."""
        return self.executed - self.before.qty


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row that is added, in the words of the native table: executed base quantity, quote price (0 is none).

    A row that is still working has executed nothing, and `order_qty` says what was ordered.
    """

    order_id: str
    profile_id: str
    user_id: str | None
    trade_id: str | None
    symbol: str
    side: Side
    action: Action
    status: str
    qty: Decimal
    price: Decimal
    time_ms: int
    proof: Proof
    order_qty: Decimal | None = None
    exchange_order_id: str | None = None
    client_order_id: str | None = None
    sub_tag: str | None = None

    @property
    def executed(self) -> Decimal:
        """Return what the row books."""
        return self.qty if status_class(self.status) is StatusClass.FILLED else Decimal(0)

    @property
    def moved(self) -> Decimal:
        """Return the executed quantity that the row adds, without a side."""
        return self.executed


Change = RowChange | NewRow


def booked_of(index: BookedIndex, change: Change) -> Decimal:
    """Return what is booked of the order that a change cites: base units."""
    proof = change.proof
    row = change.before if isinstance(change, RowChange) else change
    side = row.order_side if isinstance(row, LedgerOrder) else row.side
    # A row whose side cannot be read may have booked an order of either.
    sides = (side,) if side is not None else tuple(Side)
    orders = (index.of(row.symbol or "", one, proof.exchange_order_id or "", proof.client_order_id) for one in sides)
    return max(found.qty for found in orders)


def resting_on(change: Change, index: BookedIndex) -> Change:
    """Return a change that books executions with what was booked of them when it was decided.

    Invariant 2 (Once): what the bot books of the order in between makes the change stale.
    """
    if not change.proof.executed:
        return change
    return replace(change, proof=replace(change.proof, booked_before=booked_of(index, change)))


def added_id(prefix: str, *parts: object) -> str:
    """Return the deterministic id of an added row."""
    text = ":".join(str(part) for part in parts)
    return prefix + md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Effect:
    """How a change ended, for a report: the row, what was decided of it, and the columns before and after."""

    order_id: str
    profile_id: str
    trade_id: str | None
    rule: str
    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)
