"""The exchange's own names: drawn from its seed and counters, so that the same calls give the same ids."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal
from uuid import UUID

from trueup.core.times import to_datetime

FIRST_NUMBER = 1_000_000
"""Where the numbers of each symbol begin, so that two symbols share their ids as they do at Binance."""

_HOUR_MS = 3_600_000
_SUNDAY = 6

Ids = Literal["uuid", "per_symbol"]


@dataclass(slots=True)
class Names:
    """Counts and names orders, fills and events; ids are UUIDs, or numbers that are unique per symbol only."""

    seed: int
    ids: Ids
    counters: Counter[str] = field(default_factory=Counter)

    def count(self, what: str) -> int:
        """Return the next number of a kind, from 1."""
        self.counters[what] += 1
        return self.counters[what]

    def uuid(self, *what: object) -> UUID:
        """Return the UUID that belongs to these words."""
        words = ":".join(str(word) for word in (self.seed, *what))
        return UUID(bytes=sha256(words.encode()).digest()[:16], version=4)

    def order(self, symbol: str, number: int) -> str:
        """Return the id of an order."""
        if self.ids == "per_symbol":
            return str(FIRST_NUMBER + self.count(f"order:{symbol}"))
        return str(self.uuid("order", number))

    def activity(self, time_ms: int, *what: object) -> str:
        """Return the id of a fill or an event, which begins with New York's time: YYYYMMDDhhmmssmmm::UUID."""
        moment = to_datetime(eastern_ms(time_ms) // 1000 * 1000)
        return f"{moment:%Y%m%d%H%M%S}{time_ms % 1000:03d}::{self.uuid(*what)}"


def eastern_ms(time_ms: int) -> int:
    """Return what New York's clocks show as if it were UTC: five hours behind, four from March to November.

    Source: the Energy Policy Act of 2005: from 2 a.m. on the second Sunday of March to the first of November.
    """
    moment = to_datetime(time_ms)
    spring = _sunday(moment.year, 3, 8) + timedelta(hours=7)
    autumn = _sunday(moment.year, 11, 1) + timedelta(hours=6)
    return time_ms - (4 if spring <= moment < autumn else 5) * _HOUR_MS


def _sunday(year: int, month: int, day: int) -> datetime:
    """Return the first Sunday from a day on."""
    start = datetime(year, month, day, tzinfo=UTC)
    return start + timedelta(days=(_SUNDAY - start.weekday()) % 7)
