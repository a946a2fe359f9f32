"""Rows for the document: what of ccxt's unified rows is kept, numbers as text, under the ledger's names of symbols."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trueup.core.decimals import read_decimal
from trueup.venues.ccxt.listing import Listed, Naming

Row = Mapping[str, Any]

_ORDER = (
    "id", "clientOrderId", "timestamp", "lastTradeTimestamp", "lastUpdateTimestamp", "symbol", "type", "side", "price",
    "average", "cost", "amount", "filled", "remaining", "status", "fee", "fees", "reduceOnly",
)  # fmt: skip
_TRADE = ("id", "order", "timestamp", "symbol", "side", "takerOrMaker", "price", "amount", "fee", "fees")
_POSITION = ("symbol", "contracts", "contractSize", "side", "markPrice", "entryPrice", "timestamp")
_FEE = ("cost", "currency")
_ADJUSTED = frozenset({"CORRECTION", "REVERSAL", "SYNTHETIC"})
_TIMES = frozenset({"timestamp", "lastTradeTimestamp", "lastUpdateTimestamp"})


def order_row(row: Row, naming: Naming) -> dict[str, object]:
    """Return an order for the document."""
    return _row(row, _ORDER, naming, "filled")


def trade_row(row: Row, naming: Naming) -> dict[str, object]:
    """Return a fill for the document."""
    return _row(row, _TRADE, naming, "amount")


def trade_rows(rows: Iterable[Row], naming: Naming) -> list[dict[str, object]]:
    """Return fills for the document; those of an order with an adjusted one count for nothing.

    Coinbase lists a reversal beside the execution that it takes back, alike but for its type: the order's own total
    stands for them.
    """
    given = list(rows)
    adjusted = {(row.get("symbol"), row.get("order")) for row in given if is_adjusted(row)}
    return [
        {**trade_row(row, naming), "amount": f"{plain(row.get('amount'))} of an order with adjusted executions"}
        if (row.get("symbol"), row.get("order")) in adjusted
        else trade_row(row, naming)
        for row in given
    ]


def is_adjusted(row: Row) -> bool:
    """Say whether a fill takes back or corrects another one, by Coinbase's own word."""
    info = row.get("info")
    word = info.get("trade_type") if isinstance(info, Mapping) else None
    return isinstance(word, str) and word.upper() in _ADJUSTED


def position_row(row: Row, naming: Naming) -> dict[str, object]:
    """Return one leg of a position for the document.

    ccxt takes the side from other figures than the size (on Binance from the notional): a leg of a size without a side
    is neither long nor short, and its count of contracts becomes text, so that it is unknown. So does that of a market
    which is no contract: a margin position may count either of its coins.
    """
    kept = _row(row, _POSITION, naming, "contracts")
    contracts = kept.get("contracts")
    if not naming.is_contract(row.get("symbol")) and is_something(contracts):
        return {**kept, "contracts": f"{contracts} of what is no listed contract"}
    if "side" not in kept and is_something(contracts):
        return {**kept, "contracts": f"{contracts} without a side"}
    return {"contracts": None, **kept}


def is_something(amount: object) -> bool:
    """Say whether an amount is anything but nothing; what cannot be read may be."""
    try:
        return amount is not None and read_decimal(amount) != 0
    except ValueError:
        return True


def _row(row: Row, names: Iterable[str], naming: Naming, counted: str) -> dict[str, object]:
    """Return the fields to keep; what is counted in a market that the venue does not list may be contracts."""
    kept = {name: _value(name, row[name]) for name in names if row.get(name) is not None}
    if naming.unsized(row.get("symbol")) and is_something(row.get(counted)):
        kept[counted] = f"{row.get(counted)} in a market that is not listed, be it contracts or not"
    if "symbol" in kept:
        kept["symbol"] = naming.of(kept["symbol"])
    return kept


def _value(name: str, value: object) -> object:
    if name == "fee":
        return _fee(value)
    if name == "fees" and isinstance(value, list):
        return [_fee(fee) for fee in value]
    return _time(value) if name in _TIMES else plain(value)


def _fee(fee: object) -> object:
    return {name: plain(fee.get(name)) for name in _FEE} if isinstance(fee, Mapping) else plain(fee)


def _time(value: object) -> object:
    """Return a time as ccxt has it, in whole milliseconds."""
    return int(value) if isinstance(value, float) else value


def plain(value: object) -> object:
    """Return a number as the text that says exactly it; a binary float by its shortest form."""
    if isinstance(value, float):
        return repr(value)
    return (
        str(value) if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)) else value
    )


def sizes_and_markets(
    names: Iterable[object], naming: Naming, listed: Listed
) -> tuple[dict[str, object], dict[str, object]]:
    """Return contract sizes and markets of the contracts among some markets, by the names of their rows."""
    sizes: dict[str, object] = {}
    markets: dict[str, object] = {}
    for symbol in sorted({name for name in names if isinstance(name, str)}):
        market = listed.markets.get(symbol)
        if market is None or not market.get("contract"):
            continue
        name = str(naming.of(symbol))
        size = plain(market.get("contractSize"))
        markets[name] = {"contractSize": size, "linear": market.get("linear"), "inverse": market.get("inverse")}
        if name != symbol:
            sizes[name] = size
    return sizes, markets
