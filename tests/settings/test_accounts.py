"""What an account of trueup.toml says about a live venue, and where its secrets come from."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.settings.files import read

from trueup.core.errors import ConfigurationError
from trueup.settings import AccountSettings, describe, secrets_of
from trueup.settings.variables import SECRETS
from trueup.venues.ccxt import client

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


ACCOUNT = '[[accounts]]\nname = "main"\nvenue = "ccxt:binance"\n'
PASTED = [
    "vmPUZE6mv9SD5VNHk4LEAKPROBEHlSOFo6aqAClDvE1mF1mAeiuA3j8bj7xLEAK0",
    "LEAK" * 16 + "0", "leak0123456789abcdef0123456789ab", "LEAKAB12CD34EF56GH78", "aLEAK_3fGh7Kq9x_Zp2wT5rN8vB1mC4sD6",
    "LEAKsecretWithoutAnyDigitThatNobodyWouldSpellSo",
]  # fmt: skip
NAMES = [
    "BINANCE_KEY", "KEY", "key", "BinanceApiKey", "BINANCEAPISECRETKEYOFTHEFIRSTBOT", "my_bot_2_secret_key",
    "APCA_API_SECRET_KEY", "TRUEUP_PROD_EU_WEST_1_ACCOUNT_0042_BINANCE_SUBACCOUNT_SECRET", "_K8S_SECRET_1",
]  # fmt: skip


@pytest.mark.parametrize("secret", PASTED)
@pytest.mark.parametrize("key", ["key_env", "secret_env"])
def test_a_secret_in_the_place_of_its_variable_is_refused_and_never_shown(
    key: str, secret: str, tmp_path: Path
) -> None:
    """The trap: the keys of most exchanges are letters and digits, which is a name that a shell would take."""
    with pytest.raises(ConfigurationError, match="it looks like the secret itself") as caught:
        read(tmp_path, f'{ACCOUNT}{key} = "{secret}"')
    assert "LEAK" not in str(caught.value).upper().replace(str(tmp_path).upper(), "")


@pytest.mark.parametrize("name", NAMES)
def test_every_sensible_name_of_a_variable_is_taken(name: str, tmp_path: Path) -> None:
    [account] = read(tmp_path, f'{ACCOUNT}key_env = "{name}"').accounts
    assert secrets_of(account, {name: "hush"}) == {"key": "hush"}


def test_what_may_be_a_passphrase_is_shown_nowhere(tmp_path: Path) -> None:
    """One of a few letters may be a name, so that it is taken; but only what is spelt as names are is repeated."""
    settings = read(tmp_path, f'{ACCOUNT}password_env = "hunter2Hush"')
    with pytest.raises(ConfigurationError, match="which password_env names, is not set") as caught:
        secrets_of(settings.accounts[0], {})
    assert "unter2" not in str(caught.value) + str(describe(settings))


@pytest.mark.parametrize(
    ("venue", "key", "do"),
    [
        ("ccxt:okx", "pasword_env", "Did you mean password_env"), ("ccxt:okx", "kee_env", "Did you mean key_env"),
        ("ccxt:okx", "apiKey_env", "Use key_env."), ("ccxt:okx", "passphrase_env", "Use password_env."),
        ("ccxt:okx", "api_secret_env", "Use secret_env."), ("ccxt:okx", "KEY_env", "Use key_env."),
        ("ccxt:okx", "apiKey", "use key_env, with"), ("ccxt:okx", "secret", "use secret_env, with"),
        ("ccxt:okx", "privateKey", "use private_key_env, with"), ("ccxt:okx", "walletAddress", "use wallet_env, with"),
        ("ccxt:okx", "credentials", "use key_env or secret_env, with"), ("alpaca", "passphrase", "use key_env or"),
        ("alpaca", "password_env", "Known of this venue: key_env, secret_env."),
        ("alpaca", "base_ulr", "Did you mean base_url?"),
    ],
)  # fmt: skip
def test_an_unknown_name_of_a_secret_leads_to_the_known_one(venue: str, key: str, do: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="trueup has no such setting") as caught:
        read(tmp_path, f'[[accounts]]\nname = "main"\nvenue = "{venue}"\n{key} = "hush"')
    assert do in caught.value.do
    assert "hush" not in str(caught.value)


def test_the_variables_are_those_that_the_venues_read() -> None:
    assert set(SECRETS) == client.SECRETS.keys()
