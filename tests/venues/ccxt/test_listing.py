"""Which markets a ledger's spelling means, and under which name their rows come back."""

from decimal import Decimal
from typing import Any

import pytest

from trueup.core.holdings import Holdings
from trueup.core.symbols import Symbols
from trueup.venues.ccxt.events import MARKS, events_of
from trueup.venues.ccxt.export import order_row, plain, position_row
from trueup.venues.ccxt.holdings import balance_section, spot_legs
from trueup.venues.ccxt.listing import Listed, Naming, naming_of
from trueup.venues.ccxt.reading import split_orders
from trueup.venues.documents.snapshots import snapshot_of_answers


def market(symbol: str, name: str, **more: Any) -> dict[str, Any]:
    base = symbol.partition("/")[0]
    contract = ":" in symbol
    size = "0.01" if contract else None
    return {
        "symbol": symbol, "id": name, "base": base, "contract": contract, "contractSize": size, "linear": contract,
        "inverse": False, "future": "-" in symbol, **more,
    }  # fmt: skip


def listed(*markets: dict[str, Any]) -> Listed:
    return Listed({row["symbol"]: row for row in markets}, Symbols())


SPOT = market("BTC/USDT", "BTCUSDT")
SWAP = market("BTC/USDT:USDT", "BTCUSDT")
DATED = market("BTC/USDT:USDT-260327", "BTCUSDT_260327")
OKX_SWAP = market("BTC/USDT:USDT", "BTC-USDT-SWAP")
KRAKEN = market("BTC/USD", "XXBTZUSD")


@pytest.mark.parametrize(
    ("markets", "symbol", "meant"),
    [
        ((SPOT,), "BTC/USDT", ("BTC/USDT",)), ((SPOT,), "btc-usdt", ("BTC/USDT",)), ((SPOT,), "BTCUSDT", ("BTC/USDT",)),
        ((SPOT,), "BTC/USDT:USDT", ()), ((SWAP, DATED), "BTCUSDT", ("BTC/USDT:USDT",)),
        ((SWAP, DATED), "BTC/USDT", ()), ((SWAP, DATED), "BTCUSDT_260327", ("BTC/USDT:USDT-260327",)),
        ((SPOT, SWAP), "BTCUSDT", ("BTC/USDT", "BTC/USDT:USDT")), ((SPOT, SWAP), "BTC/USDT", ("BTC/USDT",)),
        ((SPOT, OKX_SWAP), "BTC-USDT-SWAP", ("BTC/USDT:USDT",)), ((KRAKEN,), "XBTUSD", ("BTC/USD",)),
        ((KRAKEN,), "XXBTZUSD", ("BTC/USD",)), ((OKX_SWAP,), "BTC-PERP", ("BTC/USDT:USDT",)),
        ((market("BTC/USD", "BTCUSD", option=True),), "BTCUSD", ()),
    ],
)  # fmt: skip
def test_a_spelling_means_the_markets_that_it_may(markets: Any, symbol: str, meant: tuple[str, ...]) -> None:
    assert listed(*markets).resolve(symbol).markets == meant


@pytest.mark.parametrize(
    ("markets", "spellings", "names"),
    [
        ((SWAP,), ["BTCUSDT"], {"BTC/USDT:USDT": "BTCUSDT"}), ((SWAP,), ["BTC/USDT:USDT"], {}),
        ((SWAP,), ["BTCUSDT", "BTC/USDT:USDT"], {}), ((SPOT,), ["BTCUSDT"], {}), ((SPOT, SWAP), ["BTCUSDT"], {}),
        ((SPOT, OKX_SWAP), ["BTC-USDT-SWAP"], {"BTC/USDT:USDT": "BTC-USDT-SWAP"}),
        ((market("BTC/USDT:USDT", "BTCUSDT", contractSize=None),), ["BTCUSDT"], {}),
    ],
)  # fmt: skip
def test_rows_have_the_ledgers_name_where_its_token_would_not_find_them(
    markets: Any, spellings: list[str], names: dict[str, str]
) -> None:
    known = listed(*markets)
    assert naming_of([known.resolve(name) for name in spellings], known).names == names


def of_mixed(symbols: list[str], btc: str | None, legs: list[dict[str, Any]]) -> Holdings:
    """Return the holdings at a venue of spot and swaps, of BTC."""
    known = listed(SPOT, SWAP)
    resolved = [known.resolve(symbol) for symbol in symbols]
    balances = None if btc is None else {"BTC": btc, "USDT": "5"}
    rows = [*legs, *spot_legs(resolved, balances, known, "balances are not known")]
    document = {"as_of": "2026-01-01T00:00:00Z", "positions": rows, "balances": balances or {"USDT": "5"},
                "markets": {"BTC/USDT:USDT": {"contractSize": "0.01", "linear": True}}}  # fmt: skip
    return Holdings(snapshot_of_answers("main", document, known.symbols))


def test_spot_beside_swaps_is_held_by_its_balance() -> None:
    """The trap: beside positions no balance is looked at, so that a coin that is held would read as flat."""
    assert of_mixed(["BTC/USDT"], "0.5", []).of("BTC/USDT").signed == Decimal("0.5")
    assert of_mixed(["BTC/USDT"], "0", []).of("BTC/USDT").is_flat(Decimal(0))


def test_a_name_that_may_be_spot_or_swap_is_unknown() -> None:
    held = {"symbol": "BTC/USDT:USDT", "contracts": "7", "side": "long"}
    for legs in ([], [held]):
        assert "spell it" in (of_mixed(["BTCUSDT"], "0", legs).of("BTCUSDT").unknown or "")
    assert of_mixed(["BTC/USDT:USDT"], "0", [held]).of("BTC/USDT:USDT").signed == Decimal("0.07")


def test_spot_beside_swaps_is_unknown_without_balances_and_where_it_is_not_listed() -> None:
    assert "balances are not known" in (of_mixed(["BTC/USDT"], None, []).of("BTC/USDT").unknown or "")
    assert "lists no NOPE/USDT" in (of_mixed(["NOPE/USDT"], "1", []).of("NOPE/USDT").unknown or "")


def test_a_lent_form_makes_a_spot_leg_unknown() -> None:
    known = listed(market("BTC/USDT", "BTCUSDT"), SWAP)
    (row,) = spot_legs([known.resolve("BTC/USDT")], {"BTC": "0", "LDBTC": "1"}, known, "")
    assert "LDBTC" in str(row["qty"])


def test_balances_are_totals_less_the_external_and_never_below_zero() -> None:
    section = balance_section(
        {"BTC": {"total": "1.5", "free": "1"}, "ETH": {"total": "1"}, "SOL": {"total": None}, "DOGE": {"total": "0"},
         "ADA": {"total": "3", "debt": "2"}},
        {"BTC": Decimal("0.5"), "ETH": Decimal(2), "XRP": Decimal(1)}, Symbols(),
    )  # fmt: skip
    assert section["BTC"] == "1"
    assert "DOGE" not in section
    assert {name for name, amount in section.items() if not str(amount).replace(".", "").isdigit()} == {
        "ETH", "SOL", "ADA", "XRP",
    }  # fmt: skip


def test_balances_of_nothing_are_still_balances() -> None:
    assert balance_section({"BTC": {"total": "0.00"}}, {}, Symbols()) == {"BTC": "0"}


ROW = {"id": "1", "symbol": "BTC/USDT:USDT", "timestamp": 5, "status": "closed", "filled": "1"}


@pytest.mark.parametrize(
    ("exchange", "info", "kind"),
    [
        ("binanceusdm", {"clientOrderId": "autoclose-17"}, "liquidation"),
        ("binanceusdm", {"clientOrderId": "adl_autoclose"}, "adl"),
        ("binanceusdm", {"clientOrderId": "settlement_autoclose-9"}, "settlement"),
        ("binanceusdm", {"clientOrderId": "my-autoclose-1"}, None), ("binanceusdm", {"clientOrderId": "x"}, None),
        ("bybit", {"createType": "CreateByAdl_PassThrough"}, "adl"), ("bybit", {"createType": "CreateByUser"}, None),
        ("okx", {"category": "full_liquidation"}, "liquidation"), ("okx", {"category": "normal"}, None),
        ("hyperliquid", {"order": {"dir": "x"}, "dir": "Liquidated Cross Long"}, "liquidation"),
        ("kraken", {"ordertype": "liquidation market"}, "liquidation"), ("coinbase", {"a": "b"}, None),
    ],
)  # fmt: skip
def test_what_the_venue_did_by_itself_is_an_event(exchange: str, info: dict[str, Any], kind: str | None) -> None:
    found = events_of(exchange, [{**ROW, "info": info}], [{**ROW, "id": "f", "order": "1", "info": info}], Naming())
    assert [(event["kind"], event["order_id"]) for event in found] == ([(kind, "1")] if kind else [])


def test_events_are_known_of_exchanges_that_close_by_force() -> None:
    assert {"binanceusdm", "binancecoinm", "bybit", "okx", "hyperliquid", "kraken"} == MARKS.keys()


def order(status: str, filled: str, number: str = "1") -> dict[str, Any]:
    return {**ROW, "id": number, "status": status, "filled": filled}


def test_an_order_of_both_lists_stands_once_as_it_was_read_last() -> None:
    """The trap: an order that fills between two reads would look listed twice, differently."""
    open_then_filled = split_orders([order("open", "0")], [order("closed", "1")])
    assert open_then_filled == ([], [order("closed", "1")])
    still_open = split_orders([order("open", "0")], [order("open", "0.5")])
    assert still_open == ([order("open", "0.5")], [])
    alone = split_orders([order("open", "0")], [order("closed", "1", "2")])
    assert alone == ([order("open", "0")], [order("closed", "1", "2")])


def test_a_later_reading_of_less_is_a_conflict_that_stands() -> None:
    works, over = split_orders([order("open", "1")], [order("open", "0.5")])
    assert (len(works), len(over)) == (1, 1)


def test_rows_keep_what_is_read_of_them_as_text() -> None:
    row = order_row({**ROW, "price": 0.1, "fee": {"cost": 1e-7, "currency": "BNB"}, "info": {"x": 1}}, Naming())
    assert row["price"] == "0.1"
    assert row["fee"] == {"cost": "1e-07", "currency": "BNB"}
    assert "info" not in row
    assert plain(Decimal("1.10")) == "1.10"


def test_a_count_in_a_market_that_is_not_listed_is_no_quantity() -> None:
    """The trap: a delisted contract has no contract size, and its contracts would read as coins."""
    naming = Naming(listed=listed(SWAP))
    assert "not listed" in str(order_row({**ROW, "symbol": "OLD_USDT"}, naming)["filled"])
    assert order_row({**ROW, "symbol": "OLD_USDT", "filled": "0"}, naming)["filled"] == "0"
    assert order_row({**ROW, "symbol": "OLD/USDT"}, Naming(listed=listed(SPOT)))["filled"] == "1"
    margin = {"symbol": "BTC/USDT", "contracts": "5", "side": "long"}
    assert "no listed contract" in str(position_row(margin, Naming(listed=listed(SPOT, SWAP)))["contracts"])
