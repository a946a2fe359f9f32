"""Which of a cycle's findings people are told of, and when they are told that it is over."""

from collections import defaultdict
from collections.abc import Sequence

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
    _alert_breaks(cycle)
    for run in cycle.runs.values():
        key = f"{WATCHDOG}:{run.profile_id}"
        if run.watchdog:
            text = f"{run.profile_id} is paused: its mismatch is beyond the share of its capital that is allowed."
            raise_alert(cycle.app, WATCHDOG, key, f"profile:{run.profile_id}", "critical", text)
        elif run.resumed:
            resolve_alert(cycle.app, key, f"{run.profile_id} trades again.")
    _alert_venue(cycle)


def _alert_breaks(cycle: Cycle) -> None:
    """Tell of the breaks that are left, once for each kind and scope: an outage breaks hundreds of orders at once."""
    seen = {record.break_id: record for run in cycle.runs.values() for record in run.breaks}
    left: dict[tuple[str, str], list[BreakRecord]] = defaultdict(list)
    for record in {**cycle.records, **seen}.values():
        if not record.state.over and record.state is not BreakState.ACKNOWLEDGED:
            left[record.scope, record.kind].append(record)
    for scope, kind in sorted({(record.scope, record.kind) for record in seen.values()}):
        key, records = f"{MISMATCH}:{scope}:{kind}", left.get((scope, kind), [])
        if records:
            severity = "warning" if any(r.state is BreakState.QUARANTINED for r in records) else "info"
            raise_alert(cycle.app, MISMATCH, key, scope, severity, _told(kind, records))
        else:
            resolve_alert(cycle.app, key, f"No {kind} is left in {scope}.")


def _told(kind: str, records: Sequence[BreakRecord]) -> str:
    """Say what the breaks of one kind are: the oldest by name, and how many there are."""
    oldest = min(records, key=lambda record: (record.first_seen_ms, record.break_id))
    where = " ".join(filter(None, (oldest.symbol, oldest.trade_id, oldest.exchange_order_id)))
    more = f" and {len(records) - 1} more" if len(records) > 1 else ""
    return f"{kind} {where}{more}: {oldest.reason}"


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
