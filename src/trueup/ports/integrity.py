"""Where the phases of lifecycle integrity are done and put on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trueup.core.integrity.phases import Phase, Standing
from trueup.core.integrity.rules import RulesInForce
from trueup.ports.control import Lease


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the record, which is only ever added to; `at` is ISO 8601 with Z."""

    seq: int
    phase: str
    what: str
    name: str
    state: str
    actor: str
    batch_id: str | None
    detail: Mapping[str, object]
    at: str


@dataclass(frozen=True, slots=True)
class Breaking:
    """The rows that break one rule, by profile.

    `working` of them are orders that still work, whose updates the rule would refuse on Postgres; `samples` are ids.
    """

    rule: str
    table: str
    rows: Mapping[str, int]
    working: int = 0
    samples: tuple[str, ...] = ()
    working_samples: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Return how many rows break the rule."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Baseline:
    """A snapshot: the rows of each table by profile, the rows that break each rule, and what is there."""

    number: int
    at: str
    audit_head: str
    tables: Mapping[str, Mapping[str, int]]
    without_trade_id: Mapping[str, Mapping[str, int]]
    breaking: tuple[Breaking, ...]
    standing: Standing


@dataclass(frozen=True, slots=True)
class Doing:
    """Who does what, for how long a busy table is waited for, and under which lease."""

    phase: Phase
    actor: str
    batch_id: str
    lease: Lease
    wait_s: float = 30.0
    rehearse: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one object.

    `state` is `added`, `built`, `validated`, `dropped`, `kept` (it was there), or `would_build` in a rehearsal.
    """

    name: str
    table: str
    kind: str
    state: str
    took_ms: int = 0
    tries: int = 1
    detail: Mapping[str, object] = field(default_factory=dict)


class IntegrityBook(Protocol):
    """The rules and indexes of lifecycle integrity in the ledger's database, and the record of what was done."""

    def standing(self) -> Standing:
        """Return where the ledger stands, by the database's own catalogue."""
        ...

    def in_force(self) -> RulesInForce:
        """Return the rules that the ledger binds right now, by one look into the database's catalogue."""
        ...

    def record(
        self,
        phase: str,
        what: str,
        object: str,  # noqa: A002  # the record's own word
        state: str,
        actor: str,
        *,
        batch_id: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> int:
        """Add an entry to the record in a transaction of its own, and return its seq."""
        ...

    def steps(self, *, phase: str | None = None, batch_id: str | None = None, limit: int = 1000) -> Sequence[Step]:
        """Return the newest entries of the record, oldest first."""
        ...

    def breaking(self) -> tuple[Breaking, ...]:
        """Return the rows that break each rule; rules that no row breaks are there with none."""
        ...

    def snapshot(self, actor: str, batch_id: str, *, keep: bool) -> Baseline:
        """Count everything in one moment, and keep it under the next number."""
        ...

    def add(self, name: str, doing: Doing) -> Done:
        """Add a rule or index that is missing; CannotKnow names who holds a table that stays busy."""
        ...

    def validate(self, name: str, doing: Doing) -> Done:
        """Make a rule hold for every row; Refused where a row breaks it."""
        ...

    def drop(self, name: str, doing: Doing) -> Done:
        """Drop a rule that trueup added, or the rest of an index whose build was cut short."""
        ...
