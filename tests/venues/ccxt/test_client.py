"""The client: built from an account, exact in its numbers, and with nothing dropped behind our back."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.worlds import KEY, NOW, SECRET
from tests.venues.ccxt.accounts import THREE_DAYS, canned, venue
from tests.venues.ccxt.test_envelopes import MARKET, WELL

from trueup.core.errors import ConfigurationError
from trueup.core.snapshot import Feed
from trueup.ports import ReadScope
from trueup.venues.calls.account import LiveAccount
from trueup.venues.ccxt import CcxtVenue
from trueup.venues.ccxt.client import _checked_class, _moved


def order(number: int, **more: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "orderId": number, "clientOrderId": f"c-{number}", "price": "0", "origQty": "0.5",
        "executedQty": "0.5", "cummulativeQuoteQty": "48500", "status": "FILLED", "type": "MARKET", "side": "BUY",
        "time": NOW - 1000, "updateTime": NOW - 900, **more,
    }  # fmt: skip


def test_an_unknown_exchange_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean binance"):
        CcxtVenue(LiveAccount("main"), "binanse")


@pytest.mark.parametrize(
    ("exchange", "given", "missing"),
    [
        ("binance", {}, "key_env"), ("binance", {"key": "aaaa"}, "secret_env"),
        ("okx", {"key": "aaaa", "secret": "bbbb"}, "password_env"), ("hyperliquid", {}, "wallet_env"),
        ("coinmate", {"key": "aaaa", "secret": "bbbb"}, "uid_env"),
    ],
)  # fmt: skip
def test_a_missing_secret_names_its_setting(exchange: str, given: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Account main has no {missing}"):
        CcxtVenue(LiveAccount("main", secrets=given), exchange)


def test_an_exchange_without_a_sandbox_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no sandbox"):
        CcxtVenue(LiveAccount("main", secrets={"key": "aaaa", "secret": "bbbb"}, sandbox=True), "kraken")


def test_a_sandbox_has_its_own_addresses() -> None:
    made = CcxtVenue(LiveAccount("main", secrets={"key": "aaaa", "secret": "bbbb"}, sandbox=True), "binance")
    assert "testnet" in made.client.first.urls["api"]["private"]


def test_a_base_url_moves_every_address_and_keeps_its_path() -> None:
    urls = {"public": "https://api.{hostname}/api/v3", "v1": {"private": "https://x.com/v1"}, "n": None}
    assert _moved(urls, "http://127.0.0.1:1/p/") == {
        "public": "http://127.0.0.1:1/p/api/v3", "v1": {"private": "http://127.0.0.1:1/p/v1"}, "n": None,
    }  # fmt: skip


def test_nothing_is_asked_before_it_is_needed() -> None:
    with canned(WELL) as (url, server):
        venue(url)
    assert server.asked == []


def test_neither_currencies_nor_margin_pairs_are_asked_for() -> None:
    with canned(WELL) as (url, server):
        venue(url).read(THREE_DAYS)
    assert not [path for path in server.asked if path.startswith("/sapi")]


def test_a_number_is_what_the_venue_wrote() -> None:
    """The trap: JSON numbers become binary floats on the way, 0.1 + 0.2 and all digits behind the 17th."""
    exact = b"0.123456789012345678901"
    body = b'{"balances": [{"asset": "BTC", "free": ' + exact + b', "locked": 0.1}], "updateTime": 1}'
    with canned({**WELL, "/api/v3/account": (200, {}, body)}) as (url, _):
        snapshot = venue(url).read(THREE_DAYS)
    assert snapshot.balances == {"BTC": Decimal("0.223456789012345678901")}


def test_a_nan_is_no_answer() -> None:
    body = b'{"balances": [{"asset": "BTC", "free": NaN, "locked": "0"}]}'
    with canned({**WELL, "/api/v3/account": (200, {}, body)}) as (url, _):
        snapshot = venue(url).read(THREE_DAYS)
    assert not snapshot.feed(Feed.BALANCES).complete


def test_rows_without_a_time_or_before_the_time_are_not_dropped() -> None:
    """The trap: ccxt filters by `since` and by the creation time, and drops what has none."""
    rows = [order(1, time=NOW - 9 * 86_400_000), order(2, time=None, updateTime=None), order(3)]
    with canned({**WELL, "/api/v3/allOrders": rows}) as (url, _):
        snapshot = venue(url, page_limit=2).read(ReadScope(THREE_DAYS.since_ms, ("BTC/USDT",)))
    assert {row.id for row in snapshot.orders} == {"1", "3"}
    assert [(bad.row_id, bad.why) for bad in snapshot.malformed] == [("2", "its time is missing")]


def test_ccxt_itself_would_drop_them() -> None:
    import ccxt

    rows = [order(1, time=NOW - 9 * 86_400_000), order(2, time=None, updateTime=None), order(3)]
    options = {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
    naive: Any = ccxt.binance({"options": options})
    naive.set_markets([naive.parse_market(MARKET)])
    assert [row["id"] for row in naive.parse_orders(rows, naive.market("BTC/USDT"), THREE_DAYS.since_ms)] == ["3"]
    checked: Any = _checked_class("binance")({"options": options})
    checked.set_markets([checked.parse_market(MARKET)])
    parsed = checked.parse_orders(rows, checked.market("BTC/USDT"), THREE_DAYS.since_ms, 1)
    assert sorted(row["id"] for row in parsed) == ["1", "2", "3"]


def test_threads_never_share_an_exchange() -> None:
    with canned(WELL) as (url, _):
        account = venue(url)
        account.client.load_markets()
        seen: list[int] = []
        gate = threading.Barrier(4, timeout=10)

        def borrow() -> None:
            with account.client._lent() as exchange:
                seen.append(id(exchange))
                gate.wait()
                assert exchange.markets is account.client.first.markets

        threads = [threading.Thread(target=borrow) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(seen)) == 4


def test_each_request_takes_its_weight_from_the_limit_of_the_key() -> None:
    weights: list[float] = []
    with canned(WELL) as (url, server):
        account = venue(url, calls_per_minute=None)
        account.client.first.take = weights.append
        account.client.call("fetch_open_orders", "BTC/USDT")
        account.client.call("fetch_open_orders", None)
    assert len(weights) == len(server.asked) == 3
    assert weights[2] > weights[1]
    counted: list[float] = []
    with canned(WELL) as (url, _):
        account = venue(url, calls_per_minute=60)
        account.limit.take = lambda weight=1: counted.append(weight) or 0.0  # type: ignore[method-assign,func-returns-value]  # what is taken
        account.client.call("fetch_open_orders", None)
    assert counted == [1, 1]


def test_two_accounts_of_one_key_share_their_limit() -> None:
    given = {"key": KEY, "secret": SECRET}
    one, two = (CcxtVenue(LiveAccount(name, secrets=given), "binance") for name in ("a", "b"))
    other = CcxtVenue(LiveAccount("c", secrets={**given, "key": "another-key"}), "binance")
    assert one.limit is two.limit
    assert one.limit is not other.limit


def test_no_secret_is_shown() -> None:
    account = LiveAccount("main", secrets={"key": KEY, "secret": SECRET})
    assert SECRET not in repr(account) + repr(CcxtVenue(account, "binance").__dict__)
