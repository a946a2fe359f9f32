"""Ended runs as their summaries, and the other rows that are measured."""

from typing import Any

from tests.ledger.bot import NOW, Bot, at

from trueup.core.times import iso
from trueup.ports.figures import VenueCount
from trueup.service.app import App

COUNTS = (
    "found", "healed", "quarantined", "waiting", "unresolved", "acknowledged", "resolved", "parity_mismatch_trades",
    "parity_quarantined_trades", "parity_auto_closed_trades", "missing_from_exchange", "missing_in_db",
)  # fmt: skip


def summary(profile: str = "p1", status: str = "OK", minute: float = NOW, **said: Any) -> dict[str, Any]:
    """The summary of an ended run; numbers that are counts go among its counts."""
    counts = {name: said.pop(name, 0) for name in COUNTS}
    return {
        "reconcile_id": f"RUN-{profile}-{minute}", "instance_id": profile, "account": "main", "cycle_id": "CYC-1",
        "status": status, "dry_run": False, "timestamp": iso(at(minute)), "started_at": iso(at(minute)),
        "ended_at": iso(at(minute)), "duration_ms": 700, "exchange_equity": "10100.5", "internal_equity": "10000",
        "difference": "100.5", "explained_by": {"fees": "0.5", "unexplained": "100"},
        "coverage": {"positions": {"state": "complete"}, "fills": {"state": "partial", "reason": "cut off"}},
        "breaks": [], "counts": counts, "parity_max_mismatch_notional_usd": "40",
        "parity_total_mismatch_notional_usd": "50", "watchdog_triggered": False, "heals": [], "venue_calls": 3, **said,
    }  # fmt: skip


def break_row(name: str, minute: float = 0, **columns: Any) -> dict[str, Any]:
    return {
        "break_id": name, "kind": "ghost_position", "scope": "profile:p1", "account": "main", "profile_id": "p1",
        "state": "open", "notional": "12.5", "first_seen_at": iso(at(minute)), "last_seen_at": iso(at(minute)),
        **columns,
    }  # fmt: skip


def busy(bot: Bot, app: App) -> None:
    """Put something into everything that is measured."""
    app.figures.count_ends(
        [
            summary(
                status="MISMATCH", found=2, missing_in_db=1, heals=[{"rule": "missed_fill"}], watchdog_triggered=True
            ),
            summary("p2", found=1, missing_from_exchange=1, parity_auto_closed_trades=1),
        ]
    )
    app.figures.count_venue({"main": VenueCount(7, {"throttle": 2})})
    rows = [
        break_row("B1"), break_row("B2", 60), break_row("B3", state="quarantined", kind="orphan_order"),
        break_row("B4", state="resolved", resolved_at=iso(at(1))),
    ]  # fmt: skip
    bot.db.insert("breaks", rows)
    with app.leases.hold("account:main", 0):
        bot.db.run("UPDATE leases SET contended = 4, fenced_out = 1")
    bot.db.insert("heartbeats", [{"scope": "global", "beat_at": at(NOW), "healthy": True, "streak": 2}])
    told = (("warning", None, None), ("warning", "no", None), ("critical", None, iso(at(NOW))))
    alerts = [
        {"kind": "mismatch", "scope": "profile:p1", "text": "t", "created_at": iso(at(NOW)), "severity": severity,
         "error": error, "sent_at": sent}
        for severity, error, sent in told
    ]  # fmt: skip
    bot.db.insert("alerts", alerts)
    bot.db.insert(
        "reconcile_runs",
        [{"run_id": "RUN-P", "kind": "reconcile", "scope": "profile:p1", "status": "PENDING", "audit_head": "0",
          "started_at": iso(at(NOW))}],
    )  # fmt: skip
