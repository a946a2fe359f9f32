"""Modes and scopes, and errors that say what to do."""

import pytest

from trueup.core.errors import CannotKnow, ConfigurationError, Refused, TrueupError, nearest
from trueup.core.modes import Mode, effective, path_of, read_mode, read_scope


def test_modes_from_loosest_to_strictest() -> None:
    assert [mode.name for mode in sorted(Mode)] == ["NORMAL", "CLOSE_ONLY", "SAFE_MODE", "FLATTEN", "HALT"]
    assert [mode.name for mode in Mode if mode.paused] == ["SAFE_MODE", "FLATTEN", "HALT"]


@pytest.mark.parametrize("text", ["SAFE_MODE", " safe-mode ", "Safe_Mode"])
def test_a_mode_in_any_spelling(text: str) -> None:
    assert read_mode(text) is Mode.SAFE_MODE


def test_an_unknown_mode_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_mode("safe_mod")
    assert (refusal.value.what, refusal.value.do) == ("There is no mode 'safe_mod'.", "Did you mean SAFE_MODE?")


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("global", "global"), (" global ", "global"), ("account:main", "account:main"),
        (" account: main ", "account:main"),
        ("profile:a:b", "profile:a:b"), ("symbol:p1:BTC/USD", "symbol:p1:BTC/USD"),
        ("symbol:a:b:BTC", "symbol:a:b:BTC"), ("symbol::p:BTC", "symbol::p:BTC"),
    ],
)  # fmt: skip
def test_scopes(text: str, scope: str) -> None:
    assert read_scope(text) == scope


@pytest.mark.parametrize(
    "text",
    [
        "", "globe", "global:", "global:x", "account", "account:", "account: ", "profile", "symbol:p1", "symbol::BTC",
        "symbol:p1:", "symbol:p1: ", "user:x", "user:p1:BTC", "global:global",
    ],
)  # fmt: skip
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_scope(text)
    assert refusal.value.what == f"{text!r} is not a scope."
    assert refusal.value.do == "A scope is global, account:NAME, profile:ID or symbol:ID:SYMBOL."


def test_the_strictest_on_the_path_is_in_force_and_the_widest_scope_that_demands_it_is_named() -> None:
    path = path_of("main", "p1")
    assert path == ("global", "account:main", "profile:p1")
    assert effective({}, path) == (Mode.NORMAL, "global")
    assert effective({"profile:p1": Mode.HALT, "account:main": Mode.SAFE_MODE}, path) == (Mode.HALT, "profile:p1")
    assert effective({"global": Mode.CLOSE_ONLY, "profile:p1": Mode.CLOSE_ONLY}, path) == (Mode.CLOSE_ONLY, "global")
    assert effective({"account:main": Mode.HALT, "profile:p1": Mode.NORMAL}, path) == (Mode.HALT, "account:main")
    assert effective({"profile:p2": Mode.HALT}, path) == (Mode.NORMAL, "global")


def test_errors_say_what_is_wrong_and_what_to_do() -> None:
    assert str(TrueupError("It broke.", "Mend it.")) == "It broke.\nMend it."
    assert str(TrueupError("It broke.")) == "It broke."
    assert TrueupError("It broke.").do == ""
    assert TrueupError("It broke.").args == ("It broke.",)
    assert [e.exit_code for e in (TrueupError, ConfigurationError, CannotKnow, Refused)] == [2, 2, 3, 1]


def test_the_nearest_names_or_all_of_them() -> None:
    assert nearest("ledgr", ["ledger", "profiles", "ledge"]) == "Did you mean ledger or ledge?"
    assert nearest("zzz", ["b", "a"]) == "Known: a, b."
    assert nearest("zzz", []) == "None is known."
    assert nearest("abcd", ["abxy", "wxyz"]) == "Did you mean abxy?"
    assert nearest("abcde", ["abxyz", "q"]) == "Known: abxyz, q."
    assert nearest("aaaa", ["aaab", "aaac", "aaad", "aaae"]) == "Did you mean aaae or aaad or aaac?"
