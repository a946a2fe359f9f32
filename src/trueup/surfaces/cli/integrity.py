"""The commands of lifecycle integrity: snapshot, apply, backfill, history, report, validate, rollback, status."""

from typing import TYPE_CHECKING, Annotated

import typer

from trueup.surfaces.cli import integrity_rows
from trueup.surfaces.cli.options import EXIT_CODES, Format, FormatOption, add_command, seconds
from trueup.surfaces.cli.output import print_json, working
from trueup.surfaces.cli.session import acting, open_app, session_of

if TYPE_CHECKING:
    from trueup.service.integrity import Answer

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Do it really, and take it back before it is committed: what would happen?")
]
BusyOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="How long a busy table is tried again before giving up.")
]
_WAIT_S = 30.0


def register(program: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Bring rules on actions and trade ids into force, in phases.", no_args_is_help=True)
    for command in (snapshot, apply):
        add_command(group, command, EXIT_CODES)
    add_command(group, integrity_rows.backfill, integrity_rows.EXIT_CODES_OF_IDS)
    add_command(group, integrity_rows.history, integrity_rows.EXIT_CODES_OF_HISTORY)
    add_command(group, integrity_rows.report, integrity_rows.EXIT_CODES_OF_REPORT)
    for later in (validate, rollback, status):
        add_command(group, later, EXIT_CODES)
    program.add_typer(group, name="integrity")


def snapshot(
    context: typer.Context,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Count what there is before anything changes: rows by table and profile, and those that break each rule.

    It changes nothing but the record of snapshots, which are numbered. `apply` needs one.

    Example: trueup integrity snapshot
    """
    from trueup.service.integrity import take_snapshot
    from trueup.surfaces.cli.views import integrity as view

    app = open_app(context)
    with working("counting"):
        taken = take_snapshot(app, keep=not dry_run)
    if form is Format.JSON:
        print_json(taken.as_json())
    else:
        view.show_snapshot(taken, session_of(context).program)


def apply(
    context: typer.Context,
    dry_run: DryRunOption = False,
    wait: BusyOption = _WAIT_S,
    form: FormatOption = Format.TEXT,
) -> None:
    """Add the rules, which bind new rows and new values from now on, and the indexes; old rows stay as they are.

    On Postgres the constraints are NOT VALID and the indexes are built concurrently, so that the bot goes on writing;
    a table that is busy is tried again, for a tenth of a second at a time. What is there already stays.

    Example: trueup integrity apply --dry-run, then trueup integrity apply
    """
    from trueup.service import integrity

    app = open_app(context) if dry_run else acting(context)
    with working("adding the rules") as progress:
        answer = integrity.apply(app, wait_s=seconds(wait), dry_run=dry_run, progress=progress)
    _tell(context, answer, form)


def validate(
    context: typer.Context,
    dry_run: DryRunOption = False,
    wait: BusyOption = _WAIT_S,
    form: FormatOption = Format.TEXT,
) -> None:
    """Make the rules hold for every row, once the report is clean.

    Example: trueup integrity validate
    """
    from trueup.service import integrity

    app = open_app(context) if dry_run else acting(context)
    with working("asking for the report") as progress:
        answer = integrity.validate(app, wait_s=seconds(wait), dry_run=dry_run, progress=progress)
    _tell(context, answer, form)


def rollback(
    context: typer.Context,
    dry_run: DryRunOption = False,
    wait: BusyOption = _WAIT_S,
    form: FormatOption = Format.TEXT,
) -> None:
    """Drop the rules that apply added; the indexes stay, and so does every rule that was there before.

    Example: trueup integrity rollback
    """
    from trueup.service import integrity

    app = open_app(context) if dry_run else acting(context)
    with working("dropping the rules") as progress:
        answer = integrity.rollback(app, wait_s=seconds(wait), dry_run=dry_run, progress=progress)
    _tell(context, answer, form)


def status(context: typer.Context, form: FormatOption = Format.TEXT) -> None:
    """Say how far the ledger has come: what is in the database now, what was cut short, and what comes next.

    Example: trueup integrity status
    """
    from trueup.service.integrity import status as look
    from trueup.surfaces.cli.views import integrity as view

    found = look(open_app(context))
    if form is Format.JSON:
        print_json(found.as_json())
    else:
        view.show_status(found, session_of(context).program)


def _tell(context: typer.Context, answer: "Answer", form: Format) -> None:
    from trueup.surfaces.cli.views import integrity as view

    if form is Format.JSON:
        print_json(answer.as_json())
    else:
        view.show_answer(answer, session_of(context).program)
