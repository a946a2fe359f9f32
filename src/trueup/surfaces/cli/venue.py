"""The command about a venue: venue snapshot."""

from pathlib import Path
from typing import Annotated

import typer

from trueup.surfaces.cli.files import require_target, target
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, add_command
from trueup.surfaces.cli.output import GOOD, STRONG, WARN, note, print_json, say, working
from trueup.surfaces.cli.session import open_app, session_of
from trueup.surfaces.cli.words import command, count


def register(program: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(help="What the venue says: keep it in a file.", no_args_is_help=True)
    add_command(group, snapshot, EXIT_CODES)
    program.add_typer(group, name="venue")


def snapshot(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="An account of trueup.toml.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Where to write it; an earlier snapshot is replaced, and no other file."
        ),
    ],
    form: FormatOption = Format.TEXT,
) -> int:
    """Write what a venue answers to a file, as a run would read it.

    The file is an export in trueup's own format, with the coverage of each feed: an account whose venue is file:FILE
    gives the same decisions again, without keys and without the venue.

    Example: trueup venue snapshot main --out main.json
    """
    from trueup.service.snapshot import as_text, is_snapshot, take_snapshot

    app = open_app(context)
    require_target(out, app.own_files, is_snapshot)
    with working(f"reading {account}"):
        report = take_snapshot(app, account)
    with target(out) as stream:
        stream.write(as_text(report.document))
    if form is Format.JSON:
        print_json({"account": account, "out": str(out), "rows": dict(report.rows), "coverage": dict(report.coverage)})
        return report.exit_code
    say((account, STRONG), f" written to {out}, as of {report.document.get('as_of')}")
    for name, entry in report.coverage.items():
        if entry.get("given") is False:
            say(f"  {name}: not given", f": {entry['reason']}" if entry.get("reason") else "")
            continue
        good = entry.get("state") == "complete"
        since = f", since {entry['since']}" if entry.get("since") else ""
        reason = f": {entry['reason']}" if entry.get("reason") else ""
        rows = count(report.rows[name], "row") if name in report.rows else "no rows"
        say(f"  {name}: {rows}, ", (str(entry.get("state")), GOOD if good else WARN), since, reason)
    if report.rows.get("events"):
        say(f"  events: {count(report.rows['events'], 'row')}")
    note(f'To replay it: venue = "file:{out}" in a copy of trueup.toml, then')
    note(command([*session_of(context).program[:1], "--config", "COPY"], "check"))
    return report.exit_code
