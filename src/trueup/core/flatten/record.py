"""What a flattening puts on record, and what the record comes to: how far it is, and which closings are in flight.

Invariant 7 (Audit before act): a closing is on record before it is sent, so that whoever goes on after a crash knows of
it. Entries are only ever added; a name is given to one closing, ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

from trueup.core.orders import Side


@dataclass(frozen=True, slots=True)
class FlattenRules:
    """The bounds of a flattening: how many rounds of canceling and closing, and how long; times in milliseconds.

    For `settle_ms` after a closing nothing is believed that speaks against it: that the venue knows no such order, that
    it still holds what was sold. A closing that works for `stuck_ms` is canceled with the rest. What was put on record
    longer than `fresh_ms` ago is not sent any more: somebody else may have taken over since.
    """

    attempts: int = 5
    limit_ms: int = 120_000
    settle_ms: int = 10_000
    stuck_ms: int = 15_000
    fresh_ms: int = 5_000


class What(StrEnum):
    """What an entry says: the first five are about the whole, the others about one closing."""

    BEGUN = "begun"
    CANCELING = "canceling"
    CANCELED = "canceled"
    FLAT = "flat"
    GAVE_UP = "gave_up"
    CLOSING = "closing"
    WITHHELD = "withheld"
    TAKEN = "taken"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    OVER = "over"
    ABSENT = "absent"

    @property
    def settles(self) -> bool:
        """Say whether nothing more can come of the closing."""
        return self in (What.WITHHELD, What.REFUSED, What.OVER, What.ABSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: base quantities, `at_ms` in epoch milliseconds.

    A `closing` has `held`, what the reading said is held; `qty` of an entry `over` is what was executed, None where
    that is not known.
    """

    episode: str
    account: str
    scope: str
    what: What
    at_ms: int
    round: int = 0
    symbol: str | None = None
    token: str | None = None
    side: Side | None = None
    qty: Decimal | None = None
    held: Decimal | None = None
    client_order_id: str | None = None
    order_id: str | None = None
    detail: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """One closing on record: `state` is the newest word about it, which was said at `since_ms`."""

    client_order_id: str
    symbol: str
    token: str
    side: Side
    qty: Decimal
    held: Decimal
    round: int
    sent_ms: int
    since_ms: int
    state: What = What.CLOSING
    order_id: str | None = None
    executed: Decimal | None = None
    lap: int = 0

    @property
    def in_flight(self) -> bool:
        """Say whether it may still execute."""
        return not self.state.settles

    @property
    def used(self) -> Decimal:
        """Return what it executed at most."""
        if self.state is What.OVER and self.executed is not None:
            return self.executed
        return Decimal(0) if self.state.settles and self.state is not What.OVER else self.qty


@dataclass(frozen=True, slots=True)
class Progress:
    """What a record comes to: of the lap that is running, but for `sent`, which is every closing of the episode.

    A lap begins where something has to be done and ends flat, or is given up; `ended` says how the newest one did.
    """

    lap: int = 0
    started_ms: int | None = None
    round: int = 0
    canceled: bool = False
    sent: tuple[Sent, ...] = ()
    ended: What | None = None
    ended_ms: int | None = None
    told: str = ""

    @property
    def in_flight(self) -> tuple[Sent, ...]:
        """Return the closings that may still execute."""
        return tuple(sent for sent in self.sent if sent.in_flight)

    @property
    def of_lap(self) -> tuple[Sent, ...]:
        """Return the closings of the running lap."""
        return tuple(sent for sent in self.sent if sent.lap == self.lap)


def episode_of(account: str, scope: str, since: str) -> str:
    """Return the name of what one change of a mode set off in one account."""
    return f"FLAT-{sha256(f'{account}|{scope}|{since}'.encode()).hexdigest()[:16]}"


def client_order_id(episode: str, lap: int, number: int, token: str, side: Side) -> str:
    """Return the client order id of one closing: 32 letters of hex, which every venue takes.

    The same lap, round, symbol and side give the same id, whoever asks.
    """
    return f"f1a7{sha256(f'{episode}|{lap}|{number}|{token}|{side}'.encode()).hexdigest()[:28]}"


@dataclass(slots=True)
class _Fold:
    """A record while it is read."""

    lap: int = 0
    started_ms: int | None = None
    round: int = 0
    canceled: bool = False
    sent: dict[str, Sent] = field(default_factory=dict)
    ended: What | None = None
    ended_ms: int | None = None
    told: str = ""


def progress_of(entries: Iterable[Entry]) -> Progress:
    """Return what a record comes to; the entries are of one episode, in their order."""
    fold = _Fold()
    for entry in entries:
        _take(fold, entry)
    return Progress(
        fold.lap, fold.started_ms, fold.round, fold.canceled, tuple(fold.sent.values()), fold.ended, fold.ended_ms,
        fold.told,
    )  # fmt: skip


def _take(fold: _Fold, entry: Entry) -> None:
    match entry.what:
        case What.BEGUN:
            fold.lap += 1
            fold.started_ms, fold.round, fold.canceled, fold.ended, fold.ended_ms = entry.at_ms, 0, False, None, None
        case What.FLAT | What.GAVE_UP:
            fold.ended, fold.ended_ms, fold.told = entry.what, entry.at_ms, entry.detail
        case What.CANCELING:
            _enter(fold, entry.round)
            fold.canceled = True
        case What.CANCELED:
            pass
        case What.CLOSING:
            _enter(fold, entry.round)
            _send(fold, entry)
        case _:
            _hear(fold, entry)


def _enter(fold: _Fold, number: int) -> None:
    if number > fold.round:
        fold.round, fold.canceled = number, False


def _send(fold: _Fold, entry: Entry) -> None:
    assert entry.client_order_id is not None
    assert entry.symbol is not None
    assert entry.token is not None
    assert entry.side is not None
    assert entry.qty is not None
    assert entry.held is not None
    fold.sent[entry.client_order_id] = Sent(
        entry.client_order_id, entry.symbol, entry.token, entry.side, entry.qty, entry.held, entry.round, entry.at_ms,
        entry.at_ms, lap=fold.lap,
    )  # fmt: skip


def _hear(fold: _Fold, entry: Entry) -> None:
    sent = fold.sent[entry.client_order_id or ""]
    if sent.state.settles:
        return
    fold.sent[sent.client_order_id] = Sent(
        sent.client_order_id, sent.symbol, sent.token, sent.side, sent.qty, sent.held, sent.round, sent.sent_ms,
        entry.at_ms, entry.what, entry.order_id or sent.order_id, entry.qty if entry.what is What.OVER else None,
        sent.lap,
    )  # fmt: skip
