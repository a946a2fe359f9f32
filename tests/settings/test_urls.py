"""Database URLs: what is accepted, as what, and that no password is ever shown."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from tests.settings.files import attempt, error_of, read, written

from trueup.core.errors import ConfigurationError
from trueup.settings import describe, load
from trueup.settings.urls import database_url, masked

FOLDER = Path("/data/bot")
GOOD = [
    ("sqlite:///ledger.db", "sqlite:////data/bot/ledger.db"),
    ("sqlite:///a/../ledger.db", "sqlite:////data/bot/a/../ledger.db"),
    (" sqlite:////abs/ledger.db\n", "sqlite:////abs/ledger.db"),
    ("sqlite+pysqlite:///ledger.db", "sqlite:////data/bot/ledger.db"),
    ("SQLite:///my ledger.db", "sqlite:////data/bot/my ledger.db"),
    ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
    ("postgresql://u:p@h:5432/d?sslmode=require", "postgresql+psycopg://u:p@h:5432/d?sslmode=require"),
    ("postgresql+psycopg://u:p%40w@[::1]:5432/d", "postgresql+psycopg://u:p%40w@[::1]:5432/d"),
    ("postgresql://postgres:@/d?host=/run/pg", "postgresql+psycopg://postgres:@/d?host=/run/pg"),
    ("postgresql:///d", "postgresql+psycopg:///d"),
    ("postgresql://", "postgresql+psycopg://"),
]
BAD = [
    ("", "it is empty"),
    ("ledger.db", "it is not a database URL"),
    ("sqlite:ledger.db", "it is not a database URL"),
    ("sqlite:///a\nb", "it is not a database URL"),
    ("sqlite://ledger.db", "three slashes"),
    ("sqlite://", "names no file"),
    ("sqlite:///", "names no file"),
    ("sqlite:///:memory:", "names no file"),
    ("sqlite:///a.db?mode=ro", "question mark"),
    ("sqlite+aiosqlite:///a.db", "does not know the database driver 'sqlite+aiosqlite'"),
    ("mysql+pymysql://u:hush@h/d", "does not know the database driver 'mysql+pymysql'"),
    ("postgresql+psycopg2://u:hush@h/d", "does not know the database driver 'postgresql+psycopg2'"),
    ("postgresql+asyncpg://u:hush@h/d", "does not know the database driver 'postgresql+asyncpg'"),
    ("postgresql://u:hu@sh@h/d", "cannot be read"),
    ("postgresql://u:hush", "cannot be read"),
    ("postgresql://h:99999999/d", "cannot be read"),
    ("postgresql:/u:hush@h/d", "it is not a database URL"),
    ("hush", "it is not a database URL"),
]
SECRET = "hush"
LEAKY = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(
        ["postgres://", "postgresql://u", "mysql://u", "sqlite://", "postgresql:/u", "", "x://", "http://u"]
    ),
    st.sampled_from([":", "::", "@:", ":@", ":/", ":a@", ":%", ":?", ": "]),
    st.just(SECRET),
    st.sampled_from(["@h/d", "@h:x/d", "@@h", "@", "@[h/d", "@h/d\n", "@h?a=b@c"]),
    st.sampled_from(["", "?password=hush", "?a=b&SSLPassword=hush", "?api_key=hush&x=y"]),
)


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_a_good_url_is_made_absolute_and_psycopg_3(text: str, expected: str) -> None:
    assert database_url(text, FOLDER) == expected
    assert database_url(expected, Path("/elsewhere")) == expected


@pytest.mark.parametrize(("text", "wrong"), BAD)
def test_a_bad_url_is_refused_with_what_is_allowed(text: str, wrong: str, tmp_path: Path) -> None:
    for key in ("url", "state_url"):
        message = error_of(tmp_path, {"ledger": {key: text}})
        assert f"trueup.toml, [ledger] {key}: " in message
        assert wrong in message
        assert "Allowed: sqlite:///PATH, or postgresql://" in message
        assert SECRET not in message
    with pytest.raises(ConfigurationError) as caught:
        load(None, {"TRUEUP_LEDGER_URL": text})
    assert caught.value.what.startswith("Environment variable TRUEUP_LEDGER_URL: ")


@given(
    st.text(string.ascii_letters + string.digits + ":/@?%.[]+ ", max_size=40),
    st.sampled_from(["", "sqlite://", "postgres://"]),
)
def test_what_is_accepted_sqlalchemy_reads_too(text: str, scheme: str) -> None:
    try:
        accepted = database_url(scheme + text, FOLDER)
    except ValueError:
        return
    url = make_url(accepted)
    assert url.drivername in ("sqlite", "postgresql+psycopg")
    if url.drivername == "sqlite":
        assert (url.username, url.password, url.host, url.port, dict(url.query)) == (None, None, None, None, {})
        assert Path(url.database or "").is_absolute()


@pytest.mark.parametrize("name", ["100% mine", "why?", "a@b:c", "ünï cödé"])
def test_any_folder_may_hold_the_ledger(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert make_url(read(folder, {}).ledger.url).database == str(folder / "trueup.db")


def test_the_environment_beats_the_file_and_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    settings = read(tmp_path, '[ledger]\nurl = "sqlite:///file.db"', TRUEUP_LEDGER_URL="sqlite:///env.db")
    assert settings.ledger.url == f"sqlite:///{tmp_path}/here/env.db"
    assert load(None, {"TRUEUP_LEDGER_URL": "postgres://h/d"}).ledger.url == "postgresql+psycopg://h/d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:hush@h:5/d", "postgresql://u:***@h:5/d"),
        ("postgresql://u:hu@sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:hush@h", "postgresql://:***@h"),
        ("postgres:/u:hush@h", "postgres:***@h"),
        ("postgresql://h/d?user=u&password=hush&x=y", "postgresql://h/d?user=u&password=***&x=y"),
        ("postgresql://u@h:5/d", "postgresql://u@h:5/d"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("plain text", "plain text"),
    ],
)
def test_passwords_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@given(LEAKY, st.sampled_from(["url", "state_url", "kind", "orders_table", "venue", "flag", "config", "variable"]))
def test_no_message_and_no_representation_holds_a_password(
    tmp_path_factory: pytest.TempPathFactory, text: str, where: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    account = {"name": "a", "venue": text if where == "venue" else "x"}
    content = {"accounts": [account], "ledger": {where: text} if where in ("url", "state_url", "kind") else {}}
    environ = {
        "flag": {"RECON_EXIT_BACKFILL_DUST_ABS_QTY": text},
        "config": {"TRUEUP_CONFIG": text},
        "variable": {"TRUEUP_LEDGER_URL": text},
    }.get(where, {})
    result = attempt(None if where == "config" else written(folder, content), environ)
    if isinstance(result, ConfigurationError):
        assert SECRET not in str(result)
    else:
        assert SECRET not in str(describe(result))
        assert where == "venue" or SECRET not in repr(result)


def test_a_secret_in_the_place_of_its_variables_name_is_not_repeated(tmp_path: Path) -> None:
    for key in ("api_key", "api_key_env", "password"):
        content = {"accounts": [{"name": "a", "venue": "alpaca", key: "sk-hush"}]}
        assert SECRET not in error_of(tmp_path, content)
