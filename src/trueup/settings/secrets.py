"""Secrets: read from the environment when a venue is built, and kept in no setting."""

import os
from collections.abc import Mapping

from trueup.core.errors import ConfigurationError
from trueup.settings.model import AccountSettings
from trueup.settings.variables import told


def secrets_of(account: AccountSettings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an account's secrets by what they are (key, secret, …); ConfigurationError names a missing variable."""
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for key, variable in account.env.items():
        value = environ.get(variable, "").strip()
        if not value:
            raise ConfigurationError(
                f"Account {account.name}: the environment variable {told(variable)}, which {key} names, is not set.",
                "Set it in the environment that trueup runs in; the secret is never written into a file.",
            )
        found[key.removesuffix("_env")] = value
    return found
