"""What is counted and measured: one truth for every process, since it is kept in the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

DURATION_BUCKETS_MS = (100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000)
"""The upper ends of the buckets that runs' durations are counted in; what takes longer is in none."""


def mismatches(counts: Mapping[str, object]) -> int:
    """Return how many breaks a run counts, by its summary's counts: not those that a person took over."""
    found, theirs = counts.get("found"), counts.get("acknowledged")
    return max(int(str(found or 0)) - int(str(theirs or 0)), 0)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One profile's runs: what was counted over all of them, and what the newest said (times in epoch ms).

    `counts` holds mismatch, missing_from_exchange, missing_in_db and parity_auto_closed; `buckets` how many runs took
    up to each of DURATION_BUCKETS_MS and no less than the one before, with the longer ones last; `last` the newest
    run's own figures as its summary has them.
    """

    profile_id: str
    account: str
    runs: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    heals: Mapping[str, int] = field(default_factory=dict)
    buckets: tuple[int, ...] = (0,) * (len(DURATION_BUCKETS_MS) + 1)
    duration_ms: int = 0
    ended_ms: int = 0
    last: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VenueCount:
    """How often a venue was asked, and how often it gave no answer to rely on, by the kind of failure."""

    calls: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """One account: its cycles, the calls to its venue, and how much of each feed the newest cycle read.

    `as_of_ms` is the moment of the venue's that the newest cycle saw, epoch milliseconds; None where none saw one.
    """

    account: str
    cycles: int = 0
    venue: VenueCount = field(default_factory=VenueCount)
    coverage: Mapping[str, str] = field(default_factory=dict)
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BreakFigures:
    """The breaks of one kind and state that are not over: how many, the oldest one's begin, and what they are worth."""

    account: str
    profile_id: str
    kind: str
    state: str
    number: int
    oldest_ms: int
    notional: float


@dataclass(frozen=True, slots=True)
class LeaseFigures:
    """How often a scope's lease was refused, and how often a write under a lost one was."""

    scope: str
    contended: int
    fenced_out: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a scope was last reconciled, and whether that was well."""

    scope: str
    beat_ms: int
    healthy: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Things that wait: how many, since when the oldest does (epoch ms), and how many were tried in vain."""

    number: int = 0
    oldest_ms: int = 0
    failing: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures at one moment; `decisions` counts the audit's rows by profile and decision."""

    runs: tuple[RunFigures, ...] = ()
    accounts: tuple[AccountFigures, ...] = ()
    breaks: tuple[BreakFigures, ...] = ()
    leases: tuple[LeaseFigures, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    decisions: Mapping[tuple[str, str], int] = field(default_factory=dict)
    alerts: Mapping[str, Waiting] = field(default_factory=dict)
    pending: Waiting = field(default_factory=Waiting)


class Figures(Protocol):
    """The figures; what they cost does not grow with history."""

    def count_ends(self, summaries: Sequence[Mapping[str, object]]) -> None:
        """Add the runs of one cycle that ended, by their summaries, in a transaction of its own.

        Runs that are ended through the Runs port are counted in its transaction already.
        """
        ...

    def count_venue(self, counts: Mapping[str, VenueCount]) -> None:
        """Add calls to venues, by account."""
        ...

    def measured(self, accounts: Sequence[str]) -> Measured:
        """Return all figures; breaks of the accounts that are named."""
        ...


class VenueMeter:
    """Counts the calls of this process to its venues, until somebody takes the counts; any thread may count."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: Counter[str] = Counter()
        self._errors: dict[str, Counter[str]] = {}

    def called(self, account: str) -> None:
        """Count one call."""
        with self._lock:
            self._calls[account] += 1

    def failed(self, account: str, kind: str) -> None:
        """Count one call that gave no answer to rely on."""
        with self._lock:
            self._errors.setdefault(account, Counter())[kind] += 1

    def take(self, account: str | None = None) -> dict[str, VenueCount]:
        """Return what was counted since the last taking, of one account or all, and begin anew."""
        with self._lock:
            names = sorted({*self._calls, *self._errors} if account is None else {account})
            taken = {name: VenueCount(self._calls.pop(name, 0), self._errors.pop(name, Counter())) for name in names}
        return {name: count for name, count in taken.items() if count.calls or count.errors}

    def put_back(self, counts: Mapping[str, VenueCount]) -> None:
        """Count again what was taken and could not be kept."""
        with self._lock:
            for name, count in counts.items():
                self._calls[name] += count.calls
                self._errors.setdefault(name, Counter()).update(count.errors)
