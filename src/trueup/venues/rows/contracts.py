"""Contracts: what a quantity in a ccxt row is worth in base units.

ccxt gives the amounts of swaps, futures and options in contracts (its manual, "Contract size"): base quantity
= contracts × contract size. A contract that settles in its base is worth a fixed sum of quote currency
instead, so that its base quantity depends on the price; it is refused rather than guessed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trueup.core.decimals import exactly, plain, read_quantity
from trueup.core.snapshot import Malformed
from trueup.core.symbols import Symbols, is_contract
from trueup.venues.rows.fields import Row, printable, quantity, shown

CCXT_MARKS = frozenset(
    {
        "clientOrderId", "contracts", "contractSize", "info", "lastTradeTimestamp", "lastUpdateTimestamp",
        "postOnly", "reduceOnly", "takerOrMaker", "timeInForce",
    }
)  # fmt: skip
"""Fields of which one tells a row of ccxt's unified format from the native one and from Alpaca's."""

_CCXT_QUANTITIES = frozenset({"amount", "filled", "remaining"})
_CONTRACT_COUNTS = frozenset({"amount", "filled", "contracts"})

ADD_SIZES = "add contract_sizes or markets to the export"


def is_ccxt(row: Row) -> bool:
    """Say whether a row is in ccxt's unified format."""
    return not CCXT_MARKS.isdisjoint(row) or row.keys() >= _CCXT_QUANTITIES


@dataclass(frozen=True, slots=True)
class Contracts:
    """Contract sizes in base units, by the token of the symbol.

    `declared` are the export's own `contract_sizes`, `markets` the sizes of its ccxt markets, `held` those
    that its position rows carry. `linear` and `inverse` are the tokens of which the markets say so.
    """

    symbols: Symbols = field(default_factory=Symbols)
    declared: Mapping[str, Decimal] = field(default_factory=dict)
    markets: Mapping[str, Decimal] = field(default_factory=dict)
    held: Mapping[str, Decimal] = field(default_factory=dict)
    linear: frozenset[str] = frozenset()
    inverse: frozenset[str] = frozenset()

    @exactly
    def base_quantity(self, row: Row, symbol: str, name: str, amount: Decimal) -> Decimal:
        """Return the base quantity of the amount that a row gives in the field `name`.

        ValueError where the amount is, or may be, in contracts and their worth in base units is not known.
        """
        if not amount or not self._counts_contracts(row, symbol, name):
            return amount
        size = self._size(row, symbol)
        try:
            return read_quantity(amount * size)
        except ValueError:
            raise ValueError(f"{name} × contract size is outside what a quantity can be") from None

    def _counts_contracts(self, row: Row, symbol: str, name: str) -> bool:
        """Say whether a field counts contracts: one in ccxt's words, of a contract.

        A symbol that is spelt without its settlement is one where the row or the export gives its contract size.
        """
        contract = is_contract(symbol) or self.symbols.token(symbol) in self.declared
        if name in _CONTRACT_COUNTS:
            return contract or row.get("contractSize") is not None
        if contract and is_ccxt(row):
            raise ValueError(f"{name} in a row of ccxt's shape may count contracts or base units")
        return False

    def _size(self, row: Row, symbol: str) -> Decimal:
        token = self.symbols.token(symbol)
        settled, base, quote = _currencies(symbol, self.symbols)
        if token in self.inverse or settled == base:
            raise ValueError(
                f"{printable(symbol)} is an inverse contract: each contract is worth {quote or 'quote currency'},"
                " and its base quantity is not known"
            )
        if settled not in ("", quote) and token not in self.linear and token not in self.declared:
            raise ValueError(f"{printable(symbol)} settles in neither its base nor its quote: {ADD_SIZES}")
        own = row.get("contractSize")
        size = size_of("contractSize", own) if own is not None else None
        size = size or self.declared.get(token) or self.markets.get(token) or self.held.get(token)
        if size is None:
            raise ValueError(f"the contract size of {printable(symbol)} is not known: {ADD_SIZES}")
        return size


def size_of(name: str, value: object) -> Decimal:
    """Read a contract size; ValueError where it is not a number above zero."""
    size = quantity(name, value)
    if not size:
        raise ValueError(f"{name} is 0")
    return size


def _currencies(symbol: str, symbols: Symbols) -> tuple[str, str, str]:
    """Return settlement, base and quote of a symbol as ccxt spells it (BASE/QUOTE:SETTLE-EXPIRY…)."""
    pair, _, rest = symbol.partition(":")
    base, _, quote = pair.partition("/")
    return symbols.asset(rest.split("-")[0]), symbols.asset(base), symbols.asset(quote)


def read_contracts(
    contract_sizes: Iterable[tuple[str, object]],
    markets: Iterable[tuple[str, object]],
    position_rows: Iterable[object],
    symbols: Symbols,
) -> tuple[Contracts, list[Malformed]]:
    """Read what an export says of contract sizes.

    Each value comes with the place where it stands: `contract_sizes` is {symbol: size}, `markets` ccxt's
    markets by symbol or as a list. What cannot be read is left out and named, so that its rows stay unknown.
    """
    problems: list[Malformed] = []
    declared = [
        (where, symbol, value)
        for where, section in contract_sizes
        for symbol, value in _entries("contract_sizes", where, section, problems)
    ]
    listed = [
        (where, symbol, market) for where, section in markets for symbol, market in _markets(where, section, problems)
    ]
    sizes = [(where, symbol, market.get("contractSize")) for where, symbol, market in listed]
    held = [
        ("positions", row["symbol"], row.get("contractSize"))
        for row in position_rows
        if isinstance(row, Mapping) and isinstance(row.get("symbol"), str)
    ]
    contracts = Contracts(
        symbols=symbols,
        declared=_sizes("contract_sizes", declared, symbols, problems),
        markets=_sizes("markets", sizes, symbols, problems),
        held=_sizes("positions", held, symbols, []),
        linear=frozenset(symbols.token(name) for _, name, market in listed if market.get("linear") is True),
        inverse=frozenset(symbols.token(name) for _, name, market in listed if market.get("inverse") is True),
    )
    return contracts, problems


def _entries(name: str, where: str, section: object, problems: list[Malformed]) -> Iterable[tuple[str, object]]:
    if isinstance(section, Mapping):
        return section.items()
    problems.append(Malformed(name, where, f"it is {shown(section)} where an object by symbol is expected"))
    return ()


def _markets(where: str, section: object, problems: list[Malformed]) -> Iterable[tuple[str, Row]]:
    if isinstance(section, list):
        entries = [(row.get("symbol") if isinstance(row, Mapping) else None, row) for row in section]
    else:
        entries = list(_entries("markets", where, section, problems))
    for index, (symbol, market) in enumerate(entries):
        if isinstance(symbol, str) and isinstance(market, Mapping):
            yield symbol, market
        else:
            problems.append(Malformed("markets", f"{where}[{index}]", "it is no market with a symbol"))


def _sizes(
    name: str, given: Iterable[tuple[str, str, object]], symbols: Symbols, problems: list[Malformed]
) -> dict[str, Decimal]:
    """Return the size of each symbol that is given one; a symbol with two has none, and null gives none."""
    found: dict[str, Decimal] = {}
    refused: set[str] = set()
    for where, symbol, value in given:
        if value is None:
            continue
        token = symbols.token(symbol)
        try:
            size = size_of("contract size", value)
            if found.setdefault(token, size) != size:
                raise ValueError(f"contract size is {plain(found[token])} and {plain(size)}")
        except ValueError as error:
            refused.add(token)
            problems.append(Malformed(name, f"{where}.{printable(symbol)}", str(error)))
    return {token: size for token, size in found.items() if token not in refused}
