"""Every sample row of the venues, through that exchange's own ccxt parser and then ours: read rightly or refused.

The samples are documentation, so that some are of other accounts' trades or lack an id; such rows must be refused by
name. What is read must stand in the raw row: no number may come from anywhere else.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from trueup.core.decimals import EXACT
from trueup.core.snapshot import Fill, Leg, Snapshot, VenueOrder
from trueup.core.symbols import Symbols
from trueup.core.times import read_time
from trueup.venues.ccxt.client import _asked, _checked_class
from trueup.venues.ccxt.export import order_row, position_row, trade_row
from trueup.venues.ccxt.holdings import balance_section
from trueup.venues.ccxt.judging import UnreadableAnswer
from trueup.venues.ccxt.listing import Listed, Naming
from trueup.venues.documents.snapshots import snapshot_of_answers

FOLDER = Path(__file__).parent / "samples"
SIZE = Decimal("0.001")
SPOT = {
    "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
    "type": "spot", "spot": True, "precision": {"amount": "1e-8", "price": "1e-8"},
}  # fmt: skip
SWAP = {
    "id": "BTC-USDT-SWAP", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "settle": "USDT", "type": "swap",
    "baseId": "BTC", "quoteId": "USDT", "settleId": "usdt", "swap": True, "contract": True, "linear": True,
    "inverse": False, "contractSize": str(SIZE), "precision": {"amount": "1", "price": "1e-8"},
}  # fmt: skip
INVERSE = {
    **SWAP, "id": "BTCUSD_PERP", "symbol": "BTC/USD:BTC", "quote": "USD", "settle": "BTC", "linear": False,
    "inverse": True, "contractSize": "100",
}  # fmt: skip
KINDS = {"order": "closed_orders", "trade": "fills", "position": "positions"}
NOT_OURS = ("order_book", "history", "adl_rank", "mode", "convert", "dust", "option")
AS_OF = "2035-01-01T00:00:00Z"


def raw(name: str) -> dict[str, list[Any]]:
    content: dict[str, list[Any]] = json.loads((FOLDER / name).read_text(), parse_float=str)
    return content


def kind_of(method: str) -> str | None:
    if any(word in method for word in NOT_OURS):
        return None
    if "trade" in method:
        return "trade"
    return next((kind for kind in ("order", "position") if kind in method), None)


def rows_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of an answer: the objects that hold no list or object of objects."""
    if isinstance(value, list):
        for inner in value:
            yield from rows_in(inner)
    elif isinstance(value, dict):
        nested = [inner for inner in value.values() if _holds_rows(inner)]
        if nested and not {"descr", "symbol", "order_id", "orderId"} & value.keys():
            for inner in nested:
                yield from rows_in(inner)
        elif len(value) > 3:
            yield value


def _holds_rows(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(inner, dict) for inner in value)
    return isinstance(value, dict) and bool(value)


def cases() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.json")):
        for method, answers in raw(path.name).items():
            kind = kind_of(method)
            rows = [row for answer in answers for row in rows_in(answer)] if kind else []
            for number, row in enumerate(rows):
                yield pytest.param(path.stem, kind, row, id=f"{path.stem}-{method}-{number}")


def exchange(name: str, *markets: Mapping[str, Any]) -> Any:
    made = _checked_class(name)()
    made.number = str
    made.set_markets([made.safe_market_structure(dict(market)) for market in markets or (SPOT, SWAP, INVERSE)])
    made.options = {**made.options, "leverageBrackets": {}}
    return made


def parsed(name: str, kind: str, row: Mapping[str, Any], market: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what ccxt makes of a row, None where its parser fails, which the client reports."""
    made = exchange(name, market)
    parser = {"position": "parse_position_risk" if name == "binance" else "parse_position"}.get(kind, f"parse_{kind}")
    own = json.loads(json.dumps(row))
    try:
        found: Mapping[str, Any] = _asked(lambda: getattr(made, parser)(own, made.market(market["symbol"])))
    except UnreadableAnswer:
        return None
    return found


def snapshot_of(kind: str, row: Mapping[str, Any], market: Mapping[str, Any]) -> Snapshot:
    export = {"order": order_row, "trade": trade_row, "position": position_row}[kind]
    document = {
        "as_of": AS_OF, KINDS[kind]: [export(row, Naming(listed=Listed({market["symbol"]: market}, Symbols())))],
        "markets": {market["symbol"]: {name: market.get(name) for name in ("contractSize", "linear", "inverse")}},
    }  # fmt: skip
    return snapshot_of_answers("main", json.loads(json.dumps(document)), Symbols())


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def numbers(row: Mapping[str, Any]) -> set[Decimal]:
    found = set()
    for leaf in leaves(row):
        try:
            number = Decimal(leaf)
        except ArithmeticError:
            continue
        if number.is_finite():
            found.add(abs(number))
    return found


def times(row: Mapping[str, Any]) -> set[int]:
    found = set()
    for leaf in leaves(row):
        try:
            found.add(read_time(leaf))
        except ValueError:
            continue
    return found | {moment + 1 for moment in found} | {moment - 1 for moment in found}


def stands_in(qty: Decimal, known: set[Decimal]) -> bool:
    """Say whether a quantity is one of the row's numbers, or what two of them come to.

    That is an amount less what remains, or what was paid over the price, to 18 places.
    """
    if qty in known:
        return True
    pairs = [(one, other) for one in known for other in known]
    return any(abs(one - other) == qty or (other and abs(one / other - qty) < Decimal("1e-17")) for one, other in pairs)


@pytest.mark.parametrize("market", [SPOT, SWAP, INVERSE], ids=["spot", "swap", "inverse"])
@pytest.mark.parametrize(("name", "kind", "row"), list(cases()))
def test_a_sample_is_read_rightly_or_refused(
    name: str, kind: str, row: Mapping[str, Any], market: Mapping[str, Any]
) -> None:
    made = parsed(name, kind, row, market)
    if made is None:
        return
    snapshot = snapshot_of(kind, made, market)
    read = [*snapshot.orders, *snapshot.fills, *snapshot.legs]
    assert len(read) + len(snapshot.malformed) == 1
    assert all(bad.why for bad in snapshot.malformed)
    known = numbers(row)
    if not known:
        assert not read
    assert all(found.symbol in (market["symbol"], SPOT["symbol"]) or market is SPOT for found in read if _size(found))
    for order in snapshot.orders:
        check_row(order.id, order.symbol, order.time_ms, row, market)
        check_quantity(order.qty, known, market)
        assert order.price is not None or order.price_source == "none"
        if order.price is not None:
            assert order.price > 0
            check_price(order.price, order.qty, known, market)
    for fill in snapshot.fills:
        check_row(fill.id, fill.symbol, fill.time_ms, row, market)
        assert fill.order_id in set(leaves(row))
        assert fill.qty > 0
        check_quantity(fill.qty, known, market)
        if fill.price is not None:
            check_price(fill.price, fill.qty, known, market)
    for leg in snapshot.legs:
        assert leg.symbol
        check_quantity(abs(leg.qty), known, market)


def _size(found: VenueOrder | Fill | Leg) -> Decimal:
    return found.qty


def check_row(identity: str, symbol: str, time_ms: int, row: Mapping[str, Any], market: Mapping[str, Any]) -> None:
    assert identity in set(leaves(row))
    assert symbol
    assert time_ms in times(row)


def check_quantity(qty: Decimal, known: set[Decimal], market: Mapping[str, Any]) -> None:
    """A quantity stands in the row; that of a contract is worth its size, and that of an inverse one is not known."""
    assert qty == 0 or not market.get("inverse")
    counted = EXACT.divide(qty, SIZE) if market.get("contract") else qty
    assert stands_in(counted, known)


def check_price(price: Decimal, qty: Decimal, known: set[Decimal], market: Mapping[str, Any]) -> None:
    """A price stands in the row, or is what the row's cost comes to for one unit."""
    if price in known:
        return
    counted = EXACT.divide(qty, SIZE) if market.get("contract") else qty
    worth = {EXACT.multiply(price, counted), EXACT.multiply(price, qty)}
    assert any(abs(cost - value) <= cost * Decimal("1e-6") for cost in known for value in worth)


def test_the_samples_are_there_and_most_are_read() -> None:
    """A test that refuses everything would hold every law above."""
    read = refused = 0
    for case in cases():
        name, kind, row = case.values
        for market in (SPOT, SWAP):
            made = parsed(name, kind, row, market)
            snapshot = snapshot_of(kind, made, market) if made is not None else None
            good = snapshot is not None and bool(snapshot.orders or snapshot.fills or snapshot.legs)
            read, refused = read + good, refused + (not good)
    assert read > 200
    assert refused < read


def balances() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.json")):
        for number, answer in enumerate(raw(path.name).get("fetch_balance", ())):
            yield pytest.param(path.stem, answer, id=f"{path.stem}-{number}")


@pytest.mark.parametrize(("name", "answer"), list(balances()))
def test_a_balance_is_read_rightly_or_refused(name: str, answer: Any) -> None:
    made = exchange(name)
    own = json.loads(json.dumps(answer))
    parser = {"binance": "parse_balance_custom", "coinbase": "parse_custom_balance"}.get(name, "parse_balance")
    try:
        found = _asked(lambda: getattr(made, parser)(own))
    except (UnreadableAnswer, ccxt.NotSupported):
        return
    assets = {key: value for key, value in found.items() if isinstance(value, Mapping) and key != "info"}
    for total in ("free", "used", "total", "debt"):
        assets.pop(total, None)
    section = balance_section(assets, {}, Symbols())
    known = numbers({"answer": answer})
    for asset, amount in section.items():
        if str(amount).replace(".", "", 1).replace("-", "", 1).isdigit():
            total = abs(Decimal(str(amount)))
            sums = {one + other for one in known for other in known}
            assert total in known | sums, f"{asset} {amount}"


def test_pairs_of_laws_can_fail() -> None:
    """The laws themselves: a number that is not in the row, and a contract that is not worth its size, are seen."""
    row = {"id": "1", "qty": "5", "price": "7"}
    for qty, market in ((Decimal(11), SPOT), (Decimal(5), SWAP), (Decimal(5), INVERSE)):
        with pytest.raises(AssertionError):
            check_quantity(qty, numbers(row), market)
    check_quantity(Decimal("0.005"), numbers(row), SWAP)
    with pytest.raises(AssertionError):
        check_price(Decimal(8), Decimal(5), numbers(row), SPOT)
