"""What an account of trueup.toml says about a live venue, and where its secrets come from."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.settings.files import read

from trueup.core.errors import ConfigurationError
from trueup.settings import AccountSettings, describe, secrets_of

LIVE = """
[[accounts]]
name = "main"
venue = "ccxt:binance"
key_env = "THE_KEY"
secret_env = "THE_SECRET"
base_url = "http://127.0.0.1:8123/"
sandbox = true
external_assets = { btc = "0.25", BNB = 3 }
symbols = ["BTC/USDT"]
calls_per_minute = 60
timeout_seconds = 2.5
allow_flatten = true
"""


def test_what_a_live_account_says(tmp_path: Path) -> None:
    [account] = read(tmp_path, LIVE).accounts
    assert account == AccountSettings(
        name="main",
        venue="ccxt:binance",
        env={"key_env": "THE_KEY", "secret_env": "THE_SECRET"},
        base_url="http://127.0.0.1:8123",
        sandbox=True,
        external_assets={"BTC": Decimal("0.25"), "BNB": Decimal(3)},
        symbols=("BTC/USDT",),
        calls_per_minute=Decimal(60),
        timeout_seconds=Decimal("2.5"),
        allow_flatten=True,
    )


def test_nothing_is_allowed_or_changed_unless_it_is_said(tmp_path: Path) -> None:
    [account] = read(tmp_path, '[[accounts]]\nname = "main"\nvenue = "alpaca"').accounts
    assert (account.allow_flatten, account.sandbox, account.base_url, account.calls_per_minute) == (
        False, False, None, None,
    )  # fmt: skip
    assert (account.external_assets, account.symbols, account.timeout_seconds) == ({}, (), 10)


def test_what_was_said_is_told_and_what_was_not_is_not(tmp_path: Path) -> None:
    told = {name: value for name, value, _ in describe(read(tmp_path, LIVE)) if name.startswith("accounts.main.")}
    assert told == {
        "accounts.main.venue": "ccxt:binance",
        "accounts.main.base_url": "http://127.0.0.1:8123",
        "accounts.main.sandbox": "true",
        "accounts.main.external_assets": "BTC = 0.25, BNB = 3",
        "accounts.main.symbols": "BTC/USDT",
        "accounts.main.calls_per_minute": "60",
        "accounts.main.timeout_seconds": "2.5",
        "accounts.main.allow_flatten": "true",
        "accounts.main.key_env": "THE_KEY",
        "accounts.main.secret_env": "THE_SECRET",
    }
    plain = describe(read(tmp_path, '[[accounts]]\nname = "main"\nvenue = "alpaca"'))
    assert [name for name, _, _ in plain if name.startswith("accounts.")] == ["accounts.main.venue"]


def test_secrets_come_from_the_environment_without_blanks(tmp_path: Path) -> None:
    [account] = read(tmp_path, LIVE).accounts
    assert secrets_of(account, {"THE_KEY": " k-1\n", "THE_SECRET": "s"}) == {"key": "k-1", "secret": "s"}


@pytest.mark.parametrize("environ", [{"THE_KEY": "hush"}, {"THE_KEY": "hush", "THE_SECRET": "  "}])
def test_a_missing_secret_is_named_by_its_variable_and_no_other_is_told(
    environ: dict[str, str], tmp_path: Path
) -> None:
    [account] = read(tmp_path, LIVE).accounts
    with pytest.raises(ConfigurationError, match="THE_SECRET, which secret_env names, is not set") as caught:
        secrets_of(account, environ)
    assert "hush" not in str(caught.value)
