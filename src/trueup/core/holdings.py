"""What the venue holds of a symbol: its position legs or, on a spot venue without positions, a balance."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from trueup.core.decimals import exactly
from trueup.core.snapshot import Coverage, Feed, Leg, Snapshot


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one symbol.

    `legs` are signed base quantities; `unknown` says why nothing is known. A hedged symbol is flat only if both legs
    are, so its size (`gross`) is the sum of the legs' sizes and `signed` what they net to.
    """

    legs: tuple[Decimal, ...] = ()
    mark_price: Decimal | None = None
    unknown: str | None = None

    @property
    def gross(self) -> Decimal:
        """Return the size held, without sign."""
        return sum((abs(leg) for leg in self.legs), Decimal(0))

    @property
    def signed(self) -> Decimal:
        """Return the net position, negative for short."""
        return sum(self.legs, Decimal(0))

    def is_flat(self, dust_abs: Decimal) -> bool:
        """Say whether the symbol is known to hold at most dust, on each leg."""
        return self.unknown is None and max(map(abs, self.legs), default=Decimal(0)) <= dust_abs


class Holdings:
    """The holdings of a snapshot, by symbol."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._symbols = snapshot.symbols
        self._legs: dict[str, list[Leg]] = defaultdict(list)
        for leg in {(leg, leg.content): leg for leg in snapshot.legs}.values():
            self._legs[self._symbols.token(leg.symbol)].append(leg)
        self._held = {leg.symbol for leg in snapshot.legs if leg.qty}
        unread = reversed(list(snapshot.unknown_symbols.items()))
        self._unknown = {self._symbols.token(name): why for name, why in unread}
        self._earning = _earning_by_asset(snapshot)
        self._spelt = _spellings_by_token(snapshot)

    @property
    def coverage(self) -> Coverage:
        """Return the coverage of the position feed: balances stand in where a spot venue has no positions."""
        positions = self._snapshot.feed(Feed.POSITIONS)
        return self._snapshot.feed(Feed.BALANCES) if self._from_balances else positions

    @property
    def _from_balances(self) -> bool:
        return not self._snapshot.feed(Feed.POSITIONS).given and self._snapshot.feed(Feed.BALANCES).given

    @exactly
    def of(self, symbol: str) -> Holding:
        """Return what is held of a symbol, by its token."""
        token = self._symbols.token(symbol)
        if not self.coverage.complete:
            return Holding(unknown=f"the position feed is {self.coverage.state}: {self.coverage.reason or 'no reason'}")
        if token in self._unknown:
            return Holding(unknown=self._unknown[token])
        return self._of_balance(symbol) if self._from_balances else self._of_legs(symbol, token)

    def _of_legs(self, symbol: str, token: str) -> Holding:
        legs = sorted(self._legs.get(token, []), key=lambda leg: (leg.qty, leg.mark_price or 0, leg.symbol))
        signs = [leg.qty > 0 for leg in legs if leg.qty]
        if len(signs) != len(set(signs)):
            return Holding(unknown=f"the venue lists {symbol} twice on one side: " + ", ".join(x.where for x in legs))
        if not legs and (meant := self._symbols.namesakes(symbol, self._held)):
            return Holding(unknown=f"{symbol} may mean {', '.join(meant)}, which the venue holds")
        if not legs and (meant := self._symbols.namesakes(symbol, self._snapshot.unknown_symbols)):
            why = self._snapshot.unknown_symbols[meant[0]]
            return Holding(unknown=f"{symbol} may mean {meant[0]}, whose position cannot be read: {why}")
        marks = [leg.mark_price for leg in legs if leg.mark_price is not None]
        return Holding(tuple(leg.qty for leg in legs), marks[0] if marks else None)

    def balance_assets(self, symbol: str) -> tuple[str, ...]:
        """Return the assets of which one's balance is the symbol's position: none where the venue gives positions."""
        if not self._from_balances:
            return ()
        assets = self._symbols.base_assets(symbol)
        if len(assets) == 1:
            return assets
        spelt = self._spelt.get(self._symbols.token(symbol), set())
        return tuple(sorted({asset for name in spelt for asset in self._symbols.base_assets(name)})) or assets

    def _of_balance(self, symbol: str) -> Holding:
        assets = self.balance_assets(symbol)
        unread = [asset for asset in assets if asset in self._snapshot.unknown_assets]
        if unread:
            return Holding(unknown=self._snapshot.unknown_assets[unread[0]])
        earning = [name for asset in assets for name in self._earning.get(asset, ())]
        if earning:
            return Holding(
                unknown=f"the venue also holds {', '.join(earning)}, which may be {assets[0]} in another form"
            )
        held = [(self._snapshot.balances or {}).get(asset, Decimal(0)) for asset in assets]
        if not held or (len(held) > 1 and any(held)):
            return Holding(unknown=f"the base asset of {symbol} is unclear, and the venue gives balances only")
        return Holding((held[0],))

    def symbols(self) -> dict[str, str]:
        """Return the symbols of which the venue holds something, by token, as the venue spells them."""
        return {token: legs[0].symbol for token, legs in self._legs.items() if any(leg.qty for leg in legs)}


def _earning_by_asset(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the balances that hold an asset in a staked, lent or locked form, or may hold it, by that asset."""
    found: dict[str, list[str]] = defaultdict(list)
    held = {name for name, amount in (snapshot.balances or {}).items() if amount}
    for name in sorted(held | set(snapshot.unknown_assets)):
        asset = snapshot.symbols.earning_form_of(name)
        if asset is not None:
            found[asset].append(name)
    return dict(found)


def _spellings_by_token(snapshot: Snapshot) -> dict[str, set[str]]:
    """Return how the venue's own orders spell each symbol with a separator; one token may be DOT/USD and DO/TUSD."""
    spelt: dict[str, set[str]] = defaultdict(set)
    for symbol in dict.fromkeys([row.symbol for row in snapshot.orders] + [row.symbol for row in snapshot.fills]):
        if any(separator in symbol for separator in "/-_"):
            spelt[snapshot.symbols.token(symbol)].add(symbol)
    return dict(spelt)
