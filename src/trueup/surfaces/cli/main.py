"""The door of the command line: the commands, and how every ending becomes an exit code without a traceback."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from trueup import __version__
from trueup.core.errors import TrueupError
from trueup.surfaces.cli import (
    alerts,
    audit,
    backfill,
    canary,
    check,
    explain,
    gate,
    incident,
    integrity,
    mode,
    reconcile,
    serve,
    setup,
    sim,
    token,
    venue,
    worker,
)
from trueup.surfaces.cli.options import EXIT_CODES_OF_CHECKS
from trueup.surfaces.cli.output import BAD, note
from trueup.surfaces.cli.session import Demo, Live, Session, Trial

if TYPE_CHECKING:
    from trueup.service.app import App

_GLOBAL_OPTIONS = ("--config", "--version")

INTERRUPTED = 130
READER_GONE = 141
UNEXPECTED = 3


def run(
    build: "Callable[[Path | None], App]",
    demo: Demo,
    trial: Trial,
    live: Live,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one command and return its exit code; `build` makes the App from what --config names.

    130 after Ctrl-C, 141 where the reader of stdout went away; a traceback only where TRUEUP_TRACEBACK is set.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _call(_program(), Session(build, demo, trial, live), sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        return _stopped(READER_GONE)
    return code


def _program() -> typer.Typer:
    """Put the commands together; help is plain text, since Rich's panels would take half of its time."""
    program = typer.Typer(
        name="trueup",
        cls=_Program,
        help="Keep a trading bot's books true to the exchange.\n\n"
        "trueup compares the bot's ledger with what the venue says, names each disagreement, and books the exits that "
        "the ledger missed: each row with its proof, audited, and reversible.\n\n"
        "Start with: trueup demo",
        epilog=f"{EXIT_CODES_OF_CHECKS}\n\nSettings: flags, then the environment, then trueup.toml. "
        "Global options come before the command.\n\nWith --format json, stdout has one document; errors and notes go "
        "to stderr, and after an error stdout stays empty.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    program.callback()(_root)
    for commands in (
        setup, check, reconcile, backfill, integrity, mode, gate, incident, canary, audit, alerts, explain, venue, sim,
        token, serve, worker,
    ):  # fmt: skip
        commands.register(program)
    return program


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trueup {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="The trueup.toml to use; else TRUEUP_CONFIG, else the current folder's."
        ),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    session = context.find_object(Session)
    assert session is not None
    context.obj = replace(session, config=config)


class _Stopped(Exception):
    """The person, or the reader of stdout, stopped the command; Typer would end these without our exit codes."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Program(TyperGroup):
    """All commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _Stopped(INTERRUPTED) from None
        except BrokenPipeError:
            raise _Stopped(READER_GONE) from None


def _call(program: typer.Typer, session: Session, arguments: Sequence[str]) -> int:
    command = typer.main.get_command(program)
    try:
        code = command.main(list(arguments), prog_name="trueup", standalone_mode=False, obj=session)
    except TrueupError as error:
        return _failed(error)
    except typer.TyperException as error:
        return _misused(error)
    except _Stopped as stop:
        return _stopped(stop.code)
    except Exception as error:  # noqa: BLE001  # the last resort: no traceback ever reaches a user
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _failed(error: TrueupError) -> int:
    note(("error: ", BAD), error.what)
    for line in (*error.do.splitlines(), *getattr(error, "__notes__", ())):
        note(line)
    return error.exit_code


def _misused(error: typer.TyperException) -> int:
    """Say what is wrong with the command line, in one line, and where to look; without any word, show the help."""
    context = getattr(error, "ctx", None)
    lines = error.format_message().splitlines()
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        for line in lines:
            note(line)
        return error.exit_code
    note(("error: ", BAD), " ".join(line.strip() for line in lines))
    path = context.command_path if context is not None else "trueup"
    if path != "trueup" and getattr(error, "option_name", None) in _GLOBAL_OPTIONS:
        note(f"Global options come before the command: trueup --config FILE {path.removeprefix('trueup ')}")
    note(f"`{path} --help` shows how it is used.")
    return error.exit_code


def _stopped(code: int) -> int:
    if code == INTERRUPTED:
        note("interrupted; what was not committed is not there, and the next run says so")
    else:
        _drop_output()
    return code


def _unexpected(error: Exception) -> int:
    if os.environ.get("TRUEUP_TRACEBACK"):
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
    what = " ".join(f"{type(error).__name__}: {error}".split())
    note(
        ("error: ", BAD),
        f"trueup failed unexpectedly: {what}. Nothing was written that the audit does not show. "
        "Report it with TRUEUP_TRACEBACK=1",
    )
    for line in getattr(error, "__notes__", ()):
        note(line)
    return UNEXPECTED


def _drop_output() -> None:
    """Point stdout to nowhere, so that nothing more is said about the reader that is gone."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
