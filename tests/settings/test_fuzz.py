"""Whatever stands in the environment or in the file: settings come out, or one error that a person can read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.settings.files import attempt, document

from trueup.core.errors import ConfigurationError
from trueup.settings import FLAGS, describe
from trueup.settings.sections import ORDER_COLUMNS

TEXT = st.text(max_size=30)
WORDS = st.sampled_from(
    [
        "",
        " ",
        "true",
        "OFF",
        "1",
        "0.5",
        "-1",
        "nan",
        "1e400",
        "flat",
        "a,b",
        "sqlite:///x",
        "postgres://u:p@h",
        "file:x",
    ]
)
KEYS = st.sampled_from(
    [
        "url", "kind", "orders_table", "columns", "state_url", "name", "venue", "symbol_aliases", "key_env", "id",
        "account", "user_id", "managed_symbols", "allocated_capital", "enabled", *ORDER_COLUMNS[:3],
        *(flag.name.lower() for flag in FLAGS),
    ]
)  # fmt: skip
SCALARS = TEXT | WORDS | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.dates() | st.datetimes()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=4),
    max_leaves=12,
)
TABLES = st.dictionaries(KEYS | TEXT, VALUES, max_size=5)
ACCOUNTS = st.lists(st.fixed_dictionaries({"name": TEXT | WORDS, "venue": TEXT | WORDS}, optional={"key_env": VALUES}))
PROFILES = st.lists(st.fixed_dictionaries({"id": TEXT | WORDS}, optional={"managed_symbols": VALUES, "account": TEXT}))
FILES = st.fixed_dictionaries(
    {},
    optional={
        "ledger": TABLES | VALUES,
        "accounts": ACCOUNTS | VALUES,
        "profiles": PROFILES | VALUES,
        "backfill": TABLES | VALUES,
        "reconcile": TABLES | VALUES,
    },
) | st.dictionaries(TEXT, VALUES, max_size=3)
VARIABLES = [
    *(flag.name for flag in FLAGS), "TRUEUP_CONFIG", "TRUEUP_LEDGER_URL", "TRUEUP_ALERT_URLS", "TRUEUP_LOG_FORMAT",
    "TRUEUP_LOG_LEVEL",
]  # fmt: skip
NAMES = st.sampled_from(VARIABLES)
ANYTHING = st.text(st.characters(), max_size=40) | WORDS


def check(config: Path | None, environ: dict[str, str]) -> None:
    result = attempt(config, environ)
    if isinstance(result, ConfigurationError):
        assert result.what.endswith(".")
        assert result.do
        assert "\n" not in result.what
        assert str(result).encode()
    else:
        assert all(isinstance(part, str) for row in describe(result) for part in row)


@given(st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=3))
def test_any_text_in_the_environment(environ: dict[str, str]) -> None:
    check(None, environ)


@pytest.mark.parametrize("name", VARIABLES)
@settings(max_examples=25)
@given(text=ANYTHING)
def test_any_text_in_each_variable(name: str, text: str) -> None:
    check(None, {name: text})


@given(st.dictionaries(st.text(st.characters(), max_size=10).map("RECON_{}".format), ANYTHING, min_size=1))
def test_any_unknown_variable(environ: dict[str, str]) -> None:
    check(None, environ)


@given(FILES)
def test_any_values_in_the_file(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    file = tmp_path_factory.getbasetemp() / "values.toml"
    file.write_text(document(values), encoding="utf-8")
    check(file, {})


@given(st.binary(max_size=60) | TEXT.map(str.encode))
def test_any_bytes_in_the_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.toml"
    file.write_bytes(data)
    check(file, {})
