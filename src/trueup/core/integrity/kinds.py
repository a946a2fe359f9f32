"""The kinds of lifecycle anomalies, each with when it holds, why it matters and what resolves it.

The page docs/integrity-kinds.md is printed from `KINDS`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from trueup.core.integrity.rules import WELL_FORMED

TRADE_FORM = WELL_FORMED.pattern


class Kind(StrEnum):
    """What is wrong with a lifecycle."""

    MISSING_ENTRY_ORDER = "missing_entry_order"
    ORPHAN_EXIT = "orphan_exit"
    OVER_EXIT = "over_exit"
    GHOST_POSITION = "ghost_position"
    MISSING_POSITION = "missing_position"
    POSITION_MISMATCH = "position_mismatch"
    MISSING_HISTORY = "missing_history"
    HISTORY_MISMATCH = "history_mismatch"
    DUPLICATE_HISTORY = "duplicate_history"
    BLANK_TRADE_ID = "blank_trade_id"
    MALFORMED_TRADE_ID = "malformed_trade_id"
    OUT_OF_ORDER_LIFECYCLE = "out_of_order_lifecycle"


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind: when it holds, why it is an anomaly, what would resolve it, and the command for it, if there is one."""

    kind: Kind
    when: str
    why: str
    resolves: str
    command: str = ""


KINDS: tuple[KindRow, ...] = (
    KindRow(
        Kind.MISSING_ENTRY_ORDER,
        "a history row names a trade of which the orders hold no filled ENTRY row",
        "a profit is told of something that was never bought",
        "import the entry from the venue if it has one; else correct the history row's trade id by hand",
        "trueup reconcile",
    ),
    KindRow(
        Kind.ORPHAN_EXIT,
        "filled EXIT rows of a trade (and symbol) without a filled ENTRY row",
        "something left that never came in: an entry was missed, or the exit has another trade's id",
        "import the missing entry from the venue, or correct the rows' trade id by hand",
        "trueup reconcile",
    ),
    KindRow(
        Kind.OVER_EXIT,
        "the exits of a trade exceed its entries, and it has entries",
        "a position would be negative: an exit was booked twice, or an entry was missed",
        "let the reconciliation compare the rows with the venue: it cancels doubled rows and books missed fills",
        "trueup reconcile",
    ),
    KindRow(
        Kind.OUT_OF_ORDER_LIFECYCLE,
        "an entry comes, in canonical time, when the trade's exits so far had reached or passed its entries: an exit"
        " before the first entry, exits that ran ahead, or an entry after the trade had closed (at equal times entries"
        " come first)",
        "a time is wrong, or two lifecycles share one id",
        "correct the time from the venue, or give the later lifecycle an id of its own by hand",
    ),
    KindRow(
        Kind.GHOST_POSITION,
        "a positions row above zero of which the orders hold nothing open",
        "the bot believes that it holds what its own orders say it left",
        "book the missing entry if the venue has one; where the venue holds nothing either, no command changes the row:"
        " set its qty to 0 by hand",
        "trueup reconcile",
    ),
    KindRow(
        Kind.MISSING_POSITION,
        "the orders hold something open, and there is no positions row above zero",
        "the bot would open it a second time, or never close it",
        "book the missing exits with their proof; where the venue holds what the orders say, no command writes the row:"
        " add it by hand",
        "trueup backfill run",
    ),
    KindRow(
        Kind.POSITION_MISMATCH,
        "the orders and the positions row hold different quantities of one symbol and side",
        "one of the two is wrong",
        "book the missing exits with their proof; where the venue holds what the orders say, no command changes the"
        " row: correct its qty by hand",
        "trueup backfill run",
    ),
    KindRow(
        Kind.MISSING_HISTORY,
        "a closed trade without a history row",
        "its profit is counted nowhere",
        "let the bot write the row, or let trueup make it from the trade's orders",
        "trueup integrity history",
    ),
    KindRow(
        Kind.HISTORY_MISMATCH,
        "a history row disagrees with the orders in quantity, symbol, side or profile, or says that a trade is closed"
        " which is open",
        "its profit is of something else than what was traded",
        "book the missing exits with their proof, which makes the row anew; else correct it by hand",
        "trueup backfill run",
    ),
    KindRow(
        Kind.DUPLICATE_HISTORY,
        "more than one history row of one trade",
        "its profit counts more than once",
        "delete all but the right one by hand",
    ),
    KindRow(
        Kind.BLANK_TRADE_ID,
        "a trade id of nothing but blanks, in orders or history; or none at all on a filled or working row of the bot",
        "the row belongs to no trade, so that nothing counts it",
        "give it its id from its tags or its lifecycle, where that is unambiguous; else a person decides",
        "trueup integrity backfill",
    ),
    KindRow(
        Kind.MALFORMED_TRADE_ID,
        f"a trade id that is not of the form {TRADE_FORM}, in orders or history",
        "such a row would be refused once the constraints are in force",
        "correct the id by hand, in orders and history alike",
    ),
)

ABOUT: Mapping[Kind, KindRow] = MappingProxyType({row.kind: row for row in KINDS})


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row of the ledger: its table and its id there."""

    table: str
    id: str


_OF_STRANGERS = (
    "no command looks at a row whose profile trueup does not know: name the profile in trueup.toml and run `trueup"
    " init`, or correct the row's profile by hand"
)


def command_for(kind: Kind, profiles: Iterable[str]) -> str | None:
    """Return the command that resolves a kind for some profiles; None where there is none."""
    command = ABOUT[kind].command
    return " ".join([command, *(f"--profile {name}" for name in profiles)]) if command else None


MOST_ROWS = 50
"""So many rows a finding names at most; its sentence says how many there are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One anomaly: what is wrong in a sentence, the rows that show it, and what would resolve it.

    `stranger` says that no profile that trueup knows has its rows, so that no command takes them.
    """

    kind: Kind
    profile_id: str | None
    symbol: str | None
    trade_id: str | None
    rows: tuple[RowRef, ...]
    what: str
    stranger: bool = False

    @property
    def resolve(self) -> str:
        """Return what would resolve it."""
        about = ABOUT[self.kind]
        return f"{_OF_STRANGERS}; then {about.resolves}" if self.stranger and about.command else about.resolves

    @property
    def command(self) -> str | None:
        """Return the command that resolves it, with the profile where it takes one; None where there is none."""
        if self.stranger:
            return None
        return command_for(self.kind, [self.profile_id] if self.profile_id is not None else [])

    def as_json(self) -> dict[str, object]:
        """Return the finding for printing."""
        return {
            "kind": self.kind.value, "profile_id": self.profile_id, "symbol": self.symbol, "trade_id": self.trade_id,
            "rows": [{"table": row.table, "id": row.id} for row in self.rows], "what": self.what,
            "resolve": self.resolve, "command": self.command,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be known, since rows cannot be read; the report is inconclusive for as long as there is one."""

    profile_id: str | None
    symbol: str | None
    trade_id: str | None
    rows: tuple[RowRef, ...]
    what: str

    def as_json(self) -> dict[str, object]:
        """Return it for printing."""
        return {
            "profile_id": self.profile_id, "symbol": self.symbol, "trade_id": self.trade_id,
            "rows": [{"table": row.table, "id": row.id} for row in self.rows], "what": self.what,
        }  # fmt: skip
