"""How the settings are found and put together."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from trueup.core.errors import ConfigurationError
from trueup.settings.backfill_flags import BACKFILL
from trueup.settings.document import FILE_NAME, Table, named, no_document, read_document, read_file
from trueup.settings.flags import SECTIONS, read_flags, refuse_unknown
from trueup.settings.logs import FORMAT_VARIABLE, LEVEL_VARIABLE, read_logs
from trueup.settings.model import Settings
from trueup.settings.reconcile_flags import RECONCILE
from trueup.settings.safety_flags import SAFETY
from trueup.settings.secrets import ALERTS_VARIABLE, alert_urls
from trueup.settings.sections import DEFAULT_FILE, URL_VARIABLE, read_accounts, read_ledger, read_profiles
from trueup.settings.values import Rule, read_text, variable

CONFIG_VARIABLE = "TRUEUP_CONFIG"
_PATH = Rule(read_text, "the path of a trueup.toml")
TABLES = ("accounts", "backfill", "ledger", "profiles", "reconcile", "safety")


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the file and the environment, by default the program's own.

    The file is `config`, else the one that TRUEUP_CONFIG names, else trueup.toml in the current folder, else none.
    The ledger's URL is TRUEUP_LEDGER_URL, else the file's, else sqlite:///trueup.db beside the file, or in the
    current folder without one. ConfigurationError names what is wrong, where, and what is allowed.
    """
    environ = os.environ if environ is None else environ
    top, source = _document(config, environ)
    top.only(TABLES)
    current = _current_folder() if source is None or URL_VARIABLE in environ else source.parent
    folder = source.parent if source else current
    accounts = read_accounts(top, folder)
    refuse_unknown(environ)
    return Settings(
        ledger=read_ledger(top, folder, current, environ),
        accounts=accounts,
        profiles=read_profiles(top, accounts),
        backfill=read_flags(environ, top.table("backfill", "[backfill]"), BACKFILL),
        reconcile=read_flags(environ, top.table("reconcile", "[reconcile]"), RECONCILE),
        safety=read_flags(environ, top.table("safety", "[safety]"), SAFETY),
        logs=read_logs(environ),
        alert_targets=len(alert_urls(environ)),
        source=source,
        folder=folder,
        embedded=folder / DEFAULT_FILE if source is None and URL_VARIABLE not in environ else None,
        origins=MappingProxyType(_origins(top, environ)),
    )


def _document(config: Path | None, environ: Mapping[str, str]) -> tuple[Table, Path | None]:
    wanted, who = config, "--config"
    if wanted is None and CONFIG_VARIABLE in environ:
        who = f"environment variable {CONFIG_VARIABLE}"
        wanted = Path(variable(CONFIG_VARIABLE).read(environ[CONFIG_VARIABLE], _PATH))
    path = wanted or Path(FILE_NAME)
    try:
        text = read_file(path)
    except FileNotFoundError:
        if wanted is None:
            return no_document(), None
        raise ConfigurationError(
            f"There is no file {named(path)}, which {who} names.", f"Check the path, or leave {who} out."
        ) from None
    return read_document(path, text), path if path.is_absolute() else _current_folder() / path


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigurationError(
            f"The current folder cannot be read: {error.strerror}.", "Change to another."
        ) from None


def _origins(top: Table, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where each setting is from that is not at its default."""
    origins: dict[str, str] = {}
    for key in top.table("ledger", "[ledger]").raw:
        origins[f"ledger.{key}"] = "file"
    if URL_VARIABLE in environ:
        origins["ledger.url"] = "env"
    for part in SECTIONS:
        in_file = top.table(part.table, f"[{part.table}]").raw
        for row in part.rows:
            if row.name in environ or row.name.lower() in in_file:
                origins[row.name] = "env" if row.name in environ else "file"
    origins.update({name: "env" for name in (ALERTS_VARIABLE, FORMAT_VARIABLE, LEVEL_VARIABLE) if name in environ})
    for section, key in (("accounts", "name"), ("profiles", "id")):
        for table in top.tables(section):
            origins.update({f"{section}.{table.raw[key]}.{setting}": "file" for setting in table.raw})
    return origins
