"""Symbols as tokens, their base assets, and contracts that a joined spelling may hide."""

import pytest

from trueup.core.markets import Kind, Market, is_pair, read_market
from trueup.core.symbols import Symbols, is_contract


@pytest.mark.parametrize(
    ("symbol", "token"),
    [
        ("BTC/USD", "BTCUSD"), ("BTCUSD", "BTCUSD"), ("btc-usd", "BTCUSD"), ("Btc_Usd", "BTCUSD"),
        (" BTC / USD ", "BTCUSD"),
        ("XBT/USD", "BTCUSD"), ("XBTUSD", "BTCUSD"), ("XXBTZUSD", "BTCUSD"), ("XXBT/ZUSD", "BTCUSD"),
        ("xbt-eur", "BTCEUR"),
        ("XETHZEUR", "ETHEUR"), ("XETHXXBT", "ETHBTC"), ("ETHXBT", "ETHBTC"), ("XBTPLN", "BTCPLN"),
        ("XDGUSD", "DOGEUSD"), ("XXDGZUSD", "DOGEUSD"),
        ("XDG/XBT", "DOGEBTC"),
        ("XBTI", "XBTI"), ("XBT", "XBT"), ("XXBTUSD", "BTCUSD"), ("XXBT", "XXBT"), ("ZUSD/ZJPY", "USDJPY"),
        ("XXRP-ZCAD", "XRPCAD"),
        ("BTC/USDT:USDT", "BTCUSDTUSDT"), ("BTC/USD:BTC-240628", "BTCUSDBTC240628"), ("AAPL", "AAPL"),
        ("BRK.B", "BRKB"),
        ("", ""), ("/", ""), ("1INCH/USD", "1INCHUSD"), ("XTZ/USD", "XTZUSD"), ("ZEC-USD", "ZECUSD"),
    ],
)  # fmt: skip
def test_tokens(symbol: str, token: str) -> None:
    symbols = Symbols()
    assert symbols.token(symbol) == token
    assert symbols.token(symbol) == token


def test_a_venue_has_its_own_aliases_and_the_longer_name_wins() -> None:
    own = Symbols({"X": "Q", "XRP": "R", "LUNA": "LUNC"})
    assert [own.token(s) for s in ("XRPUSD", "XUSD", "LUNA/USD", "XBTUSD")] == ["RUSD", "QUSD", "LUNCUSD", "XBTUSD"]
    nested = Symbols({"A": "Q", "ABTC": "R"})
    assert nested.token("ABTCUSD") == "RUSD"
    assert Symbols({"A": "Q", "AUSD": "R"}).token("AUSDT") == "QUSDT"


@pytest.mark.parametrize(
    ("name", "asset"),
    [
        ("btc", "BTC"),
        ("XBT", "BTC"),
        ("xxbt", "BTC"),
        ("ZUSD", "USD"),
        ("XETH", "ETH"),
        ("XTZ", "XTZ"),
        ("b t.c", "BTC"),
        ("XXDG", "DOGE"),
        ("XBT.M", "BTC.M"),
        ("zusd.hold", "USD.HOLD"),
        ("DOT28.S", "DOT28.S"),
        (".S", "S"),
    ],
)
def test_assets(name: str, asset: str) -> None:
    assert Symbols().asset(name) == asset


@pytest.mark.parametrize(
    ("symbol", "base"),
    [
        ("BTC/USD", "BTC"), ("XBT-USD", "BTC"), ("BTCUSD", "BTC"), ("BTCUSDT", "BTC"), ("ETHBTC", "ETH"),
        ("XBTUSD", "BTC"),
        ("BTCFDUSD", None), ("USDUSDT", "USD"), ("EURUSD", "EUR"), ("XETHZUSD", "ETH"), ("DOTBNB", "DOT"),
        ("BTC/USDT:USDT", None), ("BTC:USD", None),
        ("BTC/PLN", "BTC"), ("XETH/ZEUR", "ETH"), ("PYUSD/USD", "PYUSD"), ("PYUSDUSD", "PYUSD"), ("WBTCBTC", "WBTC"),
        ("A-B-USD", None), ("A-B", None), ("AAPL", None), ("USD", None), ("A/B/C", None), ("", None),
    ],
)  # fmt: skip
def test_base_assets(symbol: str, base: str | None) -> None:
    assert Symbols().base_asset(symbol) == base


@pytest.mark.parametrize(
    ("symbol", "assets"),
    [
        ("BTC/USD", ("BTC",)), ("XBT-USD", ("BTC",)), ("BTCUSDT", ("BTC",)), ("BTCFDUSD", ("BTC", "BTCFD")),
        ("DOTUSD", ("DO", "DOT")), ("USD", ()), ("BTC/USDT:USDT", ()), ("A/B/C", ()), ("AAPL", ()),
    ],
)  # fmt: skip
def test_a_joined_symbol_may_trade_several_assets(symbol: str, assets: tuple[str, ...]) -> None:
    assert Symbols().base_assets(symbol) == assets


def test_contracts_name_their_settlement() -> None:
    assert is_contract("BTC/USDT:USDT")
    assert not is_contract("BTC/USDT")


def test_a_joined_symbol_may_mean_a_held_contract_and_a_spelt_one_never_does() -> None:
    held = {"BTC/USDT:USDT-2", "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT"}
    assert Symbols().namesakes("BTCUSDT", held) == ["BTC/USDT:USDT", "BTC/USDT:USDT-2"]
    assert Symbols().namesakes("BTC/USDT", held) == []
    assert Symbols().namesakes("BTC-USDT", held) == []
    assert Symbols().namesakes("XRPUSDT", held) == []
    assert Symbols().namesakes("", {":"}) == []


def test_two_accounts_symbols_are_equal_by_their_aliases_alone() -> None:
    used = Symbols()
    used.token("BTC/USD")
    assert used == Symbols()
    assert used != Symbols({})
    assert "_tokens" not in repr(used)


def test_the_longest_alias_that_fits_is_meant() -> None:
    assert Symbols({"X": "A", "XB": "C"}).token("XBUSD") == "CUSD"
    assert Symbols({"XB": "C", "X": "A"}).token("XBUSD") == "CUSD"


@pytest.mark.parametrize(
    ("symbol", "token"),
    [("ETHXBT", "ETHBTC"), ("BXBT", "BXBT"), ("ABXBT", "ABBTC"), ("ABCXBTX", "ABCXBTX"), ("SOLUSDTXBT", "SOLUSDTBTC")],
)
def test_an_alias_at_the_end_of_a_joined_symbol_leaves_a_base_of_two_letters(symbol: str, token: str) -> None:
    assert Symbols().token(symbol) == token


def test_an_alias_of_two_letters_at_the_end_of_a_joined_symbol_is_not_told_apart() -> None:
    assert Symbols({"XB": "BTC"}).token("ETHXB") == "ETHXB"


@pytest.mark.parametrize(
    ("name", "asset"), [("XBT.M", "BTC"), ("DOT28.S", "DOT"), ("1.S", "1"), ("A.B.C", "A"), ("LDBTC", "BTC")]
)
def test_the_forms_in_which_an_asset_earns(name: str, asset: str) -> None:
    assert Symbols().earning_form_of(name) == asset


@pytest.mark.parametrize(
    ("symbol", "other", "may_be"),
    [
        ("", "BTC-PERP", False), ("BTC-PERP", "", False), ("", "", False),
        ("BTC/USDT:USDT", "BTC/USDT:BTC", False), ("BTC/USDT:USDT", "BTCUSDT", True),
        ("BTC-PERP", "BTCUSDT", True), ("BTC-PERP", "ETHUSDT", False), ("BTC-PERP", "ETHBTC", False),
        ("ABC-PERP", "XYZUSDT", False), ("SWAP", "SWAP-PERP", True), ("ABPERP", "AB-PERP", False),
        ("BTCUSD.P", "BTC/USD:USD", True), ("BTCX.P", "BTCX", False),
    ],
)  # fmt: skip
def test_which_spellings_may_mean_one_market(symbol: str, other: str, *, may_be: bool) -> None:
    symbols = Symbols()
    assert read_market(symbol, symbols.token).may_be(read_market(other, symbols.token)) is may_be
    assert read_market(other, symbols.token).may_be(read_market(symbol, symbols.token)) is may_be


@pytest.mark.parametrize(("name", "pair"), [("BTCUSDT", True), ("USDT", False), ("ABUSDT", False), ("ABCDEF", False)])
def test_what_a_quote_leaves_may_be_a_pair_itself(name: str, *, pair: bool) -> None:
    assert is_pair(name) is pair


@pytest.mark.parametrize(
    ("symbol", "market"),
    [
        ("BTC/USD", Market("BTCUSD", Kind.SPOT, spelt_out=True)),
        ("XBT-USD", Market("BTCUSD", Kind.SPOT, spelt_out=True)),
        ("BTC/USDT:USDT", Market("BTCUSDT", Kind.PERPETUAL, spelt_out=True)),
        ("BTC/USDT:USDT-250627", Market("BTCUSDT", Kind.DATED, spelt_out=True)),
        ("BTCUSDT", Market("BTCUSDT", Kind.ANY)),
        ("PF_XBTUSD", Market("BTCUSD", Kind.PERPETUAL)),
        ("PF_XBT_USD", Market("BTCUSD", Kind.PERPETUAL)),
        ("FF_XBTUSD_250627", Market("BTCUSD", Kind.DATED)),
        ("FI-250627", Market("FI", Kind.DATED)),
        ("BTC-27JUN25", Market("BTC", Kind.DATED)),
        ("BTC-USDT-SWAP", Market("BTCUSDT", Kind.PERPETUAL)),
    ],
)
def test_what_a_spelling_says_of_its_market(symbol: str, market: Market) -> None:
    assert read_market(symbol, Symbols().token) == market
