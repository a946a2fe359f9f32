"""The settings that a reconciliation depends on."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ReconcilePolicy:
    """The rules' settings: times in milliseconds, ratios as shares of one.

    `settle_ms` is how old an order must be before its absence means anything, `missing_confirmations` how many misses
    cancel it. `max_notional_ratio` is the mismatch, as a share of the allocated capital, beyond which a profile is
    paused. `price_tolerance` is how far a booked price may be from the venue's before it is a break.
    """

    settle_ms: int = 30_000
    missing_confirmations: int = 3
    parity: bool = True
    parity_confirmations: int = 3
    parity_needs_tag: bool = True
    parity_dry_run: bool = False
    max_notional_ratio: Decimal = Decimal("0.5")
    auto_resume: bool = True
    min_pause_ms: int = 900_000
    clean_cycles: int = 2
    cooldown_ms: int = 1_800_000
    alert_throttle_ms: int = 300_000
    price_tolerance: Decimal = Decimal("0.005")
