"""The decision table of the loop: how an order stands in the ledger and at the venue, what is done, and why.

The rows are tried from the top; the first that holds decides. The last rows hold for everything that is left, so that
every pair of states has an outcome. The documentation is printed from this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from trueup.core.breaks import BreakKind
from trueup.core.decimals import NOTHING
from trueup.core.orders import LedgerOrder, StatusClass
from trueup.core.reconcile.matching import Pair, Standing


class Booked(StrEnum):
    """How an order stands in the ledger."""

    WORKING = "working"
    PARTIAL = "partially filled"
    FILLED = "filled"
    DEAD = "canceled, expired, rejected, replaced, failed"
    UNREADABLE = "unreadable"
    SEVERAL = "several live rows"
    NONE = "none"


class Do(StrEnum):
    """What is done about an order."""

    NOTHING = "nothing"
    BOOK = "book the executions; the order stays open"
    BOOK_AND_CLOSE = "book the executions, and close the order"
    CANCEL = "cancel handler: release the reservation"
    BOOK_DIFFERENCE = "book the difference"
    CANCEL_DUPLICATE = "set the later row to canceled"
    GIVE_WAY = "set the row of ours to canceled, and book the executions in the bot's own"
    IMPORT = "import the order"
    ASK = "ask for that order by id and by client id; N confirmed misses cancel it"
    WAIT = "wait"
    UNRESOLVED = "unresolved"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the choice of a row depends on; quantities in base units.

    `lead` is the row that would change. `ours` says that the venue's order carries a tag of a profile of the account.
    `settled` says that the order is older than the settle window, `covered` that the venue lists it or that the order
    feed reaches back to it, and `named` that there is an id to ask the venue for. `ahead` says that a row books
    something younger than the settle window, `twin` that one live row of the bot and rows of ours are about one order.
    `untold` says that more of it may be booked, by rows that cannot be found or are about its successor; `cut` that the
    fills, all that is known of it, do not reach back to its rows. `turned` says that a row which books something trades
    the other way. `inferred` says that an order is taken for an entry because it is the first of its trade, `reached`
    that the order feed reaches back to it.
    """

    ledger: Booked
    venue: Standing
    booked: Decimal
    executed: Decimal
    doubt: str | None = None
    lead: LedgerOrder | None = None
    ours: bool = False
    settled: bool = True
    covered: bool = True
    named: bool = True
    several: bool = False
    ahead: bool = False
    twin: bool = False
    same_price: bool = True
    untold: bool = False
    cut: bool = False
    turned: bool = False
    inferred: bool = False
    reached: bool = True

    @property
    def more(self) -> bool:
        """Say whether the venue executed more than is booked."""
        return self.executed - self.booked > NOTHING

    @property
    def fewer(self) -> bool:
        """Say whether more is booked than the venue executed."""
        return self.booked - self.executed > NOTHING

    @property
    def unsure(self) -> bool:
        """Say whether what seems not to be booked may be so by a row that cannot be found."""
        return self.untold and self.more and (self.ledger is not Booked.NONE or (self.ours and self.settled))

    @property
    def live(self) -> bool:
        """Say whether the ledger has the order as one that may still fill."""
        return self.ledger in (Booked.WORKING, Booked.PARTIAL)

    @property
    def over(self) -> bool:
        """Say whether the order is over at the venue."""
        return self.venue in (Standing.FILLED, Standing.DEAD)

    @property
    def matters(self) -> bool:
        """Say whether the order executed something or may still do so; a replaced one does so under another id."""
        return self.executed > NOTHING or self.venue in (Standing.WORKING, Standing.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: what must hold (in words and as a function), what is done, the break, and why."""

    name: str
    ledger: str
    venue: str
    holds: Callable[[Facts], bool]
    do: Do
    kind: BreakKind | None
    why: str


_MORE, _LIVE = "more executed than booked", "working, partially filled"

TABLE: tuple[Rule, ...] = (
    Rule(
        "order_unclear", "any", "listed twice differently, or its chain cannot be told",
        lambda f: f.doubt is not None, Do.QUARANTINE, BreakKind.QUANTITY_MISMATCH,
        "What cannot be told apart proves nothing.",
    ),
    Rule(
        "row_unreadable", "a row that cannot be read", "any",
        lambda f: f.ledger is Booked.UNREADABLE, Do.QUARANTINE, BreakKind.STATUS_MISMATCH,
        "Nobody knows what such a row has booked.",
    ),
    Rule(
        "other_side", "filled, partially filled, and no exit", "trades the other way",
        lambda f: f.turned, Do.QUARANTINE, BreakKind.QUANTITY_MISMATCH,
        "A row and its order contradict each other: nothing says what the trade holds.",
    ),
    Rule(
        "own_row_beside", "one live row of the bot's, and one of ours", "any",
        lambda f: f.twin and (f.ledger is Booked.SEVERAL or (f.live and f.fewer)), Do.GIVE_WAY, BreakKind.DUPLICATE,
        "The bot wrote late what was booked for it; its own row stands, and ours gives way.",
    ),
    Rule(
        "several_live_rows", "several live rows", "any",
        lambda f: f.ledger is Booked.SEVERAL, Do.QUARANTINE, BreakKind.DUPLICATE,
        "Which of them is the order cannot be told.",
    ),
    Rule(
        "booked_unknown", "a row may book it by a client order id that the venue does not list, or for its successor",
        _MORE + "; its client order id is not known, since it is not listed itself, or its successor is not",
        lambda f: f.unsure and (f.venue is Standing.REPLACED or not f.covered), Do.UNRESOLVED,
        BreakKind.QUANTITY_MISMATCH, "How much of it is booked is not known until the venue lists it.",
    ),
    Rule(
        "booked_by_another_name",
        "a row may book it by a client order id that the venue does not list, or for its successor",
        _MORE + "; the venue does not say its client order id",
        lambda f: f.unsure, Do.QUARANTINE, BreakKind.QUANTITY_MISMATCH,
        "Whether that row books this order cannot be told.",
    ),
    Rule(
        "import_unknown", "none", "ours by tag, the first of its trade; the order feed is cut, or begins after it",
        lambda f: f.ledger is Booked.NONE and f.ours and f.settled and f.matters and f.inferred and not f.reached,
        Do.UNRESOLVED, BreakKind.MISSING_IN_DB, "It may leave a trade whose entry is not listed any more.",
    ),
    Rule(
        "import", "none", "ours by tag, executed or working",
        lambda f: f.ledger is Booked.NONE and f.ours and f.settled and f.matters,
        Do.IMPORT, BreakKind.MISSING_IN_DB, "The bot's own tag says whose order it is.",
    ),
    Rule(
        "import_soon", "none", "ours by tag, younger than the settle window",
        lambda f: f.ledger is Booked.NONE and f.ours and not f.settled and f.matters,
        Do.WAIT, BreakKind.MISSING_IN_DB, "The bot may be about to write it.",
    ),
    Rule(
        "orphan", "none", "not ours, executed or working",
        lambda f: f.ledger is Booked.NONE and not f.ours and f.matters,
        Do.QUARANTINE, BreakKind.ORPHAN_ORDER, "Nothing says that the bot sent it; it is never adopted.",
    ),
    Rule(
        "never_executed", "none", "over or replaced, and nothing executed",
        lambda f: f.ledger is Booked.NONE, Do.NOTHING, None, "It changed nothing.",
    ),
    Rule(
        "booked_ahead", "filled, partially filled, younger than the settle window",
        "working or replaced, fewer executed than booked",
        lambda f: f.fewer and f.ahead and f.venue in (Standing.WORKING, Standing.UNKNOWN, Standing.REPLACED), Do.WAIT,
        None, "The bot may know of an execution that the venue's reading is too old for.",
    ),
    Rule(
        "executed_unknown", "more booked than executed; or fewer, and the fills do not reach back to the row",
        "replaced by an order that is not listed, or not listed itself and the order feed does not reach back to it",
        lambda f: (f.fewer and (f.venue is Standing.REPLACED or not f.covered) and f.venue is not Standing.NOT_FOUND)
        or (f.more and f.cut),
        Do.UNRESOLVED, BreakKind.QUANTITY_MISMATCH, "Only a part of what was executed is known.",
    ),
    Rule(
        "booked_twice", "booked more than once", "fewer executed than booked",
        lambda f: f.several and f.fewer and f.venue is not Standing.NOT_FOUND, Do.CANCEL_DUPLICATE,
        BreakKind.DUPLICATE, "One execution is booked once; the row that was there first stays.",
    ),
    Rule(
        "partial_fill", "working, partially filled", "working, " + _MORE,
        lambda f: f.live and f.venue in (Standing.WORKING, Standing.UNKNOWN) and f.more, Do.BOOK,
        BreakKind.QUANTITY_MISMATCH, "What was executed is certain; the rest may still fill.",
    ),
    Rule(
        "filled_at_venue", "working, partially filled", "filled, " + _MORE,
        lambda f: f.live and f.venue is Standing.FILLED and f.more, Do.BOOK_AND_CLOSE, BreakKind.STATUS_MISMATCH,
        "The venue filled it.",
    ),
    Rule(
        "filled_of_nothing", "working, partially filled", "filled, and nothing executed",
        lambda f: f.live and f.venue is Standing.FILLED and not f.fewer and f.executed <= NOTHING, Do.QUARANTINE,
        BreakKind.QUANTITY_MISMATCH, "The venue contradicts itself; neither a fill nor a cancel follows from it.",
    ),
    Rule(
        "dead_with_executions", "working, partially filled", "canceled, expired or rejected, with executions",
        lambda f: f.live and f.venue is Standing.DEAD and (f.more or f.ledger is Booked.PARTIAL) and not f.fewer,
        Do.BOOK_AND_CLOSE, BreakKind.STATUS_MISMATCH, "What was executed before the end counts; the rest is canceled.",
    ),
    Rule(
        "closed_at_venue", "partially filled", "filled, all of it booked",
        lambda f: f.ledger is Booked.PARTIAL and f.venue is Standing.FILLED and not f.fewer, Do.BOOK_AND_CLOSE,
        BreakKind.STATUS_MISMATCH, "Nothing of it is left to fill.",
    ),
    Rule(
        "dead_at_venue", "working", "canceled, expired or rejected, none executed that is not booked",
        lambda f: f.ledger is Booked.WORKING and f.over and not f.fewer, Do.CANCEL, BreakKind.STATUS_MISMATCH,
        "It will not fill any more; what was reserved for it is free.",
    ),
    Rule(
        "replaced_by_unlisted", "working, partially filled", "replaced by an order that is not listed",
        lambda f: f.live and f.venue is Standing.REPLACED, Do.UNRESOLVED, BreakKind.STATUS_MISMATCH,
        "What its successor executed is not known.",
    ),
    Rule(
        "agreed_working", "working, partially filled", "working, as much executed as booked",
        lambda f: f.live and f.venue in (Standing.WORKING, Standing.UNKNOWN) and not f.fewer, Do.NOTHING, None,
        "Both say the same.",
    ),
    Rule(
        "missed_fill", "any dead status", "filled, wholly or in part",
        lambda f: f.ledger is Booked.DEAD and f.more and f.over, Do.BOOK_AND_CLOSE, BreakKind.STATUS_MISMATCH,
        "The ledger took it for dead, and the venue filled it: a missed fill.",
    ),
    Rule(
        "missed_partial_fill", "any dead status", "working or replaced, " + _MORE,
        lambda f: f.ledger is Booked.DEAD and f.more and f.venue is not Standing.NOT_FOUND, Do.BOOK,
        BreakKind.STATUS_MISMATCH, "The ledger took it for dead; it was executed, and may fill further.",
    ),
    Rule(
        "alive_at_venue", "any dead status", "working, none executed",
        lambda f: f.ledger is Booked.DEAD and f.venue is Standing.WORKING, Do.QUARANTINE, BreakKind.STATUS_MISMATCH,
        "The order may still fill, and the bot does not know of it: cancel it at the venue.",
    ),
    Rule(
        "agreed_dead", "any dead status", "over or not found, nothing executed that is not booked",
        lambda f: f.ledger is Booked.DEAD, Do.NOTHING, None, "Both say the same.",
    ),
    Rule(
        "difference", "filled", _MORE,
        lambda f: f.ledger is Booked.FILLED and f.more, Do.BOOK_DIFFERENCE, BreakKind.QUANTITY_MISMATCH,
        "The row stays as the bot wrote it; what it lacks is a row of its own.",
    ),
    Rule(
        "settling", "any", "not found, younger than the settle window",
        lambda f: f.venue is Standing.NOT_FOUND and not f.settled, Do.WAIT, None,
        "The venue may not show it yet.",
    ),
    Rule(
        "not_found_unknown", "any", "not found, and the order feed does not reach back to it",
        lambda f: f.venue is Standing.NOT_FOUND and not f.covered, Do.UNRESOLVED, BreakKind.MISSING_FROM_EXCHANGE,
        "Not found is not absent: the venue may have forgotten it, or the feed was cut.",
    ),
    Rule(
        "no_id_to_ask_for", "working", "not found, and the row has no id to ask for",
        lambda f: f.ledger is Booked.WORKING and not f.named, Do.QUARANTINE, BreakKind.MISSING_FROM_EXCHANGE,
        "Nothing says which order of the venue it is.",
    ),
    Rule(
        "not_found", "working", "not found within complete coverage",
        lambda f: f.ledger is Booked.WORKING and f.venue is Standing.NOT_FOUND, Do.ASK,
        BreakKind.MISSING_FROM_EXCHANGE, "One miss proves nothing; several in a row do, each with the venue asked.",
    ),
    Rule(
        "phantom_fill", "filled, partially filled", "fewer executed, or dead with none, or not found",
        lambda f: f.fewer, Do.QUARANTINE, BreakKind.PHANTOM_FILL,
        "The ledger books what the venue does not confirm; that is never undone by itself.",
    ),
    Rule(
        "price_differs", "filled", "as much executed, at another price",
        lambda f: not f.same_price, Do.QUARANTINE, BreakKind.PRICE_MISMATCH,
        "The quantity is right; a booked price is not rewritten by itself.",
    ),
    Rule(
        "agreed", "filled", "as much executed as booked",
        lambda _: True, Do.NOTHING, None, "Both say the same.",
    ),
)  # fmt: skip
"""Every pair of states, from the top."""


def rule_for(facts: Facts) -> Rule:
    """Return the first row of the table that holds."""
    return next(rule for rule in TABLE if rule.holds(facts))


def booked_as(pair: Pair) -> tuple[Booked, LedgerOrder | None]:
    """Return how an order stands in the ledger, and the row that a heal would change."""
    unreadable = [row for row in pair.rows if row.defect is not None]
    working = [row for row in pair.rows if row.status is StatusClass.WORKING]
    partial = [row for row in pair.filled_rows if row.word == "partially_filled"]
    states = (
        (unreadable, Booked.UNREADABLE),
        (working + partial if len(working) + len(partial) > 1 else [], Booked.SEVERAL),
        (working, Booked.WORKING),
        (partial, Booked.PARTIAL),
        (pair.filled_rows, Booked.FILLED),
        (list(reversed(pair.rows)), Booked.DEAD),
    )
    return next(((state, rows[0]) for rows, state in states if rows), (Booked.NONE, None))
