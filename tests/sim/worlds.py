"""Small exchanges for the tests of the simulator, and the real clients pointed at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from trueup.sim.exchange import Exchange, FeeIn, Kind, Market, Order, OrderRequest, Side
from trueup.sim.server import running
from trueup.sim.wire.alpaca import AlpacaWire, alpaca_app
from trueup.sim.wire.binance import BinanceWire, binance_app

NOW = 1_772_000_000_000
KEY, SECRET = "the-key", "the-secret"
HEADERS = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
BOT = "bot"


def alpaca_exchange(**more: Any) -> Exchange:
    exchange = Exchange(NOW, **({"micros": True} | more))
    exchange.open_account(BOT, KEY, SECRET)
    exchange.list_market(
        Market(
            symbol="BTC/USD", base="BTC", quote="USD", lot=Decimal("1e-9"), taker_rate=Decimal("0.0025"),
            fee_in=FeeIn.RECEIVED, fee_places=9,
        ),
        "100000",
    )  # fmt: skip
    share = Market(symbol="AAPL", base="AAPL", quote="USD", kind=Kind.EQUITY, lot=Decimal("1e-9"))
    exchange.list_market(share, "200")
    exchange.deposit(BOT, "USD", "1000000")
    return exchange


def spot_exchange(depth: str | None = None) -> Exchange:
    exchange = Exchange(NOW, ids="per_symbol")
    exchange.open_account(BOT, KEY, SECRET)
    for base, price in (("BTC", "100000"), ("ETH", "3000")):
        market = Market(
            symbol=f"{base}USDT", base=base, quote="USDT", taker_rate=Decimal("0.001"), maker_rate=Decimal("0.001"),
            fee_in=FeeIn.RECEIVED, depth=Decimal(depth) if depth else None,
        )  # fmt: skip
        exchange.list_market(market, price)
    exchange.deposit(BOT, "USDT", "1000000")
    return exchange


def futures_exchange(*, hedged: bool = False) -> Exchange:
    exchange = Exchange(NOW, ids="per_symbol")
    exchange.open_account(BOT, KEY, SECRET, hedged=hedged)
    linear = Market(
        symbol="BTCUSDT", base="BTC", quote="USDT", kind=Kind.LINEAR, lot=Decimal("0.001"), tick=Decimal("0.1"),
        taker_rate=Decimal("0.0005"),
    )  # fmt: skip
    inverse = Market(
        symbol="BTCUSD_PERP", base="BTC", quote="USD", kind=Kind.INVERSE, lot=Decimal(1), tick=Decimal("0.1"),
        contract_size=Decimal(100), taker_rate=Decimal("0.0005"),
    )  # fmt: skip
    exchange.list_market(linear, "100000")
    exchange.list_market(inverse, "100000")
    exchange.deposit(BOT, "USDT", "100000", margin=True)
    exchange.deposit(BOT, "BTC", "2", margin=True)
    return exchange


def buy(exchange: Exchange, symbol: str, qty: str, **more: Any) -> Order:
    return exchange.submit(BOT, OrderRequest(symbol=symbol, side=Side.BUY, qty=Decimal(qty), **more))


def sell(exchange: Exchange, symbol: str, qty: str, **more: Any) -> Order:
    return exchange.submit(BOT, OrderRequest(symbol=symbol, side=Side.SELL, qty=Decimal(qty), **more))


@contextmanager
def alpaca(exchange: Exchange, wire: AlpacaWire | None = None, *, raw: bool = True) -> Iterator[Any]:
    """Give alpaca-py's client of a served exchange; it waits between its retries for no time."""
    from alpaca.trading.client import TradingClient

    with running(alpaca_app(exchange, wire)) as url:
        client = TradingClient(KEY, SECRET, raw_data=raw, url_override=url)
        client._retry_wait = 0
        yield client


def pointed(client: Any, url: str) -> Any:
    """Return a ccxt client whose every address is on the given host."""
    api = client.urls["api"]
    client.urls["api"] = {name: url + urlsplit(at).path if isinstance(at, str) else at for name, at in api.items()}
    return client


def ccxt_client(kind: str, url: str, **more: Any) -> Any:
    import ccxt

    client = getattr(ccxt, kind)({"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, **more})
    client.number = str
    return pointed(client, url)


@contextmanager
def binance(kind: str, exchange: Exchange, *, futures: Exchange | None = None, **more: Any) -> Iterator[Any]:
    """Give ccxt's client of a served exchange; it goes by the system's clock, so its timestamps are not checked."""
    wire = BinanceWire(**({"check_time": False} | more))
    with running(binance_app(exchange, wire, futures=futures)) as url:
        yield ccxt_client(kind, url)
