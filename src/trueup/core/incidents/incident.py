"""One incident: the mismatches of an account from detection to trading restored, as a value.

Only `steps` and `ways` change it; each change says who did what, why, and which runs are its evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from trueup.core.incidents.classes import BreakFacts, Verdict
from trueup.core.modes import Mode


class Step(StrEnum):
    """The steps of an incident, in their order."""

    DETECTED = "detected"
    CONTAINED = "contained"
    CLASSIFIED = "classified"
    REPAIRING = "repairing"
    CONFIRMING = "confirming"
    CANARY = "canary"
    RESTORED = "restored"

    @property
    def rank(self) -> int:
        """Return the place in the order."""
        return list(Step).index(self)


@dataclass(frozen=True, slots=True)
class Contained:
    """A mode that the incident put in force: where, what was before it, and the number of the change.

    `before` is what somebody else put in force there: what the incident itself had there before is none of it.
    `seq` is 0 where no change was recorded: incidents were only observed, or the scope was as strict already.
    """

    scope: str
    mode: Mode
    before: Mode
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a canary: who may trade what, up to which exposure (quote currency), for how long (ms)."""

    profile_id: str
    symbols: tuple[str, ...] | None
    limit: Decimal
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The way back to trading: its stages, and who proposed it."""

    stages: tuple[Stage, ...]
    proposed_by: str
    proposed_ms: int


@dataclass(frozen=True, slots=True)
class Running:
    """The canary that runs: which stage, since when and until when (epoch ms), and its clean runs so far.

    `passed` says that it has everything but the sign-off of the next step.
    """

    canary_id: str
    stage: int
    since_ms: int
    until_ms: int
    clean_runs: int = 0
    exposure: Decimal = Decimal(0)
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its table has it; times in epoch milliseconds, notional in quote currency.

    `runs` counts the runs that saw a mismatch, `returns` how often it came back after a repair. `notionals` are what
    was at stake in the newest runs, None where it is not known. `clean_runs` and `clean_since_ms` count while it is
    confirmed. `run_ids` are the newest runs that are its evidence, `as_of_ms` is the newest
    reading of the venue that it saw: a look at an older one confirms nothing.
    """

    incident_id: str
    account: str
    scope: str
    step: Step
    opened_ms: int
    opened_by: str = ""
    breaks: Mapping[str, BreakFacts] = field(default_factory=dict)
    verdict: Verdict | None = None
    contained: tuple[Contained, ...] = ()
    runs: int = 0
    returns: int = 0
    notionals: tuple[Decimal | None, ...] = ()
    clean_runs: int = 0
    clean_since_ms: int | None = None
    plan: Plan | None = None
    running: Running | None = None
    stages_done: int = 0
    run_ids: tuple[str, ...] = ()
    untrusted: str = ""
    as_of_ms: int = 0
    closed_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Say whether it is open."""
        return self.closed_ms is None

    @property
    def lifts(self) -> dict[str, int]:
        """Return the scopes that a canary lifts, each with the change that it knows: nothing else stands below."""
        newest = {item.scope: item for item in self.contained if item.seq}
        return {scope: item.seq for scope, item in newest.items() if item.before is Mode.NORMAL}

    @property
    def beneath(self) -> dict[str, Mode]:
        """Return by scope what others had put in force where the incident is stricter now."""
        newest = {item.scope: item for item in self.contained if item.seq}
        return {scope: item.before for scope, item in newest.items() if item.before is not Mode.NORMAL}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident's story: the step it belongs to, what happened, who did it and why.

    `signs` says that it is a sign-off.
    """

    step: Step
    what: str
    actor: str
    reason: str
    run_ids: tuple[str, ...] = ()
    signs: bool = False


@dataclass(frozen=True, slots=True)
class Tighten:
    """Put a mode in force at a scope unless one as strict is; the incident remembers what it did."""

    scope: str
    mode: Mode
    why: str


@dataclass(frozen=True, slots=True)
class StartCanary:
    """Let a stage trade; what is at risk in it already has every order that was granted up to `covered_ms`."""

    stage: Stage
    running: Running
    covered_ms: int


@dataclass(frozen=True, slots=True)
class MeasureCanary:
    """Keep what is at risk in the canary as the last run measured it: grants made since `covered_ms` come on top."""

    canary_id: str
    exposure: Decimal
    covered_ms: int


@dataclass(frozen=True, slots=True)
class EndCanary:
    """Let the canary trade no more: what it lifted is in force again at once."""

    canary_id: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Loosen:
    """Give the scopes that the incident contained back what was in force before; those changed since stay."""

    contained: tuple[Contained, ...]
    why: str


Act = Tighten | StartCanary | MeasureCanary | EndCanary | Loosen


@dataclass(frozen=True, slots=True)
class Move:
    """What an event makes of an incident: the incident as it is then, its story's new lines, and what is done."""

    incident: Incident
    entries: tuple[Entry, ...] = ()
    acts: tuple[Act, ...] = ()
