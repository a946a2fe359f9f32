"""Balances at the venues whose totals say something else, or end before their end."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from tests.sim.worlds import NOW
from tests.venues.ccxt.accounts import canned, venue
from tests.venues.ccxt.test_exchanges import COINBASE, EMPTY, SECRETS
from tests.venues.ccxt.test_generic import market

from trueup.core.snapshot import Feed, FeedState, Snapshot
from trueup.ports import ReadScope
from trueup.venues.ccxt.rules import DAY_MS


def read(exchange: str, answers: Mapping[str, object], **more: Any) -> Snapshot:
    with canned({**EMPTY[exchange], **answers}) as (url, _):
        account = venue(url, exchange, **{"secrets": SECRETS, **more})
        made = account.client.first
        made.set_markets([market(made, "BTC/USDT", "BTC-USDT"), market(made, "BTC/USDT:USDT", "BTC-USDT-SWAP")])
        account.client._loaded = True
        return account.read(ReadScope(NOW - DAY_MS, ("BTC/USDT",)))


def okx(**detail: str) -> Mapping[str, object]:
    details = [{"ccy": "BTC", "availEq": "0", **detail}]
    return {"/api/v5/account/balance": {"code": "0", "data": [{"uTime": str(NOW), "details": details}]}}


def test_what_is_held_at_okx_is_its_cash_not_its_worth() -> None:
    """The trap: OKX's equity of a coin holds the loss of the contracts that settle in it."""
    snapshot = read("okx", okx(eq="0.6", cashBal="1", upl="-0.4", liab="0"))
    assert snapshot.balances is not None
    assert snapshot.balances["BTC"] == 1
    assert [leg.qty for leg in snapshot.legs] == [Decimal(1)]


@pytest.mark.parametrize("detail", [{"eq": "1", "cashBal": "1", "liab": "0.2"}, {"eq": "1"}])
def test_what_is_borrowed_at_okx_or_not_said_is_unknown(detail: Mapping[str, str]) -> None:
    snapshot = read("okx", okx(**detail))
    assert "BTC" in snapshot.unknown_assets
    assert "BTC/USDT" in snapshot.unknown_symbols


def test_balances_that_go_on_are_no_balances() -> None:
    """The trap: Coinbase has a wallet for each coin, and a page of them without the bot's coin reads as flat."""
    wallet = {
        "currency": "USD", "available_balance": {"value": "1", "currency": "USD"}, "type": "ACCOUNT_TYPE_FIAT",
        "hold": {"value": "0", "currency": "USD"},
    }  # fmt: skip
    for more, state in ((True, FeedState.FAILED), (False, FeedState.COMPLETE)):
        page = {"accounts": [wallet], "has_next": more, "cursor": "", "size": 1}
        answers = {"/api/v3/brokerage/accounts": page}
        snapshot = read("coinbase", answers, secrets=COINBASE)
        assert snapshot.feed(Feed.BALANCES).state is state


def test_a_balance_that_could_not_be_read_again_is_unknown() -> None:
    """What is held counts where two readings agree; at a venue of coins and contracts too."""
    first = json.dumps(okx(eq="0", cashBal="0")["/api/v5/account/balance"]).encode()
    answers = iter((first,))
    snapshot = read("okx", {"/api/v5/account/balance": lambda _body: next(answers, b"<html></html>")})
    assert snapshot.feed(Feed.BALANCES).state is FeedState.FAILED
    assert "BTC/USDT" in snapshot.unknown_symbols
