"""Which of the venue's markets a ledger's symbol means, and under which name its rows are given back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trueup.core.symbols import Symbols

Market = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The venue's markets that a spelling may mean: none where the venue lists no such, several where it is unclear."""

    symbol: str
    markets: tuple[str, ...]

    @property
    def market(self) -> str | None:
        """Return the one market that is meant."""
        return self.markets[0] if len(self.markets) == 1 else None


@dataclass(frozen=True, slots=True)
class Listed:
    """The venue's markets by ccxt's symbol, and how an account's ledger spells them."""

    markets: Mapping[str, Market]
    symbols: Symbols
    _by_id: dict[str, list[str]] = field(default_factory=dict, repr=False)
    _by_token: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Index the markets by the venue's own names and by token."""
        for symbol, market in self.markets.items():
            if market.get("option"):
                continue
            self._by_id.setdefault(str(market.get("id")).upper(), []).append(symbol)
            self._by_token.setdefault(self.symbols.token(symbol), []).append(symbol)

    def resolve(self, symbol: str) -> Resolved:
        """Return which markets a spelling may mean: ccxt's own first, then the venue's, then by token and grammar."""
        if symbol in self.markets:
            return Resolved(symbol, (symbol,))
        token = self.symbols.token(symbol)
        found = {*self._by_id.get(symbol.strip().upper(), ()), *self._by_token.get(token, ())}
        if not found or "/" not in symbol:
            found |= set(self._namesakes(symbol))
        return Resolved(symbol, tuple(sorted(found)))

    def _namesakes(self, symbol: str) -> list[str]:
        """Return the markets that a spelling may mean by the grammar of symbols; a dated one is never meant by chance.

        BTCUSDT may be the perpetual BTC/USDT:USDT, and hardly its contract of next March.
        """
        found = self.symbols.namesakes(symbol, [name for names in self._by_token.values() for name in names])
        perpetual = [name for name in found if not self.markets[name].get("future")]
        return perpetual or found

    def of_token(self, token: str) -> tuple[str, ...]:
        """Return the markets that have a token."""
        return tuple(self._by_token.get(token, ()))

    def is_contract(self, market: str) -> bool:
        """Say whether a market is a swap or future."""
        return bool(self.markets.get(market, {}).get("contract"))


@dataclass(frozen=True, slots=True)
class Naming:
    """The name under which each market's rows are given: the ledger's, where its token would not find the venue's.

    `BTCUSDT` at a venue that has the swap only is that swap, but their tokens differ.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    listed: Listed | None = None

    def unsized(self, market: object) -> bool:
        """Say whether a row's market is none of the venue's, at a venue of contracts: what it counts is not known."""
        if self.listed is None or market in self.listed.markets:
            return False
        return any(known.get("contract") for known in self.listed.markets.values())

    def is_contract(self, market: object) -> bool:
        """Say whether a market is a listed contract; without a list every one may be."""
        return self.listed is None or (isinstance(market, str) and self.listed.is_contract(market))

    def of(self, market: object) -> object:
        """Return the name of a market; what is none keeps what it says."""
        return self.names.get(market, market) if isinstance(market, str) else market


def naming_of(resolved: Iterable[Resolved], listed: Listed) -> Naming:
    """Return the names of the markets that are meant.

    A market keeps its own name where the ledger spells it in two ways, where another market has the token of the
    ledger's name, and where its contract size is not known.
    """
    spelt: dict[str, set[str]] = {}
    for found in resolved:
        if found.market is not None:
            spelt.setdefault(found.market, set()).add(found.symbol)
    names: dict[str, str] = {}
    for market, spellings in spelt.items():
        tokens = {listed.symbols.token(name): name for name in sorted(spellings)}
        token, name = next(iter(tokens.items()))
        if len(tokens) == 1 and not listed.of_token(token) and _has_size(listed, market):
            names[market] = name
    return Naming(names, listed)


def _has_size(listed: Listed, market: str) -> bool:
    return not listed.is_contract(market) or listed.markets[market].get("contractSize") is not None
