"""Exchanges that nobody has written rules for: ccxt's own calls are about one kind of market, and that is not all."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.sim.worlds import NOW
from tests.venues.ccxt.accounts import Canned, canned, venue

from trueup.core.snapshot import Coverage, Feed, FeedState, Snapshot
from trueup.ports import ReadScope
from trueup.venues.ccxt.client import exchange_class
from trueup.venues.ccxt.exchanges import rules_of
from trueup.venues.ccxt.rules import DAY_MS

BITGET: Mapping[str, object] = {
    "/api/v2/public/time": {"code": "00000", "msg": "success", "data": {"serverTime": str(NOW)}},
    "/api/v3/account/settings": {"code": "00000", "msg": "success", "data": {"accountMode": "hybrid"}},
    "/api/v3/account/assets": {
        "code": "00000", "msg": "success", "data": {"assets": [{"coin": "USDT", "available": "5", "balance": "5"}]},
    },
    "*": {"code": "00000", "msg": "success", "data": {"list": []}},
}  # fmt: skip
HELD = {
    "code": "00000", "msg": "success", "data": {"list": [{
        "category": "USDC-FUTURES", "symbol": "BTCPERP", "marginCoin": "USDC", "holdMode": "one_way_mode",
        "posSide": "long", "marginMode": "crossed", "total": "2", "available": "2", "avgPrice": "97000",
        "leverage": "1", "createdTime": str(NOW), "updatedTime": str(NOW), "markPrice": "97000",
    }]},
}  # fmt: skip


def market(made: Any, symbol: str, name: str) -> Any:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    kind = "swap" if settle else "spot"
    return made.safe_market_structure(
        {
            "id": name, "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote,
            "settle": settle or None, "settleId": settle or None, "type": kind, "spot": not settle, "margin": False,
            "swap": bool(settle), "future": False, "option": False, "contract": bool(settle), "active": True,
            "linear": settle == quote or None, "inverse": settle == base or None, "info": {},
            "contractSize": "1" if settle else None, "precision": {"amount": "1e-8", "price": "1e-8"},
        }
    )  # fmt: skip


def read_bitget(answers: Mapping[str, object], wanted: str = "BTC/USDC:USDC") -> tuple[Snapshot, Canned]:
    secrets = {"key": "the-key", "secret": "the-secret-of-it", "password": "the-password"}
    names = {"BTC/USDT": "BTCUSDT", "BTC/USDT:USDT": "BTCUSDT", "BTC/USDC:USDC": "BTCPERP"}
    with canned({**BITGET, **answers}) as (url, server):
        account = venue(url, "bitget", secrets=secrets)
        made = account.client.first
        made.set_markets([market(made, symbol, name) for symbol, name in names.items()])
        account.client._loaded = True
        return account.read(ReadScope(NOW - 3 * DAY_MS, (wanted,))), server


def by_name(path: str, answer: object) -> Mapping[str, object]:
    """Answer the third question so: the list of positions is asked for twice before, and is of USDT's only."""
    answers = iter((BITGET["*"], BITGET["*"]))
    return {path: lambda _body: json.dumps(next(answers, answer)).encode()}


def test_a_position_that_the_list_leaves_out_is_not_flat() -> None:
    """The trap: bitget's list is of USDT's contracts unless another is asked for; USDC's then read as flat."""
    snapshot, server = read_bitget(by_name("/api/v3/position/current-position", HELD))
    assert list(snapshot.unknown_symbols) == ["BTC/USDC:USDC", "BTC/USDC"]
    assert "is held when asked for by its name" in snapshot.unknown_symbols["BTC/USDC:USDC"]
    asked = [path for path in server.asked if "current-position" in path]
    assert [path.partition("?")[2] for path in asked] == [
        "category=USDT-FUTURES", "category=USDT-FUTURES", "category=USDC-FUTURES&symbol=BTCPERP",
    ]  # fmt: skip


def test_a_position_that_is_not_held_by_its_name_either_is_flat() -> None:
    snapshot, _ = read_bitget({})
    assert snapshot.feed(Feed.POSITIONS).state is FeedState.COMPLETE
    assert not snapshot.unknown_symbols


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "00000", "msg": "success", "data": None},
        {"code": "40010", "msg": "", "data": {"list": []}},
        {"code": "00000", "msg": "success"},
    ],
)
def test_an_answer_without_a_position_by_its_name_is_unknown(answer: object) -> None:
    snapshot, _ = read_bitget(by_name("/api/v3/position/current-position", answer))
    assert "BTC/USDC:USDC" in snapshot.unknown_symbols


def test_working_orders_of_a_contract_are_asked_for_by_its_name() -> None:
    """The trap: without a market bitget lists the working orders of its spot markets only."""
    _, server = read_bitget({})
    asked = [path.partition("?")[2] for path in server.asked if "unfilled-orders" in path]
    assert asked == ["category=SPOT&limit=100", "category=USDC-FUTURES&limit=100&symbol=BTCPERP"]


def test_a_rule_for_several_kinds_of_markets_is_no_wider_than_the_narrowest() -> None:
    """The trap: htx gives 500 spot orders at once and 50 of contracts, and 50 do not look like a full page of 500."""
    htx = rules_of("htx", exchange_class("htx")())
    (orders,) = htx.closed_orders
    assert (orders.page, orders.window_ms, orders.memory_ms) == (50, 2 * DAY_MS, 90 * DAY_MS)
    (orders,) = rules_of("mexc", exchange_class("mexc")()).closed_orders
    assert (orders.page, orders.window_ms, orders.memory_ms) == (100, 7 * DAY_MS, 7 * DAY_MS)


def test_a_history_at_an_exchange_of_several_kinds_is_asked_for_market_by_market() -> None:
    """The trap: gate gives its spot history where no market is named, and ccxt says that none need be."""
    gate = rules_of("gate", exchange_class("gate")())
    assert all(rule.per_symbol for rule in (*gate.closed_orders, *gate.fills))
    assert [rule.per_symbol for rule in gate.open_orders] == [False, True]


@pytest.mark.parametrize(("exchange", "state"), [("upbit", FeedState.PARTIAL), ("binance", FeedState.COMPLETE)])
def test_orders_without_executions_do_not_show_what_older_ones_executed(exchange: str, state: FeedState) -> None:
    """The trap: histories of orders are by when an order came to be; one from before may have executed since."""
    reader = venue("http://127.0.0.1:9", exchange, secrets={"key": "the-key", "secret": "the-secret"}).reader
    assert reader._of_history(Coverage(FeedState.COMPLETE, "", NOW)).state is state
    assert reader._of_history(Coverage(FeedState.COMPLETE)).state is FeedState.COMPLETE
