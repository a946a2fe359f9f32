"""Prometheus metrics: computed from the database when they are asked for, so that every process tells the same.

The table METRICS is what exists; the page docs/operations.md is printed from it. Labels are profiles, accounts, feeds,
kinds and states: never an id of an order, a trade, a break or a run.
"""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueup import __version__
from trueup.core.errors import TrueupError
from trueup.ports.figures import DURATION_BUCKETS_MS, Measured, RunFigures
from trueup.service.app import App
from trueup.service.figures import Standing, standing

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name as it is served, counter, gauge or histogram, its labels, and what it is."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


_RUN = ("profile_id", "account")
_BREAK = ("account", "profile_id", "kind", "state")

METRICS = (
    Metric(
        "reconciliation_mismatch_total", "counter", _RUN,
        "Breaks that runs found and nobody acknowledged: each run adds all that it saw.",
    ),
    Metric(
        "reconciliation_missing_from_exchange_total", "counter", _RUN,
        "Orders of the ledger that runs did not find at the venue; each run adds all that it missed.",
    ),
    Metric(
        "reconciliation_missing_in_db_total", "counter", _RUN,
        "Orders of the venue that runs did not find in the ledger; each run adds all that it missed.",
    ),
    Metric("trueup_runs_total", "counter", (*_RUN, "status"), "Runs that ended OK, MISMATCH or INCONCLUSIVE."),
    Metric("trueup_cycles_total", "counter", ("account",), "Readings of an account that all its profiles were run on."),
    Metric("trueup_run_duration_seconds", "histogram", (), "How long runs took, over all profiles."),
    Metric("trueup_last_run_duration_seconds", "gauge", _RUN, "How long the newest run took."),
    Metric("trueup_last_run_mismatches", "gauge", _RUN, "Breaks that the newest run found and nobody acknowledged."),
    Metric("trueup_last_run_status", "gauge", (*_RUN, "status"), "1 for the status of the newest run."),
    Metric("trueup_seconds_since_last_run", "gauge", _RUN, "Age of the newest run that ended, of enabled profiles."),
    Metric("trueup_profiles_without_run", "gauge", (), "Enabled profiles of which no run has ended yet."),
    Metric("trueup_runs_pending", "gauge", (), "Runs that began and have not ended."),
    Metric("trueup_run_pending_oldest_seconds", "gauge", (), "Age of the oldest of them, 0 where there is none."),
    Metric(
        "trueup_feed_coverage", "gauge", ("account", "feed"),
        "How much of a feed the newest cycle read: 1 all, 0.5 part, 0 nothing.",
    ),
    Metric(
        "trueup_venue_reading_age_seconds", "gauge", ("account",),
        "Age of what the newest cycle read of the venue: an export that nobody renews grows old.",
    ),
    Metric("trueup_breaks", "gauge", _BREAK, "Breaks that are not over."),
    Metric("trueup_break_oldest_age_seconds", "gauge", _BREAK, "Age of the oldest of them."),
    Metric("trueup_breaks_notional_usd", "gauge", _BREAK, "What they are worth, in quote currency."),
    Metric("trueup_heals_total", "counter", (*_RUN, "rule"), "Heals by the rule of the decision table, no dry runs."),
    Metric("trueup_audit_decisions_total", "counter", ("profile_id", "decision"), "Rows of the audit by decision."),
    Metric("trueup_parity_closed_total", "counter", _RUN, "Confirmed ghosts that were closed, no dry runs."),
    Metric("trueup_parity_mismatch_trades", "gauge", _RUN, "Trades that parity found open without a position."),
    Metric("trueup_parity_quarantined_trades", "gauge", _RUN, "Trades that parity withheld from repair."),
    Metric("trueup_parity_auto_closed_trades", "gauge", _RUN, "Trades that parity closed in the newest run."),
    Metric("trueup_parity_mismatch_notional_usd", "gauge", _RUN, "The newest run's mismatch, in quote currency."),
    Metric("trueup_parity_mismatch_notional_max_usd", "gauge", _RUN, "The largest single mismatch of the newest run."),
    Metric("trueup_watchdog_triggered", "gauge", _RUN, "1 where the newest run's mismatch was too large to trade on."),
    Metric("trueup_exchange_equity_usd", "gauge", _RUN, "Equity as the venue has it."),
    Metric("trueup_internal_equity_usd", "gauge", _RUN, "Equity as the ledger has it."),
    Metric("trueup_equity_difference_usd", "gauge", _RUN, "The venue's equity less the ledger's."),
    Metric("trueup_equity_unexplained_usd", "gauge", _RUN, "The part of the difference that nothing explains."),
    Metric(
        "trueup_mode", "gauge", ("scope",),
        "The mode set for a scope: 0 NORMAL, 1 CLOSE_ONLY, 2 SAFE_MODE, 3 FLATTEN, 4 HALT.",
    ),
    Metric("trueup_effective_mode", "gauge", _RUN, "The mode that holds for an enabled profile, dead-man included."),
    Metric("trueup_lease_refusals_total", "counter", ("scope",), "How often a lease was held by another run."),
    Metric("trueup_lease_fenced_out_total", "counter", ("scope",), "Writes that were refused after a lost lease."),
    Metric("trueup_heartbeat_age_seconds", "gauge", ("scope",), "Age of the newest heartbeat of the reconciliation."),
    Metric("trueup_heartbeat_healthy", "gauge", ("scope",), "1 where the newest heartbeat said that all is well."),
    Metric("trueup_venue_calls_total", "counter", ("account",), "Calls to the venue."),
    Metric("trueup_venue_errors_total", "counter", ("account", "kind"), "Calls without an answer to rely on."),
    Metric("trueup_alerts_pending", "gauge", ("severity",), "Alerts that are not delivered yet."),
    Metric("trueup_alerts_failing", "gauge", ("severity",), "Of these, the ones that a target did not take."),
    Metric("trueup_alert_oldest_pending_seconds", "gauge", ("severity",), "Age of the oldest that is not delivered."),
    Metric("trueup_database_up", "gauge", (), "1 where the database answered; without it nothing else is known."),
    Metric("trueup_build_info", "gauge", ("version", "python"), "Always 1; the labels say what runs."),
)  # fmt: skip
"""Every metric, in the order of the documentation."""

Sample = tuple[str, tuple[str, ...], float]
_COVERED = {"complete": 1.0, "partial": 0.5}
_FROM_LAST = {
    "trueup_last_run_mismatches": "mismatches",
    "trueup_parity_mismatch_trades": "parity_mismatch_trades",
    "trueup_parity_quarantined_trades": "parity_quarantined_trades",
    "trueup_parity_auto_closed_trades": "parity_auto_closed_trades",
    "trueup_parity_mismatch_notional_usd": "parity_total_mismatch_notional_usd",
    "trueup_parity_mismatch_notional_max_usd": "parity_max_mismatch_notional_usd",
    "trueup_watchdog_triggered": "watchdog_triggered",
    "trueup_exchange_equity_usd": "exchange_equity",
    "trueup_internal_equity_usd": "internal_equity",
    "trueup_equity_difference_usd": "difference",
    "trueup_equity_unexplained_usd": "unexplained",
}


def render(app: App) -> tuple[bytes, str]:
    """Return all metrics as Prometheus reads them, and their content type; it may be called from any thread."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    found = list(samples(app))

    class Once:
        """Hands out what was found, once."""

        def collect(self) -> "Iterable[Family]":
            return families(found)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def samples(app: App) -> Iterator[Sample]:
    """Yield name, labels and value of everything that is measured now."""
    yield "trueup_build_info", (__version__, platform.python_version()), 1.0
    try:
        found = standing(app)
    except TrueupError:
        yield "trueup_database_up", (), 0.0
        return
    yield "trueup_database_up", (), 1.0
    for part in (_runs, _waiting, _accounts, _breaks, _posture, _alerts):
        yield from part(found)


def families(found: Sequence[Sample]) -> "Iterator[Family]":
    """Yield the metrics that have a value, in the order of the table."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    by_name: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    for name, labels, value in found:
        by_name.setdefault(name, []).append((labels, value))
    for metric in METRICS:
        mine = by_name.get(metric.name, [])
        if not mine:
            continue
        family: Any
        if metric.kind == "histogram":
            *buckets, (_, total) = mine
            family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            family.add_metric((), [(labels[0], value) for labels, value in buckets], total)
        else:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.meaning, labels=metric.labels)
            for labels, value in mine:
                family.add_metric(labels, value)
        yield family


def _runs(found: Standing) -> Iterator[Sample]:
    yield from _durations(found.measured)
    for run in found.measured.runs:
        mine = (run.profile_id, run.account)
        yield "reconciliation_mismatch_total", mine, run.counts.get("mismatch", 0)
        yield "reconciliation_missing_from_exchange_total", mine, run.counts.get("missing_from_exchange", 0)
        yield "reconciliation_missing_in_db_total", mine, run.counts.get("missing_in_db", 0)
        yield "trueup_parity_closed_total", mine, run.counts.get("parity_auto_closed", 0)
        for status, number in sorted(run.runs.items()):
            yield "trueup_runs_total", (*mine, status), number
        for rule, number in sorted(run.heals.items()):
            yield "trueup_heals_total", (*mine, rule), number
        if run.profile_id in found.profiles:
            yield from _newest(run, found.now_ms)
    for (profile, decision), number in sorted(found.measured.decisions.items()):
        yield "trueup_audit_decisions_total", (profile, decision), number


def _newest(run: RunFigures, now_ms: int) -> Iterator[Sample]:
    mine = (run.profile_id, run.account)
    yield "trueup_seconds_since_last_run", mine, max(now_ms - run.ended_ms, 0) / 1000
    yield "trueup_last_run_status", (*mine, str(run.last.get("status"))), 1.0
    yield "trueup_last_run_duration_seconds", mine, _number(run.last.get("duration_ms") or 0) / 1000
    for name, source in _FROM_LAST.items():
        value = run.last.get(source)
        if value is not None:
            yield name, mine, _number(value)


def _durations(measured: Measured) -> Iterator[Sample]:
    """Yield the cumulated buckets of all runs, and what they took together."""
    cumulated = 0
    ends = [*(str(end / 1000) for end in DURATION_BUCKETS_MS), "+Inf"]
    for place, end in enumerate(ends):
        cumulated += sum(run.buckets[place] for run in measured.runs if run.buckets)
        yield "trueup_run_duration_seconds", (end,), float(cumulated)
    yield "trueup_run_duration_seconds", ("sum",), sum(run.duration_ms for run in measured.runs) / 1000


def _waiting(found: Standing) -> Iterator[Sample]:
    ran = {run.profile_id for run in found.measured.runs if run.ended_ms}
    pending = found.measured.pending
    yield "trueup_profiles_without_run", (), float(len(found.profiles.keys() - ran))
    yield "trueup_runs_pending", (), float(pending.number)
    yield "trueup_run_pending_oldest_seconds", (), _age(pending.oldest_ms, found.now_ms) if pending.number else 0.0


def _accounts(found: Standing) -> Iterator[Sample]:
    for account in found.measured.accounts:
        name = account.account
        yield "trueup_cycles_total", (name,), account.cycles
        yield "trueup_venue_calls_total", (name,), account.venue.calls
        for kind, number in sorted(account.venue.errors.items()):
            yield "trueup_venue_errors_total", (name, kind), number
        for feed, state in sorted(account.coverage.items()):
            yield "trueup_feed_coverage", (name, feed), _COVERED.get(state, 0.0)
        if account.as_of_ms is not None:
            yield "trueup_venue_reading_age_seconds", (name,), _age(account.as_of_ms, found.now_ms)


def _breaks(found: Standing) -> Iterator[Sample]:
    for some in found.measured.breaks:
        mine = (some.account, some.profile_id, some.kind, some.state)
        yield "trueup_breaks", mine, float(some.number)
        yield "trueup_break_oldest_age_seconds", mine, _age(some.oldest_ms, found.now_ms)
        yield "trueup_breaks_notional_usd", mine, some.notional


def _posture(found: Standing) -> Iterator[Sample]:
    for scope, mode in sorted(found.modes.items()):
        yield "trueup_mode", (scope,), float(mode)
    for profile, account in sorted(found.profiles.items()):
        yield "trueup_effective_mode", (profile, account), float(found.mode_of(profile))
    for lease in found.measured.leases:
        yield "trueup_lease_refusals_total", (lease.scope,), lease.contended
        yield "trueup_lease_fenced_out_total", (lease.scope,), lease.fenced_out
    for beat in found.measured.heartbeats:
        yield "trueup_heartbeat_age_seconds", (beat.scope,), _age(beat.beat_ms, found.now_ms)
        yield "trueup_heartbeat_healthy", (beat.scope,), float(beat.healthy)


def _alerts(found: Standing) -> Iterator[Sample]:
    for severity, waiting in sorted(found.measured.alerts.items()):
        yield "trueup_alerts_pending", (severity,), float(waiting.number)
        yield "trueup_alerts_failing", (severity,), float(waiting.failing)
        yield "trueup_alert_oldest_pending_seconds", (severity,), _age(waiting.oldest_ms, found.now_ms)


def _age(since_ms: int, now_ms: int) -> float:
    return max(now_ms - since_ms, 0) / 1000


def _number(value: object) -> float:
    """Return what a summary says as Prometheus counts: a decimal as text, a number, or a yes or no."""
    return float(value) if isinstance(value, (bool, int, float, str)) else 0.0
