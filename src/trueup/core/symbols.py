"""Symbols as tokens: how a ledger's spelling and a venue's spelling of one market are found equal.

A token is upper case, letters and digits only, after the venue's own names of assets are replaced. A contract keeps
its settlement in its token: BTC/USDT:USDT is a swap and not BTC/USDT.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

COMMON_ALIASES: Mapping[str, str] = MappingProxyType({"XBT": "BTC", "XXBT": "BTC", "XDG": "DOGE", "XXDG": "DOGE"})
"""Assets whose old name some venues keep (Kraken)."""

_KRAKEN_FIAT = ("ZUSD", "ZEUR", "ZGBP", "ZJPY", "ZCAD", "ZAUD")
_KRAKEN_COINS = ("XXBT", "XETH", "XLTC", "XXRP", "XXLM", "XXMR", "XZEC", "XETC", "XREP", "XMLN", "XXDG")

QUOTES = (
    "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BRL", "TRY",
    "KRW", "BTC", "ETH", "BNB",
)  # fmt: skip
"""Quote assets by which a symbol without a separator is split, as many as fit."""

_SEPARATORS = "/-_"
_UNMISTAKABLE = 3
"""A name of at least this many letters is taken for an alias also where the other asset is not a known quote."""


@dataclass(frozen=True, slots=True)
class Symbols:
    """How one account spells its markets: names of assets to replace, theirs to ours."""

    aliases: Mapping[str, str] = field(default_factory=lambda: COMMON_ALIASES)
    _tokens: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def token(self, symbol: str) -> str:
        """Return the token of a symbol; empty where the symbol has no letter or digit."""
        known = self._tokens.get(symbol)
        if known is None:
            known = self._tokens[symbol] = self._token(symbol)
        return known

    def _token(self, symbol: str) -> str:
        parts = _parts(symbol)
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
        """Return our name of an asset."""
        upper = "".join(c for c in name.upper() if c.isalnum())
        if upper in self.aliases:
            return self.aliases[upper]
        return upper[1:] if upper in _KRAKEN_FIAT or upper in _KRAKEN_COINS else upper

    def base_assets(self, symbol: str) -> tuple[str, ...]:
        """Return the assets that a spot symbol may trade: one, several where DOTUSD may be DOT/USD or DO/TUSD, or none.

        A contract trades none: its position is no balance.
        """
        if is_contract(symbol):
            return ()
        parts = _parts(symbol)
        if len(parts) == 2:
            return (self.asset(parts[0]),)
        if len(parts) != 1:
            return ()
        name = self.token(symbol)
        fitting = [quote for quote in QUOTES if name.endswith(quote) and len(name) > len(quote)]
        return tuple(self.asset(name[: -len(quote)]) for quote in fitting)

    def base_asset(self, symbol: str) -> str | None:
        """Return the asset that a spot symbol trades; None for a contract and where the split is unclear."""
        assets = self.base_assets(symbol)
        return assets[0] if len(assets) == 1 else None

    def hidden_contracts(self, symbol: str, held: Collection[str]) -> list[str]:
        """Return the held contracts that a symbol spelt without separators may mean.

        BTCUSDT may mean the swap BTC/USDT:USDT, which has another token: a position there makes BTCUSDT unknown
        instead of flat. BTC/USDT is spelt out and never means the swap.
        """
        if len(_parts(symbol)) != 1:
            return []
        wanted = self.token(symbol)
        return sorted(other for other in held if is_contract(other) and self.token(other.partition(":")[0]) == wanted)


def is_contract(symbol: str) -> bool:
    """Say whether a symbol names its settlement asset, as swaps and futures do."""
    return ":" in symbol


def _parts(symbol: str) -> list[str]:
    text = symbol.upper()
    for separator in _SEPARATORS + ":":
        text = text.replace(separator, "/")
    return ["".join(c for c in part if c.isalnum()) for part in text.split("/") if any(c.isalnum() for c in part)]
