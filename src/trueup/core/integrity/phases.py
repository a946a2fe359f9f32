"""The phases of lifecycle integrity: where a ledger stands, what is allowed next, and why.

A snapshot is the baseline before anything changes; `apply` adds the rules, which bind new rows and new values alone,
and the indexes; `backfill` gives trade ids, and the report says what is wrong; `validate` makes the rules hold for
every row; `rollback` drops what `apply` added and keeps the indexes. Where a ledger stands follows from what the
database has, not from what was once done: whatever was cut short is done by doing its phase again.
"""

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a person may ask for; `BACKFILL` is its apply: a dry run of it is always allowed."""

    SNAPSHOT = "snapshot"
    APPLY = "apply"
    BACKFILL = "backfill"
    REPORT = "report"
    VALIDATE = "validate"
    ROLLBACK = "rollback"


SCOPE = "integrity"
"""The lease under which the phases run one at a time."""

BEGUN, ENDED, STOPPED = "begun", "ended", "stopped"
"""The states of a phase on record."""

WRITING = frozenset({Phase.APPLY, Phase.BACKFILL, Phase.VALIDATE, Phase.ROLLBACK})
"""The phases that write to the ledger's database."""


class Stage(StrEnum):
    """How far a ledger has come."""

    NOTHING = "nothing"
    SNAPSHOT = "snapshot"
    PARTLY_APPLIED = "partly_applied"
    APPLIED = "applied"
    VALIDATED = "validated"
    ROLLED_BACK = "rolled_back"


class Kind(StrEnum):
    """What an object of the database is."""

    CONSTRAINT = "constraint"
    TRIGGER = "trigger"
    INDEX = "index"


class State(StrEnum):
    """How an object stands: `not_valid` binds new rows alone, `unfinished` is what a cut-short apply left."""

    MISSING = "missing"
    UNFINISHED = "unfinished"
    NOT_VALID = "not_valid"
    VALID = "valid"


@dataclass(frozen=True, slots=True)
class Thing:
    """One object that `apply` adds, as it stands in the database now; `table` is its name there.

    `ours` says that trueup added it: what was there before is never dropped. `changed` says that it is not what trueup
    added any more. `says` is the rule in words, or the columns of an index; of a rule that is there and is not as
    trueup adds it, it is the beginning of its own definition.
    """

    name: str
    table: str
    kind: Kind
    state: State
    says: str
    ours: bool = False
    changed: bool = False

    @property
    def stands(self) -> bool:
        """Say whether it is there, whole."""
        return self.state in (State.NOT_VALID, State.VALID)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a ledger stands: what it was last snapshot as, what is there, and what has no place in it.

    `left_out` are sentences on parts that this ledger has no table or column for; `snapshot` is the number of the
    newest one. `last` is the newest phase that changes the ledger; `running` says that one runs right now, `unended`
    that the last one did not end, and `ever_applied` that an apply ever began: else a rollback took nothing back.
    """

    things: tuple[Thing, ...]
    snapshot: int | None = None
    snapshot_at: str | None = None
    left_out: tuple[str, ...] = ()
    writable: bool = True
    last: str | None = None
    unended: bool = False
    running: bool = False
    ever_applied: bool = True

    @property
    def cut_short(self) -> str | None:
        """Return the phase that began and did not end, of a run that is over; None where there is none."""
        return self.last if self.unended and not self.running else None

    @property
    def rules(self) -> tuple[Thing, ...]:
        """Return the rules: the constraints, or the triggers on SQLite."""
        return tuple(thing for thing in self.things if thing.kind is not Kind.INDEX)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of what `apply` would add."""
        return tuple(thing.name for thing in self.things if not thing.stands)

    @property
    def changed(self) -> tuple[str, ...]:
        """Return the names of the rules that somebody changed since trueup added them: nothing says what they bind."""
        return tuple(thing.name for thing in self.rules if thing.stands and thing.changed)

    @property
    def theirs(self) -> tuple[str, ...]:
        """Return the names of the rules that are there and were not added by trueup."""
        return tuple(thing.name for thing in self.rules if thing.stands and not thing.ours)

    @property
    def to_validate(self) -> tuple[str, ...]:
        """Return the names of the rules that do not hold for old rows yet."""
        return tuple(thing.name for thing in self.rules if thing.state is State.NOT_VALID)

    @property
    def to_drop(self) -> tuple[str, ...]:
        """Return the names of what `rollback` drops: the rules that trueup added, and what a killed build left."""
        return tuple(thing.name for thing in self.things if thing.ours and not thing.changed and _drops(thing))

    @property
    def stage(self) -> Stage:
        """Return how far the ledger has come."""
        if not self.missing and not self.changed:
            return Stage.APPLIED if self.to_validate else Stage.VALIDATED
        if any(thing.ours and thing.state is not State.MISSING for thing in self.rules):
            return Stage.PARTLY_APPLIED
        if self.last == Phase.ROLLBACK and self.ever_applied:
            return Stage.ROLLED_BACK
        return Stage.SNAPSHOT if self.snapshot is not None else Stage.NOTHING


def _drops(thing: Thing) -> bool:
    if thing.kind is Kind.INDEX:
        return thing.state is State.UNFINISHED
    return thing.state is not State.MISSING


@dataclass(frozen=True, slots=True)
class Leave:
    """Whether a phase may go on now, why not, and what to do instead."""

    allowed: bool
    why: str = ""
    do: str = ""


_YES = Leave(True)


def may(phase: Phase, standing: Standing, *, clean: bool | None = None) -> Leave:
    """Say whether a phase is allowed now; `clean` is what the report says, None where it was not asked."""
    if phase in WRITING and not standing.writable:
        return Leave(
            False,
            f"The ledger is attached read-only ([ledger] state_url is set), and {phase} would write to it.",
            "A snapshot, the report and the status read alone. Remove state_url so that the ledger can be written.",
        )
    if phase is Phase.APPLY and standing.snapshot is None:
        return Leave(
            False,
            "There is no snapshot: nothing would say afterwards how the ledger was before.",
            "Take one: `trueup integrity snapshot`.",
        )
    if phase in (Phase.BACKFILL, Phase.VALIDATE) and standing.missing:
        return Leave(
            False,
            f"`trueup integrity apply` is not complete: {_count(standing)} ({', '.join(standing.missing)}).",
            _first_then(standing),
        )
    if phase is Phase.VALIDATE and standing.changed:
        return Leave(False, _of_changed(standing), "Drop or rename it by hand, then run `trueup integrity apply`.")
    if phase is Phase.VALIDATE and clean is False:
        return Leave(
            False,
            "The report is not clean.",
            "See `trueup integrity report`; each finding names what would resolve it.",
        )
    return _YES


def _of_changed(standing: Standing) -> str:
    several = len(standing.changed) > 1
    return (
        f"{', '.join(standing.changed)} {'were' if several else 'was'} changed since trueup added"
        f" {'them' if several else 'it'}, so that nothing says what {'they bind' if several else 'it binds'}."
    )


def _count(standing: Standing) -> str:
    number = len(standing.missing)
    return f"{number} of {len(standing.things)} rules and indexes {'is' if number == 1 else 'are'} missing"


def _first_then(standing: Standing) -> str:
    first = "`trueup integrity snapshot`, then " if standing.snapshot is None else ""
    return f"Run {first}`trueup integrity apply`; what is there already stays."


def next_step(standing: Standing) -> tuple[str | None, str]:
    """Return the command to run next, None where nothing is left to do, and why."""
    if not standing.writable:
        return "trueup integrity report", "The ledger is attached read-only: it can be looked at, and not changed."
    if standing.cut_short == Phase.ROLLBACK:
        return "trueup integrity rollback", "The last rollback was cut short; this completes it."
    if standing.stage is Stage.VALIDATED:
        return None, _why_nothing(standing)
    if standing.snapshot is None:
        return "trueup integrity snapshot", "There is no baseline yet."
    if standing.missing or standing.changed:
        return "trueup integrity apply", _why_apply(standing)
    return "trueup integrity backfill --dry-run", _AFTER_APPLY


_AFTER_APPLY = (
    "The rules bind new rows. Trade ids can be given now, and histories (`trueup integrity history`); then `trueup"
    " integrity report`, and `trueup integrity validate` once it is clean."
)


def _why_nothing(standing: Standing) -> str:
    if not standing.theirs:
        return "Every rule holds for every row, and every index is there."
    return (
        "Every row keeps every rule, and every index is there. What new rows are held to by"
        f" {', '.join(standing.theirs)} is what that says itself: trueup did not add it."
    )


def _why_apply(standing: Standing) -> str:
    if standing.changed:
        return f"{_of_changed(standing)} Drop or rename it by hand first; this adds trueup's."
    if standing.stage is Stage.ROLLED_BACK:
        return "The rules were taken back; the indexes stay. This brings the rules back."
    again = standing.stage is Stage.PARTLY_APPLIED
    return f"{_count(standing)}: {'this adds the rest' if again else 'the rules do not bind new rows yet'}."
