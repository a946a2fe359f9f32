"""The commands about incidents: list, show, next, note, repair, export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.core.times import iso
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, ReasonOption, add_command
from trueup.surfaces.cli.output import BAD, GOOD, STRONG, WARN, Piece, print_json, remark, say
from trueup.surfaces.cli.session import acting, open_app
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.words import count, short_time

if TYPE_CHECKING:
    from trueup.core.incidents.incident import Incident
    from trueup.service.leading import IncidentView

IncidentArgument = Annotated[
    str | None, typer.Argument(metavar="[INCIDENT]", help="Its id; left out, the only one that is open.")
]


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Lead a mismatch from detection to trading restored.", no_args_is_help=True)
    add_command(group, list_, EXIT_CODES, "list")
    for command in (show, next_, note, repair, export):
        add_command(group, command, EXIT_CODES, command.__name__.rstrip("_"))
    program.add_typer(group, name="incident")


def list_(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="The closed ones, too.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Show the incidents that are open, newest first.

    Example: trueup incident list --all
    """
    from trueup.service.leading import incidents_page, summary_json

    total, found = incidents_page(open_app(context), only_open=not everything, page_size=200)
    if form is Format.JSON:
        print_json({"total": total, "incidents": [summary_json(incident) for incident in found]})
        return
    if not found:
        say("There was no incident." if everything else "No incident is open.")
        return
    names = ("incident", "scope", "step", "class", "radius", "opened")
    table((*map(Column, names), Column("runs", number=True)), [_row(incident) for incident in found], indent=0)


def _row(incident: "Incident") -> list[Piece]:
    verdict = incident.verdict
    told = "" if verdict is None else "unclear" if verdict.unclear else str(verdict.primary)
    return [
        (incident.incident_id, STRONG), incident.scope, (str(incident.step), WARN if incident.is_open else GOOD), told,
        str(verdict.radius) if verdict is not None else "", short_time(iso(incident.opened_ms)), str(incident.runs),
    ]  # fmt: skip


def show(context: typer.Context, incident: IncidentArgument = None, form: FormatOption = Format.TEXT) -> None:
    """Show one incident: what is known, the checklist, its story, and what is to be done next.

    Example: trueup incident show
    """
    from trueup.service.leading import show_incident

    tell(show_incident(open_app(context), incident), form, story=True)


def next_(context: typer.Context, incident: IncidentArgument = None, form: FormatOption = Format.TEXT) -> None:
    """Say what to do now, and why it is allowed.

    Example: trueup incident next
    """
    from trueup.service.leading import show_incident

    view = show_incident(open_app(context), incident)
    if form is Format.JSON:
        print_json(view.as_json()["next"])
        return
    _next(view)


def note(
    context: typer.Context,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What to write down.")],
    incident: IncidentArgument = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Attach a note to an incident's story.

    Example: trueup incident note --text "the bot's host was restarted at 12:03"
    """
    from trueup.service.leading import note as attach

    tell(attach(acting(context), incident, text), form)


def repair(
    context: typer.Context,
    reason: ReasonOption,
    incident: IncidentArgument = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Begin the repair of a classified incident, and say what repairs its class.

    Example: trueup incident repair --reason "the missing exits are proven by the venue"
    """
    from trueup.service.leading import start_repair

    tell(start_repair(acting(context), incident, reason), form)


def export(
    context: typer.Context,
    incident: IncidentArgument = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file.")] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Print an incident for the ticket: Markdown, or JSON with --format json.

    Example: trueup incident export --out incident.md
    """
    from trueup.core.audit import canonical_json
    from trueup.service.ticket import as_markdown, ticket_of
    from trueup.surfaces.cli.files import require_target, target

    app = open_app(context)
    if out is not None:
        require_target(out, app.own_files)
    ticket = ticket_of(app, incident)
    with target(out) as stream:
        stream.write(canonical_json(ticket.as_json()) + "\n" if form is Format.JSON else as_markdown(ticket))
    if out is not None and form is Format.JSON:
        print_json({"incident_id": ticket.view.incident.incident_id, "out": str(out)})
    elif out is not None:
        remark(f"{ticket.view.incident.incident_id} is written to {out}")


def tell(view: "IncidentView", form: Format, *, story: bool = False) -> None:
    """Print an incident after something was done to it."""
    if form is Format.JSON:
        print_json(view.as_json())
        return
    incident = view.incident
    step: Piece = (str(incident.step), WARN if incident.is_open else GOOD)
    say((incident.incident_id, STRONG), f"  {incident.scope}  ", step)
    for item in incident.contained:
        ended = " (given back)" if not incident.is_open else "" if item.seq else " (not by this incident)"
        say(f"  contained: {item.scope} in ", (item.mode.name, BAD if incident.is_open else GOOD), ended)
    if incident.verdict is not None:
        from trueup.core.incidents.steps import signals_of, words_of

        say(f"  class: {words_of(incident.verdict)}; signals: {signals_of(incident.verdict)}")
    say()
    marks: list[list[Piece]] = [
        [("done", GOOD) if item.done else ("open", WARN), str(item.step), item.what, item.detail]
        for item in view.checklist
    ]
    table((Column(""), Column("step"), Column("what"), Column("state")), marks, indent=0)
    if story:
        say()
        say(f"{count(len(view.story), 'line')} of its story:")
        rows: list[list[Piece]] = [[short_time(x.at), x.step, x.what, x.actor, x.reason] for x in view.story]
        names = ("when", "step", "what", "by")
        table((*map(Column, names), Column("why", below=True)), rows)
    say()
    _next(view)


def _next(view: "IncidentView") -> None:
    say("Next: ", (view.next.what, STRONG))
    say(f"  {view.next.why}")
    for command in view.next.commands:
        say("  ", (command, STRONG))
