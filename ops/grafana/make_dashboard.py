"""Write the Grafana dashboard trueup.json from the panels below; with --check, say whether it is current.

Import it in Grafana, or lay it where Grafana provisions dashboards from; it asks for the Prometheus data source.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent / "trueup.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
HERE = '{profile_id=~"$profile",account=~"$account"}'
OF_ACCOUNT = '{account=~"$account"}'
"""What {here} and {there} stand for in the queries: the profiles and the accounts that are chosen."""

WIDTH = 24


class Panel(NamedTuple):
    """One panel: its title, its queries by their legends, how wide and of which kind it is, and its unit."""

    title: str
    queries: Mapping[str, str]
    width: int = 12
    kind: str = "timeseries"
    unit: str = "short"
    about: str = ""


ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        Panel("Breaks that are not over", {"": "sum(trueup_breaks{here}) or vector(0)"}, width=4, kind="stat"),
        Panel("Profiles paused", {"": "count(trueup_effective_mode{here} >= 2) or vector(0)"}, width=4, kind="stat"),
        Panel(
            "Longest without a run", {"": "max(trueup_seconds_since_last_run{here})"}, width=4, kind="stat", unit="s"
        ),
        Panel("Heartbeat", {"": "max(trueup_heartbeat_age_seconds)"}, width=4, kind="stat", unit="s"),
        Panel("Alerts not delivered", {"": "sum(trueup_alerts_pending) or vector(0)"}, width=4, kind="stat"),
        Panel("Never reconciled", {"": "trueup_profiles_without_run"}, width=4, kind="stat"),
    ),
    "The books": (
        Panel("Breaks by kind and state", {"{{kind}} {{state}}": "sum by (kind, state) (trueup_breaks{here})"}),
        Panel("Oldest break", {"{{kind}}": "max by (kind) (trueup_break_oldest_age_seconds{here})"}, unit="s"),
        Panel(
            "Mismatches found a minute",
            {
                "all": "sum(rate(reconciliation_mismatch_total{here}[5m])) * 60",
                "missing at the venue": "sum(rate(reconciliation_missing_from_exchange_total{here}[5m])) * 60",
                "missing in the ledger": "sum(rate(reconciliation_missing_in_db_total{here}[5m])) * 60",
            },
            about="Each run adds all that it saw, so that a break that stays counts in every run.",
        ),
        Panel("Worth of breaks", {"{{kind}}": "sum by (kind) (trueup_breaks_notional_usd{here})"}, unit="currencyUSD"),
        Panel(
            "Equity: venue less ledger",
            {
                "{{profile_id}}": "trueup_equity_difference_usd{here}",
                "{{profile_id}} unexplained": "trueup_equity_unexplained_usd{here}",
            },
            unit="currencyUSD",
        ),
        Panel(
            "Equity",
            {
                "{{profile_id}} at the venue": "trueup_exchange_equity_usd{here}",
                "{{profile_id}} in the ledger": "trueup_internal_equity_usd{here}",
            },
            unit="currencyUSD",
        ),
    ),
    "Repairs and parity": (
        Panel("Heals an hour", {"{{rule}}": "sum by (rule) (increase(trueup_heals_total{here}[1h]))"}),
        Panel(
            "Rows of the audit an hour",
            {"{{decision}}": 'sum by (decision) (increase(trueup_audit_decisions_total{profile_id=~"$profile"}[1h]))'},
        ),
        Panel(
            "Parity: trades",
            {
                "mismatch": "sum(trueup_parity_mismatch_trades{here})",
                "quarantined": "sum(trueup_parity_quarantined_trades{here})",
                "closed by the newest run": "sum(trueup_parity_auto_closed_trades{here})",
                "closed in an hour": "sum(increase(trueup_parity_closed_total{here}[1h]))",
            },
        ),
        Panel(
            "Parity: notional",
            {
                "{{profile_id}}": "trueup_parity_mismatch_notional_usd{here}",
                "{{profile_id}} largest": "trueup_parity_mismatch_notional_max_usd{here}",
            },
            unit="currencyUSD",
        ),
        Panel("Watchdog", {"{{profile_id}}": "trueup_watchdog_triggered{here}"}, width=8),
        Panel(
            "Mode in force",
            {"{{profile_id}}": "trueup_effective_mode{here}"},
            width=8,
            about="0 NORMAL, 1 CLOSE_ONLY, 2 SAFE_MODE, 3 FLATTEN, 4 HALT",
        ),
        Panel("Modes set", {"{{scope}}": "trueup_mode"}, width=8),
    ),
    "The loop": (
        Panel("Runs a minute", {"{{status}}": "sum by (status) (rate(trueup_runs_total{here}[5m])) * 60"}),
        Panel(
            "Duration of runs",
            {
                "p50": "histogram_quantile(0.5, sum by (le) (rate(trueup_run_duration_seconds_bucket[5m])))",
                "p99": "histogram_quantile(0.99, sum by (le) (rate(trueup_run_duration_seconds_bucket[5m])))",
            },
            unit="s",
        ),
        Panel("Seconds since the last run", {"{{profile_id}}": "trueup_seconds_since_last_run{here}"}, unit="s"),
        Panel("Cycles a minute", {"cycles": "sum(rate(trueup_cycles_total{there}[5m])) * 60"}),
        Panel(
            "Coverage of feeds",
            {"{{feed}}": "min by (feed) (trueup_feed_coverage{there})"},
            about="1 all, 0.5 part, 0 nothing",
        ),
        Panel(
            "Age of what was read of the venue",
            {"{{account}}": "max by (account) (trueup_venue_reading_age_seconds{there})"},
            unit="s",
        ),
        Panel(
            "Leases",
            {
                "refusals a minute": "sum(rate(trueup_lease_refusals_total[5m])) * 60",
                "fenced out in an hour": "sum(increase(trueup_lease_fenced_out_total[1h]))",
            },
        ),
        Panel(
            "Runs under way",
            {"runs": "trueup_runs_pending", "age of the oldest, s": "trueup_run_pending_oldest_seconds"},
        ),
        Panel("Newest run", {"{{profile_id}}": "trueup_last_run_duration_seconds{here}"}, unit="s"),
    ),
    "Venues and alerts": (
        Panel("Calls a second", {"{{account}}": "sum by (account) (rate(trueup_venue_calls_total{there}[5m]))"}),
        Panel(
            "Calls without an answer a minute",
            {"{{account}} {{kind}}": "sum by (account, kind) (rate(trueup_venue_errors_total{there}[5m])) * 60"},
        ),
        Panel(
            "Alerts not delivered",
            {"{{severity}}": "trueup_alerts_pending", "{{severity}} refused": "trueup_alerts_failing"},
        ),
        Panel("Oldest alert that is not delivered", {"{{severity}}": "trueup_alert_oldest_pending_seconds"}, unit="s"),
        Panel("Database", {"answers": "trueup_database_up"}, width=8),
        Panel("What runs", {"{{version}} on Python {{python}}": "trueup_build_info"}, width=16),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "title": "trueup", "uid": "trueup", "schemaVersion": 39, "editable": True, "refresh": "30s",
        "tags": ["trueup"], "time": {"from": "now-6h", "to": "now"}, "timezone": "utc", "panels": _panels(),
        "templating": {"list": [_source(), _variable("account"), _variable("profile", "profile_id")]},
    }  # fmt: skip


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})  # fmt: skip
        x, y, tall = 0, y + 1, 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y, tall = 0, y + tall, 0
            height = 4 if panel.kind == "stat" else 8
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append(_panel(panel, len(panels) + 1, place))
            x, tall = x + panel.width, max(tall, height)
        y += tall
    return panels


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": query.replace("{here}", HERE).replace("{there}", OF_ACCOUNT),
            "legendFormat": legend or "__auto",
            "datasource": SOURCE,
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.about, "gridPos": place,
        "datasource": SOURCE, "targets": targets, "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
    }  # fmt: skip


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(name: str, label: str | None = None) -> dict[str, Any]:
    metric = "trueup_effective_mode"
    query = f"label_values({metric}, {label or name})"
    return {
        "name": name, "label": name.capitalize(), "type": "query", "datasource": SOURCE, "query": query,
        "definition": query, "includeAll": True, "multi": True, "allValue": ".*", "refresh": 2, "sort": 1,
        "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def main() -> int:
    """Write the dashboard, or check it."""
    text = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" in sys.argv[1:]:
        current = FILE.exists() and FILE.read_text(encoding="utf-8") == text
        if not current:
            sys.stderr.write("ops/grafana/trueup.json is not current: run python ops/grafana/make_dashboard.py\n")
        return 0 if current else 1
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
