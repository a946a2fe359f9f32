"""What the use cases need from the outside world, as protocols; adapters implement them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from trueup.core.audit import AuditDraft, AuditRow
from trueup.core.modes import Mode
from trueup.core.orders import LedgerOrder
from trueup.core.repair.booked import Applied
from trueup.core.repair.rows import ExitRow
from trueup.core.snapshot import Snapshot, VenueOrder
from trueup.core.symbols import Symbols


@dataclass(frozen=True, slots=True)
class Profile:
    """One bot instance; `managed_symbols` None is every symbol, capital in quote currency.

    `enabled` None is what the database says already, and yes for a new profile.
    """

    profile_id: str
    account: str | None
    user_id: str | None = None
    managed_symbols: tuple[str, ...] | None = None
    allocated_capital: Decimal | None = None
    enabled: bool | None = True


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one scope, until `expires_ms`; a higher fence makes it void."""

    scope: str
    owner: str
    fence: int
    expires_ms: int


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


@dataclass(frozen=True, slots=True)
class Booking:
    """One row to book: the EXIT row, the audit row that announced it, and what must still be so when it is booked.

    `fingerprint` is the trade's at the plan; `booked_before` what was booked of the cited exchange order by then.
    """

    row: ExitRow
    pending: AuditDraft
    fingerprint: str
    booked_before: Decimal


@dataclass(frozen=True, slots=True)
class RepairBatch:
    """The bookings of one profile that are made in one transaction, under a lease.

    `require_pause` are the scopes of which one must pause trading at that moment, empty where none needs to;
    `elsewhere` are the profiles of other accounts, whose exchange order ids mean other orders; client order ids with
    the `tag_prefix` are the same in any case.
    """

    batch_id: str
    profile: Profile
    lease: Lease
    bookings: tuple[Booking, ...]
    symbols: Symbols
    tag_prefix: str
    now: str
    require_pause: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """The wish to take a batch back, or to put it in force again; `now` is ISO 8601 with Z.

    `elsewhere` are the profiles of other accounts, whose exchange order ids mean other orders; client order ids with
    the `tag_prefix` are the same in any case.
    """

    batch_id: str
    profile: Profile
    lease: Lease
    symbols: Symbols
    tag_prefix: str
    actor: str
    reason: str
    now: str
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RepairResult:
    """How a batch ended: ids of the rows that were inserted and of those that were there already.

    `stale` names the trades that changed since the plan; then nothing of the batch was written.
    """

    inserted: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    audit: tuple[AuditRow, ...] = ()


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


@dataclass(frozen=True, slots=True)
class UndoResult:
    """How a revert or reapply ended: the order ids that changed, and those that were in that state already."""

    batch_id: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    audit: tuple[AuditRow, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor: what was looked at, whether it is well, what it is, and what to do if it is not.

    `exit_code` is what a failure means for the whole: 1, 2 or 3; a warning has 0.
    """

    name: str
    ok: bool
    found: str
    do: str = ""
    exit_code: int = 2


@dataclass(frozen=True, slots=True)
class ReadScope:
    """What a reading of a venue is for: it may bring more, and its coverage says where it brings less.

    Orders and fills are wanted from `since_ms` on (None is as far back as the venue remembers). `symbols` are those
    that the ledger names: a venue that answers per symbol is asked for these, and says so in its coverage. `held` are
    those of which the ledger holds something: where the venue's list lacks one, it is asked whether it is flat.
    """

    since_ms: int | None = None
    symbols: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


EVERYTHING = ReadScope()
"""All that the venue has."""


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a venue says about one order: `order` as it reports it, or None with the reason.

    `absent` says that the venue answered and knows no such order; otherwise an answer without an order is unknown.
    Not found is not absent where the venue may have forgotten it.
    """

    order: VenueOrder | None = None
    absent: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class ActionReport:
    """What became of something that was asked of a venue: what was done, what failed, and what is left."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class VenueActions(Protocol):
    """What trueup may do at a venue where the account allows it: never more than to reduce."""

    def cancel_all(self, symbols: Collection[str] | None = None) -> ActionReport:
        """Cancel the working orders of the symbols, of all without; CannotKnow where the venue cannot be asked."""
        ...

    def close_position(self, symbol: str) -> ActionReport:
        """Close what is held of a symbol with reduce-only market orders; CannotKnow where it cannot be asked."""
        ...


class Venue(Protocol):
    """One account at its venue."""

    @property
    def actions(self) -> VenueActions | None:
        """Return what may be done at the venue, None where the account does not allow it."""
        ...

    def export(self, scope: ReadScope = EVERYTHING) -> Mapping[str, object]:
        """Return what `read` is made from, as one document in the file format (a file venue reads the same of it)."""
        ...

    def inspect(self) -> list[Check]:
        """Prove the set-up at the venue: keys, permissions, clock, feeds and how far back they see."""
        ...

    def read(self, scope: ReadScope = EVERYTHING) -> Snapshot:
        """Read what the venue claims; CannotKnow where nothing could be read.

        A feed that could not be read in full says so in its coverage, with the reason.
        """
        ...

    def find_order(self, symbol: str, order_id: str | None = None, client_order_id: str | None = None) -> OrderAnswer:
        """Ask for one order by its exchange order id or its client order id; whatever goes wrong is an unknown."""
        ...


class Ledger(Protocol):
    """The bot's own books. Every method raises CannotKnow where the database cannot be read."""

    @property
    def writable(self) -> bool:
        """Say whether repairs may be written: whether the books and the audit are one database."""
        ...

    def profiles(self) -> list[Profile]:
        """Return all profiles, disabled ones included, by id."""
        ...

    def open_trade_rows(self, profile_ids: Sequence[str]) -> list[LedgerOrder]:
        """Return the filled and working rows of every trade that may be open or cannot be read.

        A superset is allowed: the core decides what is open.
        """
        ...

    def trade_rows(self, trade_id: str, profile_ids: Sequence[str] | None = None) -> list[LedgerOrder]:
        """Return all rows of a trade, dead ones included, oldest first."""
        ...

    def rows_without_trade(self, profile_ids: Sequence[str]) -> int:
        """Return how many filled rows of profiles have no trade id, so that no trade counts them."""
        ...

    def rows_booking(
        self, exchange_order_ids: Iterable[str], client_order_ids: Iterable[str], tag_prefix: str
    ) -> list[LedgerOrder]:
        """Return the rows whose order id, exchange order id or client order id is among those given.

        A client order id with the tag prefix is the same in any case. A superset is allowed.
        """
        ...

    def trades_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return which of the lower-case names are whole ids of trades: profile id and name, open trades or not."""
        ...

    def existing_ids(self, order_ids: Iterable[str]) -> frozenset[str]:
        """Return which of the order ids the ledger has already."""
        ...

    def book(self, batch: RepairBatch, *, rehearse: bool) -> RepairResult:
        """Book a batch in one transaction with its audit and the derived tables; a rehearsal is rolled back.

        Refused where the lease was lost or the pause ended.
        """
        ...

    def revert(self, request: UndoRequest) -> UndoResult:
        """Set the batch's rows to canceled, in one transaction with the audit; Refused where a trade changed since."""
        ...

    def reapply(self, request: UndoRequest) -> UndoResult:
        """Put a reverted batch's rows back, in one transaction with the audit; Refused where a trade changed since."""
        ...


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

    def settled(self, profile_ids: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Return profile, trade, symbol and snapshot time (epoch ms) of the repairs in force, each trade once."""
        ...

    def interrupted(self, profile_ids: Sequence[str]) -> list[AuditRow]:
        """Return the PENDING_APPLY rows of batches that never ended."""
        ...

    def close_batch(self, batch_id: str, closing: Callable[[AuditRow], AuditDraft]) -> list[AuditRow]:
        """Append the row that closes each PENDING_APPLY row of a batch that has not ended; return the whole batch.

        What was committed meanwhile counts as ended, also where the program never learned of it.
        """
        ...

    def batches(self, profile_ids: Sequence[str] | None = None) -> list[BatchSummary]:
        """Return all batches, newest first."""
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

    def alert(self, kind: str, scope: str, text: str) -> None:
        """Put an alert into the outbox; nothing happens where the table is missing."""
        ...


class Modes(Protocol):
    """The safe modes in force, and their history."""

    def current(self) -> dict[str, Mode]:
        """Return the mode of every scope that has one."""
        ...

    def set(self, change: ModeChange) -> ModeChange:
        """Put a mode in force and return the recorded change; Refused where an open incident forbids to loosen it."""
        ...

    def history(self, limit: int) -> list[ModeChange]:
        """Return the newest changes first."""
        ...


class Leases(Protocol):
    """Who may write to which account."""

    def hold(self, scope: str, wait_seconds: float) -> AbstractContextManager[Lease | None]:
        """Hold a scope's lease, renewed until the end; None where another run holds it for longer than the wait."""
        ...


@dataclass(frozen=True, slots=True)
class InitReport:
    """What `init` created: tables by name, and the profiles that it added or changed."""

    tables: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()


class Setup(Protocol):
    """Laying down the tables, and looking whether they are well."""

    def initialise(self, profiles: Sequence[Profile]) -> InitReport:
        """Create what is missing and add or change the profiles; idempotent and safe on a live database."""
        ...

    def inspect(self) -> list[Check]:
        """Look at the databases, the tables and the rights."""
        ...

    def add_orders(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert orders by the native column names, for demonstrations; Refused where the ledger has orders."""
        ...
