"""Which of a cycle's findings people are told of, and when they are told that it is over."""

from trueup.core.errors import TrueupError
from trueup.core.reconcile.records import BreakRecord, BreakState
from trueup.service.alerts import raise_alert, resolve_alert
from trueup.service.app import App
from trueup.service.cycle import Cycle
from trueup.service.events import log

MISMATCH, UNREADABLE, WATCHDOG, CONTENDED = (
    "exchange_state_mismatch", "venue_unreadable", "parity_watchdog", "lease_contention",
)  # fmt: skip


def alert_cycle(cycle: Cycle) -> None:
    """Put what a cycle found into the outbox; a dry run tells nobody."""
    if cycle.request.dry_run:
        return
    for run in cycle.runs.values():
        for record in run.breaks:
            _alert_break(cycle.app, record)
        key = f"{WATCHDOG}:{run.profile_id}"
        if run.watchdog:
            text = f"{run.profile_id} is paused: its mismatch is beyond the share of its capital that is allowed."
            raise_alert(cycle.app, WATCHDOG, key, f"profile:{run.profile_id}", "critical", text)
        elif run.resumed:
            resolve_alert(cycle.app, key, f"{run.profile_id} trades again.")
    _alert_venue(cycle)


def _alert_break(app: App, record: BreakRecord) -> None:
    """Tell of a break that a run could not heal; one that was healed at once is no alarm."""
    if record.state.over or record.state is BreakState.ACKNOWLEDGED:
        resolve_alert(app, record.break_id, f"{record.kind} {record.symbol or ''}: {record.resolution or record.state}")
        return
    where = " ".join(filter(None, (record.symbol, record.trade_id, record.exchange_order_id)))
    severity = "warning" if record.state is BreakState.QUARANTINED else "info"
    raise_alert(app, MISMATCH, record.break_id, record.scope, severity, f"{record.kind} {where}: {record.reason}")


def _alert_venue(cycle: Cycle) -> None:
    key, error = f"{UNREADABLE}:{cycle.account}", cycle.gathered.venue_error
    if error is not None:
        raise_alert(cycle.app, UNREADABLE, key, f"account:{cycle.account}", "warning", error.what)
    else:
        resolve_alert(cycle.app, key, f"The venue of {cycle.account} answers again.")


def alert_contention(app: App, scope: str, refusals: int) -> None:
    """Tell that an account's lease is refused again and again."""
    log("lease_contended", scope=scope, refusals=refusals)
    text = f"The lease of {scope} was refused {refusals} times in a row: another run holds it for long."
    try:
        raise_alert(app, CONTENDED, f"{CONTENDED}:{scope}", scope, "warning", text)
    except TrueupError:
        return
