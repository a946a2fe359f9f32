"""What a venue claims at one moment, and how much of the truth that is.

Invariant 5 (Unknown is not flat; not found is not absent): every feed carries its coverage, and a symbol whose
position could not be read is unknown, never flat.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trueup.core.orders import Side
from trueup.core.symbols import Symbols


class Feed(StrEnum):
    """The feeds of a snapshot."""

    POSITIONS = "positions"
    BALANCES = "balances"
    OPEN_ORDERS = "open_orders"
    CLOSED_ORDERS = "closed_orders"
    FILLS = "fills"


class FeedState(StrEnum):
    """How much of a feed was read."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one feed was read, why not all of it, and since when it reaches back.

    `since_ms` None is the beginning. `given` False means that the venue does not offer the feed or that it was not
    exported, which is unknown (state failed) but no failure of another feed.
    """

    state: FeedState
    reason: str = ""
    since_ms: int | None = None
    given: bool = True

    @property
    def complete(self) -> bool:
        """Say whether the whole feed was read, from `since_ms` on."""
        return self.state is FeedState.COMPLETE


NOT_GIVEN = Coverage(FeedState.FAILED, "not given", given=False)


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue reports it; `qty` and `price` are what executed, in base and quote units.

    `price_source` says where the price is from: order (the venue's average), limit (a filled order's own price) or
    none. `working` says that it may still fill. `where` names the row in the venue's answer.
    """

    id: str
    symbol: str
    side: Side
    status: str
    qty: Decimal
    time_ms: int
    price: Decimal | None = None
    price_source: str = "none"
    client_order_id: str | None = None
    sub_tag: str | None = None
    trade_id: str | None = None
    fee: Decimal | None = None
    fee_asset: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    working: bool = False
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution as the venue reports it; fee in units of `fee_asset`, positive where it was paid."""

    id: str
    order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None
    time_ms: int
    fee: Decimal | None = None
    fee_asset: str | None = None
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a position: base quantity, positive for long and negative for short.

    `content` is all that the venue's row says: two legs are one listed twice only where their rows are the same.
    """

    symbol: str
    qty: Decimal
    mark_price: Decimal | None = None
    where: str = field(default="", compare=False)
    content: str = field(default="", compare=False, repr=False)


class EventKind(StrEnum):
    """What happened at the venue beside orders and fills."""

    SPLIT = "split"
    CORPORATE_ACTION = "corporate_action"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"
    FUNDING = "funding"
    FEE = "fee"
    TRANSFER = "transfer"
    OTHER = "other"

    @property
    def changes_quantities(self) -> bool:
        """Say whether quantities from before it are in other units than those after it."""
        return self in (EventKind.SPLIT, EventKind.CORPORATE_ACTION)


@dataclass(frozen=True, slots=True)
class VenueEvent:
    """Something that the venue did by itself, in its own words (`what`), at `time_ms`.

    `symbol` None is the whole account. `qty` is the signed change of the base quantity and `amount` of `asset` that
    of a balance, where the venue says so. `order_id` names the order through which it was executed.
    """

    id: str
    kind: EventKind
    time_ms: int
    symbol: str | None = None
    what: str = ""
    qty: Decimal | None = None
    amount: Decimal | None = None
    asset: str | None = None
    order_id: str | None = None
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Malformed:
    """A row that could not be read: excluded, named and counted; `row_id` is its id at the venue, where it has one."""

    feed: str
    where: str
    why: str
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One account as its venue reports it at `as_of_ms`.

    `as_of_source` is venue, file_time or clock. `unknown_symbols` names the symbols whose position could not be read,
    as the venue spells them, with the reason; balances are by our asset names. Orders of both order feeds stand in
    `orders`, as often as the venue listed them.
    """

    account: str
    as_of_ms: int
    as_of_source: str = "venue"
    coverage: Mapping[Feed, Coverage] = field(default_factory=dict)
    orders: tuple[VenueOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    legs: tuple[Leg, ...] = ()
    events: tuple[VenueEvent, ...] = ()
    balances: Mapping[str, Decimal] | None = None
    unknown_symbols: Mapping[str, str] = field(default_factory=dict)
    unknown_assets: Mapping[str, str] = field(default_factory=dict)
    malformed: tuple[Malformed, ...] = ()
    notes: tuple[str, ...] = ()
    symbols: Symbols = field(default_factory=Symbols)

    def feed(self, feed: Feed) -> Coverage:
        """Return the coverage of a feed; one that is not there is not given."""
        return self.coverage.get(feed, NOT_GIVEN)

    def all_feeds(self) -> dict[Feed, Coverage]:
        """Return the coverage of every feed."""
        return {feed: self.feed(feed) for feed in Feed}


def unreadable(account: str, as_of_ms: int, why: str, symbols: Symbols | None = None) -> Snapshot:
    """Return the snapshot of an account whose venue could not be read: every feed failed."""
    failed = Coverage(FeedState.FAILED, why)
    return Snapshot(
        account=account, as_of_ms=as_of_ms, as_of_source="clock", coverage=dict.fromkeys(Feed, failed),
        symbols=symbols or Symbols(),
    )  # fmt: skip
