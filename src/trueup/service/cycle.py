"""One cycle of one account on its way: what was asked, what was gathered, and what each profile's run says so far."""

from dataclasses import dataclass, field

from trueup.core.breaks import Break
from trueup.core.orders import LedgerOrder
from trueup.core.reconcile.comparing import Finding
from trueup.core.reconcile.records import BreakRecord, Sighting
from trueup.core.repair.chains import OrderKey
from trueup.core.snapshot import Snapshot
from trueup.ports import Lease, Profile
from trueup.service.app import App
from trueup.service.gather import Gathered
from trueup.service.reconcile_report import RunReport


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """What a person, a program or the loop asks of a reconciliation; None is all.

    `full` reads the whole ledger again instead of what changed since the last cycle.
    """

    profiles: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None
    trade_ids: tuple[str, ...] | None = None
    dry_run: bool = False
    full: bool = False
    wait_seconds: float = 0.0


@dataclass(slots=True)
class Cycle:
    """A cycle under its lease.

    `runs` are the profiles' runs by profile id; `findings` what was found about orders in the scope of what was asked,
    and `beyond` about the account's others, of which this cycle heals none; `records` the account's open breaks by id,
    and those seen again; `refuted` are the orders (symbol token, id) of which nothing may be booked, or not yet;
    `touched` the trades (profile, trade id) that were healed, `healing` the breaks that rows were changed for, by order
    id; `unclear` names what the look could not tell; `cleared` are the ids of breaks that the look saw to be none,
    whatever else it could not tell.
    """

    app: App
    request: ReconcileRequest
    lease: Lease
    members: tuple[Profile, ...]
    runs: dict[str, RunReport]
    gathered: Gathered
    rows: tuple[LedgerOrder, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    beyond: tuple[Finding, ...] = ()
    records: dict[str, BreakRecord] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)
    refuted: frozenset[OrderKey] = frozenset()
    touched: set[tuple[str, str]] = field(default_factory=set)
    healing: dict[str, Break] = field(default_factory=dict)
    unclear: list[tuple[str | None, str, str]] = field(default_factory=list)
    cleared: set[str] = field(default_factory=set)

    @property
    def account(self) -> str:
        """Return the account's name."""
        return self.gathered.account.name

    @property
    def snapshot(self) -> Snapshot:
        """Return what the venue claims."""
        return self.gathered.snapshot

    @property
    def changes_nothing(self) -> bool:
        """Say whether no row of the ledger may be written: a dry run, or a ledger that is attached read-only."""
        return self.request.dry_run or not self.app.ledger.writable

    @property
    def now_ms(self) -> int:
        """Return the time."""
        return self.app.clock.now_ms()

    @property
    def profile_ids(self) -> frozenset[str]:
        """Return the profiles that the cycle is about."""
        return frozenset(self.runs)

    @property
    def here(self) -> list[str]:
        """Return all profiles of the account, also those that the cycle is not about."""
        return [profile.profile_id for profile in self.gathered.profiles]

    @property
    def elsewhere(self) -> frozenset[str]:
        """Return the profiles of other accounts."""
        return self.gathered.elsewhere

    @property
    def tokens(self) -> frozenset[str] | None:
        """Return the tokens of the symbols that were asked for; None is all."""
        names = self.request.symbols
        return frozenset(map(self.gathered.account.symbols.token, names)) if names else None

    def includes(self, profile_id: str | None, token: str, trade_id: str | None) -> bool:
        """Say whether something is in the scope of what was asked; what nobody owns is the account's."""
        if profile_id is not None and profile_id not in self.runs:
            return False
        if self.tokens is not None and token not in self.tokens:
            return False
        return self.request.trade_ids is None or trade_id in self.request.trade_ids

    def run_of(self, found: Break | BreakRecord) -> RunReport:
        """Return the run that tells of a break: its profile's, else the first of the account."""
        if found.profile_id in self.runs:
            return self.runs[str(found.profile_id)]
        return self.runs[min(self.runs)]

    def saw(self, sighting: Sighting) -> None:
        """Take in a break that this look sees."""
        self.sightings.append(sighting)

    def cannot_tell(self, profile_id: str | None, what: str, why: str) -> None:
        """Take in what this look could not tell; of nobody's things every run says so."""
        self.unclear.append((profile_id, what, why))
        for name, run in self.runs.items():
            if profile_id in (None, name) and (what, why) not in run.unclear:
                run.unclear.append((what, why))
