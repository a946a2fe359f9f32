"""Classification: which pattern a mismatch has, how far it reaches, and what containment follows.

Each break is told by the first row of a table that holds; an incident is told by its breaks. What cannot be told is
`missing` and `out_of_order` together, which is the worst case: it is never taken for a milder class.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from trueup.core.breaks import BreakKind
from trueup.core.incidents.policy import IncidentPolicy
from trueup.core.modes import Mode


class Pattern(StrEnum):
    """The classes of mismatches, from the mildest."""

    DELAY = "delay"
    DUP = "dup"
    MISSING = "missing"
    OUT_OF_ORDER = "out_of_order"

    @property
    def rank(self) -> int:
        """Return the place in the order of severity."""
        return list(Pattern).index(self)


class Radius(StrEnum):
    """How far a mismatch reaches."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class BreakFacts:
    """What is known of one break that tells its class; quantities in base units, notional in quote currency.

    `settled` says that it is older than the settle window, `caught_up` that it went away without a repair. Of the
    ledger's rows: `twins` that two of them book the same execution, `reversed` that the trade's exit stands before its
    entry, `stale_write` that a row was written long after the venue's fills and yet says less than had executed then.
    """

    break_id: str
    kind: str
    profile_id: str | None = None
    symbol: str | None = None
    token: str = ""
    ledger_qty: Decimal | None = None
    venue_qty: Decimal | None = None
    notional: Decimal | None = None
    settled: bool = False
    caught_up: bool = False
    repaired: bool = False
    twins: bool = False
    reversed: bool = False
    stale_write: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """One row of the table: the signal by name, when it holds, the pattern that it tells, and why."""

    name: str
    holds: Callable[[BreakFacts], bool]
    pattern: Pattern | None
    why: str


def _is(*kinds: BreakKind) -> Callable[[BreakFacts], bool]:
    return lambda facts: facts.kind in kinds


def _more_booked(facts: BreakFacts) -> bool:
    ledger, venue = facts.ledger_qty, facts.venue_qty
    return ledger is not None and venue is not None and abs(ledger) > abs(venue) > 0


TELLINGS: tuple[Telling, ...] = (
    Telling(
        "exit_before_entry", lambda f: f.reversed, Pattern.OUT_OF_ORDER,
        "An exit of the trade stands before its entry: events were written in another order than they happened.",
    ),
    Telling(
        "older_state_written_later", lambda f: f.stale_write, Pattern.OUT_OF_ORDER,
        "The row was written over a settle window after the venue's fills and says less: an older state came later.",
    ),
    Telling(
        "side_flip", _is(BreakKind.SIDE_FLIP), None,
        "Opposite sides come of lost events as well as of reordered ones.",
    ),
    Telling(
        "booked_twice", lambda f: f.twins or f.kind == BreakKind.DUPLICATE, Pattern.DUP,
        "Two rows of the ledger book one execution.",
    ),
    Telling(
        "more_booked_than_executed", lambda f: f.kind == BreakKind.PHANTOM_FILL and _more_booked(f), Pattern.DUP,
        "The order executed, and the ledger has more of it: something was booked again.",
    ),
    Telling(
        "caught_up_by_itself", lambda f: f.caught_up, Pattern.DELAY,
        "The disagreement went away and nobody repaired it: one side was late.",
    ),
    Telling(
        "too_young", lambda f: not f.settled, None,
        "Within the settle window a late event looks like a lost one.",
    ),
    Telling(
        "never_arrived",
        _is(
            BreakKind.MISSING_IN_DB, BreakKind.MISSING_FROM_EXCHANGE, BreakKind.UNBOOKED_POSITION,
            BreakKind.GHOST_POSITION, BreakKind.STATUS_MISMATCH, BreakKind.QUANTITY_MISMATCH,
        ),
        Pattern.MISSING,
        "One side has it and the other has not, and the time in which a late event arrives is over.",
    ),
    Telling("unclear", lambda _: True, None, "Nothing that was seen tells why the books disagree."),
)  # fmt: skip
"""The table, tried from the top; a row without a pattern is unclear."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What one break tells, and by which row of the table."""

    break_id: str
    kind: str
    signal: str
    pattern: Pattern | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classification of an incident: unclear is missing with out_of_order, and says so."""

    primary: Pattern
    secondary: Pattern | None
    unclear: bool
    radius: Radius
    signals: tuple[Signal, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def understood(self) -> bool:
        """Say whether a milder containment may do: no sign of lost or reordered events, nothing unclear."""
        found = {self.primary, self.secondary} - {None}
        return not self.unclear and found <= {Pattern.DELAY, Pattern.DUP}


def tell(facts: BreakFacts) -> Signal:
    """Return what a break tells."""
    row = next(row for row in TELLINGS if row.holds(facts))
    return Signal(facts.break_id, facts.kind, row.name, row.pattern)


def classify(facts: Iterable[BreakFacts], runs: int, rules: IncidentPolicy) -> Verdict:
    """Classify an incident by its breaks; `runs` is in how many runs it was seen.

    A symbol of a profile has the gravest pattern of its breaks; that of most symbols is the primary one, of two equal
    ones the graver. One unclear break makes the incident unclear.
    """
    known = sorted(facts, key=lambda item: item.break_id)
    signals = _signals(known)
    radius, reasons = reach(known, runs, rules)
    gravest: dict[tuple[str | None, str], Pattern] = {}
    for item, signal in zip(known, signals, strict=True):
        if signal.pattern is not None:
            key = (item.profile_id, item.token or item.break_id)
            gravest[key] = max(gravest.get(key, signal.pattern), signal.pattern, key=lambda pattern: pattern.rank)
    counts = Counter(gravest.values())
    if not signals or any(signal.pattern is None for signal in signals):
        return Verdict(Pattern.MISSING, Pattern.OUT_OF_ORDER, True, radius, signals, reasons)
    order = sorted(counts, key=lambda pattern: (-counts[pattern], -pattern.rank))
    return Verdict(order[0], order[1] if len(order) > 1 else None, False, radius, signals, reasons)


_POSITIONS = frozenset(kind.value for kind in BreakKind if kind.of_positions)
FOLLOWS = "follows_from_an_order"
FOLLOWING = Telling(
    FOLLOWS, lambda facts: facts.kind in _POSITIONS, None,
    "A position differs because an order of its symbol does: what the order tells, it tells.",
)  # fmt: skip
"""What stands for `never_arrived` and `side_flip` of a position where an order of the symbol tells more."""

_WEAK = frozenset({"never_arrived", "side_flip"})


def _signals(known: Sequence[BreakFacts]) -> tuple[Signal, ...]:
    """Return what each break tells; a position that differs tells what the orders of its symbol tell, if they do."""
    told = [(item, tell(item)) for item in known]
    causes: dict[str, Pattern] = {}
    for item, signal in told:
        # What was only late is over, and so explains no position that is there still.
        if item.kind not in _POSITIONS and signal.pattern not in (None, Pattern.DELAY):
            causes[item.token] = max(causes.get(item.token, signal.pattern), signal.pattern, key=lambda p: p.rank)
    return tuple(
        replace(signal, signal=FOLLOWS, pattern=causes[item.token])
        if item.kind in _POSITIONS and signal.signal in _WEAK and item.token in causes
        else signal
        for item, signal in told
    )


def reach(facts: Sequence[BreakFacts], runs: int, rules: IncidentPolicy) -> tuple[Radius, tuple[str, ...]]:
    """Return the blast radius, and what made it so."""
    profiles = {item.profile_id for item in facts}
    symbols = {item.token for item in facts}
    reasons: list[str] = []
    if len(profiles - {None}) > 1 or None in profiles:
        reasons.append("several profiles" if None not in profiles else "what nobody owns is the whole account's")
    if runs >= rules.repeated_runs:
        reasons.append(f"repeated over {runs} runs")
    if reasons:
        return Radius.HIGH, tuple(reasons)
    if len(symbols) > 1:
        return Radius.MEDIUM, (f"{len(symbols)} symbols of one profile",)
    return Radius.LOW, ("one profile, one symbol",)


@dataclass(frozen=True, slots=True)
class Containment:
    """Where a mode is put in force, which, and why."""

    scope: str
    mode: Mode
    why: str


def smallest_scope(account: str, facts: Iterable[BreakFacts]) -> str:
    """Return the smallest scope that holds all breaks: a symbol, a profile, or the account."""
    known = list(facts)
    profiles = {item.profile_id for item in known}
    if len(profiles) != 1 or None in profiles:
        return f"account:{account}"
    [profile] = profiles
    symbols = {item.token: item.symbol for item in known if item.symbol}
    if len(symbols) == 1 and all(item.symbol for item in known):
        return f"symbol:{profile}:{next(iter(symbols.values()))}"
    return f"profile:{profile}"


def containment(
    account: str, facts: Sequence[BreakFacts], verdict: Verdict, runs: int, rules: IncidentPolicy
) -> Containment:
    """Return the containment that follows from a verdict.

    An understood mismatch of one symbol leaves reducing orders; one that repeats is contained one step wider.
    """
    scope = smallest_scope(account, facts)
    if runs >= rules.repeated_runs:
        owner = facts[0].profile_id if facts else None
        scope = f"profile:{owner}" if scope.startswith("symbol:") else f"account:{account}"
    mode = Mode.CLOSE_ONLY if verdict.understood and verdict.radius is Radius.LOW else Mode.SAFE_MODE
    words = "unclear" if verdict.unclear else verdict.primary.value
    return Containment(scope, mode, f"{words}, radius {verdict.radius}: {', '.join(verdict.reasons)}")
