"""The rows of lifecycles as the ledger has them: what is suspicious, what has no trade id, and giving those."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from trueup.core.audit import AuditRow
from trueup.core.errors import Refused
from trueup.core.integrity.naming import KnownTrade, ToldAlone
from trueup.core.integrity.rows import HistoryRow, PositionRow
from trueup.core.orders import LedgerOrder
from trueup.core.symbols import Symbols
from trueup.ports.books import Profile
from trueup.ports.control import Lease


@dataclass(frozen=True, slots=True)
class IllNamed:
    """Rows of one table and profile whose trade id, as it is stored, is blank or malformed: how many, and some ids."""

    table: str
    profile_id: str | None
    symbol: str | None
    trade_id: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TradeRows:
    """All rows of one trade id, of whatever profile; `too_many` is how many there are where they were not read.

    `ill` are the rows of an id that is blank or malformed, dead ones included; a blank one has no others.
    """

    trade_id: str
    orders: tuple[LedgerOrder, ...] = ()
    history: tuple[HistoryRow, ...] = ()
    too_many: int = 0
    ill: tuple[IllNamed, ...] = ()


@dataclass(frozen=True, slots=True)
class TradeTimes:
    """When the rows of one trade stand that are of one symbol: epoch milliseconds, None where one cannot be read."""

    trade_id: str
    symbol: str
    first_ms: int | None
    last_ms: int | None


class LifecycleReading(Protocol):
    """One moment of the ledger; everything large is streamed."""

    @property
    def parts(self) -> frozenset[str]:
        """Return which of the tables positions and trade_history the ledger has."""
        ...

    @property
    def source_kept(self) -> bool:
        """Say whether the orders have a column for the source."""
        ...

    def suspects(self) -> Iterator[TradeRows]:
        """Yield the rows of every trade that may be open or wrong, a superset is allowed; and what is ill-named."""
        ...

    def unnamed(self, *, blank: bool = False) -> Iterator[LedgerOrder]:
        """Yield the living rows without a trade id, with those of blank ids too."""
        ...

    def times_of_trades(self) -> Iterator[TradeTimes]:
        """Yield when the living rows of each trade id stand, by symbol as it is spelt."""
        ...

    def told_alone(self) -> Iterator[ToldAlone]:
        """Yield the history rows of trades that no order has."""
        ...

    def told_of_none(self) -> list[str | None]:
        """Return the symbols of the history rows that name no trade, as they are spelt; None where one says none."""
        ...

    def positions(self) -> Iterator[PositionRow]:
        """Yield the rows of positions."""
        ...

    def history_without_id(self) -> int:
        """Return how many history rows name no trade."""
        ...


@dataclass(frozen=True, slots=True)
class IdChange:
    """One row's change of its trade id: raw values as they are stored, None is NULL.

    `table` is orders or trade_history, `row_id` the row's id there. `source` are the old and the new one, where a
    person says that the row is not the bot's. With a `mark`, that of the row as it was read, any blank id is as good
    as none, and the row must be as it was.
    """

    table: str
    row_id: str
    profile_id: str
    symbol: str
    before: str | None
    after: str | None
    reason: str
    source: tuple[str | None, str | None] | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class IdGuard:
    """What must still be so in a profile for changes to be right; where it is not, they are stale.

    `trades` are the fingerprints of the rows of the trades that rows are given to. `nameless` are the ids of the rows
    without a trade id that were known, and `ends` until when another one of a symbol's token could have had a hand in
    what was paired: epoch milliseconds.
    """

    profile_id: str
    trades: Mapping[str, str]
    nameless: frozenset[str] = frozenset()
    ends: Mapping[str, int] = field(default_factory=dict)


class RowRefused(Refused):
    """The ledger itself refuses a row's change: a rule of ours, or a constraint or type of its own, says `why`."""

    def __init__(self, row_id: str, table: str, why: str) -> None:
        """Name the row, its table, and what refuses it."""
        super().__init__(
            f"The ledger refuses to change row {row_id} of {table}: {why}. Nothing of its transaction was written.",
            "Correct what else the row says, by hand; then run the command again.",
        )
        self.why = why


@dataclass(frozen=True, slots=True)
class IdBatch:
    """Changes that are made in one transaction, under a lease; `now` is ISO 8601 with Z.

    `symbols` are the profiles of the rows, each with how its account spells its markets: the history of the trades
    follows, where its table is one of ours. `guards` are what must still be so.
    """

    batch_id: str
    lease: Lease
    changes: tuple[IdChange, ...]
    actor: str
    plan_hash: str
    now: str
    metadata: Mapping[str, object]
    symbols: Sequence[tuple[Profile, Symbols]] = ()
    guards: tuple[IdGuard, ...] = ()


@dataclass(frozen=True, slots=True)
class IdResult:
    """How such a transaction ended; `stale` are rows that are not as they were read: then nothing was written.

    `moved` are trades whose other rows are not those that a row was given to: neither was anything written then.
    """

    changed: int = 0
    stale: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    audit: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class IdRevert:
    """The wish to take back what a batch did in some of its audit rows, by their seq."""

    batch_id: str
    lease: Lease
    rows: tuple[AuditRow, ...]
    actor: str
    reason: str
    now: str
    symbols: Sequence[tuple[Profile, Symbols]] = ()


@dataclass(frozen=True, slots=True)
class HistoryBatch:
    """Closed trades of one profile whose history row is to be added in one transaction, under a lease.

    A trade that closed at `closed_before_ms` (epoch milliseconds) or later is left alone; `now` is ISO 8601 with Z.
    """

    batch_id: str
    lease: Lease
    profile: Profile
    symbols: Symbols
    trades: tuple[str, ...]
    closed_before_ms: int
    actor: str
    plan_hash: str
    now: str


@dataclass(frozen=True, slots=True)
class HistoryResult:
    """How such a transaction ended; `stale` are trades that are not any more, or rows that are not, as they were."""

    changed: int = 0
    stale: tuple[str, ...] = ()


class LifecycleBook(Protocol):
    """The rows of lifecycles: walked for the report, and given their trade ids and histories."""

    def reading(self, profiles: Sequence[str] | None) -> AbstractContextManager[LifecycleReading]:
        """Open one moment of the ledger, of some profiles or of all rows whatever their profile."""
        ...

    def rows_by_id(self, order_ids: Sequence[str]) -> list[LedgerOrder]:
        """Return orders by their ids."""
        ...

    def trades_like(self, profile_id: str, beginnings: Sequence[str]) -> list[KnownTrade]:
        """Return the trades whose ids begin as lower-case texts of eight characters or more do, or are a shorter one.

        Those of other profiles are among them where the whole id is one of the texts.
        """
        ...

    def blanks(self, profiles: Sequence[str] | None, most: int, after: Mapping[str, str]) -> list[IdChange]:
        """Return rows of profiles (None: of anybody) whose trade id is blank, as the changes to none.

        They are so many at most a table, and come after the row ids that are given by table.
        """
        ...

    def count_blanks(self, profiles: Sequence[str] | None) -> Mapping[str, int]:
        """Return how many rows of profiles (None: of anybody) have a blank trade id, by table."""
        ...

    def set_ids(self, batch: IdBatch, *, rehearse: bool = False) -> IdResult:
        """Change trade ids in one transaction with their audit; a rehearsal is rolled back.

        Refused where the lease was lost, RowRefused where the ledger itself refuses a row.
        """
        ...

    def revert_ids(self, request: IdRevert, *, rehearse: bool = False) -> IdResult:
        """Put trade ids back in one transaction with the audit; rows that changed since are stale."""
        ...

    def add_histories(self, batch: HistoryBatch, *, rehearse: bool = False) -> HistoryResult:
        """Add the history rows that closed trades lack, with their audit; a rehearsal is rolled back.

        Trades that are not as they were, by all their rows, are stale and left alone. Refused where the lease was lost,
        or where the table refuses a row.
        """
        ...

    def remove_histories(self, request: IdRevert, *, rehearse: bool = False) -> HistoryResult:
        """Delete history rows that a batch added, with the audit; where one changed since, it is stale: none is.

        A rehearsal is rolled back.
        """
        ...
