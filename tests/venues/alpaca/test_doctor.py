"""The doctor's look at an Alpaca account."""

from typing import Any

import pytest
from tests.venues.alpaca.desk import CLOCK, NOW_MS, Asked, Reply, all_well, canned, exchange, order, trading, venue

from trueup.ports import Check

ACCOUNT = {"id": "a-1", "account_number": "PA3X", "status": "ACTIVE", "trading_blocked": False}


def checks(account: dict[str, Any] | Reply, **fields: Any) -> dict[str, Check]:
    reply = account if isinstance(account, Reply) else Reply(account)

    def answers(asked: Asked) -> Reply:
        if "/assets/" in asked.path:
            return Reply({"code": 40410000, "message": "asset not found for NOPE"}, 404)
        return all_well(account=reply)(asked)

    with canned(answers) as server:
        return {check.name: check for check in venue(server.url, **fields).inspect()}


def test_a_healthy_account_has_nothing_to_do() -> None:
    world = exchange()
    order(world)
    world.advance(60_000)
    with trading(world, always_read=("AAPL", "BTC/USD")) as alpaca:
        found = alpaca.inspect()
    assert [check for check in found if not check.ok] == []
    assert {"Alpaca's key", "clock", "feed fills", "feed closed_orders", "symbol BTC/USD"} <= {c.name for c in found}


def test_a_refused_key_is_the_only_finding() -> None:
    (check,) = checks(Reply({"message": "forbidden."}, 403)).values()
    assert not check.ok
    assert "forbidden" in check.found
    assert (check.exit_code, "key" in check.do) == (2, True)


def test_an_outage_is_no_wrong_key() -> None:
    (check,) = checks(Reply("<html>", 503)).values()
    assert (check.ok, check.exit_code) == (False, 3)


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_a_block_is_told(flag: str) -> None:
    check = checks({**ACCOUNT, flag: True})["blocks"]
    assert (check.ok, check.found) == (False, flag)


def test_an_account_that_is_not_active_is_told() -> None:
    assert not checks({**ACCOUNT, "status": "ACCOUNT_CLOSED"})["account"].ok


@pytest.mark.parametrize(("number", "sandbox", "ok"), [("PA1", True, True), ("1234", False, False)])
def test_a_paper_key_at_a_live_address_is_told(number: str, sandbox: bool, ok: bool) -> None:
    """The key of these tests is one of paper."""
    found = checks({**ACCOUNT, "account_number": number}, sandbox=sandbox)["paper or live"]
    assert found.ok is ok


def test_a_symbol_that_alpaca_does_not_have_is_told() -> None:
    found = checks(ACCOUNT, always_read=("NOPE",))["symbol NOPE"]
    assert (found.ok, found.exit_code) == (False, 2)


def test_a_wrong_clock_is_told() -> None:
    found = checks(ACCOUNT, now_ms=lambda: NOW_MS + 60_000)["clock"]
    assert (found.ok, found.found) == (False, "+60.0 s against Alpaca's")


def test_a_feed_that_fails_is_told_with_its_reason() -> None:
    def answers(asked: Asked) -> Reply:
        if asked.path == "/v2/account":
            return Reply(ACCOUNT)
        return Reply("<html>", 503) if "activities" in asked.path else CLOCK if "clock" in asked.path else Reply([])

    with canned(answers) as server:
        found = {check.name: check for check in venue(server.url).inspect()}
    assert (found["feed fills"].ok, found["feed fills"].exit_code) == (False, 3)
    assert "503" in found["feed fills"].found
    assert found["feed positions"].ok
