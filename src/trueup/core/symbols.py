"""Symbols as tokens: how a ledger's spelling and a venue's spelling of one market are found equal.

A token is upper case, letters and digits only, after the venue's own names of assets are replaced. A contract keeps
its settlement in its token: BTC/USDT:USDT is a swap and not BTC/USDT.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trueup.core.markets import QUOTES, SPELT_QUOTES, Market, is_pair, parts_of, read_market

COMMON_ALIASES: Mapping[str, str] = MappingProxyType({"XBT": "BTC", "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE"})
"""Assets whose old name some venues keep (Kraken)."""

_KRAKEN_FIAT = ("ZUSD", "ZEUR", "ZGBP", "ZJPY", "ZCAD", "ZAUD")
_KRAKEN_COINS = ("XXBT", "XETH", "XLTC", "XXRP", "XXLM", "XXMR", "XZEC", "XETC", "XREP", "XMLN", "XXDG")

_EARNING = frozenset({"B", "F", "HOLD", "M", "P", "S", "T"})
"""What Kraken adds behind a point to a coin that is staked, earns or is locked (XBT.M, DOT28.S)."""

_LENT = "LD"
"""What Binance puts before a coin that earns (LDBTC)."""

_STAKED: Mapping[str, str] = MappingProxyType({"ETH2": "ETH"})

_UNMISTAKABLE = 3
"""A name of at least this many letters is taken for an alias also where the other asset is not a known quote."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """How one account spells its markets: names of assets to replace, theirs to ours."""

    aliases: Mapping[str, str] = field(default_factory=lambda: COMMON_ALIASES)
    _tokens: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _markets: dict[str, Market] = field(default_factory=dict, repr=False, compare=False)

    def token(self, symbol: str) -> str:
        """Return the token of a symbol; empty where the symbol has no letter or digit."""
        known = self._tokens.get(symbol)
        if known is None:
            known = self._tokens[symbol] = self._token(symbol)
        return known

    def _token(self, symbol: str) -> str:
        parts = parts_of(symbol)
        if len(parts) == 1:
            return self._joined(parts[0])
        return "".join(self.asset(part) for part in parts)

    def _joined(self, name: str) -> str:
        for coin in _KRAKEN_COINS:
            rest = name[len(coin) :]
            if name.startswith(coin) and rest in (*_KRAKEN_FIAT, *_KRAKEN_COINS):
                return self.asset(coin) + self.asset(rest)
        for theirs, ours in sorted(self.aliases.items(), key=lambda pair: -len(pair[0])):
            rest = name[len(theirs) :]
            if name.startswith(theirs) and (rest in QUOTES or min(len(theirs), len(rest)) >= _UNMISTAKABLE):
                return ours + rest
            if name.endswith(theirs) and len(theirs) >= _UNMISTAKABLE and len(name) >= len(theirs) + 2:
                return name[: -len(theirs)] + ours
        return name

    def asset(self, name: str) -> str:
        """Return our name of an asset; a form that earns keeps its mark (BTC.M)."""
        stem, _, form = name.strip().upper().rpartition(".")
        if stem and form in _EARNING:
            return f"{self.asset(stem)}.{form}"
        upper = "".join(c for c in name.upper() if c.isalnum())
        if upper in self.aliases:
            return self.aliases[upper]
        return upper[1:] if upper in _KRAKEN_FIAT or upper in _KRAKEN_COINS else upper

    def earning_form_of(self, name: str) -> str | None:
        """Return the asset of which a balance is a staked, lent or locked form (XBT.M, LDBTC), or None."""
        upper = name.upper()
        stem, point, _ = upper.partition(".")
        if point:
            return self.asset(stem.rstrip("0123456789") or stem)
        if upper.startswith(_LENT) and len(upper) > len(_LENT) + 1:
            return self.asset(upper[len(_LENT) :])
        return _STAKED.get(upper)

    def base_assets(self, symbol: str) -> tuple[str, ...]:
        """Return the assets that a spot symbol may trade: one, several where DOTUSD may be DOT/USD or DO/TUSD, or none.

        A contract trades none: its position is no balance. Neither does a symbol with anything but a quote asset in the
        second place: it may be a contract in words that nobody here knows.
        """
        if self._market(symbol).is_contract:
            return ()
        parts = parts_of(symbol)
        if len(parts) == 2:
            return (self.asset(parts[0]),) if self.asset(parts[1]) in SPELT_QUOTES else ()
        if len(parts) != 1:
            return ()
        name = self.token(symbol)
        bases = [name[: -len(quote)] for quote in QUOTES if name.endswith(quote) and len(name) > len(quote)]
        return () if any(is_pair(base) for base in bases) else tuple(self.asset(base) for base in bases)

    def base_asset(self, symbol: str) -> str | None:
        """Return the asset that a spot symbol trades; None for a contract and where the split is unclear."""
        assets = self.base_assets(symbol)
        return assets[0] if len(assets) == 1 else None

    def quote_asset(self, symbol: str) -> str | None:
        """Return the asset that a spot symbol is priced in; None for a contract and where the split is unclear."""
        base, token = self.base_asset(symbol), self.token(symbol)
        return token[len(base) :] if base is not None and token.startswith(base) else None

    def namesakes(self, symbol: str, held: Collection[str]) -> list[str]:
        """Return which held symbols of another token may be the market that a symbol means.

        BTCUSDT may mean the swap BTC/USDT:USDT, and the other way round, or BTC-USDT-SWAP: a position there makes the
        symbol unknown instead of flat. BTC/USDT is spelt out and never means the swap.
        """
        token, market = self.token(symbol), self._market(symbol)
        return sorted(other for other in held if self.token(other) != token and market.may_be(self._market(other)))

    def _market(self, symbol: str) -> Market:
        known = self._markets.get(symbol)
        if known is None:
            known = self._markets[symbol] = read_market(symbol, self.token)
        return known


def is_contract(symbol: str) -> bool:
    """Say whether a symbol names its settlement asset, as swaps and futures do."""
    return ":" in symbol
