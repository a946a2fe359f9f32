"""The bot's own books: what is read of them, and what a repair writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from trueup.core.audit import AuditDraft, AuditRow
from trueup.core.orders import LedgerOrder
from trueup.core.repair.rows import ExitRow
from trueup.core.symbols import Symbols
from trueup.ports.control import Lease

if TYPE_CHECKING:
    from trueup.ports.heals import HealBatch, HealResult


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
class UndoResult:
    """How a revert or reapply ended: the order ids that changed, and those that were in that state already."""

    batch_id: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    audit: tuple[AuditRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedTrades:
    """The profile and trade ids of the rows that changed since a watermark, and the watermark for the next time.

    `trades` None says that only a reading of all open trades is right, with the reason. `watermark` None says that the
    next time will be no better: the table does not tell its changes.
    """

    trades: frozenset[tuple[str, str]] | None
    watermark: str | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Realized:
    """Realized profit in quote currency, None where that of a trade is not known, and when the newest trade closed."""

    profit: Decimal | None = Decimal(0)
    newest: str | None = None


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

    def rows_of_trades(self, trades: Sequence[tuple[str, str]]) -> list[LedgerOrder]:
        """Return the filled, working and unreadable rows of trades, by profile and trade id."""
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

    def orders_to_compare(
        self,
        profile_ids: Sequence[str],
        since_ms: int,
        exchange_order_ids: Iterable[str],
        client_order_ids: Iterable[str],
        tag_prefix: str,
    ) -> list[LedgerOrder]:
        """Return the rows that a comparison with the venue is about, each once, by profile and order id.

        These are: the working and partially filled rows of the profiles, however old; the rows of anybody that name
        one of the ids, as `rows_booking` finds them; the profiles' filled rows that name an order of the venue, and
        those whose status or time cannot be read, from `since_ms` on.
        """
        ...

    def changed_trades(self, profile_ids: Sequence[str], since: str | None, now_ms: int) -> ChangedTrades:
        """Return the trades of rows whose updated_at is not older than a watermark (None: there is none yet).

        The answer rests on a bot that sets updated_at with every change, by a clock that is right to two minutes, and
        commits within them; the signs of one that does not are looked for, and rows that were deleted leave none. So
        a full reading is right at a start and from time to time, and whenever the answer says so.
        """
        ...

    def trades_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return which of the lower-case names are whole ids of trades: profile id and name, open trades or not."""
        ...

    def rows_spelt(self, profile_ids: Sequence[str], names: Iterable[str]) -> list[LedgerOrder]:
        """Return all rows of the trades whose whole ids are among the lower-case names, dead ones included."""
        ...

    def realized(self, profile_ids: Sequence[str], after: str | None = None) -> Realized:
        """Return the realized profit of the trades that closed after a time (ISO 8601 with Z), of all without one."""
        ...

    def existing_ids(self, order_ids: Iterable[str]) -> frozenset[str]:
        """Return which of the order ids the ledger has already."""
        ...

    def book(self, batch: RepairBatch, *, rehearse: bool) -> RepairResult:
        """Book a batch in one transaction with its audit and the derived tables; a rehearsal is rolled back.

        Refused where the lease was lost or the pause ended.
        """
        ...

    def heal(self, batch: "HealBatch", *, rehearse: bool) -> "HealResult":
        """Make a batch of heals in one transaction with its audit and the derived tables; a rehearsal is rolled back.

        Refused where the lease was lost or the pause ended. ConfigurationError where the table keeps a row otherwise
        than it was to be written.
        """
        ...

    def revert(self, request: UndoRequest) -> UndoResult:
        """Take back what a batch booked or healed, in one transaction with the audit; Refused where a trade changed.

        Rows that it added get the status canceled, rows that it changed what they said before.
        """
        ...

    def reapply(self, request: UndoRequest) -> UndoResult:
        """Put in force again what was taken back of a batch, with the audit; Refused where a trade changed since."""
        ...
