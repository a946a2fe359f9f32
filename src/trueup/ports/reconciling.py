"""What a reconciliation keeps: breaks across runs, and the runs themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trueup.core.reconcile.records import BreakRecord
from trueup.core.reconcile.watchdog import RunFact
from trueup.ports.control import Lease


@dataclass(frozen=True, slots=True)
class RunStart:
    """A run of one profile as it begins; `cycle_id` is what the runs of one reading of an account share."""

    run_id: str
    profile_id: str
    account: str
    cycle_id: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class RunEnd:
    """A run as it ended: OK, MISMATCH or INCONCLUSIVE, with its summary."""

    run_id: str
    status: str
    summary: Mapping[str, object]


class Breaks(Protocol):
    """The breaks of all accounts, open and over."""

    def open(self, account: str) -> list[BreakRecord]:
        """Return the breaks of an account that are not over."""
        ...

    def named(self, break_ids: Iterable[str]) -> list[BreakRecord]:
        """Return the breaks with the given ids, over or not."""
        ...

    def save(self, records: Sequence[BreakRecord], lease: Lease | None = None) -> None:
        """Write records, new ones and known ones, in one transaction; an acknowledgement made meanwhile stays.

        Refused where the lease was lost: a look that froze for a while says nothing any more.
        """
        ...

    def acknowledge(self, break_id: str, owner: str, reason: str, at_ms: int) -> BreakRecord:
        """Record that a person took a break over; ConfigurationError where there is none of the id."""
        ...

    def page(
        self,
        *,
        account: str | None = None,
        profile_id: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        page: int = 1,
        page_size: int = 50,
    ) -> tuple[int, list[BreakRecord]]:
        """Return how many breaks there are, and one page of them, newest first; `state` None is those not over."""
        ...


class Runs(Protocol):
    """The runs of the reconciliation, one for each profile and cycle."""

    def begin(self, starts: Sequence[RunStart]) -> None:
        """Record that runs began, with the audit head that they saw."""
        ...

    def end(self, ends: Sequence[RunEnd], lease: Lease | None = None) -> None:
        """Record how runs ended; under a lease, Refused where another run took it over."""
        ...

    def get(self, run_id: str) -> Mapping[str, object] | None:
        """Return a run's summary (of one that has not ended: its id, profile and status PENDING)."""
        ...

    def page(
        self, *, instance_id: str | None = None, status: str | None = None, page: int = 1, page_size: int = 50
    ) -> tuple[int, list[Mapping[str, object]]]:
        """Return how many runs there are (many are not counted to the last), and one page of them, newest first."""
        ...

    def newest(self, profile_ids: Sequence[str]) -> list[Mapping[str, object]]:
        """Return the summary of each profile's newest run that has ended and was no dry run, by profile."""
        ...

    def last_head(self, profile_id: str) -> str | None:
        """Return the audit head that a profile's newest conclusive run recorded at its begin; None where none did."""
        ...

    def since(self, profile_ids: Sequence[str], since_ms: int) -> dict[str, list[RunFact]]:
        """Return the runs of profiles that ended after a time, oldest first.

        Dry runs and runs about some symbols or trades only are left out: they say nothing of the whole profile.
        """
        ...

    def prune(self, before_ms: int, limit: int = 1000) -> int:
        """Delete runs that began before a time and are over, the oldest first, at most so many; return how many."""
        ...
