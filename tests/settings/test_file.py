"""trueup.toml: how it is found, what it may hold, and what is said where it holds something else."""

import dataclasses
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from tests.settings.files import error_of, read

from trueup.core.errors import ConfigurationError
from trueup.ledger import schema
from trueup.settings import AccountSettings, LedgerSettings, ProfileSettings, load
from trueup.settings.sections import ORDER_COLUMNS

WHOLE = """
[ledger]
url = "sqlite:///books/ledger.db"
kind = "native"
orders_table = "bot_orders"
state_url = "postgres://trueup@db/state"
[ledger.columns]
qty = "amount"
symbol = "market"

[[accounts]]
name = "paper"
venue = "file:exports/venue.json"
symbol_aliases = { xbt = "BTC", "Xx-dg" = "doge" }
[[accounts]]
name = "kraken"
venue = "ccxt:kraken"
key_env = "KRAKEN_KEY"
secret_env = "KRAKEN_SECRET"

[[profiles]]
id = "bot-1"
account = "paper"
user_id = "u1"
managed_symbols = ["BTC/USD", " ETH/USD ", "BTC/USD"]
allocated_capital = "1000.10"
enabled = true
[[profiles]]
id = "bot-2"
account = "kraken"
managed_symbols = "SOL/USD, ,ADA/USD"
allocated_capital = 0.1
enabled = "off"
"""
ACCOUNT = '[[accounts]]\nname = "main"\nvenue = "alpaca"\n'


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


class TestWhichFile:
    def test_none_is_the_default_ledger_in_the_current_folder(self, tmp_path: Path) -> None:
        settings = load(None, {})
        assert (settings.source, settings.folder) == (None, tmp_path / "here")
        assert settings.ledger == LedgerSettings(f"sqlite:///{tmp_path}/here/trueup.db")
        assert (settings.accounts, settings.profiles) == ((), ())

    def test_the_one_in_the_current_folder_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "here" / "trueup.toml"
        file.write_text('ledger.orders_table = "local"')
        assert load(None, {}).ledger.orders_table == "local"
        assert load(None, {}).source == file

    def test_the_variable_beats_the_current_folder_and_config_beats_both(self, tmp_path: Path) -> None:
        for name in ("here/trueup", "variable", "config"):
            (tmp_path / f"{name}.toml").write_text(f'ledger.orders_table = "{name}"')
        environ = {"TRUEUP_CONFIG": "../variable.toml"}
        assert load(None, environ).ledger.orders_table == "variable"
        assert load(tmp_path / "config.toml", environ).ledger.orders_table == "config"
        assert load(Path("../config.toml"), {}).ledger.orders_table == "config"

    def test_the_environment_is_the_programs_own_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRUEUP_CONFIG", "nowhere.toml")
        with pytest.raises(ConfigurationError, match=r"nowhere\.toml, which environment variable TRUEUP_CONFIG names"):
            load()

    def test_one_that_was_named_must_be_there(self) -> None:
        with pytest.raises(ConfigurationError, match=r"There is no file missing\.toml, which --config names"):
            load(Path("missing.toml"), {})

    @pytest.mark.parametrize("name", ["", " ", "a\nb", "\0"])
    def test_a_variable_that_names_no_path_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=r"^Environment variable TRUEUP_CONFIG: it "):
            load(None, {"TRUEUP_CONFIG": name})

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "here" / "trueup.toml").mkdir()
        for config in (None, tmp_path):
            with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
                load(config, {})

    @pytest.mark.parametrize("path", ["a\0b", "a\udcffb\ud800"])
    def test_what_can_be_no_path_is_refused(self, path: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load(Path(path), {})
        assert str(caught.value).isascii()


class TestWhatItHolds:
    def test_everything(self, tmp_path: Path) -> None:
        settings = read(tmp_path, WHOLE)
        assert settings.ledger == LedgerSettings(
            f"sqlite:///{tmp_path}/books/ledger.db",
            "native",
            "bot_orders",
            {"qty": "amount", "symbol": "market"},
            "postgresql+psycopg://trueup@db/state",
        )
        assert settings.accounts == (
            AccountSettings("paper", f"file:{tmp_path}/exports/venue.json", {"XBT": "BTC", "XXDG": "DOGE"}),
            AccountSettings("kraken", "ccxt:kraken", env={"key_env": "KRAKEN_KEY", "secret_env": "KRAKEN_SECRET"}),
        )
        assert settings.profiles == (
            ProfileSettings("bot-1", "paper", "u1", ("BTC/USD", "ETH/USD"), Decimal("1000.10"), True),
            ProfileSettings("bot-2", "kraken", None, ("SOL/USD", "ADA/USD"), Decimal("0.1"), False),
        )

    def test_nothing(self, tmp_path: Path) -> None:
        settings = read(tmp_path, "# nothing\n")
        assert settings.ledger == LedgerSettings(f"sqlite:///{tmp_path}/trueup.db")
        assert settings.folder == tmp_path

    def test_a_byte_order_mark_and_carriage_returns_are_fine(self, tmp_path: Path) -> None:
        assert read(tmp_path, '\ufeff[ledger]\r\norders_table = "x"\r\n').ledger.orders_table == "x"

    def test_nothing_in_it_can_be_changed(self, tmp_path: Path) -> None:
        settings = read(tmp_path, WHOLE)
        with pytest.raises(dataclasses.FrozenInstanceError):
            settings.ledger.url = "x"  # type: ignore[misc]  # that it is forbidden is the point
        for mapping in (settings.ledger.columns, settings.accounts[0].symbol_aliases, settings.accounts[1].env):
            assert not hasattr(mapping, "__setitem__")

    def test_a_profile_without_an_account_has_the_only_one(self, tmp_path: Path) -> None:
        assert read(tmp_path, ACCOUNT + '[[profiles]]\nid = "p"').profiles == (ProfileSettings("p", "main"),)

    def test_secrets_are_never_resolved(self, tmp_path: Path) -> None:
        settings = read(tmp_path, ACCOUNT + 'key_env = "THE_KEY"', THE_KEY="hush")
        assert settings.accounts[0].env == {"key_env": "THE_KEY"}

    def test_the_columns_that_can_be_mapped_are_those_of_the_orders_table(self) -> None:
        assert ORDER_COLUMNS == schema.ORDER_COLUMNS


class TestPaths:
    @pytest.mark.parametrize(
        ("venue", "expected"),
        [
            ("file:a/b.json", "file:{}/a/b.json"),
            ("FILE: b.json", "file:{}/b.json"),
            ("file:../b.json", "file:{}/../b.json"),
            ("file:/abs/b.json", "file:/abs/b.json"),
            ("file:///abs/b.json", "file:/abs/b.json"),
            ("ccxt:binance", "ccxt:binance"),
            ("alpaca", "alpaca"),
        ],
    )
    def test_a_venues_path_is_relative_to_the_file(self, venue: str, expected: str, tmp_path: Path) -> None:
        (account,) = read(tmp_path, {"accounts": [{"name": "a", "venue": venue}]}).accounts
        assert account.venue == expected.format(tmp_path)

    @pytest.mark.parametrize(
        "venue", ["", " ", "file:", "file: ", "file://", "file://host/b.json", " alpaca", 3, ["a"]]
    )
    def test_what_names_no_venue_is_refused(self, venue: object, tmp_path: Path) -> None:
        assert "[[accounts]] number 1, venue: " in error_of(tmp_path, {"accounts": [{"name": "a", "venue": venue}]})

    def test_a_file_that_is_named_relatively_makes_absolute_paths(self, tmp_path: Path) -> None:
        (tmp_path / "trueup.toml").write_text(WHOLE)
        settings = load(Path("../trueup.toml"), {})
        assert settings.ledger.url == f"sqlite:///{tmp_path}/here/../books/ledger.db"
        assert Path(settings.accounts[0].venue.removeprefix("file:")).is_absolute()

    def test_home_is_understood(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        settings = read(
            tmp_path, '[ledger]\nurl = "sqlite:///~/l.db"\n[[accounts]]\nname = "a"\nvenue = "file:~/v.json"'
        )
        assert settings.ledger.url == f"sqlite:///{tmp_path}/home/l.db"
        assert settings.accounts[0].venue == f"file:{tmp_path}/home/v.json"


UNKNOWN = [
    ("ledgr = {}", "top level, ledgr", "Did you mean ledger?"),
    ("profile = []", "top level, profile", "Did you mean profiles or reconcile?"),
    ("[ledger]\nuri = 'x'", "[ledger] uri", "Did you mean url?"),
    ("[ledger.columns]\nquantiti = 'x'", "[ledger.columns] quantiti", "Did you mean quantity"),
    (ACCOUNT + "venu = 'x'", "[[accounts]] number 1, venu", "Did you mean venue?"),
    (ACCOUNT + "_env = 'x'", "[[accounts]] number 1, _env", "Did you mean key_env or secret_env?"),
    (
        ACCOUNT + "api_key = 'x'",
        "[[accounts]] number 1, api_key",
        "Secrets come from the environment only: use key_env, with the name of the variable",
    ),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nacount = 'x'", "[[profiles]] number 1, acount", "Did you mean account?"),
    ('"a\\nb" = 1', "top level, 'a\\nb'", "Known: accounts, backfill, ledger, profiles, reconcile, safety."),
]
WRONG = [
    ("ledger = 1", "top level, ledger: 1 is not a table."),
    ("backfill = [1]", "top level, backfill: a list is not a table."),
    (
        "[accounts]\nname = 'a'",
        "top level, accounts: a table is no series of tables.\nBegin each one with [[accounts]].",
    ),
    ("profiles = [1]", "top level, profiles: a list is no series of tables."),
    ("[ledger]\ncolumns = 'x'", "[ledger] columns: 'x' is not a table."),
    ("[ledger]\nurl = 1", "[ledger] url: it is empty or not text."),
    ("[ledger]\norders_table = ''", "[ledger] orders_table: it is empty."),
    ("[ledger]\norders_table = 2020-01-01", "[ledger] orders_table: a date or time is not text."),
    ("[ledger]\nkind = 'freqtrade'", "[ledger] kind: there is no kind 'freqtrade'.\nAllowed: native."),
    ("[ledger.columns]\nqty = ' '", "[ledger.columns] qty: it is empty."),
    ("[ledger.columns]\nqty = 'x'\nprice = 'x'", "[ledger.columns] price: 'x' is the column of qty already."),
    ("[ledger.columns]\nside = 'x'\naction = 'x'", "[ledger.columns] side: 'x' is the column of action already."),
    ("[[accounts]]\nvenue = 'a'", "[[accounts]] number 1, name: it is missing."),
    ("[[accounts]]\nname = 'a'", "[[accounts]] number 1, venue: it is missing."),
    ("[[accounts]]\nname = ' '\nvenue = 'a'", "[[accounts]] number 1, name: it is empty."),
    ("[[accounts]]\nname = 'a '\nvenue = 'a'", "[[accounts]] number 1, name: 'a ' begins or ends with a blank."),
    (ACCOUNT + ACCOUNT, "[[accounts]] number 2, name: 'main' is the name of number 1 already."),
    (ACCOUNT + "symbol_aliases = 1", "[[accounts]] number 1, symbol_aliases: 1 is not a table."),
    (ACCOUNT + "symbol_aliases = {XBT = 1}", "[[accounts]] number 1, symbol_aliases XBT: 1 is not text."),
    (ACCOUNT + "symbol_aliases = {'-' = 'B'}", "symbol_aliases '-': '-' holds no letter or digit."),
    (ACCOUNT + "symbol_aliases = {a = 'B', A = 'C'}", "symbol_aliases A: A is both B and C."),
    (ACCOUNT + "sandbox = 3", "[[accounts]] number 1, sandbox: 3 is"),
    (ACCOUNT + "base_url = 'venue.example'", "base_url: it is no plain http or https address."),
    (ACCOUNT + "base_url = 'https://me:hush@venue.example'", "base_url: it is no plain http or https address."),
    (ACCOUNT + "base_url = 'https://venue.example/?k=1'", "base_url: it is no plain http or https address."),
    (ACCOUNT + "base_url = 'ftp://venue.example'", "base_url: it is no plain http or https address."),
    (ACCOUNT + "calls_per_minute = 0", "[[accounts]] number 1, calls_per_minute: 0 is out of range."),
    (ACCOUNT + "calls_per_minute = nan", "[[accounts]] number 1, calls_per_minute: "),
    (ACCOUNT + "timeout_seconds = 301", "[[accounts]] number 1, timeout_seconds: 301 is out of range."),
    (ACCOUNT + "external_assets = {BTC = -1}", "[[accounts]] number 1, external_assets BTC: -1 is negative."),
    (ACCOUNT + "external_assets = {'/' = 1}", "external_assets '/': '/' holds no letter or digit."),
    (ACCOUNT + "symbols = []", "[[accounts]] number 1, symbols: it names no symbol."),
    (ACCOUNT + "allow_flatten = 'maybe'", "[[accounts]] number 1, allow_flatten: 'maybe' is"),
    (ACCOUNT + "key_env = 1", "[[accounts]] number 1, key_env: it is not the name of an environment variable."),
    (ACCOUNT + "[[profiles]]\naccount = 'main'", "[[profiles]] number 1, id: it is missing."),
    (ACCOUNT + "[[profiles]]\nid = ''", "[[profiles]] number 1, id: it is empty."),
    (ACCOUNT + "[[profiles]]\nid = 7", "[[profiles]] number 1, id: 7 is not text."),
    (ACCOUNT + "[[profiles]]\nid = 'p'\n[[profiles]]\nid = 'p'", "number 2, id: 'p' is the id of number 1 already."),
    (
        ACCOUNT + "[[profiles]]\nid = 'p'\naccount = 'mian'",
        "account: 'mian' is not among [[accounts]].\nDid you mean main?",
    ),
    ("[[profiles]]\nid = 'p'\naccount = 'x'", "[[profiles]] number 1, account: there are no [[accounts]]."),
    ("[[profiles]]\nid = 'p'", "[[profiles]] number 1, account: there are no [[accounts]]."),
    (
        ACCOUNT + ACCOUNT.replace("main", "b") + "[[profiles]]\nid = 'p'",
        "account: it is missing.\nName one of: b, main.",
    ),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nmanaged_symbols = []", "managed_symbols: it names no symbol."),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nmanaged_symbols = ' , '", "managed_symbols: it names no symbol."),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nmanaged_symbols = ['/']", "managed_symbols: '/' holds no letter or digit."),
    (
        ACCOUNT + "[[profiles]]\nid = 'p'\nmanaged_symbols = [1]",
        "managed_symbols: the list holds 1, which is not text.",
    ),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nallocated_capital = -1", "allocated_capital: -1 is negative."),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nallocated_capital = nan", "allocated_capital: nan is not a finite number."),
    (ACCOUNT + "[[profiles]]\nid = 'p'\nenabled = 'maybe'", "enabled: 'maybe' is neither true nor false."),
]


class TestWhatIsWrong:
    @pytest.mark.parametrize(("content", "place", "do"), UNKNOWN)
    def test_an_unknown_key_is_named_with_its_table_and_the_nearest(
        self, content: str, place: str, do: str, tmp_path: Path
    ) -> None:
        message = error_of(tmp_path, content)
        assert message.startswith(f"{tmp_path / 'trueup.toml'}, {place}: trueup has no such setting.\n{do}")

    @pytest.mark.parametrize(("content", "expected"), WRONG)
    def test_a_wrong_value_is_named_with_its_place(self, content: str, expected: str, tmp_path: Path) -> None:
        message = error_of(tmp_path, content)
        assert message.startswith(str(tmp_path / "trueup.toml"))
        assert expected in message

    @pytest.mark.parametrize(
        ("content", "line", "wrong"),
        [
            ("a = 1\nb = \n", 2, "invalid value"),
            ("a = 1\na = 2\n", 2, "cannot overwrite a value"),
            ("<html>\n", 1, "invalid statement"),
            ("\n\nkind = [1,\n\n", 3, "unclosed array"),
            ("a = nul", 1, "invalid value"),
        ],
    )
    def test_malformed_toml_is_told_by_its_line(self, content: str, line: int, wrong: str, tmp_path: Path) -> None:
        message = error_of(tmp_path, content).lower()
        assert message.startswith(str(tmp_path / f"trueup.toml, line {line}, is not TOML: ").lower())

    @pytest.mark.parametrize("content", ["a = " + "[" * 9_000, "a = " + "9" * 9_000, "a = 0x" + "f" * 9_000])
    def test_monstrous_toml_is_told(self, content: str, tmp_path: Path) -> None:
        message = error_of(tmp_path, content)
        assert message.startswith(str(tmp_path / "trueup.toml"))
        assert len(message) < 400

    def test_what_is_not_utf8_is_told_by_its_line(self, tmp_path: Path) -> None:
        file = tmp_path / "trueup.toml"
        file.write_bytes(b'a = 1\nb = "\xff"\n')
        with pytest.raises(ConfigurationError, match=r"trueup\.toml, line 2 is not UTF-8"):
            load(file, {})


def test_the_settings_are_imported_without_anything_heavy() -> None:
    program = "import sys, trueup.settings; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "trueup" in found
    assert not {"alembic", "psycopg", "pydantic", "pydantic_settings", "rich", "sqlalchemy", "typer"} & set(found)


def test_one_column_of_theirs_may_be_an_id_or_a_time_twice(tmp_path: Path) -> None:
    same = {
        "order_id": "id",
        "exchange_order_id": "id",
        "qty": "n",
        "quantity": "n",
        "timestamp": "t",
        "filled_at": "t",
    }
    text = "\n".join(["[ledger.columns]", *(f"{ours} = '{theirs}'" for ours, theirs in same.items())])
    assert dict(read(tmp_path, text).ledger.columns) == same
