"""A table of flags: each row is one flag as it is read, told and documented."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trueup.settings.values import Rule

SECOND_MS = 1000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Row:
    """One flag: the field that it sets, its default as text, what is allowed, and what it does in one sentence.

    `unit_ms` is what one of it counts, where the field is in milliseconds and the flag is not.
    """

    name: str
    field: str
    default: str
    rule: Rule[Any]
    meaning: str
    unit_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Section(Generic[S]):
    """The flags of one table of trueup.toml, and what their values make."""

    table: str
    rows: tuple[Row, ...]
    made: Callable[[Mapping[str, Any]], S]
