"""Secrets: read from the environment when they are needed, and kept in no setting."""

import os
import re
from collections.abc import Mapping

from trueup.core.errors import ConfigurationError
from trueup.settings.model import AccountSettings, ProfileSettings, Settings
from trueup.settings.urls import password_of
from trueup.settings.values import variable
from trueup.settings.variables import told

ALERTS_VARIABLE = "TRUEUP_ALERT_URLS"
TOKEN_VARIABLE = "TRUEUP_TOKEN"  # noqa: S105  # the name of a variable, not a secret
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_SHORTEST = 4
_SHORTEST_PART = 8


def secrets_of(account: AccountSettings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an account's secrets by what they are (key, secret, …); ConfigurationError names a missing variable."""
    found = _found(f"Account {account.name}", account.env, environ)
    return {key.removesuffix("_env"): value for key, value in found.items()}


def switch_secrets_of(profile: ProfileSettings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a switch's secrets by what they are (token, user, password); ConfigurationError names what is missing."""
    found = _found(f"Profile {profile.id}", profile.switch_env, environ)
    return {key.removeprefix("switch_").removesuffix("_env"): value for key, value in found.items()}


def _found(whose: str, names: Mapping[str, str], environ: Mapping[str, str] | None) -> dict[str, str]:
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for key, name in names.items():
        value = environ.get(name, "").strip()
        if not value:
            raise ConfigurationError(
                f"{whose}: the environment variable {told(name)}, which {key} names, is not set.",
                "Set it in the environment that trueup runs in; the secret is never written into a file.",
            )
        found[key] = value
    return found


def alert_urls(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return where alerts go, as Apprise URLs; they hold secrets, so that no error repeats one.

    Blanks separate them, and so does a comma before the next one's scheme: a comma within a URL belongs to it.
    """
    environ = os.environ if environ is None else environ
    text = environ.get(ALERTS_VARIABLE, "")
    urls = tuple(dict.fromkeys(part.strip(",") for part in re.split(r"\s+|,(?=[A-Za-z][A-Za-z0-9+.-]*://)", text)))
    urls = tuple(url for url in urls if url)
    for number, url in enumerate(urls, 1):
        if not _SCHEME.fullmatch(url) or not url.isprintable():
            raise variable(ALERTS_VARIABLE).refused(
                f"target {number} is not a URL", "Write Apprise URLs, SCHEME://…, with blanks or commas between them."
            )
    return urls


def acting_token(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the token of the API in whose name commands sign off; None is whoever runs the program."""
    environ = os.environ if environ is None else environ
    return environ.get(TOKEN_VARIABLE, "").strip() or None


def known_secrets(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return every secret that is known here, for those who must not show any: the longest first."""
    environ = os.environ if environ is None else environ
    names = [name for account in settings.accounts for name in account.env.values()]
    names += [name for profile in settings.profiles for key, name in profile.switch_env.items() if "user" not in key]
    found = {environ.get(name, "").strip() for name in names} | {acting_token(environ) or ""}
    for url in alert_urls(environ):
        parts = re.split(r"[/?&=:@,]+", url.partition("://")[2])
        found |= {url, *(part for part in parts if len(part) >= _SHORTEST_PART)}
    found |= {password_of(url) for url in (settings.ledger.url, settings.ledger.state_url or "")}
    return tuple(sorted((value for value in found if len(value) >= _SHORTEST), key=lambda value: (-len(value), value)))
