"""The flags of the reconciliation loop."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from trueup.core.reconcile.policy import ReconcilePolicy
from trueup.settings.model import ReconcileSettings
from trueup.settings.rows import DAY_MS, SECOND_MS, Row, Section
from trueup.settings.values import SWITCH, Rule, integer_between, milliseconds, number_between, seconds_between

_CONFIRMATIONS = Rule(integer_between(1, 100), "a whole number from 1 to 100")
_PAUSE_MS = Rule(integer_between(0, 7 * DAY_MS), "whole milliseconds from 0 to 604800000 (7 days)")

ROWS = (
    Row(
        "RECON_INTERVAL_SECONDS", "interval_s", "30",
        Rule(seconds_between("0.1", 86_400), "seconds from 0.1 to 86400"),
        "How often each account is due.",
    ),
    Row(
        "RECON_FULL_CHECK_SECONDS", "full_check_s", "3600",
        Rule(seconds_between("1", 2_592_000), "seconds from 1 to 2592000 (30 days)"),
        "How often a run reads everything anew and proves that what it kept between runs is the same.",
    ),
    Row(
        "RECON_WORKER_BATCH", "worker_batch", "8",
        Rule(integer_between(1, 1000), "a whole number from 1 to 1000"),
        "How many due accounts a worker takes at once.",
    ),
    Row(
        "RECON_LEASE_CONTENTION_ALERT", "contention_alert", "10",
        Rule(integer_between(1, 100_000), "a whole number from 1 to 100000"),
        "After so many refusals in a row an account's lease is an alert.",
    ),
    Row(
        "RECON_RUNS_KEPT_DAYS", "runs_kept_days", "30",
        Rule(integer_between(1, 3650), "whole days from 1 to 3650"),
        "For how long ended runs and sent alerts are kept; breaks, modes and the audit stay.",
    ),
    Row(
        "RECON_SETTLE_WINDOW_SECONDS", "settle_ms", "30",
        Rule(milliseconds(SECOND_MS, 0, 86_400), "seconds from 0 to 86400"),
        "How old an order must be before its absence at the venue means anything.", SECOND_MS,
    ),
    Row(
        "RECON_MISSING_CONFIRMATIONS", "missing_confirmations", "3", _CONFIRMATIONS,
        "How many runs must miss an order, each on a newer snapshot, before it is canceled.",
    ),
    Row(
        "ENABLE_RECON_POSITION_PARITY_HEARTBEAT", "parity", "true", SWITCH,
        "Compares open trades with the venue's positions in every run, and closes confirmed ghosts.",
    ),
    Row(
        "RECON_POSITION_PARITY_CONFIRMATIONS", "parity_confirmations", "3", _CONFIRMATIONS,
        "How many runs must find a trade's symbol flat, each on a newer snapshot, before the trade is closed.",
    ),
    Row(
        "RECON_POSITION_PARITY_REQUIRE_SUBTAG_ATTRIBUTION", "parity_needs_tag", "true", SWITCH,
        "Closes only trades whose entry carries the profile's tag; others are quarantined.",
    ),
    Row(
        "RECON_POSITION_PARITY_MAX_NOTIONAL_PCT", "max_notional_ratio", "0.5",
        Rule(number_between(0, 1), "a ratio from 0 to 1 (0.5 is half of the allocated capital)"),
        "A mismatch beyond this share of its allocated capital pauses the profile.",
    ),
    Row(
        "RECON_POSITION_PARITY_DRY_RUN", "parity_dry_run", "false", SWITCH,
        "Counts confirmations and says what would be closed, and closes nothing.",
    ),
    Row(
        "ENABLE_RECON_WATCHDOG_AUTO_RESUME", "auto_resume", "true", SWITCH,
        "Lets trading come back by itself after a pause that the watchdog made, and after no other.",
    ),
    Row(
        "RECON_WATCHDOG_AUTO_RESUME_MIN_PAUSE_MS", "min_pause_ms", "900000", _PAUSE_MS,
        "How long such a pause lasts at least.",
    ),
    Row(
        "RECON_WATCHDOG_AUTO_RESUME_CLEAN_CYCLES", "clean_cycles", "2",
        Rule(integer_between(1, 1000), "a whole number from 1 to 1000"),
        "How many runs in a row must be clean before such a pause ends.",
    ),
    Row(
        "RECON_WATCHDOG_AUTO_RESUME_COOLDOWN_MS", "cooldown_ms", "1800000", _PAUSE_MS,
        "How long after it came back by itself trading does not come back by itself again.",
    ),
    Row(
        "EXCHANGE_STATE_MISMATCH_THROTTLE_MS", "alert_throttle_ms", "300000",
        Rule(integer_between(0, DAY_MS), "whole milliseconds from 0 to 86400000 (1 day)"),
        "The same mismatch alerts once in this time.",
    ),
)  # fmt: skip

_POLICY = frozenset(field.name for field in fields(ReconcilePolicy))


def _made(values: Mapping[str, Any]) -> ReconcileSettings:
    policy = ReconcilePolicy(**{name: value for name, value in values.items() if name in _POLICY})
    return ReconcileSettings(policy=policy, **{name: value for name, value in values.items() if name not in _POLICY})


RECONCILE: Section[ReconcileSettings] = Section("reconcile", ROWS, _made)
