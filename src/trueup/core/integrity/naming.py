"""Trade ids for the bot's rows that have none: from their tags, else from their lifecycle, where that is unambiguous.

What is given is proven by the rows alone; whatever could be read in two ways is left for a person, with the reason.
No id is ever given to two lifecycles, and a lifecycle has its id whole or not at all.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType

from trueup.core.audit import canonical_json
from trueup.core.decimals import NOTHING
from trueup.core.orders import Action, LedgerOrder, Side, StatusClass
from trueup.core.repair.slices import fingerprint, said_action
from trueup.core.symbols import Symbols
from trueup.core.tags import Tag, TagReader

BOT = "bot"
"""The source of the bot's rows, in lower case; a row with another source is somebody's by hand, and keeps no id."""

MANUAL = "MANUAL"
"""The source that a row gets which a person says is not the bot's."""


class How(StrEnum):
    """By what a row gets its trade id."""

    CLIENT_ORDER_ID = "client_order_id"
    SUB_TAG = "sub_tag"
    LIFECYCLE = "lifecycle"
    BY_HAND = "by_hand"


class Why(StrEnum):
    """Why a row is left for a person."""

    UNREADABLE = "unreadable"
    TAG_OF_ANOTHER_PROFILE = "tag_of_another_profile"
    TAG_UNKNOWN = "tag_unknown"
    TAG_MALFORMED = "tag_malformed"
    TAG_AMBIGUOUS = "tag_ambiguous"
    TAG_MAY_BE_CUT = "tag_may_be_cut"
    TAGS_CONFLICT = "tags_conflict"
    TAG_AGAINST_ACTION = "tag_against_action"
    TRADE_OF_ANOTHER_PROFILE = "trade_of_another_profile"
    TRADE_OF_ANOTHER_SYMBOL = "trade_of_another_symbol"
    WOULD_BREAK_TRADE = "would_break_trade"
    BOOKED_ALREADY = "booked_already"
    NOT_FILLED = "not_filled"
    SOURCE_UNKNOWN = "source_unknown"
    ACTION_MISSING = "action_missing"
    EQUAL_TIMES = "equal_times"
    LIFECYCLE_OPEN = "lifecycle_open"
    EXIT_WITHOUT_ENTRY = "exit_without_entry"
    SEVERAL_READINGS = "several_readings"
    TOO_MANY_ROWS = "too_many_rows"
    UNDECIDED_AMONG = "undecided_among"
    ORDER_AT_WORK = "order_at_work"
    OTHER_TRADE_UNBALANCED = "other_trade_unbalanced"
    OTHER_TRADE_OVERLAPS = "other_trade_overlaps"
    HISTORY_OF_ANOTHER_ID = "history_of_another_id"
    SYMBOL_UNCLEAR = "symbol_unclear"
    MANUAL_AMONG = "manual_among"
    ID_TAKEN = "id_taken"
    CHANGED_MEANWHILE = "changed_meanwhile"
    REFUSED_BY_LEDGER = "refused_by_ledger"


MEANS: Mapping[Why, str] = MappingProxyType(
    {
        Why.UNREADABLE: "the row cannot be read, or has no id, symbol or time",
        Why.TAG_OF_ANOTHER_PROFILE: "its tag is of another profile",
        Why.TAG_UNKNOWN: "its tag names no profile that is known, or no trade",
        Why.TAG_MALFORMED: "the trade that its tag names has not the form of a trade id",
        Why.TAG_AMBIGUOUS: "its tag fits several trades",
        Why.TAG_MAY_BE_CUT: "its sub-tag may be the beginning of an id: not exactly one trade of the symbol fits",
        Why.TAGS_CONFLICT: "its client order id and its sub-tag name different trades",
        Why.TAG_AGAINST_ACTION: "its client order id says entry and its action exit, or the other way round",
        Why.TRADE_OF_ANOTHER_PROFILE: "the trade that its tag names is another profile's",
        Why.TRADE_OF_ANOTHER_SYMBOL: "the trade that its tag names is of another symbol",
        Why.WOULD_BREAK_TRADE: "with the row, the trade would exit more than it entered, enter after it had closed, or"
        " mix the sides",
        Why.BOOKED_ALREADY: "its exchange order is booked by another row too",
        Why.NOT_FILLED: "it has no tag, and it has not filled yet",
        Why.SOURCE_UNKNOWN: "nothing says that it is the bot's: no source and no tag",
        Why.ACTION_MISSING: "a row of the lifecycle does not say whether it enters or exits",
        Why.EQUAL_TIMES: "rows with equal times could stand in another order",
        Why.LIFECYCLE_OPEN: "the lifecycle has not closed",
        Why.EXIT_WITHOUT_ENTRY: "an exit finds nothing open, here or later, so that an entry is missing somewhere",
        Why.SEVERAL_READINGS: "some of the rows make up a lifecycle of their own, so that there may be two",
        Why.TOO_MANY_ROWS: "the lifecycle has too many rows to exclude that there are two",
        Why.UNDECIDED_AMONG: "a row that is left for another reason stands in its time",
        Why.ORDER_AT_WORK: "an order of the symbol that still works, or cannot be read, stands in its time",
        Why.OTHER_TRADE_UNBALANCED: "a trade of the symbol that has an id and is not closed overlaps it",
        Why.OTHER_TRADE_OVERLAPS: "a closed trade of the symbol and side that has an id stands in its time, so that the"
        " two may be one trade whose rows lost their id in part",
        Why.HISTORY_OF_ANOTHER_ID: "a history row of its symbol and time names a trade that no order has, which may be"
        " its own: give it that id by hand",
        Why.SYMBOL_UNCLEAR: "its symbol may be another spelling of the market of another symbol of the profile",
        Why.MANUAL_AMONG: "what somebody traded by hand in the symbol stands in its time, or has not closed",
        Why.ID_TAKEN: "the id that it would get is another trade's",
        Why.CHANGED_MEANWHILE: "a row of the trade or in its time changed or came while it was decided on: run the"
        " command again",
        Why.REFUSED_BY_LEDGER: "the ledger itself refuses the change: correct what else the row says, by hand",
    }
)


@dataclass(frozen=True, slots=True)
class Naming:
    """Rows of one profile that get one trade id, all of them or none; `how` says by what."""

    profile_id: str
    symbol: str
    trade_id: str
    how: How
    rows: tuple[LedgerOrder, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        return {
            "profile_id": self.profile_id, "symbol": self.symbol, "trade_id": self.trade_id, "how": self.how.value,
            "order_ids": [row.order_id for row in self.rows],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Left:
    """Rows of one profile and symbol that a person has to decide on, with the reason."""

    profile_id: str
    symbol: str | None
    why: Why
    rows: tuple[LedgerOrder, ...]
    about: str = ""

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        return {
            "profile_id": self.profile_id, "symbol": self.symbol, "reason": self.why.value, "means": MEANS[self.why],
            "about": self.about or None, "order_ids": [row.order_id for row in self.rows],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class NamingPlan:
    """What of one profile gets a trade id, and what is left."""

    namings: tuple[Naming, ...] = ()
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Unnamed:
    """What is known of one profile for giving trade ids.

    `rows` are those without one that are not somebody's by hand, `by_hand` those that are; dead ones are left out.
    `named` are the living rows of the trades that may be open or over-exited, of those that tags name, and of those
    that stand in the time of a lifecycle without an id; `trades` are all ids that begin as the tags say, with the
    profile and symbol of each. `booked` are exchange orders that rows with an id book. `source_kept` says that the
    table has the column at all: without one, every row is the bot's. `told_alone` are
    trades of the history that no order has.
    """

    profile_id: str
    rows: tuple[LedgerOrder, ...]
    named: tuple[LedgerOrder, ...] = ()
    trades: tuple["KnownTrade", ...] = ()
    working: tuple[LedgerOrder, ...] = ()
    booked: frozenset[str] = frozenset()
    source_kept: bool = True
    by_hand: tuple[LedgerOrder, ...] = ()
    told_alone: tuple["ToldAlone", ...] = ()


@dataclass(frozen=True, slots=True)
class ToldAlone:
    """A trade that a history row names and no order has; times in epoch milliseconds, None where it does not say."""

    trade_id: str
    symbol: str | None
    opened_ms: int | None
    closed_ms: int | None


@dataclass(frozen=True, slots=True)
class KnownTrade:
    """A trade id that the ledger has, with a profile and symbol of its rows (several symbols are several of these)."""

    trade_id: str
    profile_id: str
    symbol: str | None


@dataclass(frozen=True, slots=True)
class NamingPolicy:
    """What counts as dust, the tags' reader, and the spelling of symbols."""

    dust_abs: Decimal
    dust_rel: Decimal
    tags: TagReader
    symbols: Symbols = field(default_factory=Symbols)

    def dust(self, qty: Decimal) -> Decimal:
        """Return up to which remainder a quantity counts as closed."""
        return max(self.dust_abs, qty * self.dust_rel, NOTHING)


def is_bots(row: LedgerOrder, tags: TagReader, *, source_kept: bool = True) -> bool:
    """Say whether a row is the bot's own: by its source, else by a tag of its profile."""
    if not source_kept or (row.source or "").lower() == BOT:
        return True
    return row.source is None and any(tag is not None and tag.profile_id == row.profile_id for tag in _tags(row, tags))


def is_by_hand(row: LedgerOrder) -> bool:
    """Say whether a row is somebody's by hand: its source is set, and is not the bot."""
    return row.source is not None and row.source.lower() != BOT


def _tags(row: LedgerOrder, tags: TagReader) -> tuple[Tag | None, Tag | None]:
    return (tags.client_order_id(row.client_order_id), tags.sub_tag(row.sub_tag))


def mark_of(row: LedgerOrder) -> str:
    """Return a digest of all that a row is given its trade id by: what it did, and what says whose it is."""
    whose = (row.profile_id, row.client_order_id, row.sub_tag, row.exchange_order_id, row.source)
    text = canonical_json([fingerprint([row]), *whose])
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def plan_hash(plans: Iterable[NamingPlan], blanks: Mapping[str, int]) -> str:
    """Return the digest of what would be given and emptied: the same facts give the same one."""
    given = sorted(
        [naming.profile_id, naming.trade_id, naming.how.value, *sorted(row.order_id for row in naming.rows)]
        for plan in plans
        for naming in plan.namings
    )
    return sha256(canonical_json({"given": given, "blanks": dict(blanks)}).encode("utf-8", "surrogatepass")).hexdigest()


def by_token(rows: Iterable[LedgerOrder], symbols: Symbols) -> dict[str, list[LedgerOrder]]:
    """Return rows by the token of their symbol; rows without one are under the empty token."""
    found: dict[str, list[LedgerOrder]] = defaultdict(list)
    for row in rows:
        found[symbols.token(row.symbol) if row.symbol else ""].append(row)
    return found


def leg_of(row: LedgerOrder) -> Side | None:
    """Return the entry side of the lifecycle that a filled row can be of, None where it does not say what it does."""
    action = said_action(row)
    if action is None or row.side is None:
        return None
    return row.side if action is Action.ENTRY else row.side.opposite


def is_exit(row: LedgerOrder) -> bool:
    """Say whether a row says that it exits."""
    return said_action(row) is Action.EXIT


def canonical(row: LedgerOrder) -> tuple[int, bool, str]:
    """Return by what rows are ordered: time, entries first, then their id."""
    return (row.time_ms or 0, is_exit(row), row.order_id)


def readable(row: LedgerOrder) -> bool:
    """Say whether a row that is not dead can be given to a trade at all."""
    return (
        row.defect is None and bool(row.order_id) and row.symbol is not None and row.status is not StatusClass.UNKNOWN
    )


def left_alone(rows: Collection[LedgerOrder], why: Why, about: str = "") -> list[Left]:
    """Return rows as left, by symbol as it is spelt."""
    groups: dict[tuple[str, str | None], list[LedgerOrder]] = defaultdict(list)
    for row in rows:
        groups[row.profile_id, row.symbol].append(row)
    return [
        Left(key[0], key[1], why, tuple(sorted(found, key=lambda row: row.order_id)), about)
        for key, found in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    ]


def sums(rows: Sequence[LedgerOrder]) -> tuple[Decimal, Decimal]:
    """Return what rows entered and what they exited."""
    left = sum((row.qty for row in rows if is_exit(row)), Decimal(0))
    return sum((row.qty for row in rows), Decimal(0)) - left, left
