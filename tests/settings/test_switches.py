"""What a profile of trueup.toml says about its switch, and where its secrets come from."""

from pathlib import Path

import pytest
from tests.settings.files import read

from trueup.core.errors import ConfigurationError
from trueup.settings import describe, known_secrets, switch_secrets_of

PROFILE = '[[accounts]]\nname = "main"\nvenue = "alpaca"\n[[profiles]]\nid = "p1"\n'
HTTP = 'switch = "http:http://127.0.0.1:9000/bot/"\nswitch_token_env = "BOT_TOKEN"\n'
FREQTRADE = 'switch = " Freqtrade: https://bot "\nswitch_user_env = "FT_USER"\nswitch_password_env = "FT_PASSWORD"\n'


@pytest.mark.parametrize(
    ("content", "switch", "env"),
    [
        ("", None, {}),
        ('switch = "gate"', "gate", {}),
        (HTTP, "http:http://127.0.0.1:9000/bot", {"switch_token_env": "BOT_TOKEN"}),
        (
            FREQTRADE,
            "freqtrade:https://bot",
            {"switch_user_env": "FT_USER", "switch_password_env": "FT_PASSWORD"},
        ),
    ],
)
def test_a_switch_is_read_with_what_it_needs(tmp_path: Path, content: str, switch: str | None, env: object) -> None:
    settings = read(tmp_path, PROFILE + content)
    [profile] = settings.profiles
    assert (profile.switch, dict(profile.switch_env)) == (switch, env)
    told = {name for name, *_ in describe(settings) if name.startswith("profiles.p1.switch")}
    assert told == ({"profiles.p1.switch"} if switch else set()) | {f"profiles.p1.{key}" for key in env}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('switch = "telegram:http://x"', "gate"),
        ('switch = "http"', "http"),
        ('switch = "http:ftp://x"', "http"),
        ('switch = "gate:http://x"', "gate"),
        ('switch = "http:http://u:secret-1@x"\nswitch_token_env = "T"', "user or a password"),
        ('switch = "http:http://x"', "switch_token_env"),
        ('switch = "freqtrade:http://x"\nswitch_user_env = "U"', "switch_password_env"),
        (HTTP + 'switch_user_env = "U"', "switch_token_env"),
        ('switch_token_env = "T"', "gate"),
        (HTTP.replace("BOT_TOKEN", "a1b2c3d4e5f6a7b8c9d0e1f2"), "switch_token_env"),
        ('switch_token = "secret-1"', "switch_token_env"),
        ('swich = "gate"', "switch"),
    ],
)
def test_a_switch_that_is_wrong_is_refused_with_what_is_right(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, PROFILE + content)
    assert words in str(refused.value)
    assert "secret-1" not in str(refused.value)
    assert "a1b2c3" not in str(refused.value)


def test_its_secrets_come_from_the_environment_and_are_masked(tmp_path: Path) -> None:
    environ = {"FT_USER": "someone", "FT_PASSWORD": " hush-hush "}
    settings = read(tmp_path, PROFILE + FREQTRADE)
    [profile] = settings.profiles
    assert switch_secrets_of(profile, environ) == {"user": "someone", "password": "hush-hush"}
    assert known_secrets(settings, environ) == ("hush-hush",)
    with pytest.raises(ConfigurationError, match="Profile p1: the environment variable FT_PASSWORD"):
        switch_secrets_of(profile, {"FT_USER": "someone"})
