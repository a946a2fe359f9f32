"""The commands about alerts: alerts list, alerts test, alerts deliver."""

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.core.times import iso
from trueup.surfaces.cli.options import Format, FormatOption, add_command
from trueup.surfaces.cli.output import BAD, FAINT, GOOD, STRONG, WARN, Piece, print_json, remark, say, working
from trueup.surfaces.cli.session import open_app
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import count, short_time

if TYPE_CHECKING:
    from trueup.core.alerts import Alert

_STYLES = {"critical": BAD, "warning": WARN, "resolved": GOOD}
_CODES = "Exit codes: 0 every target took it, 1 some target did not, 2 wrong usage or configuration."


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What people are told: see it, try the targets, deliver it.", no_args_is_help=True)
    add_command(group, list_, "Exit codes: 0 done, 2 wrong usage or configuration.", "list")
    add_command(group, try_targets, _CODES, "test")
    add_command(group, deliver, _CODES)
    program.add_typer(group, name="alerts")


def list_(
    context: typer.Context,
    pending: Annotated[bool, typer.Option("--pending", help="Only what is not delivered yet.")] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")] = 50,
    form: FormatOption = Format.TEXT,
) -> None:
    """Show the newest alerts, and which are not delivered and why.

    Example: trueup alerts list --pending
    """
    app = open_app(context)
    found = app.outbox.page(limit, pending=pending)
    if app.notifier() is None:
        remark("alerts have no target, so that nobody is told of them: set TRUEUP_ALERT_URLS")
    if form is Format.JSON:
        print_json({"alerts": [_document(alert) for alert in found]})
        return
    if not found:
        say("There is no alert." if not pending else "Every alert is delivered.")
    columns = (Column("last seen"), Column("severity"), Column("what"), Column("where"), Column("seen", number=True))
    rows = [
        [short_time(iso(alert.last_seen_ms)), (alert.severity.value, _STYLES.get(alert.severity.value, STRONG)),
         alert.kind, alert.scope, str(alert.count), _delivery(alert), alert.text]
        for alert in found
    ]  # fmt: skip
    table((*columns, Column("delivery", below=True), Column("text", below=True)), rows, indent=0)


def try_targets(context: typer.Context, form: FormatOption = Format.TEXT) -> int:
    """Send a test message to every target, and say which took it.

    The targets are the Apprise URLs in TRUEUP_ALERT_URLS; they are named by their service and a few characters.

    Example: trueup alerts test
    """
    from trueup.service.alerts import require_notifier, send_test

    notifier = require_notifier(open_app(context))
    with working("sending"):
        answers = send_test(notifier)
    if form is Format.JSON:
        print_json({"targets": [{"name": name, "ok": why is None, "why": why} for name, why in answers.items()]})
    else:
        for name, why in answers.items():
            say((name, STRONG), ": ", ("took it", GOOD) if why is None else (why, BAD))
    return 1 if any(why is not None for why in answers.values()) else 0


def deliver(context: typer.Context, form: FormatOption = Format.TEXT) -> int:
    """Deliver what is due from the outbox now; workers do so by themselves.

    Each alert is told at least once; a target that does not take one is tried again later.

    Example: trueup alerts deliver
    """
    from trueup.service.alerts import deliver_alerts, refusals, require_notifier

    app = open_app(context)
    notifier = require_notifier(app)
    with working("sending"):
        done = deliver_alerts(app, notifier)
    failed = {alert.seq for alert in done.undelivered}
    left = [alert for alert in app.outbox.page(1000, pending=True) if alert.seq in failed]
    if form is Format.JSON:
        print_json({"delivered": len(done.delivered), "undelivered": [_document(alert) for alert in left]})
    else:
        say(f"{count(len(done.delivered), 'alert')} delivered.")
        for alert in left:
            for name, why in refusals(alert).items():
                say((name, STRONG), f": {why}: {alert.kind} {alert.scope}")
    return 1 if failed else 0


def _delivery(alert: "Alert") -> Piece:
    from trueup.service.alerts import refusals

    if alert.unheard:
        return ("ended unheard", FAINT)
    if alert.sent_ms is not None:
        return (f"delivered {short_time(iso(alert.sent_ms))}", GOOD)
    failed = "; ".join(f"{name}: {why}" for name, why in refusals(alert).items())
    if not failed:
        return "waits"
    return (f"{count(alert.attempts, 'attempt')}: {failed}", BAD)


def _document(alert: "Alert") -> dict[str, object]:
    from trueup.service.alerts import have, refusals

    return {
        "seq": alert.seq, "kind": alert.kind, "key": alert.key, "scope": alert.scope, "severity": alert.severity.value,
        "text": alert.text, "count": alert.count, "created_at": iso(alert.created_ms),
        "last_seen_at": iso(alert.last_seen_ms), "escalated_at": _iso(alert.escalated_ms),
        "sent_at": _iso(alert.sent_ms), "ended_unheard": alert.unheard,
        "attempts": alert.attempts, "next_attempt_at": _iso(alert.next_attempt_ms),
        "taken_by": sorted(have(alert)), "refused_by": dict(refusals(alert)),
    }  # fmt: skip


def _iso(ms: int | None) -> str | None:
    return iso(ms) if ms is not None else None
