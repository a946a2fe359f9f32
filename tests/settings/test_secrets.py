"""Where alerts go is a secret: read from the environment, in no setting, no error and no representation."""

from pathlib import Path

import pytest
from tests.settings.files import read

from trueup.core.errors import ConfigurationError
from trueup.settings import alert_urls, known_secrets, load


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (" , \n", ()),
        ("json://h/x", ("json://h/x",)),
        ("json://h/x,xml://h/y\n slack://a/b/c", ("json://h/x", "xml://h/y", "slack://a/b/c")),
        ("mailto://u:p@h?to=a@b,c@d,", ("mailto://u:p@h?to=a@b,c@d",)),
        ("json://h/x json://h/x", ("json://h/x",)),
    ],
)
def test_targets_are_separated_by_blanks_or_commas(text: str, found: tuple[str, ...]) -> None:
    assert alert_urls({"TRUEUP_ALERT_URLS": text}) == found


@pytest.mark.parametrize("text", ["hush-hush", "json://h/x hush-hush", "json://", "://hush-hush"])
def test_what_is_no_target_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TRUEUP_ALERT_URLS: target [12] is not a URL") as refused:
        load(None, {"TRUEUP_ALERT_URLS": text})
    assert "hush" not in str(refused.value)


def test_every_secret_that_is_known_is_listed_for_those_who_mask(tmp_path: Path) -> None:
    content = """
        ledger = { url = "postgresql://u:data-pass@h/d", state_url = "postgresql://u@h/d" }
        [[accounts]]
        name = "main"
        venue = "ccxt:kucoin"
        key_env = "THE_KEY"
        secret_env = "MISSING"
        password_env = "SHORT"
    """
    environ = {"THE_KEY": " key-value ", "SHORT": "abc", "TRUEUP_ALERT_URLS": "slack://token-one/b?key=token-two"}
    found = known_secrets(read(tmp_path, content, **environ), environ)
    assert found == ("slack://token-one/b?key=token-two", "data-pass", "key-value", "token-one", "token-two")
    assert list(found) == sorted(found, key=len, reverse=True)


@pytest.mark.parametrize(("name", "good"), [("TRUEUP_LOG_FORMAT", "json"), ("TRUEUP_LOG_LEVEL", "debug")])
def test_the_logs_settings_are_words(name: str, good: str) -> None:
    assert good in repr(load(None, {name: f" {good.upper()} "}).logs)
    with pytest.raises(ConfigurationError, match=f"{name}: 'loud' is none of them") as refused:
        load(None, {name: "loud"})
    assert good in refused.value.do
