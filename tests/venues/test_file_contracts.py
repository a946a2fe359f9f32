"""Contracts in order and fill rows: base quantity = contracts × contract size, or unknown."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.venues.exports import (
    SWAP,
    ccxt_order,
    ccxt_position,
    ccxt_trade,
    document,
    native_fill,
    native_order,
    read,
)

from trueup.core.snapshot import Malformed

LINEAR = {SWAP: {"symbol": SWAP, "contractSize": 0.001, "linear": True, "inverse": False}}
KNOWN = {"contract_sizes": {SWAP: "0.001"}}


def executed(folder: Path, order: dict[str, Any], fill: dict[str, Any], **sections: Any) -> list[object]:
    """Return the executed quantities of an order and a fill, or why they are not known."""
    snapshot = read(folder, document(closed_orders=[order], fills=[fill], **sections))
    rows = [row.qty for row in (*snapshot.orders, *snapshot.fills) if row.qty]
    return [*rows, *(row.why for row in snapshot.malformed if row.feed in ("closed_orders", "fills"))]


def ccxt_rows(**fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        ccxt_order(**{"symbol": SWAP, "amount": 400, "filled": 400, **fields}),
        ccxt_trade(**{"symbol": SWAP, "amount": 400, **fields}),
    )


@pytest.mark.parametrize(
    "sections",
    [
        KNOWN,
        {"contract_sizes": {"btcusdtusdt": 0.001}},
        {"markets": LINEAR},
        {"markets": [{"symbol": "A/B"}, {"symbol": SWAP, "contractSize": "0.001"}]},
        {"positions": [ccxt_position()]},
        {"positions": [None, {"symbol": 5, "contractSize": 9}, ccxt_position(contracts=0), ccxt_position()]},
        {**KNOWN, "markets": {SWAP: {"contractSize": 8}}, "positions": [ccxt_position(contractSize=9)]},
        {"markets": LINEAR, "positions": [ccxt_position(contractSize=9)]},
    ],
)
def test_ccxt_counts_contracts(tmp_path: Path, sections: dict[str, Any]) -> None:
    assert executed(tmp_path, *ccxt_rows(), **sections) == [Decimal("0.4"), Decimal("0.4")]


def test_the_rows_own_size_wins(tmp_path: Path) -> None:
    assert executed(tmp_path, *ccxt_rows(contractSize=0.01), **KNOWN) == [4, 4]
    assert executed(tmp_path, *ccxt_rows(symbol="BTCUSDT", contractSize=0.01)) == [4, 4]


def test_the_price_is_per_base_unit(tmp_path: Path) -> None:
    order = ccxt_order(symbol=SWAP, filled=400, amount=400, average=None, cost=38840)
    (found,) = read(tmp_path, document(closed_orders=[order], **KNOWN)).orders
    assert (found.qty, found.price, found.price_source) == (Decimal("0.4"), 97100, "order")
    own = ccxt_order(symbol=SWAP, filled=400, amount=400, average=None, cost=38800)
    assert read(tmp_path, document(closed_orders=[own], **KNOWN)).orders[0].price_source == "limit"


def test_the_amount_of_a_closed_order_counts_contracts_too(tmp_path: Path) -> None:
    order = ccxt_order(symbol=SWAP, amount=400, filled=None)
    assert read(tmp_path, document(closed_orders=[order], **KNOWN)).orders[0].qty == Decimal("0.4")


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"contract_sizes": {"ETH/USDT:USDT": 1, "BTC/USDT": 1}},
        {"contract_sizes": {SWAP: None}},
        {"markets": {SWAP: {"contractSize": None}}},
        {"positions": [ccxt_position(), ccxt_position(contractSize=0.01)]},
        {"positions": [ccxt_position(contractSize="x")]},
        {"open_orders": [ccxt_order(symbol=SWAP, status="open", filled=0, average=None, contractSize=1)]},
    ],
)
def test_an_unknown_size_is_not_guessed(tmp_path: Path, sections: dict[str, Any]) -> None:
    why = f"the contract size of {SWAP} is not known: add contract_sizes or markets to the export"
    assert executed(tmp_path, *ccxt_rows(), **sections) == [why, why]


def test_an_order_that_executed_nothing_needs_no_size(tmp_path: Path) -> None:
    order = ccxt_order(symbol=SWAP, status="open", filled=0.0, average=None)
    assert read(tmp_path, document(open_orders=[order])).orders[0].qty == 0


@pytest.mark.parametrize(
    ("symbol", "sections"),
    [
        ("BTC/USD:BTC", {}),
        ("BTC/USD:BTC-260327", {}),
        ("XBT/USD:BTC", {}),
        ("BTC/USD:XBT", {"contract_sizes": {"BTC/USD:BTC": 100}}),
        (SWAP, {"markets": {SWAP: {"contractSize": 1, "inverse": True, "linear": True}}}),
    ],
)
def test_an_inverse_contract_is_not_guessed(tmp_path: Path, symbol: str, sections: dict[str, Any]) -> None:
    found = executed(tmp_path, *ccxt_rows(symbol=symbol, contractSize=100), **sections)
    quote = symbol.partition(":")[0].partition("/")[2]
    why = f"{symbol} is an inverse contract: each contract is worth {quote}, and its base quantity is not known"
    assert found == [why, why]


QUANTO = "ETH/USD:BTC"


def test_a_contract_that_settles_elsewhere_is_not_guessed(tmp_path: Path) -> None:
    why = f"{QUANTO} settles in neither its base nor its quote: add contract_sizes or markets to the export"
    rows = ccxt_rows(symbol=QUANTO, contractSize=1)
    assert executed(tmp_path, *rows) == [why, why]
    assert executed(tmp_path, *rows, markets={QUANTO: {"contractSize": 1, "linear": False}}) == [why, why]


@pytest.mark.parametrize(
    "sections",
    [{"contract_sizes": {QUANTO: 1}}, {"markets": {QUANTO: {"linear": True}}}],
)
def test_unless_the_export_says_what_it_is_worth(tmp_path: Path, sections: dict[str, Any]) -> None:
    assert executed(tmp_path, *ccxt_rows(symbol=QUANTO, contractSize=1), **sections) == [400, 400]


def test_native_rows_are_in_base_units(tmp_path: Path) -> None:
    found = executed(tmp_path, native_order(symbol=SWAP), native_fill(symbol=SWAP), **KNOWN)
    assert found == [Decimal("0.4"), Decimal("0.4")]


@pytest.mark.parametrize(
    "mark",
    [
        "clientOrderId", "contracts", "contractSize", "info", "lastTradeTimestamp", "lastUpdateTimestamp", "postOnly",
        "reduceOnly", "takerOrMaker", "timeInForce",
    ],
)  # fmt: skip
def test_one_mark_of_ccxt_makes_native_words_ambiguous(tmp_path: Path, mark: str) -> None:
    rows = (native_order(symbol=SWAP, **{mark: None}), native_fill(symbol=SWAP, **{mark: None}))
    assert executed(tmp_path, *rows, **KNOWN) == [
        "filled_qty in a row of ccxt's shape may count contracts or base units",
        "qty in a row of ccxt's shape may count contracts or base units",
    ]
    spot = (native_order(**{mark: None}), native_fill(**{mark: None}))
    assert executed(tmp_path, *spot, **KNOWN) == [Decimal("0.4"), Decimal("0.4")]


def test_so_do_its_three_quantities_together(tmp_path: Path) -> None:
    three = {"amount": 1, "filled": None, "remaining": 1}
    assert "ccxt's shape" in str(executed(tmp_path, native_order(symbol=SWAP, **three), native_fill()))
    for name in three:
        two = {**three}
        del two[name]
        assert executed(tmp_path, native_order(symbol=SWAP, **two), native_fill())[0] == Decimal("0.4")


@pytest.mark.parametrize("name", ["amount", "filled"])
def test_ccxts_words_alone_count_contracts_of_a_contract(tmp_path: Path, name: str) -> None:
    order = native_order(symbol=SWAP, **{"filled_qty": None, name: 400})
    fill = native_fill(symbol=SWAP, **{"qty": None, name: 400})
    assert executed(tmp_path, order, fill, **KNOWN) == [Decimal("0.4"), Decimal("0.4")]
    spot = (native_order(**{"filled_qty": None, name: 400}), native_fill(**{"qty": None, name: 400}))
    assert executed(tmp_path, *spot, **KNOWN) == [400, 400]


def test_a_declared_size_makes_a_short_name_a_contract(tmp_path: Path) -> None:
    rows = ccxt_rows(symbol="BTCUSDT")
    assert executed(tmp_path, *rows) == [400, 400]
    assert executed(tmp_path, *rows, contract_sizes={"BTCUSDT": "0.001"}) == [Decimal("0.4"), Decimal("0.4")]
    assert executed(tmp_path, *rows, markets={"BTCUSDT": {"contractSize": "0.001"}}) == [400, 400]


@pytest.mark.parametrize(
    ("sections", "malformed"),
    [
        ({"contract_sizes": []}, {"contract_sizes": "it is a list where an object by symbol is expected"}),
        (
            {"contract_sizes": {"A": 0, "B": "x", "C": 1}},
            {"contract_sizes.A": "contract size is 0", "contract_sizes.B": "contract size 'x' is not a number"},
        ),
        (
            {"contract_sizes": {SWAP: 1, "BTC-USDT-USDT": 1.0, "btc/usdt/usdt": 2}},
            {"contract_sizes.btc/usdt/usdt": "contract size is 1 and 2"},
        ),
        ({"markets": 5}, {"markets": "it is 5 where an object by symbol is expected"}),
        ({"markets": {"A": []}}, {"markets[0]": "it is no market with a symbol"}),
        (
            {"markets": [{"symbol": "A"}, {}, 5, {"symbol": 5}]},
            {f"markets[{index}]": "it is no market with a symbol" for index in (1, 2, 3)},
        ),
        ({"markets": {"A": {"contractSize": -1}}}, {"markets.A": "contract size '-1' is negative"}),
    ],
)
def test_unreadable_sizes_are_named(tmp_path: Path, sections: dict[str, Any], malformed: dict[str, str]) -> None:
    (name,) = sections
    assert read(tmp_path, document(**sections)).malformed == tuple(
        Malformed(name, where, why) for where, why in malformed.items()
    )


def test_two_sizes_of_one_symbol_are_none(tmp_path: Path) -> None:
    sizes = {SWAP: "0.001", "BTC-USDT-USDT": "0.01"}
    assert "not known" in str(executed(tmp_path, *ccxt_rows(), contract_sizes=sizes)[0])
