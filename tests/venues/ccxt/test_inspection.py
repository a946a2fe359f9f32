"""What the doctor finds at an exchange."""

import pytest
from tests.sim.worlds import NOW, spot_exchange
from tests.venues.ccxt.accounts import canned, served, venue
from tests.venues.ccxt.test_envelopes import WELL

from trueup.ports import Check
from trueup.venues.ccxt.inspection import MAY_WITHDRAW, _flag, _word

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


@pytest.mark.parametrize("name", MAY_WITHDRAW)
def test_ccxt_knows_the_calls_of_the_table(name: str) -> None:
    import ccxt

    assert callable(getattr(getattr(ccxt, name)(), MAY_WITHDRAW[name][0]))
