"""What the surfaces receive: the ports, built once, and the settings that the use cases need."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

from trueup.core.errors import ConfigurationError, nearest
from trueup.core.flatten.record import FlattenRules
from trueup.core.gate import DeadmanRules
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.core.repair.policy import BackfillPolicy
from trueup.core.symbols import Symbols
from trueup.core.world import Slip, Truth
from trueup.ports import (
    Breaks,
    Check,
    Clock,
    Figures,
    FlattenBook,
    GateBook,
    Heartbeats,
    Incidents,
    IntegrityBook,
    Journal,
    Leases,
    Ledger,
    LifecycleBook,
    Modes,
    NoFlattenBook,
    Notifier,
    Outbox,
    Profile,
    Requests,
    Runs,
    Setup,
    SignOffs,
    Switch,
    SwitchMarks,
    Tokens,
    Venue,
    VenueMeter,
)


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """The gates and rules of the EXIT backfill, as they are set; an empty allowlist is every profile."""

    enabled: bool = False
    dry_run: bool = True
    require_pause: bool = True
    allowlist: frozenset[str] = frozenset()
    policy: BackfillPolicy = field(default_factory=BackfillPolicy)


@dataclass(frozen=True, slots=True)
class ReconcileConfig:
    """The rules of the reconciliation loop and the pace of its workers, as they are set; times in seconds."""

    policy: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    interval_s: float = 30.0
    full_check_s: float = 3600.0
    worker_batch: int = 8
    contention_alert: int = 10
    runs_kept_days: int = 30


@dataclass(frozen=True, slots=True)
class SafetyConfig:
    """The rules of the dead-man, the gate, incidents and flattening, as they are set."""

    deadman: DeadmanRules = field(default_factory=DeadmanRules)
    policy: IncidentPolicy = field(default_factory=IncidentPolicy)
    flatten: FlattenRules = field(default_factory=FlattenRules)


@dataclass(frozen=True, slots=True)
class Account:
    """One set of venue credentials: its name, how it spells its markets, and how it is read."""

    name: str
    symbols: Symbols
    venue: Callable[[], Venue]


@dataclass(frozen=True, slots=True)
class TrialPlace:
    """Where a simulated exchange can be tried: its address, the bot's folder, and the variables with its secrets.

    `anew` says that the folder took the place of an earlier one.
    """

    url: str
    folder: Path
    about: str
    environ: Mapping[str, str]
    anew: bool = False


class LiveTrial(Protocol):
    """A simulated exchange with a bot on it that keeps its books carelessly; `problem` is why the bot ended early."""

    problem: str

    def start(self, tell: Callable[[Slip], None]) -> None:
        """Let the bot trade, and tell of each slip from the bot's thread."""
        ...

    def stop(self) -> None:
        """Let the bot end its trading and write what it delayed."""
        ...

    def truth(self) -> Truth:
        """Compare the bot's ledger with what really happened at the exchange."""
        ...


@dataclass(frozen=True, slots=True)
class LivePlace:
    """A bot to be reconciled live: the exchange with the bot, and the App of the bot's folder."""

    trial: LiveTrial
    app: "App"
    about: str
    url: str


class Flips:
    """What was last answered about each thing that is asked for again and again; any thread may tell."""

    _MOST = 20_000

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], bool] = {}
        self._lock = Lock()

    def flipped(self, key: tuple[str, ...], *, now: bool, at_first: bool) -> bool:
        """Remember an answer, and say whether it is another than the last; `at_first` is what is expected at first."""
        with self._lock:
            before = self._last.pop(key, at_first)
            self._last[key] = now
            if len(self._last) > self._MOST:
                self._last.pop(next(iter(self._last)))
        return before is not now


@dataclass(frozen=True, slots=True)
class App:
    """Everything that a surface may use.

    `embedded` is the file of the embedded ledger where no setting names a ledger, None where one does. `own_files` are
    trueup.toml and the files of the databases: no command writes over one of them. `start_logs` logs to stderr from now
    on, from a level that the environment may set otherwise; None is nothing, unless it does. `switches` are
    those of the profiles whose bot is told to stop; a bot that asks the gate has none.
    """

    backfill: BackfillConfig
    accounts: Mapping[str, Account]
    ledger: Ledger
    journal: Journal
    modes: Modes
    runs: Runs
    breaks: Breaks
    heartbeats: Heartbeats
    gate: GateBook
    leases: Leases
    setup: Setup
    tokens: Tokens
    requests: Requests
    sign_offs: SignOffs
    figures: Figures
    outbox: Outbox
    incidents: Incidents
    switch_marks: SwitchMarks
    integrity: IntegrityBook
    lifecycle: LifecycleBook
    clock: Clock
    actor: str
    reconcile: ReconcileConfig = field(default_factory=ReconcileConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)
    configured: tuple[Profile, ...] = ()
    settings: tuple[tuple[str, str, str], ...] = ()
    folder: Path = Path()
    embedded: Path | None = None
    own_files: tuple[Path, ...] = ()
    checks: Callable[[], list[Check]] = list
    close: Callable[[], None] = lambda: None
    start_logs: Callable[[str | None], None] = lambda _: None
    acting_token: Callable[[], str | None] = lambda: None
    notifier: Callable[[], Notifier | None] = lambda: None
    meter: VenueMeter = field(default_factory=VenueMeter)
    flattenings: FlattenBook = field(default_factory=NoFlattenBook)
    flips: Flips = field(default_factory=Flips)
    switches: Mapping[str, Callable[[], Switch]] = field(default_factory=dict)

    def require_ledger(self) -> None:
        """Refuse to go on where nothing names a ledger and there is no embedded one: that is the wrong folder."""
        if self.embedded is not None and not self.embedded.exists():
            raise ConfigurationError(
                f"No trueup.toml found in {self.folder}, and nothing else names a ledger.",
                "Change to the folder of your trueup.toml, or name it with --config FILE or TRUEUP_CONFIG; or name a"
                f" ledger in TRUEUP_LEDGER_URL. `trueup init` would create an empty ledger here, {self.embedded}.",
            )

    def account_of(self, profile: Profile) -> Account:
        """Return a profile's account; a profile that names none has the only one that there is."""
        if profile.account is None and len(self.accounts) == 1:
            return next(iter(self.accounts.values()))
        account = self.accounts.get(profile.account or "")
        if account is None:
            known = nearest(profile.account or "", self.accounts) if self.accounts else "trueup.toml names no account."
            named = f"has the account {profile.account!r}, which is not configured"
            raise ConfigurationError(
                f"Profile {profile.profile_id} {named if profile.account is not None else 'names no account'}.",
                f"{known} Accounts are named by [[accounts]] in trueup.toml; `trueup init` puts a profile's account"
                " into the profiles table.",
            )
        return account
