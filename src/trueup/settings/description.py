"""The settings as text, for people: what holds, and where it is from."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.core.modes import Mode
from trueup.settings.flags import ROWS
from trueup.settings.logs import FORMAT_VARIABLE, LEVEL_VARIABLE
from trueup.settings.model import AccountSettings, LedgerSettings, ProfileSettings, Settings
from trueup.settings.rows import Row
from trueup.settings.secrets import ALERTS_VARIABLE
from trueup.settings.urls import masked
from trueup.settings.variables import told

DEFAULT_TIMEOUT = AccountSettings("", "").timeout_seconds
_NANO = Decimal("1e-9")


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """Return setting, value and source (env, file or default) of every setting that has a value.

    Passwords in URLs are masked; of an account's secrets only the names of their variables are known here.
    """
    rows = list(_ledger(settings.ledger))
    for account in settings.accounts:
        rows += _account(account)
    for profile in settings.profiles:
        rows += _profile(profile)
    rows += [(name, _flag(settings, table, row)) for name, (table, row) in ROWS.items()]
    rows += _operations(settings)
    return [(name, value, settings.origins.get(name, "default")) for name, value in rows]


def _ledger(ledger: LedgerSettings) -> Iterator[tuple[str, str]]:
    yield "ledger.url", masked(ledger.url)
    yield "ledger.kind", ledger.kind
    yield "ledger.orders_table", ledger.orders_table
    if ledger.columns:
        yield "ledger.columns", _pairs(ledger.columns)
    if ledger.state_url:
        yield "ledger.state_url", masked(ledger.state_url)


def _account(account: AccountSettings) -> Iterator[tuple[str, str]]:
    start = f"accounts.{account.name}"
    is_file = account.venue.startswith("file:")
    yield f"{start}.venue", account.venue if is_file else masked(account.venue)
    if account.symbol_aliases:
        yield f"{start}.symbol_aliases", _pairs(account.symbol_aliases)
    changed = {
        "base_url": account.base_url,
        "sandbox": account.sandbox or None,
        "external_assets": ", ".join(f"{name} = {plain(held)}" for name, held in account.external_assets.items()),
        "symbols": account.symbols or None,
        "calls_per_minute": account.calls_per_minute,
        "timeout_seconds": account.timeout_seconds if account.timeout_seconds != DEFAULT_TIMEOUT else None,
        "allow_flatten": account.allow_flatten or None,
    }
    for key, value in changed.items():
        if value:
            yield f"{start}.{key}", _text(value)
    for key, name in account.env.items():
        yield f"{start}.{key}", told(name)


def _profile(profile: ProfileSettings) -> Iterator[tuple[str, str]]:
    start = f"profiles.{profile.id}"
    values = {
        "account": profile.account,
        "user_id": profile.user_id,
        "managed_symbols": profile.managed_symbols,
        "allocated_capital": profile.allocated_capital,
        "enabled": profile.enabled,
        "switch": profile.switch,
    }
    for key, value in values.items():
        if value is not None:
            yield f"{start}.{key}", _text(value)
    for key, name in profile.switch_env.items():
        yield f"{start}.{key}", told(name)


def value_of(settings: Settings, name: str) -> object:
    """Return what a flag is set to, in the unit of its field."""
    table, row = ROWS[name]
    section = getattr(settings, table)
    holders = (section, *(getattr(section, part.name) for part in fields(section)))
    return next(getattr(holder, row.field) for holder in holders if hasattr(holder, row.field))


def _flag(settings: Settings, table: str, row: Row) -> str:
    value = value_of(settings, row.name)
    if row.unit_ms is not None:
        assert isinstance(value, int), f"{table}.{row.field} is in milliseconds"
        return plain((Decimal(value) / row.unit_ms).quantize(_NANO))
    return "every profile" if value == frozenset() else _text(value)


def _operations(settings: Settings) -> Iterator[tuple[str, str]]:
    """Tell the logs' settings where they are set, and how many targets alerts have: their addresses are secrets."""
    if settings.logs.form != "auto":
        yield FORMAT_VARIABLE, settings.logs.form
    if settings.logs.level is not None:
        yield LEVEL_VARIABLE, settings.logs.level
    if settings.alert_targets:
        yield ALERTS_VARIABLE, f"{settings.alert_targets} target{'s' if settings.alert_targets != 1 else ''}"


def _text(value: object) -> str:
    if isinstance(value, Mode):
        return value.name
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (tuple, frozenset)):
        return ", ".join(value if isinstance(value, tuple) else sorted(value))
    return str(value)


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in pairs.items())
