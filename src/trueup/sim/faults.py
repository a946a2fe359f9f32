"""What can go wrong between a venue and its client: named faults, drawn by a seed or given as a list, and logged.

A plan decides by the number of the request alone, so the same seed and the same requests give the same faults; what
it did stands in its log, and the log can be played again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Any


class FaultKind(StrEnum):
    """Each fault by its name."""

    LATENCY = "latency"
    FILLS_LAG = "fills_lag"
    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    TRUNCATED_PAGE = "truncated_page"
    REPEATED_PAGE = "repeated_page"
    STALE_SNAPSHOT = "stale_snapshot"
    THROTTLE_429 = "throttle_429"
    THROTTLE_429_SILENT = "throttle_429_silent"
    HTML_5XX = "html_5xx"
    JSON_5XX = "json_5xx"
    HTML_200 = "html_200"
    EMPTY_200 = "empty_200"
    NULL_200 = "null_200"
    OBJECT_200 = "object_200"
    RESET = "reset"
    TIMEOUT_AFTER_ACCEPTANCE = "timeout_after_acceptance"
    CLOCK_SKEW = "clock_skew"
    REVOKED_KEY = "revoked_key"
    UNKNOWN_ENUM = "unknown_enum"
    UNKNOWN_FIELD = "unknown_field"
    MAINTENANCE = "maintenance"
    FORGETFUL = "forgetful"


@dataclass(frozen=True, slots=True)
class Note:
    """Whether a client can notice a fault from what it is sent, and how; `harmless` ones change no fact."""

    noticeable: bool
    how: str
    harmless: bool = False


_BY_STATUS = "the status of the answer is an error"
_BY_SHAPE = "the answer is not of the kind that was asked for"

NOTES: Mapping[FaultKind, Note] = MappingProxyType(
    {
        FaultKind.LATENCY: Note(True, "the answer is late", harmless=True),
        FaultKind.FILLS_LAG: Note(True, "the orders say that more has filled than the fills add up to"),
        FaultKind.DROP: Note(
            False, "a missing order leaves no trace; a missing fill shows only against the order's filled quantity"
        ),
        FaultKind.DUPLICATE: Note(True, "two rows have the same id and say the same", harmless=True),
        FaultKind.REORDER: Note(True, "rows are not in the order that was asked for", harmless=True),
        FaultKind.TRUNCATED_PAGE: Note(
            False, "a page that is too short looks like the last one, unless the next is asked for all the same"
        ),
        FaultKind.REPEATED_PAGE: Note(
            False,
            "a page brings no id that was not there before; but an earlier answer to another question, where that was"
            " empty, looks like any other that is empty",
        ),
        FaultKind.STALE_SNAPSHOT: Note(
            False, "an earlier answer was once true; it shows only against a feed that is newer"
        ),
        FaultKind.THROTTLE_429: Note(True, f"{_BY_STATUS}, with a Retry-After"),
        FaultKind.THROTTLE_429_SILENT: Note(True, f"{_BY_STATUS}, without a word on when to come back"),
        FaultKind.HTML_5XX: Note(True, _BY_STATUS),
        FaultKind.JSON_5XX: Note(True, _BY_STATUS),
        FaultKind.HTML_200: Note(True, _BY_SHAPE),
        FaultKind.EMPTY_200: Note(True, _BY_SHAPE),
        FaultKind.NULL_200: Note(True, _BY_SHAPE),
        FaultKind.OBJECT_200: Note(True, f"{_BY_SHAPE}: an object without the fields that it must have"),
        FaultKind.RESET: Note(True, "the answer is shorter than it says"),
        FaultKind.TIMEOUT_AFTER_ACCEPTANCE: Note(True, "no answer in time: what was asked may have been done"),
        FaultKind.CLOCK_SKEW: Note(True, "the venue's time differs from one's own; Binance refuses with -1021"),
        FaultKind.REVOKED_KEY: Note(True, _BY_STATUS),
        FaultKind.UNKNOWN_ENUM: Note(True, "a value that the client does not know"),
        FaultKind.UNKNOWN_FIELD: Note(True, "a field that the client does not know", harmless=True),
        FaultKind.MAINTENANCE: Note(True, _BY_STATUS),
        FaultKind.FORGETFUL: Note(
            False, "old rows are gone without a word: what is older than the venue's memory is unknown"
        ),
    }
)  # fmt: skip
"""What a client can do about each fault."""

HONEST = frozenset(kind for kind, note in NOTES.items() if note.noticeable)
"""The faults that a client can notice: after these it may be told less, but never something false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a fixed list: it strikes the request of that number, or those whose path holds `path`.

    `skip` is how many of these it lets pass first, `times` how often it strikes at most. `ms` is a delay, a lag, an age
    or a skew of the clock; `retry_after` in seconds.
    """

    kind: FaultKind | str
    at_request: int | None = None
    path: str = ""
    method: str | None = None
    skip: int = 0
    times: int | None = None
    ms: int | None = None
    retry_after: int = 1

    @property
    def name(self) -> FaultKind:
        """Return the kind; ValueError where there is none of that name."""
        return FaultKind(self.kind)

    def concerns(self, number: int, method: str, path: str) -> bool:
        """Say whether it may strike a request."""
        return (
            self.at_request in (None, number) and self.path in path and (self.method is None or self.method == method)
        )

    def delay(self, default_ms: int) -> int:
        """Return its milliseconds, or the kind's own."""
        return default_ms if self.ms is None else self.ms


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that struck: the number of the request, what it asked, and what was done to the answer."""

    number: int
    fault: Fault
    method: str
    path: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.fault.name} {self.method} {self.path} {self.what}".rstrip()


@dataclass(slots=True)
class FaultPlan:
    """Faults by their rates (ratios of requests) and a seed, or as a fixed list; the list goes first.

    `only` leaves all other paths alone. `enabled` may be turned off and on. ValueError where a kind is unknown.
    """

    seed: int = 0
    rates: Mapping[str, Decimal | str | float] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    only: str = ""
    enabled: bool = True
    log: list[Injected] = field(default_factory=list)
    requests: int = 0
    _passed: Counter[int] = field(default_factory=Counter, repr=False)

    def __post_init__(self) -> None:
        for name in (*self.rates, *(fault.kind for fault in self.faults)):
            FaultKind(name)

    def next(self, method: str, path: str) -> tuple[int, Fault | None]:
        """Count a request, and say which fault strikes it, if any."""
        self.requests += 1
        number = self.requests
        if not self.enabled or self.only not in path:
            return number, None
        for fault in self.faults:
            if fault.concerns(number, method, path) and not self._spent(fault) and not self._passes(fault):
                return number, fault
        return number, self._drawn(number)

    def _spent(self, fault: Fault) -> bool:
        struck = sum(1 for entry in self.log if entry.fault is fault)
        return fault.times is not None and struck >= fault.times

    def _passes(self, fault: Fault) -> bool:
        self._passed[id(fault)] += 1
        return self._passed[id(fault)] <= fault.skip

    def _drawn(self, number: int) -> Fault | None:
        draw = Decimal(str(self.chance(number).random()))
        for name, rate in self.rates.items():
            draw -= Decimal(str(rate))
            if draw < 0:
                return Fault(kind=FaultKind(name), at_request=number)
        return None

    def chance(self, number: int) -> Random:
        """Return the chance that belongs to one request."""
        return Random(f"{self.seed}:{number}")  # noqa: S311  # a seeded choice, not a secret

    def again(self) -> "FaultPlan":
        """Return a plan that does once more what this one did, to the same requests."""
        struck = [replace(entry.fault, at_request=entry.number, path="", skip=0, times=None) for entry in self.log]
        return FaultPlan(seed=self.seed, faults=struck, only=self.only)

    def wrap(self, app: Any) -> Any:
        """Return an ASGI application that answers as the given one does, but for the faults."""
        from trueup.sim.wire.faulty import Faulty

        return Faulty(app, self)
