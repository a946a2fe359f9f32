"""What can be traded, in what steps, and what it costs."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Kind(StrEnum):
    """What a market trades: coins, shares, or perpetual contracts settled in the quote or in the base asset."""

    SPOT = "spot"
    EQUITY = "equity"
    LINEAR = "linear"
    INVERSE = "inverse"


class FeeIn(StrEnum):
    """In which asset a fee is taken; `received` is the base asset when buying and the quote asset when selling."""

    QUOTE = "quote"
    BASE = "base"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One market: prices in quote per base, `lot` in units of an order's quantity, fee rates as ratios.

    `symbol` is the venue's own spelling. `depth` is the most that one order executes at one price before it has to
    wait for the next (None is all of it); a market order takes it piece by piece at once. `fee_places` cuts fees.
    `fee_asset` pays the fees of coins and shares, at `fee_asset_price` in quote, while the account has enough of it.
    """

    symbol: str
    base: str
    quote: str
    kind: Kind = Kind.SPOT
    contract_size: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.00001")
    min_notional: Decimal = Decimal(0)
    taker_rate: Decimal = Decimal(0)
    maker_rate: Decimal = Decimal(0)
    fee_in: FeeIn = FeeIn.QUOTE
    fee_asset: str | None = None
    fee_asset_price: Decimal = Decimal(1)
    fee_places: int = 8
    depth: Decimal | None = None

    @property
    def is_swap(self) -> bool:
        """Say whether a position here is a contract and not a holding."""
        return self.kind in (Kind.LINEAR, Kind.INVERSE)

    @property
    def settles_in(self) -> str:
        """Return the asset in which profit, loss and fees of a contract are paid."""
        return self.base if self.kind is Kind.INVERSE else self.quote
