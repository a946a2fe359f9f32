"""What the doctor finds at an exchange."""

from decimal import Decimal

import pytest
from tests.sim.worlds import NOW, spot_exchange
from tests.venues.ccxt.accounts import canned, served, venue
from tests.venues.ccxt.test_envelopes import WELL

from trueup.ports import Check, ReadScope
from trueup.venues.ccxt.inspection import RIGHTS as TABLE
from trueup.venues.ccxt.inspection import _flag, _word

RIGHTS = "/sapi/v1/account/apiRestrictions"


def found(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_healthy_account_passes() -> None:
    with served(spot_exchange()) as url:
        checks = found(venue(url, always_read=("BTC/USDT",)).inspect())
    assert all(check.ok for check in checks.values()), checks
    assert checks["symbol BTC/USDT"].found == "BTC/USDT"
    assert {"clock", "markets", "key", "feed fills", "feed closed_orders", "rights of the key"} <= checks.keys()


def test_without_a_named_symbol_one_is_tried() -> None:
    with served(spot_exchange()) as url:
        checks = found(venue(url).inspect())
    assert checks["feed fills"].ok


@pytest.mark.parametrize(("may", "ok"), [(True, False), (False, True)])
def test_a_key_that_can_withdraw_is_a_warning(may: bool, ok: bool) -> None:
    with canned({**WELL, RIGHTS: {"enableWithdrawals": may, "ipRestrict": True}}) as (url, _):
        check = found(venue(url).inspect())["rights of the key"]
    assert (check.ok, check.exit_code if not ok else 0) == (ok, 0)


def test_a_clock_that_is_off_is_a_warning() -> None:
    with canned({**WELL, "/api/v3/time": {"serverTime": NOW + 60_000}}) as (url, _):
        check = found(venue(url).inspect())["clock"]
    assert (check.ok, check.exit_code) == (False, 0)
    assert "60000 ms" in check.found


def test_a_feed_that_fails_is_named() -> None:
    with canned({**WELL, "/api/v3/myTrades": (200, {}, b"{}")}) as (url, _):
        check = found(venue(url).inspect())["feed fills"]
    assert (check.ok, check.exit_code) == (False, 3)
    assert "empty object" in check.found


def test_a_symbol_that_does_not_resolve_is_named() -> None:
    with canned(WELL) as (url, _):
        check = found(venue(url, always_read=("NOPE/USDT",)).inspect())["symbol NOPE/USDT"]
    assert not check.ok


def test_nothing_listens() -> None:
    checks = found(venue("http://127.0.0.1:9").inspect())
    assert not checks["markets"].ok
    assert checks["markets"].exit_code == 3


def test_each_table_of_rights_reads_yes_and_no() -> None:
    assert _flag("a", "b")({"a": {"b": "true"}})
    assert not _flag("a", "b")({"a": {"b": False}})
    assert not _flag("a", "b")(None)
    assert _word("withdraw", "data")({"data": [{"perm": "read_only,withdraw"}]})
    assert not _word("withdraw", "data")({"data": [{"perm": "read_only"}]})


@pytest.mark.parametrize("name", TABLE)
def test_ccxt_knows_the_calls_of_the_table(name: str) -> None:
    import ccxt

    assert callable(getattr(getattr(ccxt, name)(), TABLE[name].method))


@pytest.mark.parametrize(("trades", "said"), [(True, "it may trade, which trueup does not need"), (False, "not trade")])
def test_whether_the_key_may_trade_is_told(trades: bool, said: str) -> None:
    with canned({**WELL, RIGHTS: {"enableWithdrawals": False, "enableSpotAndMarginTrading": trades}}) as (url, _):
        check = found(venue(url).inspect())["rights of the key"]
    assert check.ok
    assert said in check.found


def test_each_exchange_of_the_table_tells_trading_as_it_does() -> None:
    assert TABLE["bybit"].trades({"result": {"readOnly": 0}})
    assert not TABLE["bybit"].trades({"result": {"readOnly": 1}})
    assert TABLE["okx"].trades({"data": [{"perm": "read_only,trade"}]})
    assert not TABLE["okx"].trades({"data": [{"perm": "read_only", "acctLv": "trade"}]})
    assert not TABLE["okx"].trades({"data": []})
    assert TABLE["kucoin"].trades({"data": {"permission": "General,Trade"}})


def test_how_far_each_feed_reaches_is_told_and_none_that_is_well_has_failed() -> None:
    with served(spot_exchange()) as url:
        checks = found(venue(url).inspect(ReadScope(NOW - 1000, ("BTC/USDT",))))
    assert checks["feed fills"].found.startswith("complete, back to ")
    assert checks["feed closed_orders"].found.startswith("complete, back to ")
    assert checks["feed positions"].found == "not given: a spot account has balances, no positions"
    assert not [check for check in checks.values() if check.ok and "failed" in check.found]


def test_what_a_run_would_read_is_what_is_proven() -> None:
    """The trap: with a misspelt market in `symbols` the doctor read none, and called a feed partial that is whole."""
    with canned(WELL) as (url, server):
        account = venue(url, always_read=("DOGE/USDT",))
        checks = found(account.inspect(ReadScope(NOW - 1000, ("BTC/USDT",))))
        alone = found(account.inspect())
    assert not checks["symbol DOGE/USDT"].ok
    assert checks["feed closed_orders"].ok
    assert alone["feed closed_orders"].ok
    assert any("symbol=BTCUSDT" in path for path in server.asked)


def test_a_refused_key_is_configuration() -> None:
    refused = (401, {}, b'{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}')
    answers = {**WELL, **dict.fromkeys([path for path in WELL if "time" not in path and "Info" not in path], refused)}
    with canned(answers) as (url, _):
        check = found(venue(url).inspect())["key"]
    assert (check.ok, check.exit_code) == (False, 2)


def test_what_is_declared_as_external_and_not_held_is_one_message() -> None:
    with canned(WELL) as (url, _):
        account = venue(url, external_assets={"NOPE": Decimal(3)})
        check = found(account.inspect())["asset NOPE"]
        snapshot = account.read(ReadScope(NOW - 1000, ("BTC/USDT",)))
    assert (check.ok, check.found, check.do) == (
        False, "nothing is held, and 3 is declared as external", "Correct external_assets.",
    )  # fmt: skip
    assert not snapshot.malformed
    assert snapshot.unknown_assets == {"NOPE": check.found}
    assert snapshot.balances == {"BTC": Decimal("0.6")}
