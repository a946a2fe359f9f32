"""The settings that a backfill decision depends on."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Flatness(StrEnum):
    """What a trade may be booked for while the venue still holds something of its symbol."""

    FLAT = "flat"
    EXPLAINED = "explained"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class BackfillPolicy:
    """The rules' settings: quantities in base units, `dust_rel` a ratio, times in milliseconds."""

    dust_abs: Decimal = Decimal("0.001")
    dust_rel: Decimal = Decimal("0.002")
    lookback_ms: int = 72 * 3_600_000
    grace_ms: int = 5 * 60_000
    strong_attribution: bool = True
    heuristic_match: bool = False
    flatness: Flatness = Flatness.FLAT
    tag_prefix: str = "bytelyst"

    def dust_threshold(self, open_qty: Decimal) -> Decimal:
        """Return the size up to which a remainder of an open quantity is dust."""
        return max(self.dust_abs, open_qty * self.dust_rel)
