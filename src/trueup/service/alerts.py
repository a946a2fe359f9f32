"""Alerts: put into the outbox once for each thing that goes on, and carried from there until every target has it.

A message is told at least once: its taking is on record before it is sent, and its delivery after.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from trueup.core.alerts import OUTLIVES_RUNS, Alert, Change, Severity, Sighting, gone, pause_after, seen
from trueup.core.errors import ConfigurationError
from trueup.core.times import iso
from trueup.ports.alerts import Message, Notifier
from trueup.service import events
from trueup.service.app import App

CLAIM_MS = 120_000
"""For so long nobody else sends what somebody took to send: longer than all targets together need to time out."""

DAY_MS = 86_400_000

_EARLIEST = 0.9
"""The share of RECON_INTERVAL_SECONDS after which a run of the loop may follow on another, by its jitter."""


def raise_alert(app: App, kind: str, key: str, scope: str, severity: str, text: str) -> None:
    """Tell people of something once, whatever number of runs see it; call it once in every run that does.

    The same key is the same thing: it is told once in EXCHANGE_STATE_MISMATCH_THROTTLE_MS, and at once when it
    outlives two runs of the loop's own pace, with the next higher severity. `severity` is info, warning or critical.
    """
    sighting = Sighting(kind, key, scope, Severity(severity), text)
    now_ms = app.clock.now_ms()
    throttle_ms = app.reconcile.policy.alert_throttle_ms
    outlives_ms = int(app.reconcile.interval_s * 1000 * OUTLIVES_RUNS * _EARLIEST)
    change = app.outbox.change(key, lambda story: seen(story, sighting, throttle_ms, now_ms, outlives_ms), now_ms)
    _tell(sighting, change)


def resolve_alert(app: App, key: str, text: str = "") -> None:
    """Tell people that something is gone, if they were told of it; nothing happens where nothing was the matter."""
    now_ms = app.clock.now_ms()
    change = app.outbox.change(key, lambda story: gone(story, text, now_ms), now_ms)
    over = change.added.sighting if change.added is not None else change.changed
    if over is not None:
        events.log("alert_resolved", kind=over.kind, key=key, scope=over.scope)


def _tell(sighting: Sighting, change: Change) -> None:
    if change.added is not None:
        severity, count = change.added.sighting.severity, change.added.count
    elif change.changed is not None and change.escalated:
        severity, count = change.changed.severity, change.changed.count
    else:
        return
    if change.escalated:
        events.log(
            "alert_escalated", kind=sighting.kind, key=sighting.key, scope=sighting.scope, severity=severity.value,
            count=count,
        )  # fmt: skip
    else:
        events.log(
            "alert_raised", kind=sighting.kind, key=sighting.key, scope=sighting.scope, severity=severity.value,
            count=count,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one delivery did: messages that every target has, and those that some target did not take."""

    delivered: tuple[Alert, ...] = ()
    undelivered: tuple[Alert, ...] = ()


def deliver_alerts(app: App, notifier: Notifier, now_ms: int | None = None, limit: int = 100) -> Delivery:
    """Carry what is due from the outbox, oldest first, at most so many messages; any number of processes may.

    A target that did not take a message is tried again later, and alone.
    """
    delivered: list[Alert] = []
    undelivered: list[Alert] = []
    for _ in range(limit):
        alert = app.outbox.claim(now_ms if now_ms is not None else app.clock.now_ms(), CLAIM_MS)
        if alert is None:
            break
        (delivered if _carry(app, notifier, alert) else undelivered).append(alert)
    return Delivery(tuple(delivered), tuple(undelivered))


def _carry(app: App, notifier: Notifier, alert: Alert) -> bool:
    """Send one message to the targets that do not have it yet, and record how it went."""
    done = have(alert) & set(notifier.targets)
    answers = notifier.send(message_of(alert), [name for name in notifier.targets if name not in done])
    failed = {name: why for name, why in answers.items() if why is not None}
    if not failed:
        app.outbox.delivered(alert, app.clock.now_ms())
        events.log("alert_delivered", kind=alert.kind, key=alert.key, attempts=alert.attempts)
        return True
    done |= {name for name, why in answers.items() if why is None}
    pause_ms = pause_after(alert.attempts)
    app.outbox.undelivered(alert, _written(done, failed), app.clock.now_ms() + pause_ms)
    events.log(
        "alert_undelivered", kind=alert.kind, key=alert.key, attempts=alert.attempts, error=failed, retry_ms=pause_ms
    )
    return False


def prune_alerts(app: App) -> int:
    """Delete what was delivered longer ago than RECON_RUNS_KEPT_DAYS; return how many messages."""
    return app.outbox.prune(app.clock.now_ms() - app.reconcile.runs_kept_days * DAY_MS)


def require_notifier(app: App) -> Notifier:
    """Return what carries messages; ConfigurationError where no target is set."""
    notifier = app.notifier()
    if notifier is None:
        raise ConfigurationError(
            "Alerts have no target.",
            "Set TRUEUP_ALERT_URLS to Apprise URLs (https://github.com/caronc/apprise/wiki), with blanks between them.",
        )
    return notifier


def send_test(notifier: Notifier) -> Mapping[str, str | None]:
    """Send a test to every target; return for each why it was not taken, None where it was."""
    text = "This is a test: alerts of trueup arrive here."
    return notifier.send(Message("[trueup] test", text, Severity.INFO), notifier.targets)


def message_of(alert: Alert) -> Message:
    """Return a message as people read it."""
    title = f"[trueup] {alert.severity.value.upper()} {alert.kind} {alert.scope}"
    lines = [alert.text]
    if alert.severity is Severity.RESOLVED:
        lines.append(f"It is over; it was seen {_times(alert.count)}.")
    elif alert.count > 1:
        lines.append(f"Seen {_times(alert.count)}, last at {iso(alert.last_seen_ms)}.")
    if alert.escalated_ms is not None and alert.severity is not Severity.RESOLVED:
        lines.append(f"Escalated at {iso(alert.escalated_ms)}, since it outlived two runs.")
    return Message(title, "\n".join(lines), alert.severity)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _written(done: set[str], failed: Mapping[str, str]) -> str:
    return json.dumps({"done": sorted(done), "failed": dict(sorted(failed.items()))}, ensure_ascii=False)


def have(alert: Alert) -> set[str]:
    """Return the targets that took a message already."""
    return set(_read(alert).get("done", ()))


def refusals(alert: Alert) -> Mapping[str, str]:
    """Return why targets did not take a message, by target."""
    return dict(_read(alert).get("failed", {}))


def _read(alert: Alert) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(alert.error or "{}")
    except ValueError:
        return {"failed": {"": alert.error or ""}}
    return found if isinstance(found, dict) else {}
