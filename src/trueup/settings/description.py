"""The settings as text, for people: what holds, and where it is from."""

from collections.abc import Iterator
from decimal import Decimal

from trueup.core.decimals import plain
from trueup.settings.flags import FIELDS, HOUR_MS, MINUTE_MS
from trueup.settings.model import AccountSettings, LedgerSettings, ProfileSettings, Settings
from trueup.settings.urls import masked

_UNITS_MS = {"lookback_ms": HOUR_MS, "grace_ms": MINUTE_MS}
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
        yield "ledger.columns", _pairs(ledger.columns.items())
    if ledger.state_url:
        yield "ledger.state_url", masked(ledger.state_url)
