"""The table of exchanges, held against the ccxt that is installed: what it says exists, and is asked as it says."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import ccxt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sim.worlds import NOW
from tests.venues.ccxt.accounts import Canned, canned, venue

from trueup.core.snapshot import Feed, FeedState
from trueup.ports import ReadScope
from trueup.venues.ccxt.client import exchange_class
from trueup.venues.ccxt.exchanges import NAMED, rules_of
from trueup.venues.ccxt.generic import FILLED_ONLY, generic_rules
from trueup.venues.ccxt.rules import DAY_MS, FeedRule, Paging, Rules

SYMBOLS = tuple(f"C{number:02d}" for number in range(20))
EC_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    .decode()
)
SECRETS = {
    "key": "the-key", "secret": base64.b64encode(b"the-secret-of-it").decode(), "password": "the-password",
    "wallet": "0x" + "ab" * 20,
}  # fmt: skip
COINBASE = {"key": "organizations/x/apiKeys/y", "secret": EC_KEY}
KRAKEN_EMPTY: Mapping[str, object] = {"error": [], "result": {"open": {}, "closed": {}, "trades": {}, "count": 0}}
EMPTY: Mapping[str, Mapping[str, object]] = {
    "binance": {
        "/api/v3/time": {"serverTime": NOW}, "*": [],
        "/api/v3/account": {"balances": [{"asset": "USDT", "free": "1", "locked": "0"}]},
    },
    "binanceusdm": {
        "/fapi/v1/time": {"serverTime": NOW}, "*": [],
        "/fapi/v3/account": {"assets": [{"asset": "USDT", "walletBalance": "1"}], "positions": []},
    },
    "binancecoinm": {
        "/dapi/v1/time": {"serverTime": NOW}, "*": [],
        "/dapi/v1/account": {"assets": [{"asset": "BTC", "walletBalance": "1"}], "positions": []},
    },
    "bybit": {
        "/v5/account/wallet-balance": {
            "retCode": 0, "time": NOW,
            "result": {"list": [{"accountType": "UNIFIED", "coin": [{"coin": "USDT", "walletBalance": "1"}]}]},
        },
        "*": {"retCode": 0, "result": {"list": [], "nextPageCursor": "", "uta": 1, "unified": 1}, "time": NOW},
    },
    "okx": {
        "/api/v5/public/time": {"code": "0", "data": [{"ts": str(NOW)}]},
        "/api/v5/account/balance": {
            "code": "0", "data": [{"uTime": str(NOW), "details": [{"ccy": "USDT", "cashBal": "1", "eq": "1",
                                                                  "availEq": "1", "frozenBal": "0"}]}],
        },
        "*": {"code": "0", "data": []},
    },
    "kraken": {
        "/0/public/Time": {"error": [], "result": {"unixtime": NOW // 1000}},
        "/0/private/BalanceEx": {"error": [], "result": {"ZUSD": {"balance": "1", "hold_trade": "0"}}},
        "/0/private/OpenPositions": {"error": [], "result": []},
        "*": KRAKEN_EMPTY,
    },
    "coinbase": {
        "/v2/time": {"data": {"epoch": NOW // 1000, "iso": "2026-02-25T06:13:20Z"}},
        "/api/v3/brokerage/time": {"iso": "2026-02-25T06:13:20Z", "epochSeconds": str(NOW // 1000),
                                   "epochMillis": str(NOW)},
        "*": {"orders": [], "fills": [], "cursor": "", "has_next": False, "accounts": [
            {"currency": "USD", "available_balance": {"value": "1", "currency": "USD"},
             "hold": {"value": "0", "currency": "USD"}, "type": "ACCOUNT_TYPE_FIAT"}]},
    },
    "kucoin": {
        "/api/v1/timestamp": {"code": "200000", "data": NOW},
        "/api/v1/accounts": {
            "code": "200000", "data": [{"currency": "USDT", "type": "trade", "balance": "1", "available": "1",
                                        "holds": "0"}],
        },
        "*": {"code": "200000", "data": {"currentPage": 1, "pageSize": 50, "totalNum": 0, "totalPage": 0, "items": []}},
    },
}  # fmt: skip
CALLS = {
    "binance": 44, "binanceusdm": 46, "binancecoinm": 46, "bybit": 24, "coinbase": 6, "kraken": 7, "kucoin": 64,
    "okx": 22,
}  # fmt: skip
"""Requests of one reading with 20 symbols at an account without any order, the time included."""


def spot_markets(made: Any, *, contracts: bool) -> None:
    """Give an exchange markets without asking for them."""
    structures = []
    for name in SYMBOLS:
        market = {
            "id": f"{name}USDT", "symbol": f"{name}/USDT", "base": name, "quote": "USDT", "baseId": name,
            "quoteId": "USDT", "type": "spot", "spot": True, "margin": False, "swap": False, "future": False,
            "option": False, "contract": False, "active": True,
        }  # fmt: skip
        if contracts:
            market |= {
                "symbol": f"{name}/USDT:USDT", "settle": "USDT", "type": "swap", "spot": False, "swap": True,
                "contract": True, "linear": True, "inverse": False, "contractSize": "1",
            }  # fmt: skip
        structures.append(made.safe_market_structure(market))
    made.set_markets(structures)


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_account_is_read_with_as_many_requests_as_the_table_says(name: str) -> None:
    swaps = name in ("binanceusdm", "binancecoinm")
    with canned(EMPTY[name]) as (url, server):
        account = venue(url, name, secrets=COINBASE if name == "coinbase" else SECRETS, max_pages=8)
        spot_markets(account.client.first, contracts=swaps)
        account.client._loaded = True
        symbols = tuple(f"{symbol}/USDT" + (":USDT" if swaps else "") for symbol in SYMBOLS)
        snapshot = account.read(ReadScope(NOW - 3 * DAY_MS, symbols))
    given = {feed: coverage for feed, coverage in snapshot.all_feeds().items() if coverage.given}
    assert {feed: str(coverage.state) for feed, coverage in given.items()} == dict.fromkeys(given, "complete")
    assert {Feed.OPEN_ORDERS, Feed.CLOSED_ORDERS, Feed.FILLS, Feed.BALANCES} <= given.keys()
    assert snapshot.as_of_source == "venue"
    assert len(server.asked) == CALLS[name], paths(server)


def paths(server: Canned) -> dict[str, int]:
    bare = [path.partition("?")[0] for path in server.asked]
    return {path: bare.count(path) for path in dict.fromkeys(bare)}


def all_rules(rules: Rules) -> list[FeedRule]:
    return [*rules.open_orders, *rules.closed_orders, *rules.fills, *rules.positions, *rules.balances]


def camel(method: str) -> str:
    first, *rest = method.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("name", NAMED)
def test_each_call_of_the_table_exists(name: str) -> None:
    has = exchange_class(name)().has
    for rule in all_rules(NAMED[name]):
        assert has[camel(rule.method)], rule.method
    for place in NAMED[name].order_lists:
        assert has[camel(place.method)]


NO_SYMBOL_NEEDED = {"hyperliquid": "its calls are for a wallet; ccxt's features say otherwise"}


@pytest.mark.parametrize("name", NAMED)
def test_a_call_that_needs_a_symbol_is_given_one(name: str) -> None:
    made = exchange_class(name)()
    kind = made.features.get("spot") if name in ("binance", "kucoin", "kraken", "coinbase") else None
    features = kind or (made.features.get("swap") or {}).get("linear") or {}
    for rule in [*NAMED[name].closed_orders, *NAMED[name].fills]:
        said = features.get(camel(rule.method)) or features.get("fetchClosedOrders") or {}
        if said.get("symbolRequired") and name not in NO_SYMBOL_NEEDED:
            assert rule.per_symbol, rule.method


@pytest.mark.parametrize("name", NAMED)
def test_windows_and_memories_are_no_longer_than_ccxt_says(name: str) -> None:
    made = exchange_class(name)()
    spot = name in ("binance", "kucoin", "kraken", "coinbase")
    features = (made.features.get("spot") if spot else (made.features.get("swap") or {}).get("linear")) or {}
    for rule in [*NAMED[name].closed_orders, *NAMED[name].fills]:
        said = features.get(camel(rule.method)) or {}
        days = said.get("untilDays")
        if rule.window_ms is not None and days is not None and days < 1000:
            assert rule.window_ms <= days * DAY_MS, rule.method
        back = said.get("daysBack")
        if back is not None:
            assert rule.memory_ms is not None, rule.method
            assert rule.memory_ms <= back * DAY_MS, rule.method
        if rule.page is not None and said.get("limit") is not None:
            assert rule.page <= said["limit"], rule.method
    forgets = (features.get("fetchClosedOrders") or {}).get("daysBackCanceled")
    if forgets is not None:
        assert NAMED[name].forgets_ms is not None
        assert NAMED[name].forgets_ms <= forgets * DAY_MS


@pytest.mark.parametrize("name", NAMED)
def test_a_listing_that_goes_on_says_how(name: str) -> None:
    for rule in all_rules(NAMED[name]):
        assert (rule.paging is Paging.FOLLOW) == (rule.next_page is not None)
        assert (rule.paging is Paging.BY_ID) == bool(rule.id_param)
        assert not any("paginate" in segment for segment in rule.segments)


def test_any_other_exchange_gets_rules_from_what_ccxt_says_of_it() -> None:
    for name in ccxt.exchanges:
        made = getattr(ccxt, name)()
        rules = rules_of(name, made)
        for rule in all_rules(rules):
            assert made.has[camel(rule.method)], (name, rule.method)
            assert hasattr(made, rule.method)
        assert rules.known is (name in NAMED)


class Stub:
    requiredCredentials: Mapping[str, bool] = {}
    options: Mapping[str, object] = {}

    def __init__(self, has: Mapping[str, object], features: Mapping[str, object] | None = None) -> None:
        self.has = has
        self.features = features or {}


def test_the_fewest_calls_that_give_all_orders_are_chosen() -> None:
    """The trap: fetchClosedOrders often means fully filled only, and what is emulated is another call, filtered."""
    both = generic_rules("x", Stub({"fetchOrders": True, "fetchClosedOrders": True}))
    assert [rule.method for rule in both.closed_orders] == ["fetch_orders"]
    two = generic_rules("x", Stub({"fetchOrders": "emulated", "fetchClosedOrders": True, "fetchCanceledOrders": True}))
    assert [rule.method for rule in two.closed_orders] == ["fetch_closed_orders", "fetch_canceled_orders"]
    one = generic_rules("x", Stub({"fetchClosedOrders": True}))
    assert [rule.gap for rule in one.closed_orders] == [FILLED_ONLY]
    assert generic_rules("x", Stub({"fetchOrders": "emulated"})).closed_orders == ()


def test_a_feed_that_an_exchange_lacks_is_not_given() -> None:
    rules = generic_rules("x", Stub({"fetchMyTrades": True}))
    assert rules.closed_orders == rules.positions == ()
    assert [rule.per_symbol for rule in rules.fills] == [True]


def test_limits_and_windows_come_from_the_features() -> None:
    said = {"spot": {"fetchMyTrades": {"limit": 100, "untilDays": 7, "daysBack": 30, "symbolRequired": False}}}
    (rule,) = generic_rules("x", Stub({"fetchMyTrades": True}, said)).fills
    assert (rule.page, rule.window_ms, rule.memory_ms) == (100, 7 * DAY_MS, 30 * DAY_MS)
    assert not rule.per_symbol


def hyperliquid(body: bytes) -> object:
    shapes: dict[str, object] = {
        "exchangeStatus": {"time": NOW}, "clearinghouseState": {"assetPositions": [], "marginSummary": {}},
        "spotClearinghouseState": {"balances": [{"coin": "USDC", "total": "1", "hold": "0"}]},
    }  # fmt: skip
    return json.dumps(shapes.get(json.loads(body)["type"], [])).encode()


def test_hyperliquid_is_read_with_the_wallet_alone() -> None:
    with canned({"*": hyperliquid}) as (url, server):
        account = venue(url, "hyperliquid", secrets={"wallet": SECRETS["wallet"]})
        spot_markets(account.client.first, contracts=True)
        account.client._loaded = True
        snapshot = account.read(ReadScope(NOW - DAY_MS, tuple(f"{symbol}/USDT:USDT" for symbol in SYMBOLS)))
    assert {feed: str(coverage.state) for feed, coverage in snapshot.all_feeds().items()} == dict.fromkeys(
        Feed, "complete"
    )
    assert len(server.asked) == 9


def test_margin_at_kraken_makes_balances_say_nothing() -> None:
    """The trap: a margin position is in no balance, so that a balance of nothing would read as flat."""
    open_position = {"result": [{"pair": "XXBTZUSD", "type": "buy", "vol": "1", "positions": "1"}], "error": []}
    answers = {**EMPTY["kraken"], "/0/private/OpenPositions": open_position}
    with canned(answers) as (url, _):
        account = venue(url, "kraken", secrets=SECRETS)
        spot_markets(account.client.first, contracts=False)
        account.client._loaded = True
        snapshot = account.read(ReadScope(NOW - DAY_MS, ("C00/USDT",)))
    assert snapshot.feed(Feed.BALANCES).state is FeedState.PARTIAL


def test_kucoins_fast_engine_is_asked_market_by_market() -> None:
    """The trap: it lists working orders of a market only, and conditional ones in the older list."""
    fast = {**EMPTY["kucoin"], "/api/v1/hf/orders/active": {"code": "200000", "data": []}}
    with canned(fast) as (url, server):
        account = venue(url, "kucoin", secrets=SECRETS)
        spot_markets(account.client.first, contracts=False)
        account.client.first.options["hf"] = True
        account.client._loaded = True
        snapshot = account.read(ReadScope(NOW - 30 * DAY_MS, ("C00/USDT",)))
    assert snapshot.feed(Feed.OPEN_ORDERS).state is FeedState.COMPLETE
    assert {"/api/v1/hf/orders/active", "/api/v1/stop-order", "/api/v1/hf/fills"} <= paths(server).keys()
    for feed in (Feed.CLOSED_ORDERS, Feed.FILLS):
        assert snapshot.feed(feed).since_ms == NOW - 7 * DAY_MS
