"""The tables [ledger], [[accounts]] and [[profiles]], each read into its settings."""

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from trueup.core.errors import nearest
from trueup.settings.document import Table
from trueup.settings.model import AccountSettings, LedgerSettings, ProfileSettings
from trueup.settings.urls import ALLOWED, database_url
from trueup.settings.values import (
    AMOUNT,
    NAME,
    SWITCH,
    Rule,
    number_between,
    read_name,
    read_text,
    read_words,
    shown,
    variable,
)
from trueup.settings.variables import VARIABLE, hint_on_secret, keys_of

URL_VARIABLE = "TRUEUP_LEDGER_URL"
DEFAULT_FILE = "trueup.db"
DEFAULT_URL = f"sqlite:///{DEFAULT_FILE}"
KINDS = ("native",)
ORDER_COLUMNS = (
    "order_id", "profile_id", "user_id", "symbol", "type", "side", "qty", "quantity", "price", "status", "timestamp",
    "filled_at", "trade_id", "action", "source", "sub_tag", "client_order_id", "exchange_order_id", "order_qty",
    "created_at", "updated_at",
)  # fmt: skip
"""The columns of the orders table that [ledger.columns] can map."""

_LEDGER_KEYS = ("columns", "kind", "orders_table", "state_url", "url")
_ACCOUNT_KEYS = (
    "allow_flatten", "base_url", "calls_per_minute", "external_assets", "name", "sandbox", "symbol_aliases", "symbols",
    "timeout_seconds", "venue",
)  # fmt: skip
_SWITCH_KEYS = ("switch_password_env", "switch_token_env", "switch_user_env")
_PROFILE_KEYS = (
    "account", "allocated_capital", "enabled", "id", "managed_symbols", "switch", *_SWITCH_KEYS, "user_id",
)  # fmt: skip
_NEEDED = {"gate": (), "http": ("switch_token_env",), "freqtrade": ("switch_password_env", "switch_user_env")}
"""Which variables each kind of switch needs, and no others."""


def read_ledger(top: Table, folder: Path, current: Path, environ: Mapping[str, str]) -> LedgerSettings:
    """Read [ledger]; a URL in the environment beats the file's and is relative to the current folder."""
    table = top.table("ledger", "[ledger]")
    table.only(_LEDGER_KEYS)
    columns = table.table("columns", "[ledger.columns]")
    columns.only(ORDER_COLUMNS)
    in_file = Rule(lambda value: database_url(value, folder), ALLOWED)
    url = table.read("url", in_file) or database_url(DEFAULT_URL, folder)
    if URL_VARIABLE in environ:
        in_environment = Rule(lambda value: database_url(value, current), ALLOWED)
        url = variable(URL_VARIABLE).read(environ[URL_VARIABLE], in_environment)
    return LedgerSettings(
        url=url,
        kind=table.read("kind", Rule(_kind, " or ".join(KINDS))) or KINDS[0],
        orders_table=table.read("orders_table", NAME) or "orders",
        columns=MappingProxyType(_told_apart(columns)),
        state_url=table.read("state_url", in_file),
    )


_ALONE = ("symbol", "side", "status", "price", "action")
"""Columns of ours of which theirs means nothing else; an id or a time of theirs may be several of ours."""


def _told_apart(table: Table) -> dict[str, str]:
    """Read the columns, and refuse one of theirs that is two different things of ours."""
    columns = table.entries(NAME)
    for name in _ALONE:
        others = [other for other, theirs in columns.items() if other != name and theirs == columns.get(name)]
        if others:
            raise table.place(name).refused(
                f"{shown(columns[name])} is the column of {', '.join(others)} already",
                "Give each a column of its own, or leave out what the table does not have.",
            )
    return columns


def read_accounts(top: Table, folder: Path) -> tuple[AccountSettings, ...]:
    """Read [[accounts]]."""
    tables = top.tables("accounts")
    accounts = tuple(_account(table, folder) for table in tables)
    _refuse_twins(tables, "name", [account.name for account in accounts])
    return accounts


def read_profiles(top: Table, accounts: Sequence[AccountSettings]) -> tuple[ProfileSettings, ...]:
    """Read [[profiles]]; a profile that names no account has the only one."""
    tables = top.tables("profiles")
    names = [account.name for account in accounts]
    profiles = tuple(_profile(table, names) for table in tables)
    _refuse_twins(tables, "id", [profile.id for profile in profiles])
    return profiles


def _refuse_twins(tables: Sequence[Table], key: str, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        first = names.index(name)
        if first < number:
            raise (
                tables[number]
                .place(key)
                .refused(
                    f"{shown(name)} is the {key} of number {first + 1} already", f"Give each one {key} of its own."
                )
            )


def _kind(value: object) -> str:
    kind = read_text(value)
    if kind not in KINDS:
        raise ValueError(f"there is no kind {shown(kind)}")
    return kind


def _account(table: Table, folder: Path) -> AccountSettings:
    said = table.raw.get("venue")
    known = keys_of(said if isinstance(said, str) else "")
    secrets = [key for key in table.raw if key in known]
    table.only([*_ACCOUNT_KEYS, *secrets], lambda key: _account_hint(key, known))
    venue = Rule(lambda value: _venue(value, folder), "alpaca, ccxt:EXCHANGE or file:PATH, for example")
    return AccountSettings(
        name=table.need("name", NAME),
        venue=table.need("venue", venue),
        symbol_aliases=_aliases(table.table("symbol_aliases", f"{table.label} symbol_aliases")),
        env=MappingProxyType({key: table.need(key, VARIABLE) for key in secrets}),
        base_url=table.read("base_url", _BASE_URL),
        sandbox=table.read("sandbox", SWITCH) or False,
        external_assets=_external(table.table("external_assets", f"{table.label} external_assets")),
        symbols=table.read("symbols", _SYMBOLS) or (),
        calls_per_minute=table.read("calls_per_minute", _CALLS),
        timeout_seconds=table.read("timeout_seconds", _SECONDS) or Decimal(10),
        allow_flatten=table.read("allow_flatten", SWITCH) or False,
    )


def _account_hint(key: str, secrets: Sequence[str]) -> str:
    return hint_on_secret(key, secrets) or nearest(key[:100].lower(), [*_ACCOUNT_KEYS, *secrets])


def _external(table: Table) -> Mapping[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for key in table.raw:
        asset = table.place(key).read(key, Rule(_asset, "letters and digits"))
        amounts[asset] = table.need(key, AMOUNT)
    return MappingProxyType(amounts)


_CALLS = Rule(number_between(1, 100_000), "a number from 1 to 100000")
_SECONDS = Rule(number_between(1, 300), "a number from 1 to 300")


def _base_url(value: object) -> str:
    url = read_text(value).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("it is no plain http or https address")
    return url


_BASE_URL = Rule(_base_url, "http://HOST:PORT or https://HOST, without a user or a password in it")


def _venue(value: object, folder: Path) -> str:
    venue = read_name(value)
    kind, colon, rest = venue.partition(":")
    if kind.lower() != "file" or not colon:
        return venue
    path = rest.strip().removeprefix("//") if rest.strip().startswith("///") else rest.strip()
    if not path or path.startswith("//"):
        raise ValueError(f"{shown(venue)} names no file")
    return f"file:{folder / os.path.expanduser(path)}"


def _aliases(table: Table) -> Mapping[str, str]:
    aliases: dict[str, str] = {}
    for key, value in table.entries(Rule(_asset, "letters and digits, in quotes")).items():
        theirs = table.place(key).read(key, Rule(_asset, "letters and digits"))
        if aliases.setdefault(theirs, value) != value:
            raise table.place(key).refused(f"{theirs} is both {aliases[theirs]} and {value}", "Keep one of them.")
    return MappingProxyType(aliases)


def _asset(value: object) -> str:
    asset = "".join(character for character in read_text(value).upper() if character.isalnum())
    if not asset:
        raise ValueError(f"{shown(value)} holds no letter or digit")
    return asset


def _profile(table: Table, accounts: Sequence[str]) -> ProfileSettings:
    table.only(_PROFILE_KEYS, _profile_hint)
    switch = table.read("switch", _SWITCH_RULE)
    return ProfileSettings(
        id=table.need("id", NAME),
        account=_account_of(table, accounts),
        user_id=table.read("user_id", NAME),
        managed_symbols=table.read("managed_symbols", _SYMBOLS),
        allocated_capital=table.read("allocated_capital", AMOUNT),
        enabled=table.read("enabled", SWITCH),
        switch=switch,
        switch_env=MappingProxyType(_switch_env(table, switch)),
    )


def _profile_hint(key: str) -> str:
    return hint_on_secret(key, _SWITCH_KEYS) or nearest(key[:100].lower(), _PROFILE_KEYS)


def _switch_env(table: Table, switch: str | None) -> dict[str, str]:
    """Read the names of the variables that a switch needs; one that it does not need is refused."""
    kind = (switch or "gate").partition(":")[0]
    for key in _SWITCH_KEYS:
        if key in table.raw and key not in _NEEDED[kind]:
            needs = " and ".join(_NEEDED[kind]) or "none of them"
            raise table.place(key).refused(f"a switch of the kind {kind} does not use it", f"It needs {needs}.")
    return {key: table.need(key, VARIABLE) for key in _NEEDED[kind]}


def _switch(value: object) -> str:
    text = read_text(value)
    kind, colon, url = text.partition(":")
    kind = kind.strip().lower()
    if kind == "gate" and not colon:
        return kind
    if kind not in _NEEDED or kind == "gate":
        raise ValueError("it is no switch that is known")
    return f"{kind}:{_base_url(url.strip())}"


_SWITCH_RULE = Rule(
    _switch, '"gate", "http:URL" or "freqtrade:URL"; an http or https address without a user or a password in it'
)


def _account_of(table: Table, accounts: Sequence[str]) -> str:
    name = table.read("account", NAME)
    if name is None and len(accounts) == 1:
        return accounts[0]
    if not accounts:
        raise table.place("account").refused("there are no [[accounts]]", "Describe the account in [[accounts]].")
    if name is None:
        raise table.place("account").refused("it is missing", f"Name one of: {', '.join(sorted(accounts))}.")
    if name not in accounts:
        raise table.place("account").refused(f"{shown(name)} is not among [[accounts]]", nearest(name[:100], accounts))
    return name


def _symbols(value: object) -> tuple[str, ...]:
    symbols = read_words(value)
    if not symbols:
        raise ValueError("it names no symbol")
    for symbol in symbols:
        _asset(symbol)
    return symbols


_SYMBOLS = Rule(_symbols, "symbols as a list, or as text with commas; without the key, every symbol")
