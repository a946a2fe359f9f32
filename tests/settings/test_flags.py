"""Each flag, good and bad, in the environment and in trueup.toml; and which of the two wins."""

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.settings.files import document, error_of, read, written

from trueup.bootstrap import build
from trueup.core.errors import ConfigurationError
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.repair.policy import BackfillPolicy, Flatness
from trueup.service.app import ReconcileConfig
from trueup.settings import FLAGS, BackfillSettings, ReconcileSettings, load
from trueup.settings.description import value_of
from trueup.settings.flags import ROWS

HOUR, MINUTE = 3_600_000, 60_000
TABLES = {flag.name: flag.table for flag in FLAGS}
SWITCHES = (
    "ENABLE_RECON_POSITION_PARITY_HEARTBEAT",
    "ENABLE_RECON_WATCHDOG_AUTO_RESUME",
    "RECON_POSITION_PARITY_DRY_RUN",
    "RECON_POSITION_PARITY_REQUIRE_SUBTAG_ATTRIBUTION",
    "ENABLE_RECON_EXIT_BACKFILL",
    "RECON_EXIT_BACKFILL_DRY_RUN",
    "RECON_EXIT_BACKFILL_REQUIRE_PAUSE",
    "RECON_EXIT_BACKFILL_REQUIRE_STRONG_ATTRIBUTION",
    "RECON_EXIT_BACKFILL_ALLOW_HEURISTIC_MATCH",
)
ALLOWLIST = "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST"
DUST_ABS = "RECON_EXIT_BACKFILL_DUST_ABS_QTY"
DUST_REL = "RECON_EXIT_BACKFILL_DUST_REL_PCT"
LOOKBACK = "RECON_EXIT_BACKFILL_LOOKBACK_HOURS"
GRACE = "RECON_EXIT_BACKFILL_FILL_AFTER_TRADE_GRACE_MINUTES"
FLATNESS = "RECON_EXIT_BACKFILL_FLATNESS"
LIMIT = "RECON_ORDER_COVERAGE_FETCH_LIMIT_PER_PAGE"
PAGES = "RECON_ORDER_COVERAGE_MAX_FETCH_PAGES"
PREFIX = "TRUEUP_ORDER_TAG_PREFIX"
INTERVAL = "RECON_INTERVAL_SECONDS"
FULL_CHECK = "RECON_FULL_CHECK_SECONDS"
SETTLE = "RECON_SETTLE_WINDOW_SECONDS"
NOTIONAL = "RECON_POSITION_PARITY_MAX_NOTIONAL_PCT"
HIGHEST = {
    LIMIT: 500,
    PAGES: 100,
    "RECON_WORKER_BATCH": 1000,
    "RECON_LEASE_CONTENTION_ALERT": 100_000,
    "RECON_RUNS_KEPT_DAYS": 3650,
    "RECON_MISSING_CONFIRMATIONS": 100,
    "RECON_POSITION_PARITY_CONFIRMATIONS": 100,
    "RECON_WATCHDOG_AUTO_RESUME_CLEAN_CYCLES": 1000,
    "RECON_WATCHDOG_AUTO_RESUME_MIN_PAUSE_MS": 604_800_000,
    "RECON_WATCHDOG_AUTO_RESUME_COOLDOWN_MS": 604_800_000,
    "EXCHANGE_STATE_MISMATCH_THROTTLE_MS": 86_400_000,
}
"""The whole numbers, each with the highest that is allowed; the lowest is 1, of times in milliseconds 0."""

NUMBERS = (DUST_ABS, DUST_REL, LOOKBACK, GRACE, INTERVAL, FULL_CHECK, SETTLE, NOTIONAL, *HIGHEST)
NO_NUMBERS = ("", "  ", "abc", "nan", "NaN", "inf", "-inf", "-1", "1,5", "0x10", "1_000", "٣", "1" * 200, "true")

GOOD = [
    *[(name, text, True) for name in SWITCHES for text in ("true", "TRUE", "1", "yes", "Yes", "on", " on ")],
    *[(name, text, False) for name in SWITCHES for text in ("false", "False", "0", "no", "NO", "off", "Off\n")],
    (ALLOWLIST, "", frozenset()),
    (ALLOWLIST, " , ,", frozenset()),
    (ALLOWLIST, "a", frozenset({"a"})),
    (ALLOWLIST, " a ,b,, a", frozenset({"a", "b"})),
    (DUST_ABS, "0", Decimal(0)),
    (DUST_ABS, "0.000000000000000001", Decimal("1e-18")),
    (DUST_ABS, "1e-3", Decimal("0.001")),
    (DUST_ABS, "12345678901234567.123456789", Decimal("12345678901234567.123456789")),
    (DUST_REL, "0", Decimal(0)),
    (DUST_REL, "1", Decimal(1)),
    (DUST_REL, " 0.002 ", Decimal("0.002")),
    (LOOKBACK, "72", 72 * HOUR),
    (LOOKBACK, "0.5", HOUR // 2),
    (LOOKBACK, "87600", 87_600 * HOUR),
    (LOOKBACK, "0.333333", 1_199_998),
    (GRACE, "0", 0),
    (GRACE, "0.25", 15_000),
    (GRACE, "1440", 1440 * MINUTE),
    (FLATNESS, "flat", Flatness.FLAT),
    (FLATNESS, "Explained", Flatness.EXPLAINED),
    (FLATNESS, " EVIDENCE\n", Flatness.EVIDENCE),
    *[(name, "1", 1) for name in HIGHEST],
    *[(name, f" {highest} ", highest) for name, highest in HIGHEST.items()],
    *[(name, "0", 0) for name in HIGHEST if name.endswith("_MS")],
    (INTERVAL, "0.1", Decimal("0.1")),
    (INTERVAL, "86400", Decimal(86_400)),
    (FULL_CHECK, "1", Decimal(1)),
    (FULL_CHECK, "2592000", Decimal(2_592_000)),
    (SETTLE, "0", 0),
    (SETTLE, "1.5", 1500),
    (SETTLE, "86400", 24 * HOUR),
    (NOTIONAL, "0", Decimal(0)),
    (NOTIONAL, "1", Decimal(1)),
    (PREFIX, "my-bot", "my-bot"),
]
BAD = [
    *[(name, text) for name in SWITCHES for text in ("", " ", "maybe", "2", "tru", "y", "1.0", "none")],
    *[(name, text) for name in NUMBERS for text in NO_NUMBERS],
    (DUST_ABS, "1e20"),
    (DUST_ABS, "1e-41"),
    (DUST_REL, "1.0000000001"),
    (DUST_REL, "2"),
    (LOOKBACK, "0"),
    (LOOKBACK, "0.0000000001"),
    (LOOKBACK, "87600.0000000000000000000000000000000001"),
    (GRACE, "1440.5"),
    (FLATNESS, ""),
    (FLATNESS, "flt"),
    (FLATNESS, "Flatness.FLAT"),
    *[(name, text) for name in HIGHEST for text in ("1.5", "8.0", "1e1")],
    *[(name, "0") for name in HIGHEST if not name.endswith("_MS")],
    *[(name, str(highest + 1)) for name, highest in HIGHEST.items()],
    (INTERVAL, "0"),
    (INTERVAL, "0.09"),
    (INTERVAL, "86400.1"),
    (FULL_CHECK, "0.9"),
    (FULL_CHECK, "2592001"),
    (SETTLE, "86401"),
    (NOTIONAL, "1.01"),
    (NOTIONAL, "50"),
    *[(PREFIX, text) for text in ("", " ", "a:b", "a b", "a\tb", "bot ", "a\x00")],
    (ALLOWLIST, "a\nb"),
]
GOOD_IN_FILE = [
    *[(name, value, bool(value)) for name in SWITCHES for value in (True, False, 1, 0)],
    (ALLOWLIST, [], frozenset()),
    (ALLOWLIST, [" a ", "", "b,c"], frozenset({"a", "b,c"})),
    (DUST_ABS, 0.1, Decimal("0.1")),
    (DUST_ABS, 5, Decimal(5)),
    (DUST_REL, 0.002, Decimal("0.002")),
    (LOOKBACK, 1.5, 90 * MINUTE),
    (GRACE, 7, 7 * MINUTE),
    (LIMIT, 200, 200),
    (PAGES, 3, 3),
    (INTERVAL, 0.5, Decimal("0.5")),
    (SETTLE, 45, 45_000),
    (NOTIONAL, 0.25, Decimal("0.25")),
    ("RECON_WATCHDOG_AUTO_RESUME_MIN_PAUSE_MS", 60_000, MINUTE),
]
BAD_IN_FILE: list[tuple[str, object]] = [
    *[(name, value) for name in SWITCHES for value in (2, -1, 1.0, [], [True], {}, {"a": 1})],
    *[(name, value) for name in NUMBERS for value in (True, False, [], [1], {}, -1, -0.5, float("nan"), float("inf"))],
    *[(name, value) for name, highest in HIGHEST.items() for value in (8.0, highest + 1)],
    *[(name, value) for name in (FLATNESS, PREFIX) for value in (1, True, [], ["flat"], {})],
    *[(ALLOWLIST, value) for value in (1, True, {}, [1], [["a"]], ["a", 2.5])],
]


def in_file(name: str, value: object) -> str:
    return document({TABLES[name]: {name.lower(): value}})


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_default_is_the_documented_one() -> None:
    assert {flag.name: flag.default for flag in FLAGS} == {
        "ENABLE_RECON_EXIT_BACKFILL": "false",
        "RECON_EXIT_BACKFILL_DRY_RUN": "true",
        "RECON_EXIT_BACKFILL_REQUIRE_PAUSE": "true",
        "RECON_EXIT_BACKFILL_PROFILE_ALLOWLIST": "",
        "RECON_EXIT_BACKFILL_DUST_ABS_QTY": "0.001",
        "RECON_EXIT_BACKFILL_DUST_REL_PCT": "0.002",
        "RECON_EXIT_BACKFILL_LOOKBACK_HOURS": "72",
        "RECON_EXIT_BACKFILL_REQUIRE_STRONG_ATTRIBUTION": "true",
        "RECON_EXIT_BACKFILL_ALLOW_HEURISTIC_MATCH": "false",
        "RECON_EXIT_BACKFILL_FILL_AFTER_TRADE_GRACE_MINUTES": "5",
        "RECON_EXIT_BACKFILL_FLATNESS": "flat",
        "RECON_ORDER_COVERAGE_FETCH_LIMIT_PER_PAGE": "500",
        "RECON_ORDER_COVERAGE_MAX_FETCH_PAGES": "8",
        "TRUEUP_ORDER_TAG_PREFIX": "bytelyst",
        "RECON_INTERVAL_SECONDS": "30",
        "RECON_FULL_CHECK_SECONDS": "3600",
        "RECON_WORKER_BATCH": "8",
        "RECON_LEASE_CONTENTION_ALERT": "10",
        "RECON_RUNS_KEPT_DAYS": "30",
        "RECON_SETTLE_WINDOW_SECONDS": "30",
        "RECON_MISSING_CONFIRMATIONS": "3",
        "ENABLE_RECON_POSITION_PARITY_HEARTBEAT": "true",
        "RECON_POSITION_PARITY_CONFIRMATIONS": "3",
        "RECON_POSITION_PARITY_REQUIRE_SUBTAG_ATTRIBUTION": "true",
        "RECON_POSITION_PARITY_MAX_NOTIONAL_PCT": "0.5",
        "RECON_POSITION_PARITY_DRY_RUN": "false",
        "ENABLE_RECON_WATCHDOG_AUTO_RESUME": "true",
        "RECON_WATCHDOG_AUTO_RESUME_MIN_PAUSE_MS": "900000",
        "RECON_WATCHDOG_AUTO_RESUME_CLEAN_CYCLES": "2",
        "RECON_WATCHDOG_AUTO_RESUME_COOLDOWN_MS": "1800000",
        "EXCHANGE_STATE_MISMATCH_THROTTLE_MS": "300000",
        "DEADMAN_TIMEOUT_SECONDS": "90",
        "DEADMAN_ACTION": "SAFE_MODE",
        "DEADMAN_RECOVERY_BEATS": "3",
        "TRUEUP_GATE_LEASE_MS": "5000",
        "TRUEUP_INCIDENT_CONTAINMENT": "true",
        "TRUEUP_FOUR_EYES": "true",
        "TRUEUP_INCIDENT_OBSERVATION_SECONDS": "300",
        "TRUEUP_INCIDENT_CONFIRM_RUNS": "3",
        "TRUEUP_CANARY_RUNS": "3",
        "FLATTEN_ATTEMPTS": "5",
        "FLATTEN_TIMEOUT_SECONDS": "120",
    }


def test_without_any_flag_the_defaults_hold() -> None:
    for settings in (load(None, {}), load(None, {flag.name: flag.default for flag in FLAGS})):
        assert settings.backfill == BackfillSettings()
        assert settings.reconcile == ReconcileSettings()
        assert settings.reconcile.policy == ReconcilePolicy()


@pytest.mark.parametrize(
    ("table", "kinds", "no_flags"),
    [
        ("backfill", (BackfillSettings, BackfillPolicy), {"policy"}),
        ("reconcile", (ReconcileSettings, ReconcilePolicy), {"policy", "price_tolerance"}),
    ],
)
def test_every_field_has_a_flag_and_every_flag_its_own_field(table: str, kinds: Any, no_flags: set[str]) -> None:
    fields = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert sorted(row.field for of, row in ROWS.values() if of == table) == sorted(fields - no_flags)


def test_the_app_gets_what_is_set(tmp_path: Path) -> None:
    settings = {"reconcile": {"recon_interval_seconds": 0.5, "recon_missing_confirmations": 5}}
    path = written(tmp_path, settings)
    built = build(path, {"RECON_WORKER_BATCH": "3", "RECON_FULL_CHECK_SECONDS": "60"})
    assert built.reconcile == ReconcileConfig(ReconcilePolicy(missing_confirmations=5), 0.5, 60.0, 3, 10, 30)
    built.close()
    defaults = build(written(tmp_path, ""), {})
    assert defaults.reconcile == ReconcileConfig()
    defaults.close()


def test_every_flag_says_what_it_is_in_one_sentence() -> None:
    for flag in FLAGS:
        assert flag.allowed
        assert flag.meaning.endswith(".")


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_a_good_value_is_read_from_the_environment(name: str, text: str, expected: object) -> None:
    assert value_of(load(None, {name: text}), name) == expected


@pytest.mark.parametrize(("name", "text", "expected"), GOOD)
def test_a_good_value_is_read_from_text_in_the_file(name: str, text: str, expected: object, tmp_path: Path) -> None:
    assert value_of(read(tmp_path, in_file(name, text)), name) == expected


@pytest.mark.parametrize(("name", "value", "expected"), GOOD_IN_FILE)
def test_a_good_value_is_read_from_the_file(name: str, value: object, expected: object, tmp_path: Path) -> None:
    found = value_of(read(tmp_path, in_file(name, value)), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_in_the_environment_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {name: text})
    (flag,) = [flag for flag in FLAGS if flag.name == name]
    assert caught.value.what.startswith(f"Environment variable {name}: ")
    assert caught.value.do == f"Allowed: {flag.allowed}."
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("name", "value"), [*BAD, *BAD_IN_FILE])
def test_a_bad_value_in_the_file_is_refused_by_name(name: str, value: object, tmp_path: Path) -> None:
    message = error_of(tmp_path, in_file(name, value))
    (flag,) = [flag for flag in FLAGS if flag.name == name]
    assert message.startswith(f"{tmp_path / 'trueup.toml'}, [{TABLES[name]}] {name.lower()}: ")
    assert message.endswith(f"\nAllowed: {flag.allowed}.")


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_with_too_many_digits_to_be_written_is_refused(name: str, tmp_path: Path) -> None:
    message = error_of(tmp_path, f"[{TABLES[name]}]\n{name.lower()} = 0x{'f' * 9_000}\n")
    assert "a huge number is not a number that can be used" in message


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        (DUST_ABS, "", "it is empty"),
        (DUST_ABS, "abc", "'abc' is not a number"),
        (DUST_ABS, "nan", "'nan' is not a finite number"),
        (DUST_ABS, "-1", "'-1' is negative"),
        (DUST_REL, "1.5", "'1.5' is out of range"),
        (LOOKBACK, "0", "'0' is out of range"),
        (PAGES, "2.5", "'2.5' is not a whole number"),
        (FLATNESS, "round", "'round' is no such policy"),
        (SWITCHES[0], "maybe", "'maybe' is neither true nor false"),
        (DUST_ABS, "9" * 99, f"a text of {99} characters is outside what a quantity or price can be"),
    ],
)
def test_what_is_wrong_is_said(name: str, text: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {name: text})
    assert caught.value.what == f"Environment variable {name}: {wrong}."


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False)])
def test_the_environment_beats_the_file(name: str, text: str, expected: bool, tmp_path: Path) -> None:
    settings = read(tmp_path, in_file(name, not expected), **{name: text})
    assert value_of(settings, name) is expected


def test_an_empty_allowlist_in_the_environment_beats_the_file(tmp_path: Path) -> None:
    assert value_of(read(tmp_path, in_file(ALLOWLIST, ["a"]), **{ALLOWLIST: ""}), ALLOWLIST) == frozenset()


def test_the_file_is_wrong_even_where_the_environment_beats_it(tmp_path: Path) -> None:
    assert "[backfill]" in error_of(tmp_path, in_file(PAGES, "many"), **{PAGES: "3"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RECON_EXIT_BACKFILL_DRYRUN", "RECON_EXIT_BACKFILL_DRY_RUN"),
        ("RECON_EXIT_BACKFILL_DUST_ABS", "RECON_EXIT_BACKFILL_DUST_ABS_QTY"),
        ("ENABLE_RECON_EXIT_BACKFIL", "ENABLE_RECON_EXIT_BACKFILL"),
        ("RECON_ORDER_COVERAGE_MAX_PAGES", "RECON_ORDER_COVERAGE_MAX_FETCH_PAGES"),
        ("recon_exit_backfill_dry_run", "RECON_EXIT_BACKFILL_DRY_RUN"),
        ("RECON_EXIT_BACKFILL_", "RECON_EXIT_BACKFILL_"),
        ("RECON_INTERVAL", "RECON_INTERVAL_SECONDS"),
        ("RECON_SETTLE_WINDOW_MS", "RECON_SETTLE_WINDOW_SECONDS"),
        ("ENABLE_RECON_WATCHDOG_AUTORESUME", "ENABLE_RECON_WATCHDOG_AUTO_RESUME"),
        ("EXCHANGE_STATE_MISMATCH_THROTTLE", "EXCHANGE_STATE_MISMATCH_THROTTLE_MS"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(None, {name: "secret-value"})
    assert caught.value.what == f"Environment variable {name}: trueup has no such flag."
    assert caught.value.do.startswith(f"Did you mean {meant}")
    assert "secret-value" not in str(caught.value)


def test_variables_of_others_are_none_of_our_business() -> None:
    others = {"RECONCILIATION": "x", "PATH": "y", "TRUEUP_SOMETHING": "z", "": "", "ENABLE_RECONNECT": ""}
    assert load(None, others) == load(None, {})


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("dry_run", "recon_exit_backfill_dry_run?"),
        ("FLATNESS", "recon_exit_backfill_flatness?"),
        ("recon_exit_backfill_dryrun", "recon_exit_backfill_dry_run"),
        ("RECON_EXIT_BACKFILL_DRY_RUN", "recon_exit_backfill_dry_run"),
        ("order_tag_prefix", "trueup_order_tag_prefix?"),
    ],
)
def test_an_unknown_key_of_backfill_is_refused_with_the_nearest(key: str, meant: str, tmp_path: Path) -> None:
    message = error_of(tmp_path, {"backfill": {key: "secret-value"}})
    assert f"trueup.toml, [backfill] {key}: trueup has no such setting.\nDid you mean {meant}" in message
    assert "secret-value" not in message


@pytest.mark.parametrize(
    ("table", "key", "told"),
    [
        ("reconcile", "interval_seconds", "Did you mean recon_interval_seconds?"),
        ("reconcile", "recon_exit_backfill_dry_run", "It belongs under [backfill]."),
        ("backfill", "recon_worker_batch", "It belongs under [reconcile]."),
        ("backfill", "RECON_WORKER_BATCH", "It belongs under [reconcile], as recon_worker_batch."),
    ],
)
def test_a_key_in_the_wrong_table_is_told_where_it_belongs(table: str, key: str, told: str, tmp_path: Path) -> None:
    assert error_of(tmp_path, {table: {key: 1}}).endswith(told)


def test_a_misspelt_prefix_of_the_tags_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="TRUEUP_ORDER_TAG_PREFX: trueup has no such flag") as refused:
        load(environ={"TRUEUP_ORDER_TAG_PREFX": "mm"})
    assert "TRUEUP_ORDER_TAG_PREFIX" in refused.value.do
