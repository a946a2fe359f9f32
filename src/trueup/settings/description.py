"""The settings as text, for people: what holds, and where it is from."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.settings.flags import FIELDS, HOUR_MS, MINUTE_MS
from trueup.settings.model import AccountSettings, LedgerSettings, ProfileSettings, Settings
from trueup.settings.urls import masked
from trueup.settings.variables import told

_UNITS_MS = {"lookback_ms": HOUR_MS, "grace_ms": MINUTE_MS}
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
    rows += [(name, _flag(settings, field)) for name, field in FIELDS.items()]
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
    }
    for key, value in values.items():
        if value is not None:
            yield f"{start}.{key}", _text(value)


def _flag(settings: Settings, field: str) -> str:
    holder = settings.backfill if hasattr(settings.backfill, field) else settings.backfill.policy
    value = getattr(holder, field)
    if field in _UNITS_MS:
        return plain((Decimal(value) / _UNITS_MS[field]).quantize(_NANO))
    return "every profile" if value == frozenset() else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, (tuple, frozenset)):
        return ", ".join(value if isinstance(value, tuple) else sorted(value))
    return str(value)


def _pairs(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in pairs.items())
