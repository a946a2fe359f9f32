"""The settings: the only reader of the environment and of trueup.toml; one frozen object.

The file is the one that `--config` names, else the environment variable TRUEUP_CONFIG, else trueup.toml in the
current folder, else there is none. A flag comes from the environment, else from its table of the file, [backfill],
[reconcile] or [safety] (the same name in lower case), else it has its default. The ledger's URL comes from the
environment variable TRUEUP_LEDGER_URL, else from [ledger] url, else it is sqlite:///trueup.db. Relative paths in the
file are relative to the file; those of the environment and, without a file, the default are relative to the current
folder.

Secrets are kept in no setting: an account, or a profile's switch, names the environment variables that hold them, which
`secrets_of` and `switch_secrets_of` read.
"""

from trueup.settings.description import describe
from trueup.settings.flags import FLAGS, Flag
from trueup.settings.loading import load
from trueup.settings.model import (
    AccountSettings,
    BackfillSettings,
    LedgerSettings,
    LogSettings,
    ProfileSettings,
    ReconcileSettings,
    SafetySettings,
    Settings,
)
from trueup.settings.secrets import acting_token, alert_urls, known_secrets, secrets_of, switch_secrets_of

__all__ = [
    "FLAGS",
    "AccountSettings",
    "BackfillSettings",
    "Flag",
    "LedgerSettings",
    "LogSettings",
    "ProfileSettings",
    "ReconcileSettings",
    "SafetySettings",
    "Settings",
    "acting_token",
    "alert_urls",
    "describe",
    "known_secrets",
    "load",
    "secrets_of",
    "switch_secrets_of",
]
