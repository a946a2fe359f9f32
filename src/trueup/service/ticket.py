"""The ticket of an incident: what is known of it, with what was repaired and which modes were set meanwhile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trueup.core.decimals import plain
from trueup.core.errors import ConfigurationError
from trueup.core.incidents.classes import Signal
from trueup.core.incidents.incident import Incident, Step
from trueup.core.modes import GLOBAL
from trueup.core.times import iso
from trueup.ports import BatchSummary, ModeChange, Profile
from trueup.service.app import App
from trueup.service.leading import IncidentView, show_incident

_MARGIN_MS = 1000
"""What opened and what closed an incident is written in the same moment, and dated a little before or after."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An incident with what happened meanwhile: batches that wrote to its profiles, and modes on its account."""

    view: IncidentView
    repairs: tuple[BatchSummary, ...] = ()
    modes: tuple[ModeChange, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the ticket for printing."""
        return {
            **self.view.as_json(),
            "repairs": [
                {
                    "batch_id": batch.batch_id, "profile_id": batch.profile_id, "at": batch.created_at,
                    "actor": batch.actor, "decisions": dict(batch.decisions),
                }
                for batch in self.repairs
            ],
            "modes": [
                {
                    "at": item.at, "scope": item.scope, "mode": item.mode.name, "before": item.previous.name,
                    "source": item.source, "actor": item.actor, "reason": item.reason,
                }
                for item in self.modes
            ],
        }  # fmt: skip


def ticket_of(app: App, incident_id: str | None = None) -> Ticket:
    """Return an incident's ticket; without an id that of the only one that is open."""
    view = show_incident(app, incident_id)
    incident = view.incident
    since = iso(incident.opened_ms - _MARGIN_MS)
    until = iso((incident.closed_ms if incident.closed_ms is not None else app.clock.now_ms()) + _MARGIN_MS)
    owners = [p.profile_id for p in app.ledger.profiles() if _account_of(app, p) == incident.account]
    scopes = {GLOBAL, f"account:{incident.account}", *(f"profile:{owner}" for owner in owners)}
    symbols = tuple(f"symbol:{owner}:" for owner in owners)
    modes = (
        change for change in app.modes.between(since, until)
        if change.scope in scopes or change.scope.startswith(symbols)
    )  # fmt: skip
    return Ticket(view, tuple(app.journal.wrote(owners, since, until)), tuple(modes))


def _account_of(app: App, profile: Profile) -> str | None:
    try:
        return app.account_of(profile).name
    except ConfigurationError:
        return None


def as_markdown(ticket: Ticket) -> str:
    """Return an incident as a page for the ticket."""
    view = ticket.view
    incident = view.incident
    verdict = incident.verdict
    lines = [
        f"# {incident.incident_id}",
        "",
        f"- scope: {_cell(incident.scope)} (account {_cell(incident.account)})",
        f"- step: {incident.step}",
        f"- opened: {iso(incident.opened_ms)}",
        f"- closed: {iso(incident.closed_ms) if incident.closed_ms is not None else 'open'}",
        f"- runs that saw a mismatch: {incident.runs}; came back after a repair: {incident.returns}",
    ]
    if verdict is not None:
        told = "unclear: treated as missing and out_of_order" if verdict.unclear else str(verdict.primary)
        also = f", then {verdict.secondary}" if verdict.secondary is not None and not verdict.unclear else ""
        lines += [f"- class: {told}{also}", f"- blast radius: {verdict.radius} ({', '.join(verdict.reasons)})"]
        lines += ["", "## Signals", "", _SIGNALS, "| --- " * 7 + "|"]
        lines += [_signal(incident, signal) for signal in verdict.signals]
    lines += ["", "## Checklist", ""]
    for item in view.checklist:
        detail = f" ({item.detail})" if item.detail else ""
        lines.append(f"- [{'x' if item.done else ' '}] {item.step}: {item.what}{detail}")
    lines += ["", "## Story", "", "| when | step | what | who | why | runs |", "| --- | --- | --- | --- | --- | --- |"]
    for line in view.story:
        cells = (line.at, line.step, line.what, line.actor, line.reason, ", ".join(line.run_ids))
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    lines += _section("Repairs meanwhile", ("batch", "began", "profile", "who", "what"), map(_repair, ticket.repairs))
    modes = (
        (item.at, item.scope, item.mode.name, item.previous.name, item.actor, item.reason) for item in ticket.modes
    )
    lines += _section("Modes meanwhile", ("when", "scope", "mode", "before", "who", "why"), modes)
    if incident.step is not Step.RESTORED:
        lines += ["", "## Next", "", f"{view.next.what} {view.next.why}", ""]
        lines += [f"    {command}" for command in view.next.commands]
    return "\n".join(map(_visible, lines)) + "\n"


def _section(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table with its title; nothing where it has no rows."""
    listed = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return ["", f"## {title}", "", f"| {' | '.join(names)} |", "| --- " * len(names) + "|", *listed] if listed else []


def _repair(batch: BatchSummary) -> tuple[str, ...]:
    what = ", ".join(f"{number} {decision}" for decision, number in batch.decisions.items())
    return batch.batch_id, batch.created_at, batch.profile_id, batch.actor, what


_SIGNALS = "| break | kind | profile and symbol | ledger | venue | signal | tells |"


def _signal(incident: Incident, signal: Signal) -> str:
    """Return one signal as a row, with the quantities that the ledger and the venue say."""
    facts = incident.breaks.get(signal.break_id)
    where = f"{facts.profile_id or 'no profile'} {facts.symbol or ''}".strip() if facts is not None else ""
    said = (facts.ledger_qty, facts.venue_qty) if facts is not None else (None, None)
    told = [plain(number) if number is not None else "not known" for number in said]
    cells = (signal.break_id, str(signal.kind), where, *told, signal.signal, str(signal.pattern or "unclear"))
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    """Return text as a cell of a Markdown table that holds nothing but text."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _visible(line: str) -> str:
    """Return a line without breaks in it, its unseen characters made visible: none may hide or turn what follows."""
    spaced = "".join(" " if character.isspace() else character for character in line)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in spaced)
