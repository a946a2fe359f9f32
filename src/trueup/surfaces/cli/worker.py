"""The command worker."""

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from trueup.surfaces.cli.options import Format, FormatOption, add_command
from trueup.surfaces.cli.output import note, print_json, say
from trueup.surfaces.cli.session import open_app, stays

_EXIT_CODES = "Exit codes: 0 stopped when asked or after its cycles, 2 wrong usage or configuration, 3 no database."


def register(program: typer.Typer) -> None:
    """Add the command."""
    add_command(program, worker, _EXIT_CODES)


def worker(
    context: typer.Context,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Accounts that run side by side.")] = 4,
    cycles: Annotated[
        int | None, typer.Option("--cycles", min=1, help="Stop after so many cycles; else work until stopped.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and report; heal and remember nothing.")] = False,
    form: FormatOption = Format.TEXT,
) -> int:
    """Reconcile every account by itself, again and again, until stopped.

    Any number of workers share one Postgres; on SQLite one is enough. An account is due every
    RECON_INTERVAL_SECONDS, later while its venue is in trouble. SIGTERM or Ctrl-C lets it finish what it is at.

    Example: trueup worker --threads 8
    """
    from trueup.service.worker import Worker, WorkerOptions

    app = open_app(context)
    app.start_logs("info")
    stays()
    working = Worker(app, WorkerOptions(threads=threads, cycles=cycles, dry_run=dry_run))
    _stop_when_asked(working.stop)
    done = working.run()
    if form is Format.JSON:
        print_json({"cycles": done})
    else:
        say(f"{done} cycles" if done != 1 else "1 cycle")
    return 0


def _stop_when_asked(stop: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C end the work after what it is at; a second one ends it at once."""

    def ask(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        note("stopping after what is under way; once more stops at once")
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, ask)
