"""The settings as values: what the rest of the program receives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from trueup.core.flatten.record import FlattenRules
from trueup.core.gate import DeadmanRules
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.repair.policy import BackfillPolicy


def nothing() -> Mapping[str, str]:
    """Return the frozen mapping that holds nothing."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where the ledger is: SQLAlchemy URLs, which may hold a password and are in no representation.

    `columns` maps our names of the orders table's columns to theirs. `state_url` is the database of trueup's own
    tables where the ledger may not be written.
    """

    url: str = field(repr=False)
    kind: str = "native"
    orders_table: str = "orders"
    columns: Mapping[str, str] = field(default_factory=nothing)
    state_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One set of venue credentials.

    `symbol_aliases` maps the venue's names of assets to ours, in upper case. `env` maps each `…_env` key to the name
    of the environment variable that holds the secret.

    `base_url` stands in for the venue's own address, `sandbox` asks for its trial market. `external_assets` are
    balances, in units of the asset, that are not the bot's. `symbols` are markets that are read whatever the ledger
    names. `calls_per_minute` bounds how often the key is used, None is the venue's usual limit; a call that takes
    longer than `timeout_seconds` failed. `allow_flatten` lets trueup cancel orders and close positions.
    """

    name: str
    venue: str
    symbol_aliases: Mapping[str, str] = field(default_factory=nothing)
    env: Mapping[str, str] = field(default_factory=nothing)
    base_url: str | None = None
    sandbox: bool = False
    external_assets: Mapping[str, Decimal] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    calls_per_minute: Decimal | None = None
    timeout_seconds: Decimal = Decimal(10)
    allow_flatten: bool = False


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """One bot instance; None is what the file leaves open. Capital is in quote currency.

    `switch` is how the bot is stopped, `switch_env` maps each `switch_…_env` key to the name of the environment
    variable that holds the secret.
    """

    id: str
    account: str | None = None
    user_id: str | None = None
    managed_symbols: tuple[str, ...] | None = None
    allocated_capital: Decimal | None = None
    enabled: bool | None = None
    switch: str | None = None
    switch_env: Mapping[str, str] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class BackfillSettings:
    """The flags of the EXIT backfill; an empty allowlist is every profile."""

    enabled: bool = False
    dry_run: bool = True
    require_pause: bool = True
    profile_allowlist: frozenset[str] = frozenset()
    policy: BackfillPolicy = field(default_factory=BackfillPolicy)
    fetch_limit_per_page: int = 500
    max_fetch_pages: int = 8


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """The flags of the reconciliation loop: its rules, and how its workers go about it; times in seconds."""

    policy: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    interval_s: Decimal = Decimal(30)
    full_check_s: Decimal = Decimal(3600)
    worker_batch: int = 8
    contention_alert: int = 10
    runs_kept_days: int = 30


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """The flags of the dead-man, the gate, incidents and flattening."""

    deadman: DeadmanRules = field(default_factory=DeadmanRules)
    policy: IncidentPolicy = field(default_factory=IncidentPolicy)
    flatten: FlattenRules = field(default_factory=FlattenRules)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the program logs: `json`, `text` or `auto` (text on a terminal); `level` None is the command's own choice."""

    form: str = "auto"
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set.

    `source` is the file that was read, `folder` what its relative paths were relative to. `embedded` is the file of
    the embedded ledger where neither a file nor the environment names a ledger. `origins` says of the
    settings that are not at their default whether they are from `env` or from the `file`. `alert_targets` is how many
    places alerts go to; their addresses are secrets, which `alert_urls` reads.
    """

    ledger: LedgerSettings
    accounts: tuple[AccountSettings, ...] = ()
    profiles: tuple[ProfileSettings, ...] = ()
    backfill: BackfillSettings = field(default_factory=BackfillSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    logs: LogSettings = field(default_factory=LogSettings)
    alert_targets: int = 0
    source: Path | None = None
    folder: Path = Path()
    embedded: Path | None = None
    origins: Mapping[str, str] = field(default_factory=nothing, repr=False, compare=False)
