"""Who may write, how much trading is allowed, and the time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from trueup.core.gate import Beat, DeadmanRules, GateAnswer, GateFacts, Question
from trueup.core.modes import Mode
from trueup.core.symbols import Symbols


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one scope, until `expires_ms`; a higher fence makes it void."""

    scope: str
    owner: str
    fence: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A lease as the database has it: times in epoch milliseconds, `next_run_ms` None while a worker runs the scope.

    `contended` counts how often somebody wanted it while another held it, `fenced_out` how often one that had lost it
    was kept from writing.
    """

    scope: str
    owner: str | None
    fence: int
    expires_ms: int
    next_run_ms: int | None
    contended: int
    fenced_out: int


class Renewal(Protocol):
    """The leases that a process holds and renews; any thread may ask."""

    def keep(self, lease: Lease) -> None:
        """Renew a lease from now on."""
        ...

    def drop(self, lease: Lease) -> None:
        """Renew a lease no longer."""
        ...

    def lost(self, lease: Lease) -> bool:
        """Say whether another run has taken a lease over; its own run had better stop."""
        ...


class Leases(Protocol):
    """Who may write to which account, and which account is due."""

    def hold(self, scope: str, wait_seconds: float) -> AbstractContextManager[Lease | None]:
        """Hold a scope's lease, renewed until the end; None where another run holds it for longer than the wait."""
        ...

    def register(self, scopes: Iterable[str]) -> None:
        """Make scopes known; a new one is due at once, and one that is known stays as it is."""
        ...

    def due(self, now_ms: int, limit: int, wanted: Collection[str]) -> list[Lease]:
        """Take the wanted scopes that are due and that nobody holds, those due longest first, at most so many.

        One that a process on this machine left behind when it went counts as free.
        """
        ...

    def renewing(self) -> AbstractContextManager[Renewal]:
        """Give a keeper of leases that renews them all in the background until the end."""
        ...

    def renew(self, leases: Sequence[Lease]) -> frozenset[Lease]:
        """Renew leases in one statement, and return those that another run has taken over."""
        ...

    def release(self, lease: Lease, next_run_at: int | None = None) -> None:
        """Give a lease back, and say when the scope is due again, in epoch milliseconds (None: as it was).

        A run that was asked for meanwhile is due when it was asked for. Where the database does not answer, the lease
        expires by itself.
        """
        ...

    def wake(self, scope: str) -> None:
        """Make a scope due now: at once, or when the run that holds it is over."""
        ...

    def states(self) -> list[LeaseState]:
        """Return every lease with its counters, by scope."""
        ...


@dataclass(frozen=True, slots=True)
class ModeChange:
    """One entry of the modes' history; `at` is ISO 8601 with Z."""

    scope: str
    mode: Mode
    previous: Mode
    source: str
    actor: str
    reason: str
    at: str


class Heartbeats(Protocol):
    """When each scope was last looked at: `account:NAME` by the reconciliation, `bot:PROFILE` by the bot itself."""

    def beat(self, scope: str, at_ms: int, *, healthy: bool, rules: DeadmanRules) -> Beat | None:
        """Record that a scope was looked at, and return how it stands then; None where it was never well.

        An older beat never takes the place of a newer one. The first healthy beat arms the dead-man; one that comes
        more than `timeout_ms` after the last healthy one begins the recovery, which `recovery_beats` of them end.
        """
        ...

    def beats(self, scopes: Collection[str] | None = None) -> dict[str, Beat]:
        """Return the heartbeats of scopes that were ever well, of all scopes without a choice."""
        ...


class GateBook(Protocol):
    """What the gate's answers rest on. `symbols` says of each known account how it spells its markets."""

    def read(self, question: Question, symbols: Mapping[str, Symbols]) -> tuple[Question, GateFacts]:
        """Read the facts of one moment, and return them with the question, its token filled in.

        UnknownName where there is no such profile.
        """
        ...

    def grant(
        self, question: Question, symbols: Mapping[str, Symbols], decide: Callable[[Question, GateFacts], GateAnswer]
    ) -> GateAnswer:
        """Decide while nobody else can take of the canary's limit, and record what is granted, in one transaction.

        The question has an `order_ref`: the same one again is the same grant, of which the larger notional counts.
        """
        ...

    def require(self, profile_id: str) -> None:
        """Raise UnknownName where there is no such profile."""
        ...


class Modes(Protocol):
    """The safe modes in force, and their history."""

    def current(self) -> dict[str, Mode]:
        """Return the mode of every scope that has one."""
        ...

    def set(
        self,
        change: ModeChange,
        after: ModeChange | None = None,
        lease: Lease | None = None,
        within: Sequence[str] = (),
    ) -> ModeChange:
        """Put a mode in force and return the recorded change; `within` are the wider scopes that hold its scope.

        Refused where it would loosen a scope beyond `least`, where `after` is given and an incident is open in the
        scope or in one that holds it, where `after` is not the
        scope's newest change any more (somebody else decided meanwhile), and where the `lease` that the decision was
        made under was lost.
        """
        ...

    def least(self, scope: str, within: Sequence[str]) -> Mode:
        """Return the loosest mode that open incidents leave a scope, which `within` hold: what they demand of it.

        Until an incident's books are confirmed, it is not looser than when the incident was opened either.
        """
        ...

    def of_scope(self, scope: str, limit: int) -> list[ModeChange]:
        """Return the newest changes of one scope first."""
        ...

    def tighten(self, change: ModeChange) -> ModeChange | None:
        """Put a mode in force unless one as strict is already; return the recorded change, None where nothing changed.

        Whatever others do at the same moment, nothing is loosened by this.
        """
        ...

    def since(self, scope: str) -> ModeChange | None:
        """Return the change that put a scope's mode in force; None where it never had one."""
        ...

    def history(self, limit: int) -> list[ModeChange]:
        """Return the newest changes first."""
        ...

    def between(self, since: str, until: str) -> list[ModeChange]:
        """Return the changes from one time to another (ISO 8601 with Z), oldest first."""
        ...


class Clock(Protocol):
    """The time, and names that nobody else gives."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def new_id(self, prefix: str) -> str:
        """Return an id that was never given before: prefix, UTC time and some random characters."""
        ...
