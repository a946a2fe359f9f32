"""How the reconciliation loop is, from the summaries of each profile's newest run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trueup.core.decimals import exactly, plain, read_decimal
from trueup.core.times import read_time
from trueup.ports.figures import mismatches


@dataclass(frozen=True, slots=True)
class Health:
    """What the newest runs found, summed over the profiles; `reasons` say why the loop is not healthy.

    Notionals are in quote currency; `last_run` is the newest end of a run, ISO 8601 with Z.
    """

    reasons: tuple[str, ...]
    mismatches: int
    missing_from_exchange: int
    missing_in_db: int
    last_run: str | None
    parity_mismatch_trades: int
    parity_quarantined_trades: int
    parity_auto_closed_trades: int
    parity_max_notional: Decimal
    parity_total_notional: Decimal
    watchdog: bool

    @property
    def healthy(self) -> bool:
        """Say whether the loop runs and knows what it must."""
        return not self.reasons

    def as_json(self) -> dict[str, object]:
        """Return the document of /internal/health."""
        return {
            "reconciliationLoopHealthy": self.healthy,
            "reconciliationLoopReasons": list(self.reasons),
            "reconciliationMismatchCount": self.mismatches,
            "reconciliationMissingFromExchange": self.missing_from_exchange,
            "reconciliationMissingInDb": self.missing_in_db,
            "reconciliationLastRun": self.last_run,
            "reconciliationParityMismatchTrades": self.parity_mismatch_trades,
            "reconciliationParityQuarantinedTrades": self.parity_quarantined_trades,
            "reconciliationParityAutoClosedTrades": self.parity_auto_closed_trades,
            "reconciliationParityMaxMismatchNotionalUsd": plain(self.parity_max_notional),
            "reconciliationParityTotalMismatchNotionalUsd": plain(self.parity_total_notional),
            "reconciliationIntegrityWatchdogTriggered": self.watchdog,
        }


@exactly
def health_of(newest: Sequence[Mapping[str, Any]], profiles: Iterable[str], now_ms: int, stale_after_ms: int) -> Health:
    """Sum up the newest ended run of each enabled profile; a run that is older than `stale_after_ms` is a reason."""
    totals = [_notional(run, "parity_total_mismatch_notional_usd") for run in newest]
    return Health(
        reasons=tuple(_reasons(newest, profiles, now_ms, stale_after_ms)),
        mismatches=sum(mismatches(run.get("counts") or {}) for run in newest),
        missing_from_exchange=_sum(newest, "missing_from_exchange"),
        missing_in_db=_sum(newest, "missing_in_db"),
        last_run=max((str(run["ended_at"]) for run in newest if run.get("ended_at")), default=None),
        parity_mismatch_trades=_sum(newest, "parity_mismatch_trades"),
        parity_quarantined_trades=_sum(newest, "parity_quarantined_trades"),
        parity_auto_closed_trades=_sum(newest, "parity_auto_closed_trades"),
        parity_max_notional=max(
            (_notional(run, "parity_max_mismatch_notional_usd") for run in newest), default=Decimal(0)
        ),
        parity_total_notional=sum(totals, Decimal(0)),
        watchdog=any(run.get("watchdog_triggered") is True for run in newest),
    )


def _reasons(
    newest: Sequence[Mapping[str, Any]], profiles: Iterable[str], now_ms: int, stale_after_ms: int
) -> Iterable[str]:
    by_profile = {str(run.get("instance_id")): run for run in newest}
    wanted = sorted(profiles)
    found = {
        "no run of it has ended yet": [name for name in wanted if name not in by_profile],
        "its newest run was inconclusive": [
            name for name in wanted if by_profile.get(name, {}).get("status") == "INCONCLUSIVE"
        ],
        f"its newest run ended over {stale_after_ms // 1000} s ago": [
            name for name in wanted if _is_old(by_profile.get(name), now_ms - stale_after_ms)
        ],
    }
    if not wanted:
        yield "there is no enabled profile"
    for what, names in found.items():
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{', '.join(names[:_NAMED])}{more}: {what}"


_NAMED = 5


def _is_old(run: Mapping[str, Any] | None, oldest_ms: int) -> bool:
    return run is not None and bool(run.get("ended_at")) and read_time(run["ended_at"]) < oldest_ms


def _sum(newest: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(int((run.get("counts") or {}).get(name) or 0) for run in newest)


def _notional(run: Mapping[str, Any], name: str) -> Decimal:
    said = run.get(name)
    return read_decimal(str(said)) if said is not None else Decimal(0)
