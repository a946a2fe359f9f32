"""trueup's own tables: the audit, the runs, and what is to be told."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trueup.core.audit import AuditDraft, AuditRow
from trueup.core.repair.booked import Applied


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """One batch as the audit has it; quantities summed over its rows, times ISO 8601 with Z.

    `state` is dry_run, applied, reverted, partly_reverted, pending, interrupted or nothing_booked.
    """

    batch_id: str
    profile_id: str
    state: str
    created_at: str
    actor: str
    rows: int
    decisions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnendedRun:
    """A run that began and never said how it ended; `gone` says that it cannot be running any more."""

    run_id: str
    scope: str
    started_at: str
    gone: bool


class Journal(Protocol):
    """trueup's own tables."""

    def audit_exists(self) -> bool:
        """Say whether the audit table is there."""
        ...

    def record(self, drafts: Sequence[AuditDraft]) -> list[AuditRow]:
        """Append rows to the audit, in one transaction of their own."""
        ...

    def audit_rows(self, batch_id: str | None = None) -> Iterator[AuditRow]:
        """Yield audit rows in the order of seq, all of them or one batch's."""
        ...

    def audit_between(self, first: int, last: int) -> list[AuditRow]:
        """Return the audit rows whose seq is from `first` to `last`, in that order."""
        ...

    def audit_after(self, head: str) -> tuple[int, list[AuditRow]] | None:
        """Return the place of the row with a hash, and all rows that follow it; None where there is no such row."""
        ...

    def audit_of_trade(self, profile_id: str, trade_id: str) -> list[AuditRow]:
        """Return one trade's audit rows in the order of seq."""
        ...

    def head(self) -> str:
        """Return the hash of the newest audit row."""
        ...

    def length(self) -> int:
        """Return the place of the newest audit row in the chain: how many rows a whole chain has."""
        ...

    def applied(self, exchange_order_ids: Iterable[str]) -> list[Applied]:
        """Return the repairs that were applied from these exchange orders and not reverted."""
        ...

    def reverted(self, profile_ids: Sequence[str]) -> frozenset[tuple[str, str, str]]:
        """Return profile, trade and exchange order ids of the repairs that are reverted now."""
        ...

    def healed_and_reverted(self, profile_ids: Sequence[str]) -> frozenset[tuple[str, str, str]]:
        """Return profile, order id and rule of the heals that an operator took back: they are not made again."""
        ...

    def settled(self, profile_ids: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Return profile, trade, symbol and snapshot time (epoch ms) of the repairs in force, each trade once."""
        ...

    def interrupted(self, profile_ids: Sequence[str]) -> list[AuditRow]:
        """Return the rows of batches and heals that were announced (PENDING_…) and never ended."""
        ...

    def close_batch(self, batch_id: str, closing: Callable[[AuditRow], AuditDraft]) -> list[AuditRow]:
        """Append the row that closes each announced row of a batch that has not ended; return the whole batch.

        What was committed meanwhile counts as ended, also where the program never learned of it.
        """
        ...

    def wrote_since(self, profile_ids: Sequence[str], since_ms: int) -> bool:
        """Say whether trueup changed a ledger row of profiles since a time: booked, healed, reverted or reapplied."""
        ...

    def batches(self, profile_ids: Sequence[str] | None = None) -> list[BatchSummary]:
        """Return all batches, newest first."""
        ...

    def wrote(self, profile_ids: Sequence[str], since: str, until: str) -> list[BatchSummary]:
        """Return what batches wrote to profiles from one time to another (ISO 8601 with Z), oldest first.

        Their decisions are those of that time alone; what only announces or refuses is left out.
        """
        ...

    def begin_run(self, run_id: str, kind: str, scope: str) -> None:
        """Record that a run began, with the audit head that it saw."""
        ...

    def unended_runs(self) -> list[UnendedRun]:
        """Return the runs that began and did not end, oldest first: killed ones, and those that still run."""
        ...

    def end_run(self, run_id: str, status: str, summary: Mapping[str, object]) -> None:
        """Record how a run ended: OK, MISMATCH or INCONCLUSIVE, with its summary."""
        ...
