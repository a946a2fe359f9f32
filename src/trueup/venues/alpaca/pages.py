"""Pages of a list that goes back from now: what was read of it, and since when that is all there is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trueup.core.times import read_time
from trueup.venues.rows.fields import Row

_CAPS = frozenset({50, 100, 200, 250})
"""A page that is shorter than asked for may still be a full one, where the venue gives fewer rows at once than it
says: these are the lengths at which it would cut."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows that were read, newest first; all there are from `since_ms` on, None is the beginning.

    `why` says why it reaches no further back than that; `failed` that nothing could be read at all.
    """

    rows: list[Row] = field(default_factory=list)
    since_ms: int | None = None
    why: str = ""
    failed: bool = False


class Once:
    """Rows, each once: by id, and those without one by their content."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._seen: set[str] = set()

    def add(self, rows: Iterable[Row]) -> int:
        """Add rows, and return how many of them were new."""
        before = len(self.rows)
        for row in rows:
            key = id_of(row) or repr(sorted(row.items(), key=lambda item: item[0]))
            if key not in self._seen:
                self._seen.add(key)
                self.rows.append(row)
        return len(self.rows) - before


def id_of(row: Row) -> str | None:
    """Return a row's id, None where it has none that can be read."""
    value = row.get("id")
    return value if isinstance(value, str) and value.strip() else None


def is_last(rows: list[Row], limit: int) -> bool:
    """Say whether a page is the last one: shorter than asked for, and of no length at which a venue might cut."""
    return len(rows) < limit and len(rows) not in _CAPS


def time_of(row: Mapping[str, object], name: str) -> int | None:
    """Return a time of a row in epoch milliseconds, None where it cannot be read."""
    value = row.get(name)
    try:
        return read_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
