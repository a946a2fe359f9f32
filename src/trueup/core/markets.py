"""What kind of market a symbol names: spot, a perpetual, a dated contract, or any of them.

Venues, their libraries and bots spell contracts in different grammars: BTC/USDT:USDT, BTC-USDT-SWAP, BTCUSDT, BTC-PERP,
PF_XBTUSD. Where two spellings may mean one market, nothing that is held under the one may read as flat under the other.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

QUOTES = (
    "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD", "EUR", "GBP", "JPY", "AUD", "CAD", "CHF", "BRL", "TRY",
    "KRW", "BTC", "ETH", "BNB",
)  # fmt: skip
"""Quote assets by which a symbol without a separator is split, as many as fit."""

SPELT_QUOTES = frozenset(
    {
        *QUOTES, "AED", "ARS", "BGN", "CNH", "CNY", "COP", "CZK", "DKK", "HKD", "HUF", "IDR", "ILS", "INR", "MXN",
        "NGN", "NOK", "NZD", "PHP", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TWD", "UAH", "VND", "ZAR",
        "AEUR", "EURC", "EURI", "EURR", "EURT", "GUSD", "PYUSD", "RLUSD", "USD1", "USDD", "USDE", "USDG", "USDP",
        "USDQ", "USDR", "USDS", "UST", "XUSD",
        "ADA", "BCH", "DOGE", "DOT", "HT", "KCS", "LTC", "OKB", "SOL", "TRX", "WBTC", "WETH", "XRP",
    }
)  # fmt: skip
"""Quote assets of a symbol that is spelt out; what stands behind the separator of BTC-PERP is none."""

_PERPETUAL = ("PERP", "PERPETUAL", "SWAP")
_EXPIRY = re.compile(r"\d{1,2}[A-Z]{3}\d{2,4}|\d{4}|\d{6}|\d{8}")
_KRAKEN = {"PI": "perpetual", "PF": "perpetual", "PV": "perpetual", "FI": "dated", "FF": "dated"}
"""What Kraken's futures begin with (PF_XBTUSD)."""

_CASH = ("USDT", "USDC", "USD", "EUR", "GBP", "JPY")
_SHORTEST = 3
"""A pair or a contract's word leaves a base of at least this many letters."""


class Kind(Enum):
    """The kinds of markets; a joined name like BTCUSDT says none."""

    ANY = "any"
    SPOT = "spot"
    PERPETUAL = "perpetual"
    DATED = "dated"


@dataclass(frozen=True, slots=True)
class Market:
    """What a spelling says: the token of its pair (of the base alone in BTC-PERP), and the kind.

    `spelt_out` is ccxt's grammar, in which two spellings are always two markets.
    """

    pair: str
    kind: Kind
    spelt_out: bool = False

    @property
    def is_contract(self) -> bool:
        """Say whether the spelling is a contract's."""
        return self.kind in (Kind.PERPETUAL, Kind.DATED)

    def may_be(self, other: "Market") -> bool:
        """Say whether two spellings may mean one market."""
        if not self.pair or not other.pair or (self.spelt_out and other.spelt_out):
            return False
        if self.kind is not other.kind and Kind.ANY not in (self.kind, other.kind):
            return False
        return self.pair == other.pair or _is_base_of(self, other) or _is_base_of(other, self)


def _is_base_of(contract: Market, other: Market) -> bool:
    """Say whether a contract without a quote asset (BTC-PERP) is on the base of the other's pair."""
    return contract.is_contract and other.pair.startswith(contract.pair) and other.pair[len(contract.pair) :] in QUOTES


def parts_of(symbol: str) -> list[str]:
    """Return the letters and digits of a symbol between its separators."""
    parts = re.split(r"[/\-_:]", symbol.upper())
    return [name for part in parts if (name := "".join(c for c in part if c.isalnum()))]


def read_market(symbol: str, token: Callable[[str], str]) -> Market:
    """Read a spelling; `token` gives the token of a pair."""
    pair, settled, settlement = symbol.partition(":")
    if settled:
        return Market(token(pair), Kind.DATED if "-" in settlement else Kind.PERPETUAL, spelt_out=True)
    parts = parts_of(symbol)
    if len(parts) <= 1:
        return _read_joined(symbol, "".join(parts), token)
    for number, part in enumerate(parts[1:], 1):
        if part in _PERPETUAL:
            return Market(token("/".join(parts[:number])), Kind.PERPETUAL)
        if _EXPIRY.fullmatch(part):
            first = 1 if parts[0] in _KRAKEN and number > 1 else 0
            return Market(token("/".join(parts[first:number])), Kind.DATED)
    if parts[0] in _KRAKEN:
        return Market(token("/".join(parts[1:])), Kind(_KRAKEN[parts[0]]))
    return Market(token(symbol), Kind.SPOT, spelt_out=True)


def _read_joined(symbol: str, name: str, token: Callable[[str], str]) -> Market:
    for word in _PERPETUAL:
        if name.endswith(word) and len(name) >= len(word) + _SHORTEST:
            return Market(token(name[: -len(word)]), Kind.PERPETUAL)
    # The charts that many bots take their signals from write BTCUSDT.P.
    if symbol.strip().upper().endswith(".P") and name[:-1].endswith(QUOTES):
        return Market(token(name[:-1]), Kind.PERPETUAL)
    return Market(token(symbol), Kind.ANY)


def is_pair(name: str) -> bool:
    """Say whether what a quote leaves of a joined name is itself a pair, as of BTCUSDTUSDT: that names a contract."""
    return any(name.endswith(cash) and len(name) >= len(cash) + _SHORTEST for cash in _CASH)
