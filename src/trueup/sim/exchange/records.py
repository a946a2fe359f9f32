"""What the exchange remembers: orders, fills and everything else that moved a balance or a position."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trueup.core.orders import Side

__all__ = ["Change", "Event", "EventKind", "Fill", "Leg", "Order", "OrderRequest", "Origin", "Side", "Status"]


class Status(StrEnum):
    """Where an order stands; `held` waits for its parent or for its stop price."""

    HELD = "held"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"

    @property
    def working(self) -> bool:
        """Say whether the order may still fill."""
        return self in (Status.HELD, Status.NEW, Status.PARTIALLY_FILLED)


class Leg(StrEnum):
    """Which position of a contract an order moves: the only one, or one of the two of hedge mode."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"


class Origin(StrEnum):
    """Who gave an order: the account's holder, or the exchange itself."""

    HOLDER = "holder"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    SETTLEMENT = "settlement"


class EventKind(StrEnum):
    """What else happens to an account."""

    DEPOSIT = "deposit"
    FEE = "fee"
    FUNDING = "funding"
    REALIZED = "realized"
    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What is asked of the exchange: quantity in the market's units, prices in quote; `type` market, limit, stop...

    `stop_price` makes the order wait until the price touches it. `take_profit` and `stop_loss` are the prices of the
    legs of a bracket. `expires_ms` is when it expires by itself. `take` makes the stop price one that is
    touched from the other side, as a take-profit; `conditional` is an order that is no order yet until then.
    """

    symbol: str
    side: Side
    qty: Decimal
    type: str = "market"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    client_order_id: str | None = None
    subtag: str | None = None
    time_in_force: str = "gtc"
    leg: Leg = Leg.BOTH
    reduce_only: bool = False
    expires_ms: int | None = None
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    notional: Decimal | None = None
    take: bool = False
    conditional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a replacement changes: the new total quantity, prices and client order id."""

    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    client_order_id: str | None = None
    time_in_force: str | None = None


@dataclass(slots=True, kw_only=True)
class Order:
    """An order and how it went: `executed` is its own fills, `carried` what it took over from the one it replaces.

    `number` counts the exchange's orders, `id` is the venue's name of it; `micros` are the microseconds below
    `created_ms`. `spent` is the sum of price times quantity of its `fills`.
    """

    number: int
    id: str
    account: str
    request: OrderRequest
    created_ms: int
    updated_ms: int
    micros: int = 0
    client_order_id: str
    status: Status = Status.NEW
    qty: Decimal
    executed: Decimal = Decimal(0)
    carried: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    carried_spent: Decimal = Decimal(0)
    ended_ms: int | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    replaced_ms: int | None = None
    parent: str | None = None
    legs: list["Order"] = field(default_factory=list)
    fills: list["Fill"] = field(default_factory=list)
    origin: Origin = Origin.HOLDER
    triggered_ms: int | None = None

    @property
    def symbol(self) -> str:
        """Return the market's symbol."""
        return self.request.symbol

    @property
    def side(self) -> Side:
        """Return which way it trades."""
        return self.request.side

    @property
    def filled(self) -> Decimal:
        """Return what the venue reports as filled: what it took over, and its own fills."""
        return self.carried + self.executed

    @property
    def remaining(self) -> Decimal:
        """Return what may still fill."""
        return self.qty - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution: `number` counts the market's fills, `leaves` and `cumulative` are the order's after it.

    `fee` is in `fee_asset`, `realized` in the asset in which a contract settles; `after` is the position then.
    """

    number: int
    id: str
    sequence: int
    account: str
    order: Order
    qty: Decimal
    price: Decimal
    time_ms: int
    micros: int
    fee: Decimal
    fee_asset: str
    maker: bool
    cumulative: Decimal
    leaves: Decimal
    status: Status
    after: Decimal
    realized: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that is no fill: `amount` of `asset` moved, or `qty` of `symbol`'s position."""

    number: int
    id: str
    account: str
    kind: EventKind
    time_ms: int
    asset: str = ""
    amount: Decimal = Decimal(0)
    symbol: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    text: str = ""
    fill: Fill | None = None
