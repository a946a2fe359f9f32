"""The commands that set up: init, demo, doctor."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trueup.core.errors import ConfigurationError, TrueupError
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, add_command
from trueup.surfaces.cli.output import BAD, GOOD, note, print_json, remark, say, working
from trueup.surfaces.cli.session import open_app, session_of
from trueup.surfaces.cli.tables import Column, table
from trueup.surfaces.cli.telling import tell
from trueup.surfaces.cli.words import command, count

if TYPE_CHECKING:
    from trueup.ports import Check


def register(program: typer.Typer) -> None:
    """Add the commands."""
    add_command(program, init, EXIT_CODES)
    add_command(program, demo, "Exit codes: 0 all went as told, 1 it did not, 2 the folder or the port is unusable.")
    add_command(
        program, doctor, "Exit codes: 0 all is well, else the worst failure's: 2 configuration, 3 inconclusive."
    )


def init(context: typer.Context, form: FormatOption = Format.TEXT) -> None:
    """Create missing tables, and add the profiles of trueup.toml.

    Safe on a live database, and again and again: nothing of yours is altered.

    Example: trueup init
    """
    from trueup.service.setup import initialise

    app = open_app(context, creates=True)
    if app.embedded is not None:
        remark(f"no trueup.toml found in {app.folder}: the ledger is the embedded one, {app.embedded}")
    with working("creating what is missing"):
        made = initialise(app)
    if form is Format.JSON:
        print_json({"tables": list(made.tables), "profiles": list(made.profiles)})
        return
    if made.tables:
        say(f"{count(len(made.tables), 'table')} created: {', '.join(made.tables)}")
    if made.profiles:
        say(f"{count(len(made.profiles), 'profile')} added or changed: {', '.join(made.profiles)}")
    if not made.tables and not made.profiles:
        say("Nothing was missing.")
    program = session_of(context).program
    note(f"Next: {command(program, 'doctor')}, then {command(program, 'check')}")


def demo(
    context: typer.Context,
    *,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where to lay it down; it is made anew each time.")
    ] = Path("trueup-demo"),
    venue: Annotated[
        str | None,
        typer.Option(
            "--venue", metavar="NAME", help="At a simulated exchange over HTTP instead: alpaca, binance or binanceusdm."
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Watch a careless bot being reconciled, until Ctrl-C or --seconds.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The API's, with --live; 0 takes a free one.")
    ] = 0,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, metavar="N", help="Stop the bot of --live after so long.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="With --live: another seed is another bot.")] = 0,
    form: FormatOption = Format.TEXT,
) -> int:
    """Find, prove, repair and take back a made-up week of ghosts.

    Everything happens in a folder of its own, on SQLite and exported files. With --venue, the exports are replaced by
    an exchange on this machine that speaks that venue's API, and that is asked through the venue's real client. With
    --live, a bot trades on such an exchange and loses, doubles and delays writes, while trueup's worker and API run.

    Example: trueup demo --folder try
    """
    if seconds is not None and not live:
        raise ConfigurationError("--seconds is for --live alone.", "Give --live, too, or leave it out.")
    told: list[str] = []
    session = session_of(context)
    say_line = told.append if form is Format.JSON else tell
    if live:
        if venue is not None:
            raise ConfigurationError("--live and --venue exclude each other.", "--live speaks Alpaca's API.")
        from trueup.surfaces.cli.live import run_live

        code = run_live(session, folder, port, seed, seconds, say_line)
    else:
        code = session.demo(venue, folder, say_line, shlex.join(session.program[:1]))
    if form is Format.JSON:
        print_json({"folder": str(folder), "told": told, "exit_code": code})
    return code


def doctor(context: typer.Context, form: FormatOption = Format.TEXT) -> int:
    """Check the whole set-up, and say what to do.

    It reads settings, database, tables and venues, and changes nothing.

    Example: trueup doctor
    """
    from trueup.service.setup import exit_code
    from trueup.surfaces.cli.views import findings

    checks, changed = _examine(context)
    code = exit_code(checks)
    if form is Format.JSON:
        rows = [{"name": check.name, "ok": check.ok, "found": check.found, "do": check.do} for check in checks]
        print_json({"checks": rows, "exit_code": code})
        return code
    findings.show(checks)
    if changed:
        say()
        say("Settings that are not at their default:")
        table((Column("setting"), Column("value", below=True), Column("from")), changed)
    say()
    failed = [check.name for check in checks if not check.ok and check.exit_code]
    warned = sum(not check.ok for check in checks)
    well = f"All is well, with {count(warned, 'warning')}." if warned else "All is well."
    say((f"{count(len(failed), 'failure')}: {', '.join(failed)}", BAD) if failed else (well, GOOD))
    return code


def _examine(context: typer.Context) -> tuple[list["Check"], list[tuple[str, str, str]]]:
    """Return the findings, and the settings that are not at their default; broken settings are a finding too."""
    from trueup.ports import Check
    from trueup.service import setup

    try:
        app = open_app(context)
    except TrueupError as error:
        return [Check("settings", False, error.what, error.do, error.exit_code)], []
    with working("looking"):
        return setup.doctor(app), [
            row for row in app.settings if row[2] != "default" and not row[0].startswith("profiles.")
        ]
