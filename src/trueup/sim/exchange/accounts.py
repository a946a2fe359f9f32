"""What an account holds: balances of assets, a wallet for contracts, and positions."""

from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import EXACT
from trueup.sim.exchange.markets import Kind, Market
from trueup.sim.exchange.records import Leg

_ENTRY_PLACES = Decimal("1e-12")
_MONEY_PLACES = Decimal("1e-8")


@dataclass(slots=True)
class Position:
    """A signed quantity in the market's units, and the average price at which it was entered."""

    qty: Decimal = Decimal(0)
    entry_price: Decimal = Decimal(0)
    updated_ms: int = 0

    def trade(self, change: Decimal, price: Decimal, market: Market, now_ms: int) -> Decimal:
        """Add a signed quantity; return the profit or loss that it realises, in quote (in base where inverse)."""
        closed = Decimal(0)
        if self.qty * change < 0:
            closed = min(abs(self.qty), abs(change)).copy_sign(self.qty)
        realized = profit(market, closed, self.entry_price, price)
        opened, kept = change + closed, self.qty - closed
        if opened:
            self.entry_price = _entry(market, kept, self.entry_price, opened, price)
        self.qty += change
        self.updated_ms = now_ms
        if not self.qty:
            self.entry_price = Decimal(0)
        return realized


def profit(market: Market, qty: Decimal, entry: Decimal, price: Decimal) -> Decimal:
    """Return what a signed quantity earned between two prices, to eight places, in the asset that settles it."""
    if not qty:
        return Decimal(0)
    if market.kind is Kind.INVERSE:
        earned = qty * market.contract_size * (EXACT.divide(Decimal(1), entry) - EXACT.divide(Decimal(1), price))
    else:
        earned = qty * market.contract_size * (price - entry)
    return earned.quantize(_MONEY_PLACES, context=EXACT)


def _entry(market: Market, kept: Decimal, entry: Decimal, opened: Decimal, price: Decimal) -> Decimal:
    if not kept:
        return price
    if market.kind is Kind.INVERSE:
        worth = EXACT.divide(kept, entry) + EXACT.divide(opened, price)
        return EXACT.divide(kept + opened, worth).quantize(_ENTRY_PLACES, context=EXACT)
    return EXACT.divide(kept * entry + opened * price, kept + opened).quantize(_ENTRY_PLACES, context=EXACT)


@dataclass(slots=True)
class Account:
    """One holder: `balances` of coins and cash, `wallet` for contracts, `positions` by symbol and leg.

    `hedged` keeps two legs of each contract. `revoked` says that the key works no more.
    """

    name: str
    key: str
    secret: str
    hedged: bool = False
    revoked: bool = False
    created_ms: int = 0
    balances: dict[str, Decimal] = field(default_factory=dict)
    wallet: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[tuple[str, Leg], Position] = field(default_factory=dict)

    def balance(self, asset: str) -> Decimal:
        """Return how much of an asset the account holds, outside the wallet for contracts."""
        return self.balances.get(asset, Decimal(0))

    def position(self, symbol: str, leg: Leg = Leg.BOTH) -> Position:
        """Return a position, a flat one where there was never any."""
        return self.positions.setdefault((symbol, leg), Position())

    def add(self, asset: str, amount: Decimal) -> None:
        """Change a balance."""
        self.balances[asset] = self.balance(asset) + amount

    def pay(self, asset: str, amount: Decimal) -> None:
        """Change the wallet for contracts."""
        self.wallet[asset] = self.wallet.get(asset, Decimal(0)) + amount
